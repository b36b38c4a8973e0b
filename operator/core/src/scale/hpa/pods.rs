//! Which pods count: the grouping of a target's pods by what is known about them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

/// A pod's phase; `Unknown` also stands for a phase that is not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Pending,
    Running,
    Succeeded,
    Failed,
    Unknown,
}

/// The Ready condition of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readiness {
    pub ready: bool,
    pub since: Timestamp,
}

/// A container and its requests in thousandths, by resource name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    pub name: String,
    pub requests_milli: BTreeMap<String, i64>,
}

/// What the autoscaler reads of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub phase: Phase,
    pub readiness: Option<Readiness>,
    pub started: Option<Timestamp>,
    pub deleting: bool,
    /// Regular containers and the init containers that keep running.
    pub containers: Vec<Container>,
    /// Pod-level requests in thousandths; empty when not set.
    pub requests_milli: BTreeMap<String, i64>,
}

impl Pod {
    fn is_running_and_ready(&self) -> bool {
        self.phase == Phase::Running && self.readiness.is_some_and(|r| r.ready)
    }
}

/// One pod's value of a metric, in thousandths, averaged over `window` up to `at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PodSample {
    pub value_milli: i64,
    pub at: Timestamp,
    pub window: SignedDuration,
}

/// Samples by pod name; may name pods that no longer exist.
pub type PodSamples = BTreeMap<String, PodSample>;

/// How long a young pod's cpu use and readiness are mistrusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Warmup {
    pub cpu_initialization: SignedDuration,
    pub initial_readiness_delay: SignedDuration,
}

/// The pods of a target by what their samples are worth.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodGroups {
    pub ready: usize,
    pub unready: BTreeSet<String>,
    pub missing: BTreeSet<String>,
    pub ignored: BTreeSet<String>,
}

/// Groups pods; the first rule that matches decides. `resource` is empty for metrics that are not
/// resources; only cpu looks at readiness, because starting processes burn cpu.
pub fn group(
    pods: &[Pod],
    samples: &PodSamples,
    resource: &str,
    warmup: Warmup,
    now: Timestamp,
) -> PodGroups {
    let mut groups = PodGroups::default();
    for pod in pods {
        let name = pod.name.clone();
        if pod.deleting || matches!(pod.phase, Phase::Failed | Phase::Succeeded) {
            groups.ignored.insert(name);
        } else if pod.phase == Phase::Pending {
            groups.unready.insert(name);
        } else {
            match samples.get(&pod.name) {
                None => {
                    groups.missing.insert(name);
                }
                Some(sample) if resource == "cpu" && is_warming_up(pod, sample, warmup, now) => {
                    groups.unready.insert(name);
                }
                Some(_) => groups.ready += 1,
            }
        }
    }
    groups
}

fn is_warming_up(pod: &Pod, sample: &PodSample, warmup: Warmup, now: Timestamp) -> bool {
    let (Some(readiness), Some(started)) = (pod.readiness, pod.started) else {
        return true;
    };
    if now.duration_since(started) < warmup.cpu_initialization {
        // The sample must cover a whole window since the pod became ready.
        return !readiness.ready || sample.at.duration_since(readiness.since) < sample.window;
    }
    // Unready this soon after the start means that the pod never was ready.
    !readiness.ready && readiness.since.duration_since(started) < warmup.initial_readiness_delay
}

/// Pods that are running and ready, or nothing when there are no pods at all.
pub fn count_ready(pods: &[Pod]) -> Option<i64> {
    if pods.is_empty() {
        return None;
    }
    i64::try_from(pods.iter().filter(|p| p.is_running_and_ready()).count()).ok()
}
