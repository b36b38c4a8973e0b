//! Caps of a routing table; a larger one is refused and the table in use stays.

pub const SHARDS_MAX: usize = 1024;
pub const PINS_MAX: usize = 4096;
pub const WEIGHT_MAX: u32 = 1_000_000;
/// The largest integer that every reader of JSON holds exactly.
pub const VERSION_MAX: u64 = 1 << 53;
