//! The steps of a change, and their order.

use serde::{Deserialize, Serialize};

use super::shape::{Resources, Shape};

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Action {
    /// New shards, made at the plan's size.
    Start { shards: i32 },
    /// The shards that stay get this size through `/resize`.
    Resize {
        shards: i32,
        to: Resources,
        /// Memory is taken away: the kubelet refuses while more is in use, and may race with growing use.
        best_effort: bool,
    },
    /// Shards that give their rooms away, then go.
    Drain { shards: i32 },
}

/// More shards come before sizes change, fewer after it: so on the way never less is served than by the lesser
/// of both shapes. Where the quota has no room for that, it is the other way round.
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
