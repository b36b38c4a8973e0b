//! One reconcile of an autoscaler, from reading the scale to reporting the status.

use jiff::{SignedDuration, Timestamp};
use thiserror::Error;

use super::behavior::Behavior;
use super::calculator::PodContext;
use super::combine::{self, Gate};
use super::condition::{ConditionType, Conditions};
use super::error::MetricError;
use super::history::History;
use super::metric::{Metric, MetricStatus, Proposal, Scope};
use super::normalize::{LoopDefaults, normalize};
use super::pods::{Pod, Warmup};
use super::rate::{Bounds, ScaleUpLimit};
use super::selector::Selector;
use super::tolerance::Tolerance;

/// Settings of the loop, and feature gates that change results.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    pub tolerance: f64,
    pub warmup: Warmup,
    pub downscale_window: SignedDuration,
    pub scale_up_limit: ScaleUpLimit,
    pub scale_to_zero: bool,
    pub configurable_tolerance: bool,
    pub pod_level_requests: bool,
}

/// The scale of the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scale {
    pub asked: i32,
    pub reported: i32,
    pub selector: String,
}

/// The status of the autoscaler before and after a reconcile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    pub current_replicas: i32,
    pub desired_replicas: i32,
    pub last_scale: Option<Timestamp>,
    pub metrics: Vec<Option<MetricStatus>>,
    pub conditions: Conditions,
}

/// The inputs of one reconcile.
#[derive(Clone, Debug)]
pub struct Reconcile<'a> {
    pub settings: Settings,
    /// The scale, or why it could not be read.
    pub scale: Result<Scale, String>,
    pub bounds: Bounds,
    pub metrics: &'a [Metric],
    pub behavior: Option<&'a Behavior>,
    /// All pods of the namespace.
    pub pods: &'a [Pod],
    /// The selectors of the targets of other autoscalers.
    pub other_selectors: &'a [String],
    pub now: Timestamp,
}

/// An event to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub warning: bool,
    pub reason: String,
    pub message: String,
    /// The new count, if the event is about one.
    pub new_size: Option<i32>,
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReconcileError {
    #[error("failed to query scale subresource: {0}")]
    GetScale(String),
    #[error("failed to compute desired number of replicas: {0}")]
    Selector(String),
    #[error("invalid metrics, first error is: {0}")]
    Metrics(MetricError),
    #[error("failed to rescale: {0}")]
    Update(String),
}

/// The result of a reconcile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub status: Status,
    /// The count written to the scale.
    pub written: Option<i32>,
    /// The proposal of each metric. Empty if metrics did not count.
    pub proposals: Vec<Result<Proposal, MetricError>>,
    pub events: Vec<Event>,
    /// Scaling may have continued despite an error.
    pub error: Option<ReconcileError>,
}

/// A count to write, and its cause.
struct NewSize {
    replicas: i32,
    cause: String,
}

