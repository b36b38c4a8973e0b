//! Limits of the scaling decision.

use std::time::Duration;

use jiff::SignedDuration;

/// The default tolerance, as a fraction.
pub const TOLERANCE_FRACTION_DEFAULT: f64 = 0.1;
/// The default stabilization window for scale-in.
pub const DOWNSCALE_WINDOW_SECONDS: i64 = 300;
/// The longest time between two decisions, as the sync period of Kubernetes.
pub const DECISION_INTERVAL_MAX: Duration = Duration::from_secs(15);
/// The shortest time between two decisions.
pub const DECISION_INTERVAL_MIN: Duration = Duration::from_secs(1);
/// Recommendations in memory. Only those that can still affect a decision are kept.
pub const RECOMMENDATIONS_COUNT_MAX: usize = 256;
/// Scale events in memory, for each direction.
pub const SCALE_EVENTS_COUNT_MAX: usize = 256;
/// Samples in memory for the panic window, for each metric.
pub const PANIC_SAMPLES_COUNT_MAX: usize = 128;
/// Samples older than this, or than three poll intervals, are stale. It exceeds the common scrape interval of a minute.
pub const STALE_SECONDS: u64 = 75;
/// A metric falls suddenly if it falls by more than this share from one sample to the next. The Kubernetes autoscaler
/// ignores changes up to this share, so smaller faults do no harm.
pub const SUDDEN_FALL_SHARE: f64 = TOLERANCE_FRACTION_DEFAULT;
/// A change is sudden if it is more than this multiple of the metric's mean deviation, and than [`SUDDEN_FALL_SHARE`]. A
/// reset of counters lowers a rate by a quarter for one averaging window.
pub const SUDDEN_CHANGE_DEVIATIONS: f64 = 4.0;
/// A metric that rises counts as if it went on by this multiple of its rise: a fault may hide a part of it.
pub const RISE_CONTINUES: f64 = 1.5;
/// The samples over which the deviation of a metric is averaged.
pub const DEVIATION_SAMPLES: f64 = 16.0;
/// How long a fault of the metrics source still shows in a metric after its end: the common averaging window of a
/// minute plus a half.
pub const FAULT_WINDOW_MAX: SignedDuration = SignedDuration::from_secs(90);
/// Nothing is scaled in if the newest sample of a metric arrived longer ago than this, three default poll intervals, and
/// than two of the metric's own intervals.
pub const RENEWED_WITHIN: SignedDuration = SignedDuration::from_secs(15);
/// Older forecasts are not used.
pub const FORECAST_AGE_SECONDS_MAX: u64 = 120;
/// For so long after the last forecast the operator expects it to return and does not scale in.
pub const FORECAST_LOST_SECONDS: u64 = 900;
/// The largest count that a forecast proposes.
pub const FORECAST_REPLICAS_MAX: i32 = 1_000;
/// The time over which forecasts may cost no more than fixed headroom.
pub const COST_SECONDS: f64 = 86_400.0;
/// How far a cron expression is searched in either direction. Contains every date of a leap-year cycle.
pub const CRON_SEARCH_DAYS_MAX: i32 = 366 * 5;
/// Samples in memory for each pod: more than [`POD_SCRAPES_MISSED`].
pub const POD_SAMPLES_COUNT_MAX: usize = 8;
/// A pod counts as not scraped once another pod was scraped this many times since.
pub const POD_SCRAPES_MISSED: usize = 3;
/// Rooms have moved this long after the routing table changed. It also covers differences between clocks.
pub const ROOMS_MOVED_WITHIN: SignedDuration = SignedDuration::from_secs(2);
