//! Groups the pods of a target by whether their samples count.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

/// The phase of a pod. `Unknown` includes an unset phase.
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

/// The fields of a pod that the autoscaler reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub phase: Phase,
    pub readiness: Option<Readiness>,
    pub started: Option<Timestamp>,
    pub deleting: bool,
    /// Regular containers and sidecar containers.
    pub containers: Vec<Container>,
    /// Pod-level requests in thousandths. Empty if not set.
    pub requests_milli: BTreeMap<String, i64>,
}

impl Pod {
    fn is_running_and_ready(&self) -> bool {
        self.phase == Phase::Running && self.readiness.is_some_and(|r| r.ready)
    }
}

/// The value of a metric for one pod in thousandths, averaged over `window` up to `at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PodSample {
    pub value_milli: i64,
    pub at: Timestamp,
    pub window: SignedDuration,
}

/// Samples by pod name. May contain pods that no longer exist.
pub type PodSamples = BTreeMap<String, PodSample>;

/// How long the CPU use and the readiness of a new pod do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Warmup {
    pub cpu_initialization: SignedDuration,
    pub initial_readiness_delay: SignedDuration,
}

/// The pods of a target by whether their samples count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodGroups {
    pub ready: usize,
    pub unready: BTreeSet<String>,
    pub missing: BTreeSet<String>,
    pub ignored: BTreeSet<String>,
}

/// Groups the pods. The first matching rule applies. `resource` is empty for other than resource metrics. Readiness
/// counts for CPU only, because starting processes use much CPU.
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
        // The sample must cover a complete window since the pod became ready.
        return !readiness.ready || sample.at.duration_since(readiness.since) < sample.window;
    }
    // A pod that is unready this soon after its start has never been ready.
    !readiness.ready && readiness.since.duration_since(started) < warmup.initial_readiness_delay
}

/// The number of running and ready pods, or `None` without any pod.
pub fn count_ready(pods: &[Pod]) -> Option<i64> {
    if pods.is_empty() {
        return None;
    }
    i64::try_from(pods.iter().filter(|p| p.is_running_and_ready()).count()).ok()
}