impl Reconcile<'_> {
    /// Runs the reconcile. `write` writes a count to the scale and retries conflicts.
    pub fn run(
        &self,
        status: Status,
        history: &mut History,
        write: impl FnOnce(i32) -> Result<(), String>,
    ) -> Outcome {
        let mut outcome = Outcome {
            status,
            ..Outcome::default()
        };
        let scale = match &self.scale {
            Ok(scale) => scale,
            Err(why) => {
                outcome.refuse_scale(why);
                return outcome;
            }
        };
        outcome.status.conditions.set(
            ConditionType::AbleToScale,
            true,
            "SucceededGetScale",
            "the HPA controller was able to get the target's current scale",
        );
        // The metrics in the status describe this reconcile only.
        outcome.status.metrics.clear();
        history.begin(scale.asked, self.now);
        let new_size = match self.gate(scale, &outcome) {
            Gate::Disabled => {
                outcome.disable(self.settings.scale_to_zero);
                None
            }
            Gate::Bound { replicas, cause } => Some(NewSize {
                replicas,
                cause: cause.to_owned(),
            }),
            Gate::Metrics => match self.recommended_size(scale, history, &mut outcome) {
                Ok(new_size) => new_size,
                Err(error) => {
                    outcome.stop_at_metrics(scale.asked, error);
                    return outcome;
                }
            },
        };
        let rescaled = match new_size {
            Some(new_size) => match self.rescale(scale, &new_size, history, write, &mut outcome) {
                Ok(()) => Some(new_size.replicas),
                Err(why) => {
                    outcome.fail_update(scale.asked, &new_size, why);
                    return outcome;
                }
            },
            None => None,
        };
        outcome.conclude(scale.asked, rescaled, self.now);
        outcome
    }

    fn gate(&self, scale: &Scale, outcome: &Outcome) -> Gate {
        let conditions = &outcome.status.conditions;
        let scaled_to_zero = self.settings.scale_to_zero && conditions.is_true(ConditionType::ScaledToZero);
        combine::gate(scale.asked, self.bounds, scaled_to_zero, self.works_from_zero())
    }

    fn works_from_zero(&self) -> bool {
        self.metrics.iter().any(|m| m.source.works_from_zero())
    }

    fn tolerance(&self) -> Tolerance {
        let mut tolerance = Tolerance::both(self.settings.tolerance);
        if let Some(behavior) = self.behavior.filter(|_| self.settings.configurable_tolerance) {
            tolerance.up = behavior.scale_up.tolerance.unwrap_or(tolerance.up);
            tolerance.down = behavior.scale_down.tolerance.unwrap_or(tolerance.down);
        }
        tolerance
    }

    /// The count from the metrics after stabilization and limits. `None` if it is the current one.
    fn recommended_size(
        &self,
        scale: &Scale,
        history: &mut History,
        outcome: &mut Outcome,
    ) -> Result<Option<NewSize>, ReconcileError> {
        let pods = self.selected_pods(scale, outcome)?;
        let context = PodContext {
            current: scale.asked,
            tolerance: self.tolerance(),
            pods: &pods,
            warmup: self.settings.warmup,
            pod_level_requests: self.settings.pod_level_requests,
            now: self.now,
        };
        let scope = Scope::of_pods(context, scale.reported);
        outcome.proposals = self.metrics.iter().map(|m| m.propose(&scope)).collect();
        outcome.status.metrics = outcome
            .proposals
            .iter()
            .map(|p| p.as_ref().ok().map(|p| p.status.clone()))
            .collect();
        let (recommended, cause) = self.combine(scale.asked, outcome)?;
        Ok(self.normalize(scale.asked, recommended, cause, history, outcome))
    }

    /// Selects the pods, and checks that no other autoscaler selects one of them.
    fn selected_pods(&self, scale: &Scale, outcome: &mut Outcome) -> Result<Vec<Pod>, ReconcileError> {
        let mut refuse = |event: &str, reason: &str, message: String| {
            outcome.warn(event, message.clone());
            outcome
                .status
                .conditions
                .set(ConditionType::ScalingActive, false, reason, message.clone());
            ReconcileError::Selector(message)
        };
        if scale.selector.is_empty() {
            let message = "the HPA target's scale is missing a selector";
            return Err(refuse("SelectorRequired", "InvalidSelector", message.to_owned()));
        }
        let selector = match Selector::parse(&scale.selector) {
            Ok(selector) => selector,
            Err(error) => return Err(refuse("InvalidSelector", "InvalidSelector", error.to_string())),
        };
        let pods: Vec<Pod> = self
            .pods
            .iter()
            .filter(|p| selector.matches(&p.labels))
            .cloned()
            .collect();
        let others = self
            .other_selectors
            .iter()
            .filter_map(|s| Selector::parse(s).ok());
        if others
            .into_iter()
            .any(|other| pods.iter().any(|p| other.matches(&p.labels)))
        {
            let message = format!(
                "pods by selector {} are controlled by more than one HPA",
                scale.selector
            );
            return Err(refuse("AmbiguousSelector", "AmbiguousSelector", message));
        }
        Ok(pods)
    }

    /// The largest proposal and its cause. Records failed metrics even if scaling continues.
    fn combine(&self, current: i32, outcome: &mut Outcome) -> Result<(i32, String), ReconcileError> {
        let failures: Vec<(usize, MetricError)> = outcome
            .proposals
            .iter()
            .enumerate()
            .filter_map(|(i, p)| p.as_ref().err().map(|e| (i, e.clone())))
            .collect();
        for (index, error) in &failures {
            outcome.warn(self.metrics[*index].source.failure_reason(), error.to_string());
        }
        let first = failures.first().map(|(_, error)| error.clone());
        let winner = match combine::largest(&outcome.proposals, current) {
            Ok(winner) => winner,
            Err(failed) => {
                let error = first.unwrap_or_else(|| MetricError::NoMetrics("no metric is given".to_owned()));
                let reason = failed.map_or("InvalidMetricSourceType", |i| {
                    self.metrics[i].source.failure_reason()
                });
                let message = format!("the HPA was unable to compute the replica count: {error}");
                outcome
                    .status
                    .conditions
                    .set(ConditionType::ScalingActive, false, reason, message);
                return Err(ReconcileError::Metrics(error));
            }
        };
        outcome.error = first.map(ReconcileError::Metrics);
        let cause = outcome.proposals[winner.index]
            .as_ref()
            .map(|p| p.description.clone())
            .unwrap_or_default();
        let message = format!("the HPA was able to successfully calculate a replica count from {cause}");
        outcome
            .status
            .conditions
            .set(ConditionType::ScalingActive, true, "ValidMetricFound", message);
        Ok((winner.replicas, cause))
    }

    fn normalize(
        &self,
        current: i32,
        recommended: i32,
        metric: String,
        history: &mut History,
        outcome: &mut Outcome,
    ) -> Option<NewSize> {
        let defaults = LoopDefaults {
            downscale_window: self.settings.downscale_window,
            scale_up_limit: self.settings.scale_up_limit,
        };
        let result = normalize(
            history,
            self.behavior,
            defaults,
            current,
            recommended,
            self.bounds,
            self.now,
        );
        let conditions = &mut outcome.status.conditions;
        let stabilization = result.stabilization;
        conditions.set(
            ConditionType::AbleToScale,
            true,
            stabilization.reason(),
            stabilization.message(),
        );
        let limit = result.limit;
        conditions.set(
            ConditionType::ScalingLimited,
            result.limited,
            limit.reason(),
            limit.message(),
        );
        let mut cause = match recommended.cmp(&current) {
            std::cmp::Ordering::Greater => format!("{metric} above target"),
            std::cmp::Ordering::Less => "All metrics below target".to_owned(),
            std::cmp::Ordering::Equal => String::new(),
        };
        let mut replicas = result.replicas;
        // From zero the first step reaches at least the minimum, regardless of the limits.
        if current == 0 && replicas < self.bounds.min {
            replicas = self.bounds.min;
            if cause.is_empty() {
                cause = "Current number of replicas below Spec.MinReplicas".to_owned();
            }
        }
        (replicas != current).then_some(NewSize { replicas, cause })
    }

    fn rescale(
        &self,
        scale: &Scale,
        new_size: &NewSize,
        history: &mut History,
        write: impl FnOnce(i32) -> Result<(), String>,
        outcome: &mut Outcome,
    ) -> Result<(), String> {
        write(new_size.replicas)?;
        outcome.written = Some(new_size.replicas);
        let message = format!(
            "the HPA controller was able to update the target scale to {}",
            new_size.replicas
        );
        outcome
            .status
            .conditions
            .set(ConditionType::AbleToScale, true, "SucceededRescale", message);
        outcome.events.push(Event {
            warning: false,
            reason: "SuccessfulRescale".to_owned(),
            message: format!("New size: {}; reason: {}", new_size.replicas, new_size.cause),
            new_size: Some(new_size.replicas),
        });
        history.record_scaling(self.behavior, scale.asked, new_size.replicas, self.now);
        self.mark_zero(scale.asked, new_size.replicas, &mut outcome.status.conditions);
        Ok(())
    }

    /// Records on every rescale whether the autoscaler itself scaled the target to zero.
    fn mark_zero(&self, from: i32, to: i32, conditions: &mut Conditions) {
        let kind = ConditionType::ScaledToZero;
        if !self.settings.scale_to_zero {
            conditions.remove(kind);
        } else if from > 0 && to == 0 && self.bounds.min == 0 && self.works_from_zero() {
            conditions.set(
                kind,
                true,
                "ScaledToZero",
                "the HPA controller scaled the workload to zero",
            );
        } else {
            let message = "the HPA controller did not scale the workload to zero";
            conditions.set(kind, false, "NotScaledToZero", message);
        }
    }
}

