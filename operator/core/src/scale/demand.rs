//! Demand in the unit of a metric with a target per replica.

use jiff::Timestamp;

/// The newest value of one metric with a target per replica.
#[derive(Clone, Copy, Debug)]
pub struct Demand<'a> {
    pub name: &'a str,
    pub total: f64,
    pub at: Timestamp,
    /// The total is a lower bound.
    pub is_bound: bool,
    /// What one replica should serve.
    pub per_replica: f64,
}
