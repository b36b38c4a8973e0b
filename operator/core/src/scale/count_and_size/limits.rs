//! Defaults and limits of plans of count and size.

use jiff::SignedDuration;

/// Sizes are multiples of these steps, or equal to a limit.
pub const CORES_STEP: f64 = 0.01;
pub const BYTES_STEP: f64 = 4.0 * 1024.0 * 1024.0;

/// The margin above demand, and the tolerance below it: the tolerance of the Kubernetes autoscaler.
pub const DEMAND_MARGIN_SHARE: f64 = 0.1;
/// How long demand must be low, and the last change must be past, before capacity is removed: the stabilization window of
/// the Kubernetes autoscaler.
pub const DEMAND_WINDOW: SignedDuration = SignedDuration::from_secs(300);
/// The time within which a change must pay for itself.
pub const PAYBACK_HOURS: f64 = 1.0;
/// A change must save its own cost plus this share of the current cost.
pub const SAVING_SHARE_MIN: f64 = 0.1;

/// The price of a GiB for an hour in core-hours: about the ratio of the list prices of the large clouds.
pub const GIB_CORE_HOURS: f64 = 0.13;
/// The price of moving a room in core-hours: a few milliseconds of work, and a pause that users may notice.
pub const ROOM_MOVED_CORE_HOURS: f64 = 1e-4;
/// The price of resizing a shard in place.
pub const RESIZE_CORE_HOURS: f64 = 0.002;
/// The price of starting a shard: about half a minute of a core before it serves.
pub const START_CORE_HOURS: f64 = 0.008;

/// The largest counts and sizes that plans consider, regardless of the given limits.
pub const SHARDS_CONSIDERED_MAX: i32 = 1024;
pub const SHARD_CORES_MAX: f64 = 1024.0;
pub const SHARD_BYTES_MAX: f64 = 4.0 * 1024.0 * 1024.0 * 1024.0 * 1024.0;

const _: () = assert!(START_CORE_HOURS >= RESIZE_CORE_HOURS);
