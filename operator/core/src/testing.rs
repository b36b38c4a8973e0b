//! A small Kubernetes for tests: applies plans, and pods become ready when told.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::{DeploymentCondition, DeploymentStatus, StatefulSetStatus};
use kube::ResourceExt;
use poker_operator_api::PokerCluster;

use crate::children::{Applied, Children};
use crate::observed::{DrainStatus, Observed, SecretKeys, TopicObserved, fingerprint};
use crate::plan_result::{Outcome, Plan, TopicPlan};
use crate::validate::{Invalid, Validated, validate};
use crate::{for_each_kind, plan, status, topic};

/// A cluster of that name and spec, seen for the first time.
pub fn observed(name: &str, spec: &str) -> Observed {
    let spec = serde_saphyr::from_str(spec).unwrap();
    let mut cluster = PokerCluster::new(name, spec);
    cluster.metadata.namespace = Some("poker".to_owned());
    cluster.metadata.uid = Some("11111111-2222-3333-4444-555555555555".to_owned());
    cluster.metadata.generation = Some(1);
    Observed {
        cluster,
        live: Children::default(),
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

/// Keys of a Secret, each with a value.
pub fn keys<'a>(names: impl IntoIterator<Item = &'a str>) -> SecretKeys {
    let key = |name: &str| (name.to_owned(), fingerprint(name.as_bytes()));
    names.into_iter().map(key).collect()
}

pub struct World {
    pub seen: Observed,
    writes: u64,
}

impl World {
    pub fn new(seen: Observed) -> Self {
        Self { seen, writes: 0 }
    }

    pub fn validated(&self) -> Result<Validated, Invalid> {
        validate(&self.seen)
    }

    /// One pass of the operator.
    pub fn pass(&mut self) -> Plan {
        let valid = self.validated();
        let plan = plan::plan(valid.as_ref().unwrap(), &self.seen);
        let applied = self.apply(&plan);
        for decision in &plan.scale {
            self.seen
                .memory
                .insert(decision.component, decision.memory.clone());
        }
        let outcome = Outcome {
            summary: Some(plan.summary.clone()),
            scale: plan.scale.clone(),
            applied: Ok(applied),
        };
        let status = status::derive(&valid, &self.seen, &outcome);
        self.seen.cluster.status = Some(status);
        plan
    }

    fn apply(&mut self, plan: &Plan) -> Children<Applied> {
        let writes = &mut self.writes;
        let live = &mut self.seen.live;
        for target in &plan.replicas {
            let found = live
                .deployments
                .iter_mut()
                .find(|d| d.name_any() == target.deployment)
                .unwrap();
            found.spec.as_mut().unwrap().replicas = Some(target.replicas);
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
        for secret in &plan.children.secrets {
            let names = secret.data.iter().flatten().map(|(key, _)| key.as_str());
            self.seen.secrets.insert(secret.name_any(), keys(names));
        }
        let mut children = Children::<Applied> {
            deployments,
            stateful_sets,
            ..retype(&plan.children)
        };
        macro_rules! put_all {
            ($($kind:ident: $type:ident,)*) => {
                $(put(&mut live.$kind, &mut children.$kind, writes);)*
            };
        }
        for_each_kind!(put_all);
        for orphan in &plan.orphans {
            let gone = |name: String, kind: &str| orphan.kind == kind && name == orphan.name;
            live.deployments.retain(|d| !gone(d.name_any(), "Deployment"));
            live.services.retain(|s| !gone(s.name_any(), "Service"));
            live.stateful_sets.retain(|s| !gone(s.name_any(), "StatefulSet"));
            live.secrets.retain(|s| !gone(s.name_any(), "Secret"));
            live.ingresses.retain(|i| !gone(i.name_any(), "Ingress"));
            live.network_policies
                .retain(|n| !gone(n.name_any(), "NetworkPolicy"));
        }
        let wish = plan.topic.as_ref();
        let topic = wish.and_then(|wish| topic::plan(&wish.name, &wish.settings, &self.seen.topic));
        match &topic {
            Some(TopicPlan::Create {
                partitions,
                replication_factor,
                retention_ms,
                ..
            }) => {
                self.seen.topic = TopicObserved::Present {
                    partitions: *partitions,
                    replication_factor: *replication_factor,
                    retention_ms: Some(*retention_ms),
                };
            }
            _ if matches!(self.seen.topic, TopicObserved::Unknown { .. }) => {
                self.seen.topic = TopicObserved::Absent
            }
            _ => {}
        }
        children
    }

    /// All pods of matching Deployments and StatefulSets become ready, or none is.
    pub fn set_ready(&mut self, matching: &str, is_ready: bool) {
        for deployment in self
            .seen
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
            .seen
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

    /// Draining Deployments say that they are empty and follow any table.
    pub fn drain_all(&mut self) {
        let names = plan::drains(&self.seen.live, &self.seen.names());
        self.seen.drains = names
            .into_iter()
            .map(|name| {
                (
                    name,
                    DrainStatus {
                        held: 0,
                        links: u64::MAX,
                        routes_version: u64::MAX,
                    },
                )
            })
            .collect();
    }

    pub fn wait(&mut self, seconds: i64) {
        self.seen.now += SignedDuration::from_secs(seconds);
    }

    /// Everything becomes ready and drains, until nothing is left to do.
    pub fn settle(&mut self) {
        for _ in 0..60 {
            self.pass();
            self.set_ready("", true);
            self.drain_all();
            self.wait(1);
        }
    }

    pub fn condition(&self, type_: &str) -> (String, String) {
        let status = self.seen.cluster.status.as_ref().unwrap();
        let found = status.conditions.iter().find(|c| c.type_ == type_).unwrap();
        (found.status.clone(), found.reason.clone())
    }

    pub fn deployments(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .seen
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

/// Stores objects as an API server would: the uid stays, the resource version moves.
fn put<K: ResourceExt + Clone>(live: &mut Vec<K>, objects: &mut [K], writes: &mut u64) {
    for object in objects {
        *writes += 1;
        object.meta_mut().uid = Some(format!("uid-{}", object.name_any()));
        object.meta_mut().resource_version = Some(writes.to_string());
        live.retain(|l| l.name_any() != object.name_any());
        live.push(object.clone());
    }
}
