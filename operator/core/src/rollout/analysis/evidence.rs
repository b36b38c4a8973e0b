//! The evidence in counts: mixture e-processes over the conditional binomial.
//!
//! Given an incident, it is one of the canary with probability
//! `q(r) = r·Ec / (r·Ec + Es)` when the canary has `r` times the incidents per exposure. For every
//! alternative ratio, the logarithms of the likelihood ratio against a null ratio are summed. The mean of the likelihood
//! ratios is an e-process: under the null it ever reaches `x` with probability at most `1/x` (Ville's inequality),
//! regardless of the number of looks and of changes of the weights and the common rate between looks. Lindon & Malek,
//! arXiv 2011.03567.

use serde::{Deserialize, Serialize};

use super::increment::Increment;
use crate::rollout::limits::{
    CLEARED_RATIO, CLEARING_RATIOS, HARM_RATIO_MAX, HARM_RATIO_MIN, HARM_RATIOS_COUNT,
};

/// Sums are integers in billionths of a nat, because integers survive every JSON parser exactly, so that a restart changes
/// no verdict. The rounding error is below 1e-6 of an e-value after a thousand looks.
const UNITS_PER_NAT: f64 = 1e9;
/// More than any evidence (e to the power of 4 million), and far from an overflow.
const SUM_UNITS_MAX: i64 = 1 << 52;

/// The sums of one metric, in billionths of a nat.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Evidence that the canary is worse, by alternative.
    pub against: [i64; HARM_RATIOS_COUNT],
    /// Evidence that it is not twice as bad, by alternative.
    pub clearing: [i64; CLEARING_RATIOS.len()],
}

/// Both tests of one metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Tests {
    against: Mixture<HARM_RATIOS_COUNT>,
    clearing: Mixture<{ CLEARING_RATIOS.len() }>,
}

impl Tests {
    /// `r0`: the ratio of incidents to stable that still counts as equally good, at least 1 and less than 2.
    /// Alternatives are log-spaced in `[1.3, 100]·r0`.
    pub fn new(r0: f64) -> Self {
        let step = (HARM_RATIO_MAX / HARM_RATIO_MIN).ln() / (HARM_RATIOS_COUNT - 1) as f64;
        let harm = |k: usize| r0 * HARM_RATIO_MIN * (step * k as f64).exp();
        Tests {
            against: Mixture::new(r0, std::array::from_fn(harm)),
            clearing: Mixture::new(CLEARED_RATIO, CLEARING_RATIOS),
        }
    }

    /// Adds the counts of one look.
    pub fn add(&self, evidence: &mut Evidence, increment: &Increment) {
        self.against.add(&mut evidence.against, increment);
        self.clearing.add(&mut evidence.clearing, increment);
    }
}

impl Evidence {
    /// The e-value against the canary. At 1/α it is rolled back.
    pub fn against(&self) -> f64 {
        mean_exp(&self.against)
    }

    /// The e-value for the canary. At 20 it is cleared.
    pub fn clearing(&self) -> f64 {
        mean_exp(&self.clearing)
    }
}

/// A null ratio and the alternatives, all with the same prior.
#[derive(Clone, Debug, PartialEq)]
struct Mixture<const N: usize> {
    null: f64,
    ratios: [f64; N],
    /// ln(r/r0) of each.
    logarithms: [f64; N],
}

impl<const N: usize> Mixture<N> {
    fn new(null: f64, ratios: [f64; N]) -> Self {
        Mixture {
            null,
            ratios,
            logarithms: ratios.map(|ratio| (ratio / null).ln()),
        }
    }

    /// `S += c·ln(q(r)/q(r0)) + s·ln((1−q(r))/(1−q(r0)))`, in a form that is defined for a share
    /// of 0 and of 1: `c·ln(r/r0) − (c+s)·ln((1+(r−1)p)/(1+(r0−1)p))` with `p = Ec/(Ec+Es)`.
    fn add(&self, sums: &mut [i64; N], increment: &Increment) {
        let (canary, stable) = (increment.canary, increment.stable);
        if canary.bad == 0 && stable.bad == 0 {
            return;
        }
        let share = 1.0 / (1.0 + stable.exposure / canary.exposure);
        let (c, s) = (canary.bad as f64, stable.bad as f64);
        let null = ((self.null - 1.0) * share).ln_1p();
        for ((sum, ratio), logarithm) in sums.iter_mut().zip(self.ratios).zip(self.logarithms) {
            let spread = ((ratio - 1.0) * share).ln_1p() - null;
            let nats = c * logarithm - (c + s) * spread;
            // The cast saturates.
            let units = (nats * UNITS_PER_NAT).round() as i64;
            *sum = sum.saturating_add(units).clamp(-SUM_UNITS_MAX, SUM_UNITS_MAX);
        }
    }
}

/// The mean of the likelihood ratios by log-sum-exp. Never infinite, because JSON has no such number.
fn mean_exp(sums: &[i64]) -> f64 {
    let nats = |sum: i64| sum as f64 / UNITS_PER_NAT;
    let largest = nats(sums.iter().copied().max().unwrap_or(0));
    let rest: f64 = sums.iter().map(|sum| (nats(*sum) - largest).exp()).sum();
    (largest + (rest / sums.len().max(1) as f64).ln())
        .exp()
        .min(f64::MAX)
}
