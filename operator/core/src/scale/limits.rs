//! Bounds of the scaling decision.

use std::time::Duration;

use jiff::SignedDuration;

/// The tolerance without a given one, as a fraction.
pub const TOLERANCE_FRACTION_DEFAULT: f64 = 0.1;
/// How long a higher recommendation holds the count without a given window.
pub const DOWNSCALE_WINDOW_SECONDS: i64 = 300;
/// A decision is renewed at least this often, as the sync period of Kubernetes.
pub const LOOK_AGAIN_AFTER_MAX: Duration = Duration::from_secs(15);
/// A decision is never asked for sooner than this.
pub const LOOK_AGAIN_AFTER_MIN: Duration = Duration::from_secs(1);
/// Recommendations kept; only those that can still decide are.
pub const RECOMMENDATIONS_COUNT_MAX: usize = 256;
/// Scale events kept in one direction.
pub const SCALE_EVENTS_COUNT_MAX: usize = 256;
/// Samples kept for one metric to detect bursts.
pub const BURST_SAMPLES_COUNT_MAX: usize = 128;
/// Samples older than this, or than three intervals, are stale. Above the common scrape interval of
/// a minute.
pub const STALE_SECONDS: u64 = 75;
/// A metric that falls by more than this share from one sample to the next fell suddenly: what the
/// Kubernetes autoscaler tolerates does no harm.
pub const SUDDEN_FALL_SHARE: f64 = TOLERANCE_FRACTION_DEFAULT;
/// How long a fault of the source still shows in a metric after its end: the usual averaging window and half as
/// much.
pub const FAULT_LINGERS: SignedDuration = SignedDuration::from_secs(90);
/// A sample that came longer ago takes nothing away: three of the usual intervals.
pub const RENEWED_WITHIN: SignedDuration = SignedDuration::from_secs(15);
/// A forecast older than this is none.
pub const FORECAST_AGE_SECONDS_MAX: u64 = 120;
/// A forecast that was there so recently is expected back: until then nothing is scaled in.
pub const FORECAST_LOST_SECONDS: u64 = 900;
/// The most replicas that a forecast asks for, whatever it expects.
pub const FORECAST_REPLICAS_MAX: i32 = 1_000;
/// The time over which forecasts may cost no more than fixed headroom.
pub const SPEND_SECONDS: f64 = 86_400.0;
/// How far back and ahead a cron expression is searched; every date of four years is in it.
pub const CRON_SEARCH_DAYS_MAX: i32 = 366 * 5;
