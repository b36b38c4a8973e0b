//! The proposal of a forecast, or of fixed headroom where there is no forecast. It can only raise the count that the
//! metrics propose.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use poker_operator_api::Autoscaling;
use poker_operator_api::autoscaling::{Predictive, PredictiveMode};

use super::Proposal;
use super::cost_ledger::{CostLedger, PRICE_DIVISORS};
use super::demand::Demand;
use super::demand_forecast::Distribution;
use super::format::number;
use super::limits::{FORECAST_AGE_SECONDS_MAX, FORECAST_LOST_SECONDS};
use super::memory::ScaleMemory;
use super::replica_cost::{cheapest_counts, replicas_for};

/// Forecasts by `Metric::name()`. A metric without an entry has no forecast.
pub type Forecasts = BTreeMap<String, Distribution>;

/// The index in [`EXCEEDANCES`](super::demand_forecast::EXCEEDANCES) of the level in status and messages: demand
/// exceeds it with a probability of 1 %.
const REPORTED_LEVEL: usize = 5;

/// The demand of one metric by the time a decision takes effect.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpectedDemand {
    pub metric: String,
    pub replicas: i32,
    /// The demand exceeded with a probability of 1 %, or the demand with headroom.
    pub level: f64,
    pub basis: Basis,
}

/// The basis of a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    Forecast,
    /// Measured demand with fixed headroom, because there is no forecast.
    Headroom,
    /// The same, because a metric fell suddenly and the forecast proposes less.
    HeadroomAfterFall,
}

/// The proposals of all metrics with a target per replica, the largest first.
///
/// `after_fall`: a metric fell suddenly, and it is too early to distinguish lower demand from a fault of the metric.
/// Meanwhile no forecast proposes less than headroom. `window`: how long a higher count holds.
pub fn all(
    block: &Autoscaling,
    demands: &[Demand],
    forecasts: &Forecasts,
    after_fall: bool,
    window: SignedDuration,
    memory: &mut ScaleMemory,
    now: Timestamp,
) -> Vec<ExpectedDemand> {
    let predictive = block.predictive.as_ref();
    let Some(predictive) = predictive.filter(|p| p.mode != PredictiveMode::Off) else {
        memory.cost_ledgers.clear();
        return Vec::new();
    };
    // The ledger of a metric without a sample stays: a lost forecast holds scale-in after the gap.
    memory
        .cost_ledgers
        .retain(|name, _| block.metrics.iter().any(|metric| metric.name() == name));
    let mut expected: Vec<ExpectedDemand> = demands
        .iter()
        .map(|demand| {
            let forecast = forecasts.get(demand.name).filter(|f| is_usable(f, demand.at));
            one(predictive, demand, forecast, after_fall, window, memory, now)
        })
        .collect();
    expected.sort_by_key(|e| std::cmp::Reverse(e.replicas));
    expected
}

/// Whether a metric without a forecast had one a short while ago.
pub fn is_forecast_lost(expected: &[ExpectedDemand], memory: &ScaleMemory, now: Timestamp) -> bool {
    expected
        .iter()
        .filter(|expected| expected.basis == Basis::Headroom)
        .filter_map(|expected| memory.cost_ledgers.get(&expected.metric))
        .any(|ledger| now.duration_since(ledger.at).unsigned_abs().as_secs() < FORECAST_LOST_SECONDS)
}

/// Whether a forecast is finite, rising, and recent compared to the newest sample. Both times are by the clock of
/// the metrics source.
fn is_usable(forecast: &Distribution, sampled: Timestamp) -> bool {
    let levels = &forecast.levels;
    sampled.duration_since(forecast.at).unsigned_abs().as_secs() <= FORECAST_AGE_SECONDS_MAX
        && levels.iter().all(|level| level.is_finite() && *level >= 0.0)
        && levels.is_sorted()
}

