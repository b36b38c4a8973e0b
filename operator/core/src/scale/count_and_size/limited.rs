//! Finds the limits that prevent serving the demand.

use serde::{Deserialize, Serialize};

use super::input::JointInput;
use super::limits::SHARDS_CONSIDERED_MAX;
use super::memory::JointMemory;
use super::resize::{ResizeState, Resizing};
use super::search::Domain;
use super::shape::Resources;

/// The names are part of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Limit {
    MaxCount,
    MaxSize,
    /// No node has room for a larger shard, or a node refused one.
    Node,
    Quota,
    /// Pods cannot be resized, or a resize is deferred.
    Resize,
}

/// The limit that is easiest to raise comes last, so that it is reported whenever raising it is enough.
const ALL: [Limit; 5] = [
    Limit::Resize,
    Limit::Quota,
    Limit::Node,
    Limit::MaxSize,
    Limit::MaxCount,
];

/// A minimal set of limits without which the demand would be served. All limits if nothing serves it.
pub(super) fn limits_for(input: &JointInput<'_>, memory: &JointMemory, demand: f64) -> Vec<Limit> {
    let served = |lifted: &[Limit]| {
        let (input, memory) = without(input, memory, lifted);
        Domain::new(&input, &memory).serves(demand)
    };
    let mut lifted = ALL.to_vec();
    if served(&[]) {
        return Vec::new();
    }
    for limit in ALL {
        let others: Vec<Limit> = lifted.iter().copied().filter(|other| *other != limit).collect();
        if served(&others) {
            lifted = others;
        }
    }
    lifted
}

fn without<'a>(
    input: &JointInput<'a>,
    memory: &JointMemory,
    lifted: &[Limit],
) -> (JointInput<'a>, JointMemory) {
    let (mut input, mut memory) = (*input, memory.clone());
    for limit in lifted {
        match limit {
            Limit::MaxCount => input.limits.max_count = SHARDS_CONSIDERED_MAX,
            Limit::MaxSize => input.limits.max_size = Resources::UNBOUNDED,
            Limit::Node => {
                input.limits.node = None;
                memory.refused = None;
            }
            Limit::Quota => input.limits.quota = None,
            Limit::Resize => {
                input.resizing = Resizing::InPlace;
                input.current.resize = ResizeState::Done;
            }
        }
    }
    (input, memory)
}
