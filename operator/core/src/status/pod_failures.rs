//! What keeps containers from running, from what scheduler and kubelet say in the statuses of their pods.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    ContainerStateTerminated, ContainerStateWaiting, ContainerStatus, Pod, PodCondition,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use poker_operator_api::Component;
use poker_operator_api::conditions::reasons;
use poker_operator_api::names::LABEL_COMPONENT;

use crate::limits::{
    CRASH_KEPT_SECONDS, CRASH_RESTARTS, KUBELET_MESSAGE_CHARS, NOT_READY_SECONDS, UNSCHEDULABLE_SECONDS,
};

/// Why containers do not run, most fundamental first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// No node has a place for their pod.
    Unschedulable,
    /// Their image cannot be had.
    Image,
    /// They cannot be made from their image.
    Start,
    /// They end again and again.
    Crash,
    /// They run, and wait for something.
    NotReady,
}

impl Kind {
    /// The reason of the condition.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Unschedulable => reasons::UNSCHEDULABLE,
            Self::Image => reasons::IMAGE_PULL_FAILED,
            Self::Start => reasons::CONTAINER_CANNOT_START,
            Self::Crash => reasons::CRASH_LOOPING,
            Self::NotReady => reasons::CONTAINER_NOT_READY,
        }
    }
}

/// One cause, for all the components it keeps from running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodFailure {
    pub kind: Kind,
    pub components: BTreeSet<Component>,
    /// Empty when no container is made yet.
    pub image: String,
    /// What the kubelet, or the scheduler, says of it.
    pub cause: String,
    /// The first of the pods by name.
    pub pod: String,
}

/// What keeps these pods' containers from running, one for each kind and image, or what the scheduler says.
pub fn of<'a>(pods: impl IntoIterator<Item = &'a Pod>, now: Timestamp) -> Vec<PodFailure> {
    let mut pods: Vec<_> = pods.into_iter().filter(|pod| is_wanted(pod)).collect();
    pods.sort_by_key(|pod| pod.name_any());
    let mut found: BTreeMap<(Kind, String), PodFailure> = BTreeMap::new();
    for pod in pods {
        let Some(component) = component(pod) else { continue };
        for (kind, image, cause) in findings(pod, now) {
            // Two pods may have no place for different causes, and then need different things.
            let of = if kind == Kind::Unschedulable {
                cause.clone()
            } else {
                image.clone()
            };
            let trouble = found.entry((kind, of)).or_insert_with(|| PodFailure {
                kind,
                components: BTreeSet::new(),
                image,
                cause,
                pod: pod.name_any(),
            });
            trouble.components.insert(component);
        }
    }
    let mut failures: Vec<_> = found.into_values().collect();
    failures.sort_by_key(|trouble| (trouble.kind, trouble.components.first().copied()));
    failures
}

/// What of a pod's status a finding is made from; all else in it may change without being looked at.
pub fn signs(pod: &Pod) -> impl Eq + use<> {
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
    let unscheduled = unscheduled(pod).map(|condition| &condition.message).cloned();
    (
        is_wanted(pod),
        unscheduled,
        containers(pod).map(of).collect::<Vec<_>>(),
    )
}

/// What the scheduler says when it finds no node for a pod.
fn unscheduled(pod: &Pod) -> Option<&PodCondition> {
    let mut conditions = pod
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    conditions.find(|condition| {
        condition.type_ == POD_SCHEDULED
            && condition.status == "False"
            && condition.reason.as_deref() == Some(reasons::UNSCHEDULABLE)
    })
}

/// What the scheduler says without what it tried besides, e.g. to make room.
fn why_no_node(said: &str) -> &str {
    let tried = [
        " preemption:",
        " no new claims to deallocate",
        " still not schedulable",
    ];
    let ends = tried.into_iter().filter_map(|words| said.find(words));
    &said[..ends.min().unwrap_or(said.len())]
}

