//! The status in a simulated cluster.

mod conditions;
mod events;
mod pod_failures;

use crate::plan_result::NewEvent;
use crate::testing::{TestCluster, observed};

fn cluster(spec: &str) -> TestCluster {
    TestCluster::new(observed("demo", spec))
}

fn pair(status: &str, reason: &str) -> (String, String) {
    (status.to_owned(), reason.to_owned())
}

/// Reconciles once and returns the events.
fn step(cluster: &mut TestCluster) -> Vec<NewEvent> {
    let old = cluster.observed.cluster.status.clone();
    let plan = cluster.reconcile();
    let new = cluster.observed.cluster.status.clone().unwrap();
    super::events::between(old.as_ref(), &new, &plan.summary.drained)
}

fn message(cluster: &TestCluster, type_: &str) -> String {
    let status = cluster.observed.cluster.status.as_ref().unwrap();
    let found = status.conditions.iter().find(|c| c.type_ == type_).unwrap();
    found.message.clone()
}
