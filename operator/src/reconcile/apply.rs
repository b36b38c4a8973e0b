//! All writes of a plan: orphans are deleted first, then server-side apply in order, one field manager per concern. An
//! object that is up to date is not sent.

use super::{
    child::{Child, kind, value_of},
    context::Context,
    corrected_writes::CorrectedWrites,
    memory::ClusterMemory,
    rejected_writes::{RejectedWrites, Write},
};
use crate::{cluster_key::ClusterKey, error::Error, kafka::topic_manager::Topic};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, Preconditions},
    core::{ApiResource, GroupVersionKind, TypeMeta},
};
use poker_operator_api::{conditions::reasons, names::managers};
use poker_operator_core::{
    children::{Applied, Children, Planned},
    drift::is_up_to_date,
    for_each_kind,
    observed::Observed,
    ownership::ForeignObject,
    plan_result::{Failure, ObjectRef, Plan, ReplicaTarget},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{collections::BTreeSet, time::Duration};
use tokio::time::Instant;

/// Hash of the planned object. It also changes if the plan only leaves out a field.
const HASH_ANNOTATION: &str = "planningpoker.dev/planned";
const SECRET: &str = "Secret";
const STATEFUL_SET: &str = "StatefulSet";
/// Distinguishes the deletion of an object from its other writes.
const DELETION: &str = "deletion";

/// The result of the writes of a plan.
#[derive(Default)]
pub struct ApplyResult {
    /// Every planned object as the API server answered or, if it rejected the write, as observed.
    pub children: Children<Applied>,
    /// The writes that the API server rejected.
    pub failures: Vec<Failure>,
    /// The objects that another client or an admission webhook overrides.
    pub overridden: Vec<String>,
    /// The time to the next attempt of a rejected or overridden write.
    pub retry_after: Option<Duration>,
}

/// Carries out a plan. A rejected write costs only its own object.
///
/// # Errors
/// When no write can succeed: this process is no longer the leader, or the API server cannot be reached.
pub async fn apply(
    ctx: &Context,
    memory: &mut ClusterMemory,
    key: &ClusterKey,
    observed: &Observed,
    plan: &Plan,
) -> Result<ApplyResult, Error> {
    let mut apply = Apply {
        ctx,
        rejected: &mut memory.rejected_writes,
        corrected: &mut memory.corrected_writes,
        missing_secrets: BTreeSet::new(),
        key,
        observed,
    };
    // First: a deletion may free the quota that another object needs.
    for orphan in &plan.orphans {
        apply.delete(orphan).await?;
    }
    for target in &plan.replicas {
        apply.replicas(target).await?;
    }
    let children = apply.children(plan.children.clone()).await?;
    match &plan.topic {
        Some(desired) => {
            let topic = Topic::of(&observed.cluster, &observed.names());
            ctx.topics.ensure(key, &topic, desired.clone());
        }
        None if plan.summary.paused => ctx.topics.pause(key),
        None => {}
    }
    let (failures, retry_rejected) = memory.rejected_writes.finish(Instant::now());
    let (overridden, retry_overridden) = memory.corrected_writes.finish(Timestamp::now());
    Ok(ApplyResult {
        children,
        failures,
        overridden,
        retry_after: retry_rejected.into_iter().chain(retry_overridden).min(),
    })
}

struct Apply<'a> {
    ctx: &'a Context,
    rejected: &'a mut RejectedWrites,
    corrected: &'a mut CorrectedWrites,
    /// Planned Secrets that do not exist because their write was rejected.
    missing_secrets: BTreeSet<String>,
    key: &'a ClusterKey,
    observed: &'a Observed,
}

