//! Keeps forecasts from costing more than fixed headroom.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::limits::{COST_SECONDS, DOWNSCALE_WINDOW_SECONDS, TOLERANCE_FRACTION_DEFAULT};
use super::replica_cost::replicas_for;

/// Divisors of the shortage price. The ledger tracks the cost of a forecast at each of these prices.
pub const PRICE_DIVISORS: [f64; 10] = [1.0, 1.4, 2.0, 2.8, 4.0, 5.7, 8.0, 11.3, 16.0, 32.0];

/// The mean cost over a day of a plain autoscaler with fixed headroom, and of the forecast at each price.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CostLedger {
    /// The last time at which there was a forecast.
    pub at: Timestamp,
    seconds: f64,
    headroom: HeldCount,
    forecast: [HeldCount; PRICE_DIVISORS.len()],
}

/// A count that holds until a higher one replaces it or a window ends, and its mean over time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct HeldCount {
    replicas: i32,
    since: Timestamp,
    mean: f64,
}

impl HeldCount {
    fn new(now: Timestamp) -> HeldCount {
        HeldCount {
            replicas: 0,
            since: now,
            mean: 0.0,
        }
    }

    fn update(&mut self, replicas: i32, window: SignedDuration, weight: f64, now: Timestamp) {
        if replicas >= self.replicas || now.duration_since(self.since) > window {
            (self.replicas, self.since) = (replicas, now);
        }
        self.mean += (f64::from(self.replicas) - self.mean) * weight;
    }
}

impl CostLedger {
    pub fn new(now: Timestamp) -> CostLedger {
        CostLedger {
            at: now,
            seconds: 0.0,
            headroom: HeldCount::new(now),
            forecast: [HeldCount::new(now); PRICE_DIVISORS.len()],
        }
    }

    /// Adds the time since the last call to the means, which cover at most the last day. A plain autoscaler would
    /// follow `needed`, the demand with headroom in replicas, with its own tolerance and window. The counts in
    /// `planned` hold for `window`.
    pub fn add(
        &mut self,
        needed: f64,
        planned: &[i32; PRICE_DIVISORS.len()],
        window: SignedDuration,
        now: Timestamp,
    ) {
        let passed = now.duration_since(self.at).as_secs_f64().clamp(0.0, COST_SECONDS);
        let is_first = self.headroom.replicas == 0;
        self.seconds = (self.seconds + passed).min(COST_SECONDS);
        self.at = now;
        let weight = if is_first {
            1.0
        } else {
            passed / self.seconds.max(1.0)
        };
        let held = self.headroom.replicas;
        let is_near = (needed / f64::from(held) - 1.0).abs() <= TOLERANCE_FRACTION_DEFAULT;
        let desired = if is_near { held } else { replicas_for(needed, 1.0) };
        let default_window = SignedDuration::from_secs(DOWNSCALE_WINDOW_SECONDS);
        self.headroom.update(desired, default_window, weight, now);
        for (held, planned) in self.forecast.iter_mut().zip(planned) {
            held.update(*planned, window, weight, now);
        }
    }

    /// The index of the highest price at which the forecast costs no more than headroom. `None` if it costs more
    /// at every price.
    pub fn affordable(&self) -> Option<usize> {
        self.forecast
            .iter()
            .position(|held| held.mean <= self.headroom.mean)
    }
}
