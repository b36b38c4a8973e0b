//! How far the violations of a quantile may deviate from its level by chance.

/// The share of outcomes above the 99 % quantile.
const PROMISED: f64 = 0.01;
/// The levels that bound the middle 95 %.
const BEYOND: f64 = 0.025;

/// The range of the shares in 95 out of 100 files with so many outcomes if each outcome is above the 99 % quantile
/// with a probability of exactly 1 %, independently: quantiles of the binomial distribution.
pub fn shares_above(outcomes: usize) -> (f64, f64) {
    let share = |level: f64| above(outcomes, level) as f64 / outcomes as f64;
    (share(BEYOND), share(1.0 - BEYOND))
}

/// The smallest count that is not exceeded with a probability of `level`. In logarithms: the first probabilities are tiny.
fn above(outcomes: usize, level: f64) -> usize {
    let mut log_chance = outcomes as f64 * (1.0 - PROMISED).ln();
    let mut sum = 0.0;
    for count in 0..outcomes {
        sum += log_chance.exp();
        if sum >= level {
            return count;
        }
        let odds = PROMISED / (1.0 - PROMISED);
        log_chance += ((outcomes - count) as f64 / (count + 1) as f64 * odds).ln();
    }
    outcomes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_binomial_distribution() {
        // From sums of the probabilities; for many outcomes close to the normal distribution.
        for (outcomes, low, high) in [(1, 0, 0), (50, 0, 2), (1_000, 4, 17)] {
            assert_eq!(
                (above(outcomes, 0.025), above(outcomes, 0.975)),
                (low, high),
                "{outcomes}"
            );
        }
        let (low, high) = shares_above(1_000_000);
        assert!(
            (low - 0.009_805).abs() < 5e-6 && (high - 0.010_195).abs() < 5e-6,
            "{low} {high}"
        );
    }
}
