//! Defaults and bounds of the joint plan.

use jiff::SignedDuration;

/// Sizes are multiples of this, or a given bound.
pub const CORES_STEP: f64 = 0.01;
pub const BYTES_STEP: f64 = 4.0 * 1024.0 * 1024.0;

/// Planned above demand, and tolerated below it: the tolerance of the Kubernetes autoscaler.
pub const MARGIN: f64 = 0.1;
/// Demand must be low for this long, and a change this long ago, before something is taken away: the
/// stabilization window of the Kubernetes autoscaler.
pub const WINDOW: SignedDuration = SignedDuration::from_secs(300);
/// In this time a change must have paid for itself.
pub const PAYBACK_HOURS: f64 = 1.0;
/// Besides its own cost a change must save this share of what is spent.
pub const SAVING_SHARE_MIN: f64 = 0.1;

/// A GiB for an hour, in core-hours: about the relation of list prices of the large clouds.
pub const GIB_CORE_HOURS: f64 = 0.13;
/// A room that moves, in core-hours: a few milliseconds of work, and a pause that people may notice.
pub const ROOM_MOVED_CORE_HOURS: f64 = 1e-4;
/// A shard resized in place.
pub const RESIZE_CORE_HOURS: f64 = 0.002;
/// A shard started: about half a minute of a core before it serves.
pub const START_CORE_HOURS: f64 = 0.008;

/// Shards and sizes considered at most, whatever the given maximum.
pub const COUNT_MAX: i32 = 1024;
pub const CORES_MAX: f64 = 1024.0;
pub const BYTES_MAX: f64 = 4.0 * 1024.0 * 1024.0 * 1024.0 * 1024.0;

const _: () = assert!(START_CORE_HOURS >= RESIZE_CORE_HOURS);
