//! Whether a running pod can be resized, and the state of its last resize. Only the `/resize` subresource can do it.

use serde::{Deserialize, Serialize};

use super::shape::Resources;

/// The QoS class of a pod, fixed at its creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum QosClass {
    Guaranteed,
    Burstable,
    BestEffort,
}

/// Whether sizes can change in place. The size of a plan is the request. Applying it must keep the ratio of limits to
/// requests, and thus the QoS class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Resizing {
    InPlace,
    /// The API server does not serve `/resize` (before Kubernetes 1.33).
    NotServed,
    /// The pod has no requests, and none can be added.
    BestEffortPod,
    /// Infeasible on a node with swap for the pod.
    Swap,
    /// Infeasible for a Guaranteed pod under a static CPU or memory manager.
    StaticPolicy,
}

impl Resizing {
    pub fn of(served: bool, class: QosClass, swap: bool, static_policy: bool) -> Self {
        match class {
            _ if !served => Self::NotServed,
            QosClass::BestEffort => Self::BestEffortPod,
            _ if swap => Self::Swap,
            QosClass::Guaranteed if static_policy => Self::StaticPolicy,
            _ => Self::InPlace,
        }
    }
}

/// The state of the last resize: the pod conditions `PodResizePending` and `PodResizeInProgress`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ResizeState {
    Done,
    /// The kubelet is resizing the pod. The requested size counts.
    InProgress,
    /// The node has no room now, and the kubelet retries. Until then the size in effect counts, and only the count
    /// changes.
    Deferred {
        in_force: Resources,
    },
    /// The node never has room. The plan reverts the size and does not request it again on such nodes.
    Infeasible {
        in_force: Resources,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resizing_depends_on_server_class_swap_and_policy() {
        use QosClass::*;
        let table = [
            (true, Burstable, false, false, Resizing::InPlace),
            (true, Burstable, false, true, Resizing::InPlace),
            (true, Guaranteed, false, false, Resizing::InPlace),
            (true, Guaranteed, false, true, Resizing::StaticPolicy),
            (true, Burstable, true, false, Resizing::Swap),
            (true, BestEffort, false, false, Resizing::BestEffortPod),
            (false, Guaranteed, false, false, Resizing::NotServed),
        ];
        for (served, class, swap, static_policy, resizing) in table {
            assert_eq!(
                Resizing::of(served, class, swap, static_policy),
                resizing,
                "{class:?}"
            );
        }
    }
}
