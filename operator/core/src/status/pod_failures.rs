//! Why pods do not exist and why containers do not run, as the controllers, the scheduler and the kubelet report it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    ContainerStateTerminated, ContainerStateWaiting, ContainerStatus, Pod, PodCondition,
};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use poker_operator_api::Component;
use poker_operator_api::conditions::reasons;
use poker_operator_api::names::LABEL_COMPONENT;

use crate::limits::{
    CRASH_EXPIRY_SECONDS, CRASH_RESTARTS, KUBELET_MESSAGE_CHARS_MAX, NOT_READY_SECONDS, UNSCHEDULABLE_SECONDS,
};
use crate::observed::LiveChildren;

mod creation;

pub use creation::lacks_pods;

/// The kinds of failures, the most fundamental first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The API server rejects the pod, so it does not exist.
    Creation,
    /// No node fits the pod.
    Unschedulable,
    /// The image cannot be pulled.
    Image,
    /// The container cannot be started from its image.
    Start,
    /// The container exits repeatedly.
    Crash,
    /// The container runs and is not ready.
    NotReady,
    /// The node cannot resize the pod.
    Resize,
}

impl Kind {
    /// The reason of the condition.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Creation => reasons::POD_CREATION_FAILED,
            Self::Unschedulable => reasons::UNSCHEDULABLE,
            Self::Image => reasons::IMAGE_PULL_FAILED,
            Self::Start => reasons::CONTAINER_START_FAILED,
            Self::Crash => reasons::CRASH_LOOP_BACK_OFF,
            Self::NotReady => reasons::CONTAINER_NOT_READY,
            Self::Resize => reasons::RESIZE_INFEASIBLE,
        }
    }
}

/// One cause, for all components that do not run because of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodFailure {
    pub kind: Kind,
    pub components: BTreeSet<Component>,
    /// Empty if the pod has no containers yet.
    pub image: String,
    /// The cause as the kubelet or the scheduler reports it.
    pub cause: String,
    /// The name of the first such pod or, if the pod does not exist, of its workload.
    pub pod: String,
}

/// All failures of a cluster: of pods that cannot be created, then of its pods. `events` are those of the StatefulSets
/// that [`lacks_pods`] selects, by name.
pub fn all<'a>(
    live: &LiveChildren,
    events: &BTreeMap<String, Vec<Event>>,
    pods: impl IntoIterator<Item = &'a Pod>,
    now: Timestamp,
) -> Vec<PodFailure> {
    let mut failures = creation::find(live, events, now);
    failures.extend(find(pods, now));
    failures
}

/// Why the containers of these pods do not run: one failure for each kind and image, or for each scheduler message.
fn find<'a>(pods: impl IntoIterator<Item = &'a Pod>, now: Timestamp) -> Vec<PodFailure> {
    let mut pods: Vec<_> = pods.into_iter().filter(|pod| should_run(pod)).collect();
    pods.sort_by_key(|pod| pod.name_any());
    let mut found: BTreeMap<(Kind, String), PodFailure> = BTreeMap::new();
    for pod in pods {
        let Some(component) = component(pod) else { continue };
        for (kind, image, cause) in findings(pod, now) {
            // Two pods may be unschedulable for different causes with different remedies.
            let key = if matches!(kind, Kind::Unschedulable | Kind::Resize) {
                cause.clone()
            } else {
                image.clone()
            };
            let failure = found.entry((kind, key)).or_insert_with(|| PodFailure {
                kind,
                components: BTreeSet::new(),
                image,
                cause,
                pod: pod.name_any(),
            });
            failure.components.insert(component);
        }
    }
    let mut failures: Vec<_> = found.into_values().collect();
    failures.sort_by_key(|failure| (failure.kind, failure.components.first().copied()));
    failures
}

/// The part of a pod's status that affects failures. Other changes of the pod need no reconcile.
pub fn fingerprint(pod: &Pod) -> impl Eq + use<> {
    let of = |container: &ContainerStatus| {
        let waiting = container.state.as_ref().and_then(|state| state.waiting.as_ref());
        (
            container.name.clone(),
            container.image.clone(),
            waiting.and_then(image_or_start),
            waiting
                .and_then(|waiting| waiting.reason.clone())
                .filter(|reason| reason == CRASHING),
            container.ready,
            container.restart_count,
        )
    };
    let message = |condition: &PodCondition| condition.message.clone();
    (
        should_run(pod),
        unscheduled(pod).map(message),
        infeasible_resize(pod).map(message),
        containers(pod).map(of).collect::<Vec<_>>(),
    )
}

/// The condition that the scheduler sets if no node fits the pod.
fn unscheduled(pod: &Pod) -> Option<&PodCondition> {
    condition(pod, POD_SCHEDULED, "False", "Unschedulable")
}

/// The condition that the kubelet sets if the node is too small for the requested resources.
fn infeasible_resize(pod: &Pod) -> Option<&PodCondition> {
    condition(pod, RESIZE_PENDING, "True", "Infeasible")
}