impl Apply<'_> {
    async fn children(&mut self, planned: Children<Planned>) -> Result<Children<Applied>, Error> {
        let live = &self.observed.live;
        let mut applied = Children::default();
        macro_rules! apply {
            ($($kind:ident: $type:ident,)*) => {
                $(for object in planned.$kind {
                    applied.$kind.push(self.one(object, &live.$kind).await?);
                })*
            };
        }
        for_each_kind!(apply);
        Ok(applied)
    }

    /// Writes an object unless it is up to date or waits for another. Returns it as answered or, if it was not written,
    /// as observed.
    async fn one<K: Child>(&mut self, object: K, live: &[K]) -> Result<K, Error> {
        let (kind, name) = (kind::<K>(), object.name_any());
        // A database keeps the password that it is created with, so the Secret of its name must exist before it.
        if kind == STATEFUL_SET && self.missing_secrets.contains(&name) {
            return Ok(object);
        }
        let written = self.write(object, live).await?;
        if kind == SECRET && written.resource_version().is_none() {
            self.missing_secrets.insert(name);
        }
        Ok(written)
    }

    async fn write<K: Child>(&mut self, object: K, live: &[K]) -> Result<K, Error> {
        let (kind, name) = (kind::<K>(), object.name_any());
        let manager = manager(kind);
        let write = Write {
            kind,
            name: name.clone(),
            by: manager,
        };
        let planned = with_hash::<K>(&object)?;
        // The password of a new Secret differs each time.
        let content = if kind == SECRET {
            String::new()
        } else {
            planned.to_string()
        };
        let live = live.iter().find(|live| live.name_any() == name);
        if let Some(live) = live {
            // A Secret that exists keeps its values: its password is in use.
            let is_complete = kind == SECRET || is_up_to_date(&value_of(live)?, &planned);
            if self.observed.controls(live.meta()) && is_complete {
                self.corrected.record_up_to_date(&write);
                return Ok(live.clone());
            }
        }
        if self.is_waiting(&write, &content) {
            return Ok(live.cloned().unwrap_or(object));
        }
        if let Some(foreign) = self.foreign(kind, &name) {
            let failure = Failure {
                reason: reasons::NAME_CONFLICT,
                message: foreign.conflict(),
            };
            self.rejected
                .reject(write, &content, Some(failure), Instant::now());
            return Ok(object);
        }
        let mut version = live.and_then(ResourceExt::resource_version);
        if let Some(live) = live.filter(|live| !self.observed.controls(live.meta())) {
            let Some(adopted) = self.adopt(&write, &content, live, &object).await? else {
                return Ok(live.clone());
            };
            if kind == SECRET {
                return Ok(adopted);
            }
            version = adopted.resource_version();
        }
        let mut patch = planned.clone();
        if manager == managers::ROUTES && live.is_some() {
            // The plan is based on this table. If another client has changed it since, the write must fail: otherwise two
            // different tables would have the same version.
            patch["metadata"]["resourceVersion"] = json!(version);
        }
        let before = self.with_managed_fields(&write, live).await;
        let applied = self.patch(&write, &content, "apply", patch).await?;
        if let (Some(applied), true) = (&applied, kind != SECRET) {
            self.corrected
                .record(&write, &planned, before.as_ref(), applied, Timestamp::now())?;
        }
        Ok(applied.or(live.cloned()).unwrap_or(object))
    }

    /// The live object. One that was corrected before is read with its managed fields, which the cache leaves out: they
    /// show which client changes it again.
    async fn with_managed_fields<K: Child>(&self, write: &Write, live: Option<&K>) -> Option<K> {
        let live = live?;
        if !self.corrected.was_corrected(write) {
            return Some(live.clone());
        }
        let found = self.ctx.api::<K>(&self.key.namespace).get_opt(&write.name).await;
        // Without them, only the name of the client is missing.
        found.ok().flatten().or_else(|| Some(live.clone()))
    }

    /// Server-side apply. `None` if the API server rejected it.
    async fn patch<K: Child>(
        &mut self,
        write: &Write,
        content: &str,
        verb: &str,
        patch: Value,
    ) -> Result<Option<K>, Error> {
        let api = self.ctx.api::<K>(&self.key.namespace);
        let (params, patch) = (PatchParams::apply(write.by).force(), Patch::Apply(&patch));
        let request = api.patch(&write.name, &params, &patch);
        self.send(write, content, verb, request).await
    }

    /// Makes this cluster the only controller of an object that no existing object controls.
    async fn adopt<K: Child>(
        &mut self,
        write: &Write,
        content: &str,
        live: &K,
        planned: &K,
    ) -> Result<Option<K>, Error> {
        let mut owners = self.observed.other_owners(live.meta());
        owners.extend(planned.owner_references().iter().cloned());
        let patch = json!({"metadata": {
            "uid": live.uid(),
            "resourceVersion": live.resource_version(),
            "ownerReferences": owners,
        }});
        let api = self.ctx.api::<K>(&self.key.namespace);
        let (params, patch) = (PatchParams::default(), Patch::Merge(&patch));
        let request = api.patch(&write.name, &params, &patch);
        self.send(write, content, "adopt", request).await
    }

    async fn replicas(&mut self, target: &ReplicaTarget) -> Result<(), Error> {
        let name = &target.deployment;
        let Some(live) = self.observed.live.deployment(name) else {
            return Ok(());
        };
        let owned = live
            .managed_fields()
            .iter()
            .any(|entry| entry.manager.as_deref() == Some(managers::SCALE));
        let write = Write {
            kind: kind::<Deployment>(),
            name: name.clone(),
            by: managers::SCALE,
        };
        if owned && live.spec.as_ref().and_then(|spec| spec.replicas) == Some(target.replicas) {
            self.corrected.record_up_to_date(&write);
            return Ok(());
        }
        let planned = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": name},
            "spec": {"replicas": target.replicas},
        });
        let content = planned.to_string();
        if self.is_waiting(&write, &content) {
            return Ok(());
        }
        let before = self.with_managed_fields(&write, Some(live)).await;
        let applied: Option<Deployment> = self.patch(&write, &content, "scale", planned.clone()).await?;
        if let Some(applied) = applied {
            self.corrected
                .record(&write, &planned, before.as_ref(), &applied, Timestamp::now())?;
        }
        Ok(())
    }

    /// Whether this content was rejected or overridden lately and waits for its next attempt.
    fn is_waiting(&mut self, write: &Write, content: &str) -> bool {
        let is_overridden = self.corrected.is_waiting(write, content, Timestamp::now());
        self.rejected.is_waiting(write, content, Instant::now()) || is_overridden
    }

    /// Sends a write that creates or changes an object. `None` if the API server rejected it.
    async fn send<K: Child>(
        &mut self,
        write: &Write,
        content: &str,
        verb: &str,
        request: impl Future<Output = kube::Result<K>>,
    ) -> Result<Option<K>, Error> {
        let Write { kind, name, .. } = write;
        let answer = self
            .ctx
            .write(kind, &format!("{verb} {kind} {name}"), request)
            .await;
        match answer {
            Ok(applied) => {
                self.ctx.expect(self.key, kind, applied.meta());
                self.rejected.accept(write);
                tracing::info!(kind, name, verb, "written");
                Ok(Some(applied))
            }
            Err(error) => self.reject(write, content, error).map(|()| None),
        }
    }

    /// Remembers a rejected write.
    ///
    /// # Errors
    /// The error, if it concerns more than this object.
    fn reject(&mut self, write: &Write, content: &str, error: Error) -> Result<(), Error> {
        if !error.concerns_one_object() {
            return Err(error);
        }
        let failure = (!error.is_transient()).then(|| Failure {
            reason: reasons::APPLY_FAILED,
            message: format!("{}: {}", error.message(), error.write_hint()),
        });
        tracing::info!(
            kind = write.kind,
            name = write.name,
            error = error.message(),
            "write rejected"
        );
        self.rejected
            .reject(write.clone(), content, failure, Instant::now());
        Ok(())
    }

    fn foreign(&self, kind: &str, name: &str) -> Option<&ForeignObject> {
        let mut foreign = self.observed.foreign.iter();
        foreign.find(|foreign| foreign.kind == kind && foreign.name == name)
    }

    /// Deletes an object only if it is still exactly the one that was observed.
    async fn delete(&mut self, orphan: &ObjectRef) -> Result<(), Error> {
        if self.ctx.expectations.deletion_pending(&orphan.uid) {
            return Ok(()); // deleted, and its watch is late
        }
        let write = Write {
            kind: orphan.kind,
            name: orphan.name.clone(),
            by: DELETION,
        };
        if self
            .rejected
            .is_waiting(&write, &orphan.resource_version, Instant::now())
        {
            return Ok(());
        }
        let params = DeleteParams::background().preconditions(Preconditions {
            uid: Some(orphan.uid.clone()),
            resource_version: Some(orphan.resource_version.clone()),
        });
        let resource = resource_of(orphan);
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.ctx.client.clone(), &self.key.namespace, &resource);
        let action = format!("delete {} {}", orphan.kind, orphan.name);
        match self
            .ctx
            .write(orphan.kind, &action, api.delete(&orphan.name, &params))
            .await
        {
            Ok(_) => tracing::info!(kind = orphan.kind, name = orphan.name, "deleted"),
            Err(error) if error.is_not_found() => {} // deleted already
            Err(error) => return self.reject(&write, &orphan.resource_version, error),
        }
        self.rejected.accept(&write);
        self.rejected.retry_now(Instant::now());
        self.ctx.expectations.expect_deletion(&orphan.uid);
        Ok(())
    }
}

