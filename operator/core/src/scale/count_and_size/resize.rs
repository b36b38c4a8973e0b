//! What can be done to the size of a running pod: only its `/resize` subresource changes it, and not always.

use serde::{Deserialize, Serialize};

use super::shape::Resources;

/// A pod's class, fixed when it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum QosClass {
    Guaranteed,
    Burstable,
    BestEffort,
}

/// Whether sizes can change in place. The plan's size is the request; whoever applies it keeps the limits in
/// the same relation, and so the class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Resizing {
    InPlace,
    /// The server has no `/resize` (before Kubernetes 1.33).
    NotServed,
    /// Without requests there is nothing to change, and none can be added.
    BestEffortPod,
    /// Infeasible on a node where the pod may swap.
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

/// How far the last resize is: the pod's conditions `PodResizePending` and `PodResizeInProgress`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ResizeState {
    Done,
    /// The kubelet is at it: what was asked for counts.
    InProgress,
    /// The node has no room now. The kubelet tries again by itself; until then what is in force counts, the
    /// size is left alone, and demand is met by the count.
    Deferred {
        in_force: Resources,
    },
    /// The node never has room. It is taken back, and as much is not asked for again on such nodes.
    Infeasible {
        in_force: Resources,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_resized() {
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