fn condition<'a>(pod: &'a Pod, type_: &str, status: &str, reason: &str) -> Option<&'a PodCondition> {
    let mut conditions = pod.status.as_ref()?.conditions.iter().flatten();
    conditions.find(|condition| {
        condition.type_ == type_ && condition.status == status && condition.reason.as_deref() == Some(reason)
    })
}

/// The scheduler's message without its other attempts, such as preemption.
fn why_no_node(message: &str) -> &str {
    let tried = [
        " preemption:",
        " no new claims to deallocate",
        " still not schedulable",
    ];
    let ends = tried.into_iter().filter_map(|words| message.find(words));
    &message[..ends.min().unwrap_or(message.len())]
}

/// The kind, image and cause of each failure of a pod.
fn findings(pod: &Pod, now: Timestamp) -> impl Iterator<Item = (Kind, String, String)> {
    // A terminating pod may free its place shortly.
    let is_late = |condition: &&PodCondition| {
        let since = condition.last_transition_time.as_ref();
        since.is_some_and(|since| now.duration_since(since.0).as_secs() >= UNSCHEDULABLE_SECONDS)
    };
    let place = unscheduled(pod).filter(is_late).map(|condition| {
        let message = condition.message.as_deref().unwrap_or_default();
        (Kind::Unschedulable, String::new(), one_line(why_no_node(message)))
    });
    let of_containers = containers(pod).filter_map(move |container| {
        finding(container, now).map(|(kind, cause)| (kind, container.image.clone(), cause))
    });
    let resize = infeasible_resize(pod).map(|condition| {
        let message = condition.message.as_deref().unwrap_or_default();
        (Kind::Resize, String::new(), one_line(message))
    });
    place.into_iter().chain(of_containers).chain(resize)
}

/// Whether the pod is neither terminating nor completed.
fn should_run(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    pod.metadata.deletion_timestamp.is_none() && !matches!(phase, Some("Succeeded" | "Failed"))
}

fn component(object: &impl ResourceExt) -> Option<Component> {
    let label = object.labels().get(LABEL_COMPONENT)?;
    Component::ALL
        .into_iter()
        .find(|component| component.as_str() == label)
}

fn containers(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let status = pod.status.iter();
    status.flat_map(|status| {
        let first = status.init_container_statuses.iter().flatten();
        first.chain(status.container_statuses.iter().flatten())
    })
}

/// The conditions of a pod that its failures are read from.
pub const POD_CONDITIONS: [&str; 2] = [POD_SCHEDULED, RESIZE_PENDING];
const POD_SCHEDULED: &str = "PodScheduled";
const RESIZE_PENDING: &str = "PodResizePending";
const CRASHING: &str = "CrashLoopBackOff";
const CANNOT_RUN: &str = "RunContainerError";
const OUT_OF_MEMORY: &str = "OOMKilled";

fn finding(container: &ContainerStatus, now: Timestamp) -> Option<(Kind, String)> {
    let state = container.state.as_ref();
    let waiting = state.and_then(|state| state.waiting.as_ref());
    if let Some(found) = waiting.and_then(image_or_start) {
        return Some(found);
    }
    let last = container
        .last_state
        .as_ref()
        .and_then(|state| state.terminated.as_ref());
    let ended = state.and_then(|state| state.terminated.as_ref()).or(last);
    let waits = waiting.and_then(|waiting| waiting.reason.as_deref()) == Some(CRASHING);
    // Between two back-offs the container runs for a moment.
    let recent = |ended: &ContainerStateTerminated| {
        let at = ended.finished_at.as_ref();
        at.is_some_and(|at| now.duration_since(at.0).as_secs() < CRASH_EXPIRY_SECONDS)
    };
    let between = !container.ready
        && container.restart_count >= CRASH_RESTARTS
        && ended.is_some_and(|ended| ended.exit_code != 0 && recent(ended));
    let ending = || ended.map_or_else(|| (Kind::Crash, CRASHING.to_owned()), ending);
    if waits || between {
        return Some(ending());
    }
    let started = state.and_then(|state| state.running.as_ref()?.started_at.as_ref());
    let is_late = |at: &Time| now.duration_since(at.0).as_secs() >= NOT_READY_SECONDS;
    (!container.ready && started.is_some_and(is_late)).then(|| {
        let cause = format!("not ready {NOT_READY_SECONDS} s or longer after its start");
        (Kind::NotReady, cause)
    })
}

/// The kubelet's report of a failed image pull or container start. The back-off before the next attempt counts as the
/// same failure.
fn image_or_start(waiting: &ContainerStateWaiting) -> Option<(Kind, String)> {
    let reason = waiting.reason.as_deref()?;
    let (kind, reason) = match reason {
        "ErrImagePull" | "ImagePullBackOff" => (Kind::Image, "ErrImagePull"),
        "ErrImageNeverPull"
        | "ImageInspectError"
        | "InvalidImageName"
        | "RegistryUnavailable"
        | "SignatureValidationFailed" => (Kind::Image, reason),
        "CreateContainerConfigError" | "CreateContainerError" | CANNOT_RUN => (Kind::Start, reason),
        _ => return None,
    };
    let message = waiting.message.as_deref().unwrap_or_default();
    let message = match message.split_once("ErrImagePull: ") {
        Some((_, cause)) => cause,
        None if message.starts_with("Back-off pulling image") => "",
        None => message,
    };
    Some((kind, with_message(reason, message)))
}

