//! A simulated Kubernetes cluster for tests: it applies plans, and tests decide when pods become ready.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::{DeploymentCondition, DeploymentStatus, StatefulSetStatus};
use kube::ResourceExt;
use poker_operator_api::PokerCluster;
use poker_operator_api::conditions::reasons;

use crate::children::{Applied, Children};
use crate::hash::fingerprint;
use crate::observed::{DrainStatus, Observed, SecretKeys, TopicObserved};
use crate::plan_result::{Failure, ObjectRef, Outcome, Plan, TopicPlan};
use crate::{for_each_kind, plan, status, topic};

/// The observed state of a new cluster with this name and spec.
pub fn observed(name: &str, spec: &str) -> Observed {
    let spec = serde_saphyr::from_str(spec).unwrap();
    let mut cluster = PokerCluster::new(name, spec);
    cluster.metadata.namespace = Some("poker".to_owned());
    cluster.metadata.uid = Some("11111111-2222-3333-4444-555555555555".to_owned());
    cluster.metadata.generation = Some(1);
    Observed {
        cluster,
        live: Children::default(),
        foreign: Vec::new(),
        secrets: BTreeMap::new(),
        drains: BTreeMap::new(),
        metrics: BTreeMap::new(),
        metrics_error: None,
        stale_caches: None,
        pod_failures: Vec::new(),
        forecasts: BTreeMap::new(),
        topic: TopicObserved::Unknown { why: None },
        memory: BTreeMap::new(),
        random: [7; 32],
        now: Timestamp::from_second(1_800_000_000).unwrap(),
    }
}

/// The keys of a Secret, each with a value.
pub fn keys<'a>(names: impl IntoIterator<Item = &'a str>) -> SecretKeys {
    let key = |name: &str| (name.to_owned(), fingerprint(name.as_bytes()));
    names.into_iter().map(key).collect()
}

/// A cluster whose plans are applied at once.
pub struct TestCluster {
    pub observed: Observed,
    /// The kinds of which the API server rejects every write.
    pub rejected_kinds: BTreeSet<&'static str>,
    /// What another client overrides.
    pub overridden: Vec<String>,
    writes: u64,
}

impl TestCluster {
    pub fn new(observed: Observed) -> Self {
        Self {
            observed,
            rejected_kinds: BTreeSet::new(),
            overridden: Vec::new(),
            writes: 0,
        }
    }

    /// One reconcile.
    pub fn reconcile(&mut self) -> Plan {
        let (valid, plan) = plan::validate_and_plan(&self.observed);
        let plan = plan.unwrap();
        let (applied, failures) = self.apply(&plan);
        for decision in &plan.scale {
            self.observed
                .memory
                .insert(decision.component, decision.memory.clone());
        }
        let outcome = Outcome {
            summary: Some(plan.summary.clone()),
            scale: plan.scale.clone(),
            applied,
            failures,
            overridden: self.overridden.clone(),
        };
        let status = status::derive(&valid, &self.observed, &outcome);
        self.observed.cluster.status = Some(status);
        plan
    }

    fn apply(&mut self, plan: &Plan) -> (Children<Applied>, Vec<Failure>) {
        let (writes, rejected) = (&mut self.writes, &self.rejected_kinds);
        let mut failures = Vec::new();
        let live = &mut self.observed.live;
        for target in &plan.replicas {
            let mut deployments = live.deployments.iter_mut();
            let found = deployments.find(|d| d.name_any() == target.deployment);
            if let (Some(found), false) = (found, rejected.contains("Deployment")) {
                found.spec.as_mut().unwrap().replicas = Some(target.replicas);
            }
        }
        let mut deployments = plan.children.deployments.clone();
        for deployment in &mut deployments {
            let spec = deployment.spec.as_mut().unwrap();
            let old = live.deployment(deployment.metadata.name.as_deref().unwrap());
            spec.replicas = spec.replicas.or_else(|| old?.spec.as_ref()?.replicas).or(Some(1));
            deployment.status = old.and_then(|d| d.status.clone());
        }
        let mut stateful_sets = plan.children.stateful_sets.clone();
        for set in &mut stateful_sets {
            let old = live.stateful_sets.iter().find(|s| s.name_any() == set.name_any());
            set.status = old.and_then(|s| s.status.clone());
        }
        let secrets = plan.children.secrets.iter();
        for secret in secrets.filter(|_| !rejected.contains("Secret")) {
            let names = secret.data.iter().flatten().map(|(key, _)| key.as_str());
            self.observed.secrets.insert(secret.name_any(), keys(names));
        }
        let mut children = Children::<Applied> {
            deployments,
            stateful_sets,
            ..retype(&plan.children)
        };
        macro_rules! put_all {
            ($($kind:ident: $type:ident,)*) => {
                $(if !rejected.contains(stringify!($type)) {
                    put(&mut live.$kind, &mut children.$kind, writes);
                } else {
                    failures.extend(reject(stringify!($type), &live.$kind, &mut children.$kind));
                })*
            };
        }
        for_each_kind!(put_all);
        for orphan in &plan.orphans {
            macro_rules! delete {
                ($($kind:ident: $type:ident,)*) => {
                    $(delete_orphan(&mut live.$kind, orphan);)*
                };
            }
            for_each_kind!(delete);
        }
        let desired = plan.topic.as_ref();
        let topic = desired.and_then(|topic| topic::plan(&topic.name, &topic.settings, &self.observed.topic));
        match &topic {
            Some(TopicPlan::Create {
                partitions,
                replication_factor,
                retention_ms,
                ..
            }) => {
                self.observed.topic = TopicObserved::Present {
                    partitions: *partitions,
                    replication_factor: *replication_factor,
                    retention_ms: Some(*retention_ms),
                };
            }
            _ if matches!(self.observed.topic, TopicObserved::Unknown { .. }) => {
                self.observed.topic = TopicObserved::Absent
            }
            _ => {}
        }
        (children, failures)
    }

