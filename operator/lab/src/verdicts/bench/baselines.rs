//! The decision rules of other tools, as users configure them.

use super::limits::PEER_SECONDS;
use super::mann_whitney;
use super::simulator::{Look, Requests};

/// A rule that sees every look and decides when to roll back.
pub trait Rule {
    fn rolls_back(&mut self, look: &Look) -> bool;
}

/// The last minute, as `rate(...[1m])` queried once a minute.
#[derive(Default)]
struct Minute {
    canary: Requests,
    stable: Requests,
}

impl Minute {
    /// The requests of both versions at the end of a minute.
    fn add(&mut self, look: &Look) -> Option<(Requests, Requests)> {
        self.canary.add(look.canary);
        self.stable.add(look.stable);
        if look.second % PEER_SECONDS != 0 {
            return None;
        }
        let full = std::mem::take(self);
        Some((full.canary, full.stable))
    }
}

/// An Argo Rollouts analysis with one measurement a minute: it fails if the canary's errors exceed 1 %, and the run fails
/// with more failures than `failureLimit` (default 0). Without requests it does not fail: the usual guard with `isNaN`.
#[derive(Default)]
pub struct ArgoThreshold {
    minute: Minute,
}

impl Rule for ArgoThreshold {
    fn rolls_back(&mut self, look: &Look) -> bool {
        let minute = self.minute.add(look);
        minute.is_some_and(|(canary, _)| canary.error_share().is_some_and(|share| share > 0.01))
    }
}

/// An Argo Rollouts analysis that compares: a measurement fails if the canary has more than twice the errors of stable;
/// `failureLimit: 3`.
#[derive(Default)]
pub struct ArgoComparison {
    minute: Minute,
    failures: u32,
}

impl Rule for ArgoComparison {
    fn rolls_back(&mut self, look: &Look) -> bool {
        if let Some((canary, stable)) = self.minute.add(look)
            && let (Some(canary), Some(stable)) = (canary.error_share(), stable.error_share())
            && canary > 2.0 * stable
        {
            self.failures += 1;
        }
        self.failures > 3
    }
}

/// Flagger's `request-success-rate` of at least 99 %, interval 1m, threshold 10: failed checks add up over the run, and a
/// minute without a value is a failed check.
#[derive(Default)]
pub struct Flagger {
    minute: Minute,
    failed_checks: u32,
}

impl Rule for Flagger {
    fn rolls_back(&mut self, look: &Look) -> bool {
        if let Some((canary, _)) = self.minute.add(look)
            && canary.error_share().is_none_or(|share| share > 0.01)
        {
            self.failed_checks += 1;
        }
        self.failed_checks >= 10
    }
}

/// A one-sided test of two proportions at p < 0.05, repeated at every look, as by watching a dashboard.
#[derive(Default)]
pub struct ZTest {
    canary: Requests,
    stable: Requests,
}

const Z_ONE_SIDED_5_PERCENT: f64 = 1.645;

impl Rule for ZTest {
    fn rolls_back(&mut self, look: &Look) -> bool {
        self.canary.add(look.canary);
        self.stable.add(look.stable);
        let (Some(p), Some(q)) = (self.canary.error_share(), self.stable.error_share()) else {
            return false;
        };
        let (n, m) = (self.canary.all as f64, self.stable.all as f64);
        let pooled = (self.canary.bad + self.stable.bad) as f64 / (n + m);
        let deviation = (pooled * (1.0 - pooled) * (1.0 / n + 1.0 / m)).sqrt();
        deviation > 0.0 && (p - q) / deviation > Z_ONE_SIDED_5_PERCENT
    }
}

/// Kayenta's judge on the error share by minute, every minute from the tenth on.
#[derive(Default)]
pub struct MannWhitney {
    minute: Minute,
    canary: Vec<f64>,
    stable: Vec<f64>,
}

const MANN_WHITNEY_POINTS_COUNT_MIN: usize = 10;

impl Rule for MannWhitney {
    fn rolls_back(&mut self, look: &Look) -> bool {
        let Some((canary, stable)) = self.minute.add(look) else {
            return false;
        };
        // Minutes without a value are left out of a version's points.
        self.canary.extend(canary.error_share());
        self.stable.extend(stable.error_share());
        self.canary.len().min(self.stable.len()) >= MANN_WHITNEY_POINTS_COUNT_MIN
            && mann_whitney::is_high(&self.canary, &self.stable)
    }
}
