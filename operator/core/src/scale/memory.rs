//! The memory between two decisions, and how it stays small.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::base64_floats;
use super::cost_ledger::CostLedger;
use super::hpa::history::{History, Recommendation, ScaleEvent};
use super::limits::{FAULT_WINDOW_MAX, RECOMMENDATIONS_COUNT_MAX, SCALE_EVENTS_COUNT_MAX};
use super::peaks::Peaks;

/// A value of a metric and when it was measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimedValue {
    pub value: f64,
    pub at: Timestamp,
}

/// The newest value of a metric, and what the values before it were like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Newest {
    pub value: f64,
    /// The difference to the value before.
    #[serde(with = "base64_floats::bits")]
    pub change: f64,
    /// The mean share by which values are off their course.
    #[serde(with = "base64_floats::bits")]
    pub deviation: f64,
    /// When it was measured, by the clock of the source.
    pub at: Timestamp,
    /// When it arrived, by the operator's own clock.
    pub received_at: Timestamp,
    /// How long after the value before it was measured.
    pub interval: SignedDuration,
    /// The largest values for as long as a fault shows.
    pub shown: Peaks,
    /// The smallest values of that time, negated.
    pub negated: Peaks,
    /// The largest values that may have been hidden before sudden rises.
    pub hidden: Peaks,
}

/// The memory of one component. The default is a cold start: the next decision takes the current count as
/// the last recommendation and does not scale in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ScaleMemory {
    pub history: History,
    /// Since when a sample or a forecast is missing, if one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap_since: Option<Timestamp>,
    /// Until when the last gap holds scale-in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_until: Option<Timestamp>,
    /// By metric name: since when its query has no value although Prometheus answers.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub no_value_since: BTreeMap<String, Timestamp>,
    /// The last sudden fall of a metric.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fell_at: Option<Timestamp>,
    /// By metric name, to detect sudden changes and missing updates.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub newest: BTreeMap<String, Newest>,
    /// The last time at which demand was at or above the panic threshold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub panic_at: Option<Timestamp>,
    /// The values of the panic window by metric name, oldest first.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub recent: BTreeMap<String, Vec<TimedValue>>,
    /// The cost of forecasts and headroom by metric name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub cost_ledgers: BTreeMap<String, CostLedger>,
}

impl ScaleMemory {
    /// Whether no decision has been made yet.
    pub fn is_fresh(&self) -> bool {
        self.history.recommendations.is_none()
    }

    pub(super) fn forget_panic(&mut self) {
        self.panic_at = None;
        self.recent.clear();
    }

    /// Drops all that cannot affect a decision any more. `window` is the longest stabilization window, `period`
    /// the longest period of a policy.
    pub(super) fn compact(&mut self, window: SignedDuration, period: SignedDuration, now: Timestamp) {
        if let Some(stored) = &mut self.history.recommendations {
            compact_recommendations(stored, window, now);
        }
        compact_events(&mut self.history.scale_ups, period, now);
        compact_events(&mut self.history.scale_downs, period, now);
        self.held_until = self.held_until.filter(|until| *until > now);
        self.fell_at = self
            .fell_at
            .filter(|at| now.duration_since(*at) <= window * 2 + FAULT_WINDOW_MAX);
    }
}

/// Keeps each recommendation that is the largest or the smallest from its time on. A later one hides each of the
/// others, so dropping them changes no decision.
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
    // Drops the oldest first: a window that forgets them early only decides sooner.
    kept.truncate(RECOMMENDATIONS_COUNT_MAX);
    kept.reverse();
    *stored = kept;
}

fn compact_events(events: &mut Vec<ScaleEvent>, period: SignedDuration, now: Timestamp) {
    events.retain(|e| !e.outdated && now.duration_since(e.at) <= period);
    // Merges the oldest instead of dropping them: forgetting a change would allow a faster one.
    while events.len() > SCALE_EVENTS_COUNT_MAX {
        let oldest = events.remove(0);
        events[0].change = events[0].change.saturating_add(oldest.change);
    }
}
