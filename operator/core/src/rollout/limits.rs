//! Limits of rollouts and their verdicts.

/// 100 % in basis points.
pub const WEIGHT_BASIS_POINTS_MAX: u16 = 10_000;

/// The probability of ever rolling back an equally good version, over all metrics and looks together.
pub const FALSE_ROLLBACK_PROBABILITY: f64 = 0.005;
/// The evidence that clears a version. Of the harmful versions, at most one in 20 is cleared.
pub const CLEARING_EVIDENCE: f64 = 20.0;
/// The number of alternatives in the mixture against a version, from 1.3 to 100 times as many incidents.
pub const HARM_RATIOS_COUNT: usize = 16;
pub const HARM_RATIO_MIN: f64 = 1.3;
pub const HARM_RATIO_MAX: f64 = 100.0;
/// A version with this many times the incidents of stable is harmful. The promotion test rejects it.
pub const CLEARED_RATIO: f64 = 2.0;
/// The alternatives in the mixture for a version.
pub const CLEARING_RATIOS: [f64; 6] = [0.25, 0.5, 0.7, 0.8, 0.9, 1.0];

/// The measured time after which an undecided analysis is inconclusive.
pub const ANALYSIS_SECONDS_MAX: i64 = 1800;
/// The uninterrupted time without data after which an analysis is inconclusive. It exceeds the length of a short outage.
pub const HOLD_SECONDS_MAX: i64 = 3600;
/// A metric without a value for longer than this is missing.
pub const METRIC_SECONDS_MAX: i64 = 60;
/// The longest time between two looks that counts; the rest of a longer time is ignored.
pub const LOOK_GAP_SECONDS_MAX: i64 = 300;
/// The most metrics of one analysis. Each has its sums in the status.
pub const METRICS_COUNT_MAX: usize = 16;

/// The number of earlier revisions in the status, for undo.
pub const REVISION_HISTORY_COUNT_MAX: usize = 10;
