//! The result of a decision before it is explained.

use super::{Reason, Restraint};

/// A count, the reason for it, and what held it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    pub replicas: i32,
    pub reason: Reason,
    pub limited_by: Option<Restraint>,
}