fn ending(ended: &ContainerStateTerminated) -> (Kind, String) {
    match ended.reason.as_deref() {
        // The back-off before the next start counts as the same failure as the failed start.
        Some("StartError" | "ContainerCannotRun") => {
            let message = ended.message.as_deref().unwrap_or_default();
            (Kind::Start, with_message(CANNOT_RUN, message))
        }
        Some(OUT_OF_MEMORY) => (
            Kind::Crash,
            format!("{OUT_OF_MEMORY}: it exceeded its memory limit"),
        ),
        _ => (Kind::Crash, format!("exit code {}", ended.exit_code)),
    }
}

/// The kubelet's reason and message.
fn with_message(reason: &str, message: &str) -> String {
    match one_line(root_cause(message)).as_str() {
        "" => reason.to_owned(),
        message => format!("{reason}: {message}"),
    }
}

/// The message without the preceding steps, each of which repeats the image.
fn root_cause(message: &str) -> &str {
    let steps = [
        "failed to pull",
        "failed to resolve",
        "failed to do request",
        "Head ",
        "Get ",
        "rpc error",
        "failed to create containerd task",
        "failed to create shim task",
        "OCI runtime create failed",
        "runc create failed",
        "unable to start container process",
    ];
    let is_step = |text: &str| steps.iter().any(|step| text.starts_with(step));
    let mut rest = message;
    loop {
        rest = match (rest.split_once(": "), rest.split_once(" desc = ")) {
            (_, Some((code, cause))) if code.starts_with("code = ") => cause,
            (Some((step, cause)), _) if is_step(step) => cause,
            _ => return rest,
        };
    }
}

/// The text as one line of limited length, as events require. Without the source address and port, which differ for
/// each attempt.
fn one_line(text: &str) -> String {
    let words = text.split_whitespace();
    let words = words.map(|word| word.rsplit_once("->").map_or(word, |(_, to)| to));
    let line = words.collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(KUBELET_MESSAGE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

impl PodFailure {
    /// The components, the failure, its cause and the remedy.
    pub fn sentence(&self) -> String {
        let Self {
            image, cause, pod, ..
        } = self;
        let (components, hint) = (listed(&self.components), self.hint());
        let failure = match self.kind {
            Kind::Creation => format!("{pod} cannot create its pods ({cause})"),
            Kind::Resize => format!("pod {pod} cannot be resized on its node ({cause})"),
            Kind::Unschedulable => format!("no node fits pod {pod} ({cause})"),
            Kind::Image => format!("image {image} cannot be pulled ({cause})"),
            Kind::Start => format!("the container of pod {pod} cannot be started ({cause})"),
            Kind::Crash => format!("the container of pod {pod} exits repeatedly ({cause})"),
            Kind::NotReady => format!("pod {pod} is {cause}"),
        };
        format!("{components}: {failure}: {hint}")
    }

    fn hint(&self) -> String {
        let pod = &self.pod;
        match self.kind {
            Kind::Creation => {
                "change the quota, limit, policy or webhook that rejects them, or the spec".to_owned()
            }
            Kind::Resize => "lower the requested resources, or move the pod to a larger node".to_owned(),
            Kind::Unschedulable => "add nodes, or lower resources.requests in the spec".to_owned(),
            Kind::NotReady => format!("see kubectl logs {pod}"),
            Kind::Image => format!(
                "correct {}, or make the registry reachable from the nodes",
                self.image_fields()
            ),
            Kind::Start => "correct the spec or the objects it refers to".to_owned(),
            Kind::Crash if self.cause.starts_with(OUT_OF_MEMORY) => {
                format!("raise its memory limit in the spec, and see kubectl logs {pod} --previous")
            }
            Kind::Crash => format!("see kubectl logs {pod} --previous"),
        }
    }

    /// The fields of the spec that select the image.
    fn image_fields(&self) -> String {
        let field = |component: &Component| match component {
            Component::Gateway | Component::Shard | Component::Worker => {
                "spec.version, spec.image.repository or spec.image.pullSecrets"
            }
            Component::Redis => "spec.redis.managed.image",
            Component::Kafka => "spec.kafka.managed.image",
            Component::Database => "spec.database.managed.image",
        };
        let fields: BTreeSet<_> = self.components.iter().map(field).collect();
        fields.into_iter().collect::<Vec<_>>().join(" and ")
    }
}

fn listed(components: &BTreeSet<Component>) -> String {
    let names: Vec<_> = components.iter().map(|component| component.as_str()).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => names.concat(),
    }
}

#[cfg(test)]
mod tests;