/// Kind, image and cause of all that keeps a pod from running.
fn findings(pod: &Pod, now: Timestamp) -> impl Iterator<Item = (Kind, String, String)> {
    // A place may come free at once, by a pod that is ending.
    let is_late = |condition: &&PodCondition| {
        let since = condition.last_transition_time.as_ref();
        since.is_some_and(|since| now.duration_since(since.0).as_secs() >= UNSCHEDULABLE_SECONDS)
    };
    let place = unscheduled(pod).filter(is_late).map(|condition| {
        let said = condition.message.as_deref().unwrap_or_default();
        (Kind::Unschedulable, String::new(), short(why_no_node(said)))
    });
    let of_containers = containers(pod).filter_map(move |container| {
        finding(container, now).map(|(kind, cause)| (kind, container.image.clone(), cause))
    });
    place.into_iter().chain(of_containers)
}

/// Neither being deleted nor at its end.
fn is_wanted(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    pod.metadata.deletion_timestamp.is_none() && !matches!(phase, Some("Succeeded" | "Failed"))
}

fn component(pod: &Pod) -> Option<Component> {
    let label = pod.labels().get(LABEL_COMPONENT)?;
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

/// The condition of a pod that the scheduler writes.
pub const POD_SCHEDULED: &str = "PodScheduled";
const CRASHING: &str = "CrashLoopBackOff";
const CANNOT_RUN: &str = "RunContainerError";

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
    // Between two waits it runs for a moment: nothing is over then.
    let recent = |ended: &ContainerStateTerminated| {
        let at = ended.finished_at.as_ref();
        at.is_some_and(|at| now.duration_since(at.0).as_secs() < CRASH_KEPT_SECONDS)
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
        let cause = format!("not ready, {NOT_READY_SECONDS} s or longer after its start");
        (Kind::NotReady, cause)
    })
}

/// What the kubelet says of an image that it cannot have, or of a container that it cannot make. That it waits before
/// it tries again says the same as that it tried.
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
    Some((kind, told(reason, message)))
}

fn ending(ended: &ContainerStateTerminated) -> (Kind, String) {
    match ended.reason.as_deref() {
        // It waits to be made again: that says the same as that it could not be made.
        Some("StartError" | "ContainerCannotRun") => {
            let message = ended.message.as_deref().unwrap_or_default();
            (Kind::Start, told(CANNOT_RUN, message))
        }
        Some("OOMKilled") => (Kind::Crash, "it took more memory than its limit".to_owned()),
        _ => (Kind::Crash, format!("exit code {}", ended.exit_code)),
    }
}

/// The kubelet's word, and what it says.
fn told(reason: &str, message: &str) -> String {
    match short(essence(message)).as_str() {
        "" => reason.to_owned(),
        message => format!("{reason}: {message}"),
    }
}

/// Without the steps that led there, each of which names the image once more.
fn essence(message: &str) -> &str {
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

/// In one line of bounded length: events are. Without the address and port that each try begins from anew.
fn short(text: &str) -> String {
    let words = text.split_whitespace();
    let words = words.map(|word| word.rsplit_once("->").map_or(word, |(_, to)| to));
    let line = words.collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(KUBELET_MESSAGE_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

impl PodFailure {
    /// Who cannot do what, why, and what to do.
    pub fn sentence(&self) -> String {
        let Self {
            image, cause, pod, ..
        } = self;
        let (who, advice) = (listed(&self.components), self.advice());
        match self.kind {
            Kind::Unschedulable => format!("{who}: no node has a place for pod {pod} ({cause}): {advice}"),
            Kind::Image => format!("{who}: image {image} cannot be pulled ({cause}): {advice}"),
            Kind::Start => format!("{who}: the container of pod {pod} cannot be made ({cause}): {advice}"),
            Kind::Crash => {
                format!("{who}: the container of pod {pod} ends again and again ({cause}): {advice}")
            }
            Kind::NotReady => format!("{who}: pod {pod} runs, and is {cause}: {advice}"),
        }
    }

    fn advice(&self) -> String {
        let pod = &self.pod;
        match self.kind {
            Kind::Unschedulable => "add nodes, or lower resources.requests in the spec".to_owned(),
            Kind::NotReady => format!("kubectl logs {pod} shows what it waits for"),
            Kind::Image => format!(
                "correct {} or make the registry answer the nodes",
                self.image_fields()
            ),
            Kind::Start => "correct the spec, or what it refers to".to_owned(),
            Kind::Crash if self.cause.contains("memory") => {
                format!("raise its memory limit in the spec; kubectl logs {pod} --previous shows what it did")
            }
            Kind::Crash => format!("kubectl logs {pod} --previous shows why"),
        }
    }

    /// Where the spec says which image it is.
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
