//! Limits of a routing table. A larger table is refused, and the current one stays in use.

pub const SHARDS_MAX: usize = 1024;
pub const PINS_MAX: usize = 4096;
pub const WEIGHT_MAX: u32 = 1_000_000;
/// The largest integer that every JSON parser represents exactly.
pub const VERSION_MAX: u64 = 1 << 53;
