//! What is remembered between two decisions, and how it stays small.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::base64_floats;
use super::hpa::history::{History, Recommendation, ScaleEvent};
use super::limits::{FAULT_LINGERS, RECOMMENDATIONS_COUNT_MAX, SCALE_EVENTS_COUNT_MAX};
use super::replica_cost::CostLedger;

/// A value of a metric and when it was measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimedValue {
    pub value: f64,
    pub at: Timestamp,
}

/// The newest value of a metric, how much it changed, when it was measured, and when it came, by our own clock.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Newest {
    pub value: f64,
    #[serde(with = "base64_floats::bits")]
    pub change: f64,
    pub at: Timestamp,
    pub seen: Timestamp,
}

/// Memory of one component. The default is that of a fresh start: the next decision takes the
/// current count as the recommendation just made and does not scale in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ScaleMemory {
    pub history: History,
    /// The last time at which missing samples, or a forecast that was lost, held the count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_at: Option<Timestamp>,
    /// The last time at which a metric fell too suddenly to be believed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fell_at: Option<Timestamp>,
    /// The last time at which a metric rose too suddenly for the values before it to be believed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rose_at: Option<Timestamp>,
    /// By metric name, to notice sudden falls and values that are not renewed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub newest: BTreeMap<String, Newest>,
    /// The last time at which demand was above the burst threshold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst_at: Option<Timestamp>,
    /// Recent values by metric name, oldest first, to detect bursts.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub recent: BTreeMap<String, Vec<TimedValue>>,
    /// What forecasts and headroom cost, by metric name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub spend: BTreeMap<String, CostLedger>,
}

impl ScaleMemory {
    /// Whether no decision was made yet.
    pub fn is_fresh(&self) -> bool {
        self.history.recommendations.is_none()
    }

    pub(super) fn forget_bursts(&mut self) {
        self.burst_at = None;
        self.recent.clear();
    }

    /// Forgets what can no longer decide anything. `window`: the longest stabilization window.
    pub(super) fn compact(&mut self, window: SignedDuration, period: SignedDuration, now: Timestamp) {
        if let Some(stored) = &mut self.history.recommendations {
            compact_recommendations(stored, window, now);
        }
        compact_events(&mut self.history.scale_ups, period, now);
        compact_events(&mut self.history.scale_downs, period, now);
        for held in [&mut self.held_at, &mut self.fell_at, &mut self.rose_at] {
            *held = held.filter(|at| now.duration_since(*at) <= window * 2 + FAULT_LINGERS);
        }
    }
}

/// Keeps the recommendations that are, from some time on, the largest or the smallest of a window.
/// All others are hidden by a later one, so dropping them changes no decision.
fn compact_recommendations(stored: &mut Vec<Recommendation>, window: SignedDuration, now: Timestamp) {
    stored.retain(|r| now.duration_since(r.at) <= window);
    stored.sort_by_key(|r| r.at);
    let (mut high, mut low) = (i32::MIN, i32::MAX);
    let mut kept: Vec<Recommendation> = Vec::new();
    for recent in stored.iter().rev() {
        if recent.replicas > high || recent.replicas < low {
            kept.push(*recent);
        }
        high = high.max(recent.replicas);
        low = low.min(recent.replicas);
    }
    // The oldest extremes go first: a window that forgets them early decides sooner, never wrongly.
    kept.truncate(RECOMMENDATIONS_COUNT_MAX);
    kept.reverse();
    *stored = kept;
}

fn compact_events(events: &mut Vec<ScaleEvent>, period: SignedDuration, now: Timestamp) {
    events.retain(|e| !e.outdated && now.duration_since(e.at) <= period);
    // The oldest are merged, never dropped: forgetting a change would allow a faster one.
    while events.len() > SCALE_EVENTS_COUNT_MAX {
        let oldest = events.remove(0);
        events[0].change = events[0].change.saturating_add(oldest.change);
    }
}