    /// Makes all pods of matching Deployments and StatefulSets ready, or none.
    pub fn set_ready(&mut self, matching: &str, is_ready: bool) {
        for deployment in self
            .observed
            .live
            .deployments
            .iter_mut()
            .filter(|d| d.name_any().contains(matching))
        {
            let replicas = deployment.spec.as_ref().and_then(|s| s.replicas).unwrap_or(1);
            let complete = DeploymentCondition {
                type_: "Progressing".to_owned(),
                status: "True".to_owned(),
                reason: Some("NewReplicaSetAvailable".to_owned()),
                ..DeploymentCondition::default()
            };
            let was_complete = deployment.status.as_ref().is_some_and(|s| s.conditions.is_some());
            deployment.status = Some(DeploymentStatus {
                replicas: Some(replicas),
                ready_replicas: is_ready.then_some(replicas),
                conditions: (is_ready || was_complete).then(|| vec![complete]),
                ..DeploymentStatus::default()
            });
        }
        for set in self
            .observed
            .live
            .stateful_sets
            .iter_mut()
            .filter(|s| s.name_any().contains(matching))
        {
            set.status = Some(StatefulSetStatus {
                replicas: 1,
                ready_replicas: is_ready.then_some(1),
                updated_replicas: Some(1),
                ..StatefulSetStatus::default()
            });
        }
    }

    /// Makes draining Deployments empty and lets them use any routing table.
    pub fn drain_all(&mut self) {
        let names = plan::drains(&self.observed.live, &self.observed.names());
        self.observed.drains = names
            .into_iter()
            .map(|name| {
                (
                    name,
                    DrainStatus {
                        active: 0,
                        gateway_links: u64::MAX,
                        routes_version: u64::MAX,
                    },
                )
            })
            .collect();
    }

    pub fn wait(&mut self, seconds: i64) {
        self.observed.now += SignedDuration::from_secs(seconds);
    }

    /// Makes everything ready and drained until nothing changes any more.
    pub fn settle(&mut self) {
        for _ in 0..60 {
            self.reconcile();
            self.set_ready("", true);
            self.drain_all();
            self.wait(1);
        }
    }

    pub fn condition(&self, type_: &str) -> (String, String) {
        let status = self.observed.cluster.status.as_ref().unwrap();
        let found = status.conditions.iter().find(|c| c.type_ == type_).unwrap();
        (found.status.clone(), found.reason.clone())
    }

    pub fn deployments(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .observed
            .live
            .deployments
            .iter()
            .map(ResourceExt::name_any)
            .collect();
        names.sort();
        names
    }
}

fn retype<A, B>(children: &Children<A>) -> Children<B> {
    let mut retyped = Children::default();
    macro_rules! clone {
        ($($kind:ident: $type:ident,)*) => {
            $(retyped.$kind.clone_from(&children.$kind);)*
        };
    }
    for_each_kind!(clone);
    retyped
}

/// Rejects the writes of a kind: the objects stay as they are.
fn reject<K: ResourceExt + Clone>(kind: &str, live: &[K], objects: &mut [K]) -> Vec<Failure> {
    let mut failures = Vec::new();
    for object in objects {
        if let Some(live) = live.iter().find(|live| live.name_any() == object.name_any()) {
            *object = live.clone();
        }
        failures.push(Failure {
            reason: reasons::APPLY_FAILED,
            message: format!("cannot apply {kind} {}: denied by a policy", object.name_any()),
        });
    }
    failures
}

fn delete_orphan<K: ResourceExt + k8s_openapi::Resource>(live: &mut Vec<K>, orphan: &ObjectRef) {
    live.retain(|object| K::KIND != orphan.kind || object.name_any() != orphan.name);
}

/// Stores objects as the API server does: the UID stays, the resource version changes.
fn put<K: ResourceExt + Clone>(live: &mut Vec<K>, objects: &mut [K], writes: &mut u64) {
    for object in objects {
        *writes += 1;
        object.meta_mut().uid = Some(format!("uid-{}", object.name_any()));
        object.meta_mut().resource_version = Some(writes.to_string());
        live.retain(|l| l.name_any() != object.name_any());
        live.push(object.clone());
    }
}