/// The field manager of a kind.
fn manager(kind: &str) -> &'static str {
    match kind {
        "ConfigMap" => managers::ROUTES,
        _ => managers::WORKLOADS,
    }
}

fn resource_of(orphan: &ObjectRef) -> ApiResource {
    let types = TypeMeta {
        api_version: orphan.api_version.to_owned(),
        kind: orphan.kind.to_owned(),
    };
    let kind =
        GroupVersionKind::try_from(types).unwrap_or_else(|_| GroupVersionKind::gvk("", "v1", orphan.kind));
    ApiResource::from_gvk(&kind)
}

fn with_hash<K: Child>(object: &K) -> Result<Value, Error> {
    let mut value = value_of(object)?;
    let digest = Sha256::digest(value.to_string());
    let hash: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    // The prefix keeps a hash of digits from being compared as a number.
    value["metadata"]["annotations"][HASH_ANNOTATION] = Value::String(format!("sha256-{hash}"));
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::ConfigMap;

    #[test]
    fn leaving_a_field_out_changes_the_hash() {
        let map = |data: Value| -> ConfigMap {
            serde_json::from_value(json!({"metadata": {"name": "a"}, "data": data})).unwrap()
        };
        let hash =
            |map: &ConfigMap| with_hash(map).unwrap()["metadata"]["annotations"][HASH_ANNOTATION].clone();
        let (both, one) = (map(json!({"a": "1", "b": "2"})), map(json!({"a": "1"})));
        assert_ne!(hash(&both), hash(&one));
        assert_eq!(hash(&one), hash(&one.clone()));
        let live = with_hash(&both).unwrap();
        assert!(is_up_to_date(&live, &with_hash(&both).unwrap()));
        assert!(!is_up_to_date(&live, &with_hash(&one).unwrap()));
    }

    #[test]
    fn every_kind_of_orphan_has_its_resource() {
        let table = [
            ("v1", "ConfigMap", "configmaps"),
            ("v1", "Service", "services"),
            ("v1", "ServiceAccount", "serviceaccounts"),
            ("apps/v1", "Deployment", "deployments"),
            ("apps/v1", "ControllerRevision", "controllerrevisions"),
            ("apps/v1", "StatefulSet", "statefulsets"),
            ("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
            ("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"),
            ("networking.k8s.io/v1", "Ingress", "ingresses"),
            ("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings"),
        ];
        for (api_version, kind, plural) in table {
            let orphan = ObjectRef {
                api_version,
                kind,
                name: "a".to_owned(),
                uid: "u".to_owned(),
                resource_version: "1".to_owned(),
            };
            let resource = resource_of(&orphan);
            assert_eq!(
                (resource.api_version.as_str(), resource.plural.as_str()),
                (api_version, plural)
            );
        }
    }
}
