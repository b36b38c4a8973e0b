//! The actions of a change in order.

use serde::{Deserialize, Serialize};

use super::shape::{Resources, Shape};

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Action {
    /// Start new shards with the size of the plan.
    Start { shards: i32 },
    /// Resize the remaining shards through `/resize`.
    Resize {
        shards: i32,
        to: Resources,
        /// The memory shrinks. The kubelet refuses this while more is in use, and may race with a growing use.
        best_effort: bool,
    },
    /// Drain shards, then delete them.
    Drain { shards: i32 },
}

/// New shards start before a resize, and shards drain after it, so that the capacity never falls below that of the smaller
/// shape. If the quota does not allow this, the order is reversed.
pub(super) fn between(from: Shape, to: Shape, quota: Option<Resources>) -> Vec<Action> {
    let start = (to.count > from.count).then(|| Action::Start {
        shards: to.count - from.count,
    });
    let drain = (to.count < from.count).then(|| Action::Drain {
        shards: from.count - to.count,
    });
    let resize = (to.size != from.size).then(|| Action::Resize {
        shards: from.count.min(to.count),
        to: to.size,
        best_effort: to.size.bytes < from.size.bytes,
    });
    let all = |size: Resources, count: i32| size.times(f64::from(count));
    let started = all(from.size, from.count).join(all(to.size, to.count - from.count), |old, new| old + new);
    let on_the_way = if start.is_some() {
        started
    } else {
        all(to.size, from.count)
    };
    let steps = match quota.is_none_or(|quota| on_the_way.fits(quota)) {
        true => [start, resize, drain],
        false => [drain, resize, start],
    };
    steps.into_iter().flatten().collect()
}
