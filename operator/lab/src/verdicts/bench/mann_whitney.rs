//! Kayenta's classification of a metric: the Mann-Whitney test with R's confidence interval of the
//! shift (`wilcox.test`, asymptotic, continuity correction), confidence 0.98, tolerance 0.25.

/// The 0.99 quantile of the normal distribution: confidence 0.98, two-sided.
const Z_CONFIDENCE: f64 = 2.326_347_874;
const TOLERANCE: f64 = 0.25;
const BISECTIONS: u32 = 40;

/// Whether the canary is classified High: the lower end of the shift's interval is above a quarter
/// of the estimated shift.
pub fn is_high(canary: &[f64], stable: &[f64]) -> bool {
    let all = || canary.iter().chain(stable).copied();
    let first = canary[0];
    if all().all(|value| value == first) {
        return false;
    }
    // Cheap and the same: a lower end above zero needs a significant test at zero.
    if statistic(canary, stable, 0.0) <= Z_CONFIDENCE {
        return false;
    }
    let lower = shift(canary, stable, Z_CONFIDENCE);
    let estimate = shift(canary, stable, 0.0);
    lower > TOLERANCE * estimate.abs()
}

/// The shift at which the statistic has this value; it falls with the shift.
fn shift(canary: &[f64], stable: &[f64], quantile: f64) -> f64 {
    let min = |values: &[f64]| values.iter().copied().fold(f64::INFINITY, f64::min);
    let max = |values: &[f64]| values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let (mut low, mut high) = (min(canary) - max(stable), max(canary) - min(stable));
    if statistic(canary, stable, low) <= quantile {
        return low;
    }
    for _ in 0..BISECTIONS {
        let middle = (low + high) / 2.0;
        if statistic(canary, stable, middle) > quantile {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// The standardised rank sum of the canary's values less `shift`, with averaged ranks and corrected
/// for ties and continuity.
fn statistic(canary: &[f64], stable: &[f64], shift: f64) -> f64 {
    let (n, m) = (canary.len() as f64, stable.len() as f64);
    let shifted = canary.iter().map(|value| (value - shift, true));
    let mut values: Vec<(f64, bool)> = shifted
        .chain(stable.iter().map(|value| (*value, false)))
        .collect();
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut rank_sum, mut ties, mut before) = (0.0, 0.0, 0.0);
    for group in values.chunk_by(|a, b| a.0 == b.0) {
        let size = group.len() as f64;
        let of_canary = group.iter().filter(|(_, is_canary)| *is_canary).count() as f64;
        rank_sum += of_canary * (before + (size + 1.0) / 2.0);
        ties += size.powi(3) - size;
        before += size;
    }
    let difference = rank_sum - n * (n + 1.0) / 2.0 - n * m / 2.0;
    let correction = if difference == 0.0 {
        0.0
    } else {
        0.5 * difference.signum()
    };
    let variance = n * m / 12.0 * (n + m + 1.0 - ties / ((n + m) * (n + m - 1.0)));
    if variance > 0.0 {
        (difference - correction) / variance.sqrt()
    } else {
        0.0
    }
}
