//! The queue of clusters to reconcile. Watches, pollers and the leader election fill it, the controller empties it.

use crate::cluster_key::ClusterKey;
use kube::{
    core::DeserializeGuard,
    runtime::{
        controller::{ReconcileReason, ReconcileRequest},
        reflector::ObjectRef,
    },
};
use poker_operator_api::PokerCluster;
use tokio::sync::mpsc;

/// Requests that wait for the controller. A full queue slows the watches down; no request is lost.
const TRIGGER_QUEUE_ENTRIES: usize = 1024;

/// A cluster as the watch delivers it. An object that cannot be decoded keeps its name and blocks no other.
pub type DecodedCluster = DeserializeGuard<PokerCluster>;

/// The end of the queue that the controller reads.
pub type Requests = mpsc::Receiver<ReconcileRequest<DecodedCluster>>;

/// The end of the queue that watches, pollers and the leader election write to.
#[derive(Clone)]
pub struct Triggers(mpsc::Sender<ReconcileRequest<DecodedCluster>>);

pub fn queue() -> (Triggers, Requests) {
    let (triggers, requests) = mpsc::channel(TRIGGER_QUEUE_ENTRIES);
    (Triggers(triggers), requests)
}

impl Triggers {
    /// Requests a reconcile; waits while the queue is full. A closed queue drops the request: the process is stopping.
    pub async fn reconcile(&self, cluster: &ClusterKey, reason: impl Into<String>) {
        let reason = ReconcileReason::Custom {
            reason: reason.into(),
        };
        let obj_ref = ObjectRef::new(&cluster.name).within(&cluster.namespace);
        let _ = self.0.send(ReconcileRequest { obj_ref, reason }).await;
    }

    /// Whether the process is stopping.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}
