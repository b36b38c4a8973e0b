//! Bounds of rollouts and their verdicts.

/// The whole: 100 % in hundredths of a per cent.
pub const WEIGHT_BASIS_POINTS_MAX: u16 = 10_000;

/// Chance of ever rolling an equally good version back, over all metrics and looks together.
pub const FALSE_ROLLBACK_PROBABILITY: f64 = 0.005;
/// The evidence that clears a version: it is wrong in at most one of so many.
pub const CLEARING_EVIDENCE: f64 = 20.0;
/// Alternatives in the mixture against a version, from 1.3 to 100 times as many incidents.
pub const HARM_RATIOS_COUNT: usize = 16;
pub const HARM_RATIO_MIN: f64 = 1.3;
pub const HARM_RATIO_MAX: f64 = 100.0;
/// A version counts as harmful from so many times the incidents on; the promotion test rejects it.
pub const CLEARED_RATIO: f64 = 2.0;
/// Alternatives in the mixture for a version.
pub const CLEARING_RATIOS: [f64; 6] = [0.25, 0.5, 0.7, 0.8, 0.9, 1.0];

/// Measured time after which an analysis that decided nothing is inconclusive.
pub const ANALYSIS_SECONDS_MAX: i64 = 1800;
/// Unbroken time without data after which an analysis is inconclusive; longer than any outage
/// that should heal by itself.
pub const HOLD_SECONDS_MAX: i64 = 3600;
/// A metric without a value for longer is missing.
pub const METRIC_SECONDS_MAX: i64 = 60;
/// What a silence between two looks counts for at most.
pub const LOOK_GAP_SECONDS_MAX: i64 = 300;
/// Metrics of one analysis at most: each has its sums in the status.
pub const METRICS_COUNT_MAX: usize = 16;

/// Revisions that are remembered for undo.
pub const REVISION_HISTORY_COUNT_MAX: usize = 10;