fn one(
    predictive: &Predictive,
    demand: &Demand,
    forecast: Option<&Distribution>,
    after_fall: bool,
    window: SignedDuration,
    memory: &mut ScaleMemory,
    now: Timestamp,
) -> ExpectedDemand {
    let with_headroom = demand.total * (1.0 + f64::from(predictive.headroom_percent) / 100.0);
    let headroom = ExpectedDemand {
        metric: demand.name.to_owned(),
        replicas: replicas_for(with_headroom, demand.per_replica),
        level: with_headroom,
        basis: Basis::Headroom,
    };
    let Some(forecast) = forecast else {
        return headroom;
    };
    let price = f64::from(predictive.shortage_cost);
    let prices = PRICE_DIVISORS.map(|divisor| price / divisor);
    let planned = cheapest_counts(forecast, demand.per_replica, prices);
    let ledger = memory.cost_ledgers.entry(demand.name.to_owned());
    let ledger = ledger.or_insert_with(|| CostLedger::new(now));
    if !demand.is_bound {
        ledger.add(with_headroom / demand.per_replica, &planned, window, now);
    }
    let affordable = ledger.affordable().map(|price| planned[price]);
    let replicas = affordable.unwrap_or(headroom.replicas);
    if after_fall && headroom.replicas > replicas {
        return ExpectedDemand {
            basis: Basis::HeadroomAfterFall,
            ..headroom
        };
    }
    ExpectedDemand {
        replicas,
        level: forecast.levels[REPORTED_LEVEL],
        basis: Basis::Forecast,
        ..headroom
    }
}

impl ExpectedDemand {
    pub fn proposal(&self, preview: bool) -> Proposal {
        let kind = match (preview, self.basis) {
            (true, _) => "preview",
            (false, Basis::Forecast) => "forecast",
            (false, Basis::Headroom | Basis::HeadroomAfterFall) => "headroom",
        };
        Proposal {
            name: format!("{kind}/{}", self.metric),
            value: Some(number(self.level)),
            replicas: Some(self.replicas),
            problem: None,
        }
    }

    /// The cause as part of a sentence.
    pub fn cause(&self) -> String {
        let (level, metric) = (number(self.level), &self.metric);
        match self.basis {
            Basis::Forecast => format!("up to {level} {metric} expected"),
            Basis::Headroom => format!("{level} {metric} with headroom because there is no forecast"),
            Basis::HeadroomAfterFall => format!("{level} {metric} with headroom after a sudden fall"),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn forecast(levels: [f64; 10]) -> Distribution {
        Distribution {
            at: Timestamp::UNIX_EPOCH,
            levels,
            skilled: true,
        }
    }

    /// Demand exceeds 100 half of the time, and higher levels up to 1,000 less and less often.
    pub fn wide() -> Distribution {
        forecast([
            100.0, 200.0, 300.0, 400.0, 500.0, 600.0, 700.0, 800.0, 900.0, 1_000.0,
        ])
    }

    #[test]
    fn forecasts_cost_no_more_than_headroom_over_a_day() {
        for (price, alone) in [(100, 5), (100_000, 10)] {
            let mean = mean_over_two_days(price);
            assert!(
                (2.5..=3.1).contains(&mean),
                "{mean} where headroom takes 3, the forecast alone {alone}"
            );
        }
    }

    fn mean_over_two_days(shortage_cost: i32) -> f64 {
        let block = serde_json::json!({
            "maxReplicas": 20,
            "metrics": [{"promql": {"name": "people", "query": "x"}, "target": {"averageValue": "100"}}],
            "predictive": {"shortageCost": shortage_cost, "headroomPercent": 100},
        });
        let block = serde_json::from_value(block).unwrap();
        let demand = Demand {
            name: "people",
            total: 150.0,
            at: Timestamp::UNIX_EPOCH,
            is_bound: false,
            per_replica: 100.0,
        };
        let (mut memory, mut paid) = (ScaleMemory::default(), 0);
        let seconds = 2 * 86_400;
        for second in (0..seconds).step_by(15) {
            let now = Timestamp::from_second(second).unwrap();
            let forecasts = BTreeMap::from([("people".to_owned(), Distribution { at: now, ..wide() })]);
            let window = SignedDuration::from_secs(180);
            paid += all(&block, &[demand], &forecasts, false, window, &mut memory, now)[0].replicas;
        }
        f64::from(paid) / f64::from(i32::try_from(seconds).unwrap() / 15)
    }

    #[test]
    fn an_old_or_invalid_forecast_is_not_usable() {
        let now = Timestamp::from_second(1_000).unwrap();
        let recent = Distribution { at: now, ..wide() };
        assert!(is_usable(&recent, now));
        assert!(!is_usable(&wide(), now), "too old");
        let invalid = [
            [f64::NAN; 10],
            [f64::INFINITY; 10],
            [-1.0; 10],
            [9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0],
        ];
        for levels in invalid {
            let forecast = Distribution {
                levels,
                ..recent.clone()
            };
            assert!(!is_usable(&forecast, now), "{levels:?}");
        }
    }
}
