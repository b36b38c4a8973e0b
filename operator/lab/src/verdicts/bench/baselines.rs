//! The rules of others, as their users configure them, reduced to the decision.

use super::limits::PEER_SECONDS;
use super::mann_whitney;
use super::simulator::{Requests, Seen};

/// A rule sees every look and says when it rolls back.
pub trait Rule {
    fn rolls_back(&mut self, seen: &Seen) -> bool;
}

/// The last minute, as `rate(...[1m])` asked once a minute.
#[derive(Default)]
struct Minute {
    canary: Requests,
    stable: Requests,
}

impl Minute {
    /// Both versions' requests when a minute is full.
    fn add(&mut self, seen: &Seen) -> Option<(Requests, Requests)> {
        self.canary.add(seen.canary);
        self.stable.add(seen.stable);
        if seen.second % PEER_SECONDS != 0 {
            return None;
        }
        let full = std::mem::take(self);
        Some((full.canary, full.stable))
    }
}

/// An Argo Rollouts analysis: a measurement a minute fails when the canary's errors exceed 1 %, and
/// the run fails with more failures than `failureLimit` (default 0). No request, no failure: the
/// usual guard with `isNaN`.
#[derive(Default)]
pub struct ArgoThreshold {
    minute: Minute,
}

impl Rule for ArgoThreshold {
    fn rolls_back(&mut self, seen: &Seen) -> bool {
        let minute = self.minute.add(seen);
        minute.is_some_and(|(canary, _)| canary.error_share().is_some_and(|share| share > 0.01))
    }
}

/// An Argo Rollouts analysis that compares: a measurement fails when the canary has more than twice
/// the errors of stable; `failureLimit: 3`.
#[derive(Default)]
pub struct ArgoComparison {
    minute: Minute,
    failures: u32,
}

impl Rule for ArgoComparison {
    fn rolls_back(&mut self, seen: &Seen) -> bool {
        if let Some((canary, stable)) = self.minute.add(seen)
            && let (Some(canary), Some(stable)) = (canary.error_share(), stable.error_share())
            && canary > 2.0 * stable
        {
            self.failures += 1;
        }
        self.failures > 3
    }
}

/// Flagger's `request-success-rate` of at least 99 %, interval 1m, threshold 10: failed checks add
/// up over the run, and a minute without a value is a failed check.
#[derive(Default)]
pub struct Flagger {
    minute: Minute,
    failed_checks: u32,
}

impl Rule for Flagger {
    fn rolls_back(&mut self, seen: &Seen) -> bool {
        if let Some((canary, _)) = self.minute.add(seen)
            && canary.error_share().is_none_or(|share| share > 0.01)
        {
            self.failed_checks += 1;
        }
        self.failed_checks >= 10
    }
}

/// A one-sided test of two proportions at p < 0.05, asked again at every look: what one gets from a
/// dashboard and patience.
#[derive(Default)]
pub struct ZTest {
    canary: Requests,
    stable: Requests,
}

const Z_ONE_SIDED_5_PERCENT: f64 = 1.645;

impl Rule for ZTest {
    fn rolls_back(&mut self, seen: &Seen) -> bool {
        self.canary.add(seen.canary);
        self.stable.add(seen.stable);
        let (Some(p), Some(q)) = (self.canary.error_share(), self.stable.error_share()) else {
            return false;
        };
        let (n, m) = (self.canary.all as f64, self.stable.all as f64);
        let pooled = (self.canary.bad + self.stable.bad) as f64 / (n + m);
        let deviation = (pooled * (1.0 - pooled) * (1.0 / n + 1.0 / m)).sqrt();
        deviation > 0.0 && (p - q) / deviation > Z_ONE_SIDED_5_PERCENT
    }
}

/// Kayenta's judge on the error share by minute, each minute from the tenth point on.
#[derive(Default)]
pub struct MannWhitney {
    minute: Minute,
    canary: Vec<f64>,
    stable: Vec<f64>,
}

const MANN_WHITNEY_POINTS_COUNT_MIN: usize = 10;

impl Rule for MannWhitney {
    fn rolls_back(&mut self, seen: &Seen) -> bool {
        let Some((canary, stable)) = self.minute.add(seen) else {
            return false;
        };
        // Minutes without a value are left out of a version's points.
        self.canary.extend(canary.error_share());
        self.stable.extend(stable.error_share());
        self.canary.len().min(self.stable.len()) >= MANN_WHITNEY_POINTS_COUNT_MIN
            && mann_whitney::is_high(&self.canary, &self.stable)
    }
}
