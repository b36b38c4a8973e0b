//! A namespace for one test, an operator that watches it, and queries of its objects.

use crate::{faults::Faults, server};
use futures::StreamExt;
use k8s_openapi::{
    api::{
        apps::v1::{ControllerRevision, Deployment, StatefulSet},
        core::v1::{ConfigMap, Namespace, Pod, Secret, Service, ServiceAccount},
        events::v1::Event,
        networking::v1::NetworkPolicy,
        policy::v1::PodDisruptionBudget,
        rbac::v1::{Role, RoleBinding},
    },
    apimachinery::pkg::apis::meta::v1::Condition,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
    core::{ApiResource, NamespaceResourceScope},
    runtime::{
        WatchStreamExt,
        wait::{self, await_condition, conditions},
        watcher::{self, watcher},
    },
};
use poker_operator::{controller, options::Options};
use poker_operator_api::PokerCluster;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// Nothing here takes this long: a test that waits longer fails.
pub const WAIT_TIMEOUT: Duration = Duration::from_secs(60);

/// Whether the object meets the condition in time. A watch that fails, as when the schema changes, is repeated.
pub async fn watch_until<K>(api: Api<K>, name: &str, met: impl wait::Condition<K>) -> bool
where
    K: Clone + std::fmt::Debug + Send + serde::de::DeserializeOwned + Resource + 'static,
{
    let watch = async {
        let is_met = |object: Option<&K>| met.matches_object(object);
        while let Err(error) = await_condition(api.clone(), name, is_met).await {
            eprintln!("watching {name} again: {error}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(WAIT_TIMEOUT, watch).await.is_ok()
}

pub struct World {
    pub client: Client,
    pub namespace: String,
}

impl World {
    pub async fn new(name: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let client = server::client().await;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let namespace = format!("{name}-{}-{number}", std::process::id());
        let object = Namespace {
            metadata: kube::core::ObjectMeta {
                name: Some(namespace.clone()),
                ..Default::default()
            },
            ..Default::default()
        };
        Api::all(client.clone())
            .create(&PostParams::default(), &object)
            .await
            .expect("namespace");
        Self { client, namespace }
    }

    /// Deletes the namespace in the background, and the workloads first: otherwise their controllers create pods again, which
    /// the API server rejects in a namespace that ends, and the many retries delay the workloads of other tests.
    pub async fn remove(&self) {
        let (background, all) = (DeleteParams::background(), ListParams::default());
        let sets = self.api::<StatefulSet>();
        drop(sets.delete_collection(&background, &all).await.expect("deleted"));
        let deployments = self.api::<Deployment>();
        drop(
            deployments
                .delete_collection(&background, &all)
                .await
                .expect("deleted"),
        );
        let api: Api<Namespace> = Api::all(self.client.clone());
        api.delete(&self.namespace, &DeleteParams::background())
            .await
            .expect("the namespace exists");
    }

    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub async fn create(&self, name: &str, spec: Value) -> kube::Result<DynamicObject> {
        let resource = ApiResource::erase::<PokerCluster>(&());
        let object = DynamicObject::new(name, &resource).data(json!({ "spec": spec }));
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &self.namespace, &resource);
        api.create(&PostParams::default(), &object).await
    }

    /// A Secret that the operator does not manage, with one key.
    pub async fn create_secret(&self, name: &str, key: &str, value: &str) {
        let secret = json!({"metadata": {"name": name}, "stringData": {key: value}});
        let secret: Secret = serde_json::from_value(secret).expect("a Secret");
        let created = self.api().create(&PostParams::default(), &secret).await;
        created.expect("created");
    }

    pub async fn patch(&self, name: &str, patch: Value) -> kube::Result<PokerCluster> {
        self.api::<PokerCluster>()
            .patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await
    }

    /// Replaces the whole spec.
    pub async fn replace_spec(&self, name: &str, spec: Value) {
        let resource = ApiResource::erase::<PokerCluster>(&());
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &self.namespace, &resource);
        loop {
            let mut object = api.get(name).await.expect("object");
            object.data["spec"] = spec.clone();
            match api.replace(name, &PostParams::default(), &object).await {
                Err(kube::Error::Api(status)) if status.code == 409 => {} // its status was written meanwhile
                result => return drop(result.expect("spec")),
            }
        }
    }

    /// Waits until `holds` for the object; panics with the object if it never does.
    pub async fn until<K>(&self, name: &str, what: &str, holds: impl Fn(&K) -> bool)
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + Send + 'static,
        K: serde::de::DeserializeOwned + serde::Serialize,
        K::DynamicType: Default,
    {
        let condition = |object: Option<&K>| object.is_some_and(&holds);
        if !watch_until(self.api::<K>(), name, condition).await {
            let now = self.api::<K>().get_opt(name).await.ok().flatten();
            panic!(
                "{name}: not {what}; it is {}",
                serde_json::to_string_pretty(&now).unwrap_or_default()
            );
        }
    }

    /// Waits until the latest spec is reached and nothing drains.
    pub async fn until_settled(&self, name: &str) {
        self.until::<PokerCluster>(name, "settled", |cluster| {
            let status = cluster.status.clone().unwrap_or_default();
            let reconciled = status
                .conditions
                .iter()
                .any(|found| found.type_ == "Reconciling" && found.status == "False");
            let current = status.observed_generation == cluster.metadata.generation;
            current && reconciled && status.draining.is_empty()
        })
        .await;
    }

    pub async fn delete(&self, name: &str) {
        let api = self.api::<PokerCluster>();
        drop(
            api.delete(name, &DeleteParams::background())
                .await
                .expect("it exists"),
        );
    }

    /// Waits until the garbage collector has deleted every child.
    pub async fn until_childless(&self) {
        let deleted = async {
            while !self.children().await.is_empty() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let ended = tokio::time::timeout(WAIT_TIMEOUT, deleted).await;
        ended.unwrap_or_else(|_| panic!("children remain in {}", self.namespace));
    }

    pub async fn until_gone<K>(&self, name: &str, uid: &str)
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + Send + 'static,
        K: serde::de::DeserializeOwned,
        K::DynamicType: Default,
    {
        let is_deleted = conditions::is_deleted(uid);
        let ended = watch_until(self.api::<K>(), name, is_deleted).await;
        assert!(ended, "{name} still exists");
    }

    pub async fn until_condition(&self, name: &str, type_: &str, status: &str, reason: &str) {
        let what = format!("{type_}={status} for {reason}");
        self.until::<PokerCluster>(name, &what, |cluster| {
            condition(cluster, type_).is_some_and(|found| found.status == status && found.reason == reason)
        })
        .await;
    }

    /// The message of the condition of this type.
    pub async fn condition_message(&self, name: &str, type_: &str) -> String {
        let cluster: PokerCluster = self.api().get(name).await.expect("cluster");
        let found = condition(&cluster, type_).expect("condition");
        found.message.clone()
    }

    /// The notes of all events with this reason, once there is one.
    pub async fn events(&self, reason: &str) -> Vec<String> {
        let found = async {
            loop {
                let all = self.api::<Event>().list(&ListParams::default()).await;
                let all = all.expect("events").items.into_iter();
                let of = all.filter(|event| event.reason.as_deref() == Some(reason));
                let notes: Vec<_> = of.filter_map(|event| event.note).collect();
                if !notes.is_empty() {
                    return notes;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(WAIT_TIMEOUT, found)
            .await
            .unwrap_or_else(|_| panic!("no event {reason}"))
    }

    /// The children of every kind by kind/name, without managed fields.
    pub async fn children(&self) -> BTreeMap<String, Value> {
        let mut all = BTreeMap::new();
        self.list::<ControllerRevision>(&mut all).await;
        self.list::<ServiceAccount>(&mut all).await;
        self.list::<Role>(&mut all).await;
        self.list::<RoleBinding>(&mut all).await;
        self.list::<ConfigMap>(&mut all).await;
        self.list::<Secret>(&mut all).await;
        self.list::<Service>(&mut all).await;
        self.list::<NetworkPolicy>(&mut all).await;
        self.list::<PodDisruptionBudget>(&mut all).await;
        self.list::<StatefulSet>(&mut all).await;
        self.list::<Deployment>(&mut all).await;
        all
    }

    async fn list<K>(&self, all: &mut BTreeMap<String, Value>)
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + std::fmt::Debug,
        K: serde::de::DeserializeOwned + serde::Serialize,
    {
        let ours = ListParams::default().labels("app.kubernetes.io/managed-by=poker-operator");
        for object in self.api::<K>().list(&ours).await.expect("list") {
            let mut value = serde_json::to_value(&object).expect("object");
            value["metadata"]
                .as_object_mut()
                .expect("metadata")
                .remove("managedFields");
            all.insert(format!("{}/{}", K::kind(&()), object.name_any()), value);
        }
    }

    /// Starts an operator that watches this namespace.
    pub async fn operator(&self, identity: &str, faults: &Faults) -> Operator {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let admin = format!("http://{}", listener.local_addr().expect("address"));
        let client = server::faulty_client(faults).await;
        let options = Options {
            watch_namespace: Some(self.namespace.clone()),
            namespace: self.namespace.clone(),
            lease: "poker-operator".to_owned(),
            identity: identity.to_owned(),
            concurrency: 4,
        };
        let stop = CancellationToken::new();
        let task = tokio::spawn(controller::run(client, options, listener, stop.clone()));
        Operator {
            admin,
            stop,
            task,
            faults: faults.clone(),
            http: reqwest::Client::new(),
        }
    }
}

/// Makes every pod of the namespace ready once it exists, as a kubelet would, until it is dropped.
pub struct Kubelet(JoinHandle<()>);

impl Kubelet {
    pub fn start(world: &World) -> Self {
        Self::except(world, "none")
    }

    /// Pods of this version never become ready.
    pub fn except(world: &World, version: &'static str) -> Self {
        let pods = world.api::<Pod>();
        Self(tokio::spawn(async move {
            let mut seen = watcher(pods.clone(), watcher::Config::default())
                .default_backoff()
                .touched_objects()
                .boxed();
            while let Some(pod) = seen.next().await {
                let Ok(pod) = pod else { continue };
                if pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running") {
                    continue;
                }
                let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
                let mut images = containers.filter_map(|container| container.image.as_deref());
                if images.any(|image| image.ends_with(version)) {
                    continue;
                }
                let ready = json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
                // The pod may be deleted already.
                let _ = pods
                    .patch_status(&pod.name_any(), &PatchParams::default(), &Patch::Merge(ready))
                    .await;
            }
        }))
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub fn condition<'a>(cluster: &'a PokerCluster, type_: &str) -> Option<&'a Condition> {
    cluster
        .status
        .as_ref()?
        .conditions
        .iter()
        .find(|condition| condition.type_ == type_)
}

/// A running operator. Dropping it kills it without a shutdown.
pub struct Operator {
    admin: String,
    stop: CancellationToken,
    pub task: JoinHandle<anyhow::Result<()>>,
    pub faults: Faults,
    http: reqwest::Client,
}

impl Operator {
    /// Shuts the operator down, as SIGTERM does.
    pub async fn stop(mut self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(WAIT_TIMEOUT, &mut self.task)
            .await
            .expect("ends in time");
        ended.expect("no panic").expect("ends without an error");
    }

    /// The value of a metric without labels.
    pub async fn metric(&self, name: &str) -> Option<f64> {
        let text = self.get("/metrics").await?.1;
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    }

    pub async fn get(&self, path: &str) -> Option<(u16, String)> {
        let response = self.http.get(format!("{}{path}", self.admin)).send().await.ok()?;
        Some((response.status().as_u16(), response.text().await.ok()?))
    }

    /// Reconciles that have ended.
    async fn reconciles(&self) -> f64 {
        self.metric("poker_operator_reconcile_duration_seconds_count")
            .await
            .unwrap_or_default()
    }

    /// Triggers another reconcile of the cluster and waits for its end.
    pub async fn reconcile_again(&self, world: &World, cluster: &str) {
        let before = self.reconciles().await;
        let stamp = format!("{before}-{}", self.faults.writes().len());
        let touch = json!({"metadata": {"annotations": {"test/touched": stamp}}});
        world.patch(cluster, touch).await.expect("touch");
        let reconciled = async {
            while self.reconciles().await <= before {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(WAIT_TIMEOUT, reconciled)
            .await
            .expect("a reconcile");
    }

    /// Waits until three reconciles in a row write nothing.
    pub async fn until_quiet(&self, world: &World, cluster: &str) {
        let mut quiet = 0;
        for _ in 0..60 {
            let before = self.faults.writes().len();
            self.reconcile_again(world, cluster).await;
            quiet = if self.faults.writes().len() == before {
                quiet + 1
            } else {
                0
            };
            if quiet == 3 {
                return;
            }
        }
        panic!("never quiet: {:#?}", self.faults.writes());
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.task.abort();
    }
}
