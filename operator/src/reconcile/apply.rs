//! All writes of a plan: server-side apply in order, one field manager per concern, orphans last. An object that is up
//! to date is not sent.

use super::{
    child::{Child, kind},
    context::Context,
    drift::is_up_to_date,
};
use crate::{cluster_key::ClusterKey, error::Error, kafka::topic_manager::Topic};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Secret};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, Preconditions},
    core::{ApiResource, GroupVersionKind, TypeMeta},
};
use poker_operator_api::{conditions::reasons, names::managers};
use poker_operator_core::{
    children::{Applied, Children, Live, Planned},
    observed::Observed,
    plan_result::{Failure, ObjectRef, Plan, ReplicaTarget},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::marker::PhantomData;

/// Hash of the object as planned: it changes with the plan, also where a field is only left out.
const HASH_ANNOTATION: &str = "planningpoker.dev/planned";

/// Carries out a plan and returns the objects as the API server answered.
///
/// # Errors
/// The first write that fails; nothing is deleted then.
pub async fn apply(
    ctx: &Context,
    key: &ClusterKey,
    observed: &Observed,
    plan: &Plan,
) -> Result<Children<Applied>, Error> {
    let apply = Apply { ctx, key, observed };
    for target in &plan.replicas {
        apply.replicas(target).await?;
    }
    let applied = apply.children(plan.children.clone(), &observed.live).await?;
    match &plan.topic {
        Some(desired) => {
            let topic = Topic::of(&observed.cluster, &observed.names());
            ctx.topics.ensure(key, &topic, desired.clone());
        }
        None if plan.summary.paused => ctx.topics.pause(key),
        None => {}
    }
    for orphan in &plan.orphans {
        apply.delete(orphan).await?;
    }
    Ok(applied)
}

struct Apply<'a> {
    ctx: &'a Context,
    key: &'a ClusterKey,
    observed: &'a Observed,
}

impl Apply<'_> {
    async fn children(
        &self,
        planned: Children<Planned>,
        live: &Children<Live>,
    ) -> Result<Children<Applied>, Error> {
        let ours = managers::WORKLOADS;
        Ok(Children {
            service_accounts: self
                .all(ours, planned.service_accounts, &live.service_accounts)
                .await?,
            roles: self.all(ours, planned.roles, &live.roles).await?,
            role_bindings: self.all(ours, planned.role_bindings, &live.role_bindings).await?,
            secrets: self
                .create_if_missing(ours, planned.secrets, &live.secrets)
                .await?,
            config_maps: self
                .all(managers::ROUTES, planned.config_maps, &live.config_maps)
                .await?,
            services: self.all(ours, planned.services, &live.services).await?,
            network_policies: self
                .all(ours, planned.network_policies, &live.network_policies)
                .await?,
            pod_disruption_budgets: self
                .all(ours, planned.pod_disruption_budgets, &live.pod_disruption_budgets)
                .await?,
            stateful_sets: self.all(ours, planned.stateful_sets, &live.stateful_sets).await?,
            deployments: self.all(ours, planned.deployments, &live.deployments).await?,
            // Last: an admission webhook of an ingress controller may refuse it.
            ingresses: self.all(ours, planned.ingresses, &live.ingresses).await?,
            state: PhantomData,
        })
    }

    async fn all<K>(&self, manager: &'static str, planned: Vec<K>, live: &[K]) -> Result<Vec<K>, Error>
    where
        K: Child,
    {
        let mut applied = Vec::with_capacity(planned.len());
        for object in planned {
            applied.push(self.one(manager, object, live).await?);
        }
        Ok(applied)
    }

    /// A Secret that exists is never written: its password is in use.
    async fn create_if_missing(
        &self,
        manager: &'static str,
        planned: Vec<Secret>,
        live: &[Secret],
    ) -> Result<Vec<Secret>, Error> {
        let exists = |secret: &Secret| live.iter().any(|live| live.name_any() == secret.name_any());
        let missing = planned.into_iter().filter(|secret| !exists(secret)).collect();
        self.all(manager, missing, live).await
    }

    async fn one<K: Child>(&self, manager: &'static str, object: K, live: &[K]) -> Result<K, Error> {
        let name = object.name_any();
        let mut planned = with_hash::<K>(&object)?;
        if let Some(live) = live.iter().find(|live| live.name_any() == name) {
            self.refuse_foreign(live)?;
            if is_up_to_date(&value_of(live)?, &planned) {
                return Ok(live.clone());
            }
            if manager == managers::ROUTES {
                // The plan is based on this very table: had another been written since, one version would name two tables.
                planned["metadata"]["resourceVersion"] = json!(live.resource_version());
            }
        }
        let api = self.ctx.api::<K>(&self.key.namespace);
        let (params, patch) = (PatchParams::apply(manager).force(), Patch::Apply(&planned));
        self.apply_and_record(api.patch(&name, &params, &patch), &name)
            .await
    }

    async fn replicas(&self, target: &ReplicaTarget) -> Result<(), Error> {
        let live = &self.observed.live.deployments;
        let Some(live) = live.iter().find(|live| live.name_any() == target.deployment) else {
            return Ok(());
        };
        self.refuse_foreign(live)?;
        let owned = live
            .managed_fields()
            .iter()
            .any(|entry| entry.manager.as_deref() == Some(managers::SCALE));
        if owned && live.spec.as_ref().and_then(|spec| spec.replicas) == Some(target.replicas) {
            return Ok(());
        }
        let patch = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": target.deployment},
            "spec": {"replicas": target.replicas},
        });
        let api = self.ctx.api::<Deployment>(&self.key.namespace);
        let (params, patch) = (PatchParams::apply(managers::SCALE).force(), Patch::Apply(&patch));
        self.apply_and_record(api.patch(&target.deployment, &params, &patch), &target.deployment)
            .await
            .map(drop)
    }

    async fn apply_and_record<K: Child>(
        &self,
        request: impl Future<Output = kube::Result<K>>,
        name: &str,
    ) -> Result<K, Error> {
        let kind = kind::<K>();
        let applied = self
            .ctx
            .write(kind, &format!("apply {kind} {name}"), request)
            .await?;
        self.ctx.expect(self.key, kind, applied.meta());
        tracing::info!(kind, name, "applied");
        Ok(applied)
    }

    /// Validation has checked this; here it guards against an object that appeared since.
    fn refuse_foreign<K: Child>(&self, live: &K) -> Result<(), Error> {
        if self.observed.owns(live.meta()) {
            return Ok(());
        }
        Err(Error::Failed(Failure {
            reason: reasons::NAME_CONFLICT,
            message: format!(
                "{} {} exists and belongs to another owner: rename this PokerCluster or delete the object",
                kind::<K>(),
                live.name_any()
            ),
        }))
    }

    /// Deletes an object only if it is still exactly the one that was observed.
    async fn delete(&self, orphan: &ObjectRef) -> Result<(), Error> {
        if self.ctx.expectations.deletion_pending(&orphan.uid) {
            return Ok(()); // deleted, and its watch is late
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
            Err(error) => return Err(error),
        }
        self.ctx.expectations.expect_deletion(&orphan.uid);
        Ok(())
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

fn value_of<K: Child>(object: &K) -> Result<Value, Error> {
    serde_json::to_value(object).map_err(|source| Error::Serialize {
        object: format!("{} {}", kind::<K>(), object.name_any()),
        source,
    })
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
