//! The conditions. A message states the cause and, if the user must act, the remedy.

mod causes;
mod degraded;
mod metrics_available;
mod progressing;
mod ready;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use poker_operator_api::conditions::{reasons, types};
use poker_operator_api::{PokerCluster, PokerClusterStatus};

use super::health::Health;
use crate::observed::Observed;
use crate::plan_result::Outcome;
use crate::scale::metric_keys::autoscaling_specs;
use crate::validate::{Invalid, Validated};

/// The inputs of all conditions.
pub struct ConditionInput<'a> {
    pub valid: &'a Result<Validated, Invalid>,
    pub observed: &'a Observed,
    pub outcome: &'a Outcome,
    /// Absent if nothing was planned.
    pub health: Option<&'a Health>,
    /// Whether the cluster has been complete before.
    pub was_complete: bool,
    pub status: &'a PokerClusterStatus,
}

/// A condition without type and times.
#[derive(Clone)]
struct ConditionDraft {
    status: &'static str,
    reason: String,
    message: String,
}

fn draft(status: bool, reason: &str, message: impl Into<String>) -> ConditionDraft {
    ConditionDraft {
        status: if status { "True" } else { "False" },
        reason: reason.to_owned(),
        message: message.into(),
    }
}

/// The message of Degraded and Stalled while they are false.
const NO_PROBLEMS: &str = "no problems found";

fn as_expected(message: &str) -> ConditionDraft {
    draft(false, reasons::AS_EXPECTED, message)
}

/// All conditions, in a fixed order.
pub fn all(input: &ConditionInput) -> Vec<Condition> {
    let mut conditions: Vec<Condition> = input.status.conditions.clone();
    let progressing = input.progressing();
    let drafts = [
        (types::READY, input.ready()),
        (types::PROGRESSING, Some(progressing.clone())),
        (types::DEGRADED, Some(input.degraded())),
        (types::METRICS_AVAILABLE, input.metrics_available()),
        (types::RECONCILING, Some(input.reconciling(progressing))),
        (types::STALLED, Some(input.stalled())),
    ];
    if autoscaling_specs(&input.observed.cluster).is_empty() {
        conditions.retain(|condition| condition.type_ != types::METRICS_AVAILABLE);
    }
    for (type_, draft) in drafts {
        if let Some(draft) = draft {
            set(
                &mut conditions,
                type_,
                draft,
                &input.observed.cluster,
                input.observed.now,
            );
        }
    }
    conditions
}

/// The conditions after a failed observe: the old ones with the error.
pub fn observe_failed(cluster: &PokerCluster, why: &str, now: Timestamp) -> Vec<Condition> {
    let mut conditions = cluster.status.clone().unwrap_or_default().conditions;
    let message = format!("{why}; until then the operator changes nothing, and running pods keep running");
    if !conditions.iter().any(|c| c.type_ == types::READY) {
        let ready = draft(false, reasons::OBSERVE_FAILED, message.clone());
        set(&mut conditions, types::READY, ready, cluster, now);
    }
    let degraded = draft(true, reasons::OBSERVE_FAILED, message);
    set(&mut conditions, types::DEGRADED, degraded, cluster, now);
    conditions
}

/// Sets a condition. Its transition time changes only with its status.
fn set(
    conditions: &mut Vec<Condition>,
    type_: &str,
    draft: ConditionDraft,
    cluster: &PokerCluster,
    now: Timestamp,
) {
    let now = Time(now);
    let old = conditions.iter().position(|c| c.type_ == type_);
    let unchanged = old.map(|i| &conditions[i]).filter(|c| c.status == draft.status);
    let condition = Condition {
        type_: type_.to_owned(),
        status: draft.status.to_owned(),
        reason: draft.reason,
        message: draft.message,
        observed_generation: cluster.metadata.generation,
        last_transition_time: unchanged.map_or(now, |c| c.last_transition_time.clone()),
    };
    match old {
        Some(i) => conditions[i] = condition,
        None => conditions.push(condition),
    }
}