impl Outcome {
    fn warn(&mut self, reason: &str, message: String) {
        self.events.push(Event {
            warning: true,
            reason: reason.to_owned(),
            message,
            new_size: None,
        });
    }

    fn refuse_scale(&mut self, why: &str) {
        self.warn("FailedGetScale", why.to_owned());
        let message = format!("the HPA controller was unable to get the target's current scale: {why}");
        self.status
            .conditions
            .set(ConditionType::AbleToScale, false, "FailedGetScale", message);
        self.error = Some(ReconcileError::GetScale(why.to_owned()));
    }

    fn disable(&mut self, scale_to_zero: bool) {
        let message = "scaling is disabled since the replica count of the target is zero";
        self.status
            .conditions
            .set(ConditionType::ScalingActive, false, "ScalingDisabled", message);
        if !scale_to_zero {
            self.status.conditions.remove(ConditionType::ScaledToZero);
        }
    }

    fn stop_at_metrics(&mut self, current: i32, error: ReconcileError) {
        self.status.current_replicas = current;
        self.warn("FailedComputeMetricsReplicas", error.to_string());
        self.error = Some(error);
    }

    fn fail_update(&mut self, current: i32, new_size: &NewSize, why: String) {
        let NewSize { replicas, cause } = new_size;
        self.warn(
            "FailedRescale",
            format!("New size: {replicas}; reason: {cause}; error: {why}"),
        );
        let message = format!("the HPA controller was unable to update the target scale: {why}");
        self.status
            .conditions
            .set(ConditionType::AbleToScale, false, "FailedUpdateScale", message);
        self.status.current_replicas = current;
        self.error = Some(ReconcileError::Update(why));
    }

    fn conclude(&mut self, current: i32, rescaled: Option<i32>, now: Timestamp) {
        self.status.current_replicas = current;
        self.status.desired_replicas = rescaled.unwrap_or(current);
        if rescaled.is_some() {
            self.status.last_scale = Some(now);
        }
    }
}
