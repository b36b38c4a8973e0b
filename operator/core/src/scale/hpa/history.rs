//! The memory of the autoscaler: recent recommendations and scale events.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::behavior::{Behavior, Rules};

/// The recommendation of an earlier reconcile, before stabilization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recommendation {
    pub replicas: i32,
    pub at: Timestamp,
}

/// A change of the count. `change` is positive in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScaleEvent {
    pub change: i32,
    pub at: Timestamp,
    /// Older than the period of any policy: the entry may be reused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub outdated: bool,
}

/// The memory of one target. `recommendations: None` means that there is no history yet, unlike an empty one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct History {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recommendations: Option<Vec<Recommendation>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scale_ups: Vec<ScaleEvent>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scale_downs: Vec<ScaleEvent>,
}

impl History {
    /// Without a history, takes the current count as the first recommendation, so that a new controller does not
    /// scale down at once.
    pub fn begin(&mut self, current: i32, now: Timestamp) {
        self.recommendations.get_or_insert_with(|| {
            vec![Recommendation {
                replicas: current,
                at: now,
            }]
        });
    }

    /// The last recommendation was in force until `now`: nothing else was known since.
    pub fn extend_last(&mut self, now: Timestamp) {
        let stored = self.recommendations.iter_mut().flatten();
        if let Some(last) = stored.max_by_key(|recommendation| recommendation.at) {
            last.at = now;
        }
    }

    /// Stores a recommendation in place of the last outdated one, or at the end.
    pub(super) fn recommend(
        &mut self,
        replicas: i32,
        now: Timestamp,
        outdated: impl Fn(SignedDuration) -> bool,
    ) {
        let stored = self.recommendations.get_or_insert_with(Vec::new);
        let new = Recommendation { replicas, at: now };
        match stored
            .iter_mut()
            .rev()
            .find(|r| outdated(now.duration_since(r.at)))
        {
            Some(place) => *place = new,
            None => stored.push(new),
        }
    }

    /// Stores a change of the count. Without a behavior nothing reads it, so it is not stored.
    pub fn record_scaling(&mut self, behavior: Option<&Behavior>, from: i32, to: i32, now: Timestamp) {
        let Some(behavior) = behavior else { return };
        if to > from {
            store_event(
                &mut self.scale_ups,
                &behavior.scale_up,
                to.saturating_sub(from),
                now,
            );
        } else {
            store_event(
                &mut self.scale_downs,
                &behavior.scale_down,
                from.saturating_sub(to),
                now,
            );
        }
    }
}

/// Marks events older than the longest period and stores a new one in place of the last outdated one, or at the end.
pub fn store_event(events: &mut Vec<ScaleEvent>, rules: &Rules, change: i32, now: Timestamp) {
    let longest = seconds(rules.longest_period_seconds());
    for event in events.iter_mut() {
        event.outdated |= now.duration_since(event.at) > longest;
    }
    let new = ScaleEvent {
        change,
        at: now,
        outdated: false,
    };
    match events.iter_mut().rev().find(|e| e.outdated) {
        Some(place) => *place = new,
        None => events.push(new),
    }
}

/// The sum of changes younger than the period.
pub fn change_within(events: &[ScaleEvent], period_seconds: i32, now: Timestamp) -> i32 {
    let period = seconds(period_seconds);
    events
        .iter()
        .filter(|e| now.duration_since(e.at) < period)
        .fold(0, |sum, e| e.change.saturating_add(sum))
}

pub(super) fn seconds(seconds: i32) -> SignedDuration {
    SignedDuration::from_secs(i64::from(seconds))
}
