//! One `PokerCluster` in a namespace, and waits for its state.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::conditions::is_deleted;
use kube::runtime::wait::{Condition, await_condition};
use kube::{Client, Resource, ResourceExt};
use poker_operator_api::PokerCluster;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::{LoadReport, images, shell};

/// The timeout of every wait.
pub const WAIT_TIMEOUT: Duration = Duration::from_secs(180);

/// A watch is restarted this often: it may have missed a change under load.
const WATCH_RESTART: Duration = Duration::from_secs(10);

/// A namespace with a `PokerCluster`.
#[derive(Clone)]
pub struct World {
    pub client: Client,
    pub namespace: String,
    pub name: String,
}

impl World {
    /// A client of the current kubeconfig.
    async fn client() -> Result<Client> {
        // A second call fails because the provider is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Ok(Client::try_default().await?)
    }

    /// A new namespace with a cluster of the images and `spec`, Ready when this returns.
    pub async fn ready(prefix: &str, spec: Value) -> Result<Self> {
        let world = Self::applied(prefix, spec).await?;
        world.wait_ready().await?;
        Ok(world)
    }

    /// A new namespace with a cluster of the images and `spec`.
    pub async fn applied(prefix: &str, spec: Value) -> Result<Self> {
        let world = Self::empty(prefix).await?;
        world.apply(spec).await?;
        Ok(world)
    }

    /// A new namespace without a cluster.
    pub async fn empty(prefix: &str) -> Result<Self> {
        let client = Self::client().await?;
        let namespace = create_namespace(&client, prefix).await?;
        Ok(Self {
            client,
            namespace,
            name: "demo".to_owned(),
        })
    }

    /// A second cluster beside this one.
    pub fn beside(&self, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..self.clone()
        }
    }

    /// Clusters of the namespace.
    pub fn clusters(&self) -> Api<PokerCluster> {
        self.api()
    }

    /// Objects of the namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Applies the cluster as `kubectl apply --server-side` does.
    pub async fn apply(&self, over: Value) -> Result<PokerCluster> {
        let mut spec = images::spec();
        images::merge(&mut spec, &over);
        let cluster = json!({
            "apiVersion": "planningpoker.dev/v1alpha1",
            "kind": "PokerCluster",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": spec,
        });
        let parameters = PatchParams::apply("e2e").force();
        Ok(self
            .clusters()
            .patch(&self.name, &parameters, &Patch::Apply(cluster))
            .await?)
    }

    /// The cluster's current state.
    pub async fn get(&self) -> Result<PokerCluster> {
        Ok(self.clusters().get(&self.name).await?)
    }

    /// Waits until the cluster is Ready at its current generation; returns the seconds it took.
    pub async fn wait_ready(&self) -> Result<f64> {
        let started = Instant::now();
        self.wait_until("Ready", |cluster| {
            condition(cluster, "Ready").as_deref() == Some("True")
        })
        .await?;
        Ok(started.elapsed().as_secs_f64())
    }

    /// Waits until `met` holds for the cluster's status at its current generation.
    pub async fn wait_until(&self, what: &str, met: impl Fn(&PokerCluster) -> bool + Sync) -> Result<()> {
        let current = |cluster: Option<&PokerCluster>| {
            cluster.is_some_and(|cluster| {
                let observed = cluster
                    .status
                    .as_ref()
                    .and_then(|status| status.observed_generation);
                observed == cluster.metadata.generation && met(cluster)
            })
        };
        if let Err(error) = self.wait_for(self.clusters(), &self.name, current).await {
            let status = self.get().await.ok().and_then(|cluster| cluster.status);
            return Err(error.context(format!("waited for {what}; status: {status:#?}")));
        }
        Ok(())
    }

    /// Waits until the condition holds for an object.
    pub async fn wait_for<K>(&self, api: Api<K>, name: &str, met: impl Condition<K>) -> Result<()>
    where
        K: Clone + Debug + Send + DeserializeOwned + Resource + 'static,
    {
        watch_until(api, name, met, WAIT_TIMEOUT).await
    }

    /// Waits until `count` shards are ready and none drains.
    pub async fn wait_shards(&self, count: i32) -> Result<()> {
        self.wait_until(&format!("{count} shards"), |cluster| {
            cluster.status.as_ref().is_some_and(|status| {
                let shards = status.shards.as_ref();
                shards.is_some_and(|shards| {
                    (shards.desired, shards.replicas, shards.ready) == (count, count, count)
                }) && !status
                    .draining
                    .iter()
                    .any(|draining| draining.deployment.contains("-shard-"))
            })
        })
        .await
    }

    /// Names of the Deployments of a component, sorted.
    pub async fn deployments(&self, component: &str) -> Result<Vec<String>> {
        let list = self.api::<Deployment>().list(&self.selector(component)).await?;
        let mut names: Vec<_> = list.items.iter().map(ResourceExt::name_any).collect();
        names.sort();
        Ok(names)
    }

    /// Pods of a component.
    pub async fn pods(&self, component: &str) -> Result<Vec<Pod>> {
        Ok(self.api::<Pod>().list(&self.selector(component)).await?.items)
    }

    /// Runs a query on the managed PostgreSQL and returns the text of its first column.
    pub async fn psql(&self, query: &str) -> Result<String> {
        self.psql_in("poker", query).await
    }

    async fn psql_in(&self, database: &str, query: &str) -> Result<String> {
        let command = ["psql", "-U", "poker", "-d", database, "-Atc", query];
        let pod = format!("{}-database-0", self.name);
        Ok(shell::exec(&self.api(), &pod, &command).await?.trim().to_owned())
    }

    /// The votes in PostgreSQL once at least `expected` are stored: the worker consumes them from Kafka.
    pub async fn votes_stored(&self, expected: u64) -> Result<u64> {
        self.votes_stored_in("poker", expected).await
    }

    /// The same in another database of the same server.
    pub async fn votes_stored_in(&self, database: &str, expected: u64) -> Result<u64> {
        let started = Instant::now();
        loop {
            // The worker creates the table when it starts, and the connection to a pod may fail under load.
            let counted = self.psql_in(database, "SELECT count(*) FROM votes").await;
            let votes = counted.as_ref().ok().and_then(|count| count.parse().ok());
            if votes.is_some_and(|votes: u64| votes >= expected) || started.elapsed() > WAIT_TIMEOUT {
                return Ok(counted?.parse()?);
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// Asserts that PostgreSQL holds each acknowledged vote exactly once, with its card, and no other.
    pub async fn assert_votes_stored(&self, loads: &[&LoadReport]) -> Result<()> {
        self.assert_votes_stored_in("poker", loads).await
    }

    /// The same in another database of the same server.
    pub async fn assert_votes_stored_in(&self, database: &str, loads: &[&LoadReport]) -> Result<()> {
        let acked: BTreeSet<&str> = loads
            .iter()
            .flat_map(|load| &load.votes.0)
            .map(String::as_str)
            .collect();
        let count: u64 = loads.iter().map(|load| load.votes_acked).sum();
        assert_eq!(
            acked.len() as u64,
            count,
            "the loads recorded other votes than they counted"
        );
        assert_eq!(self.votes_stored_in(database, count).await?, count);
        let all = "SELECT team || ' ' || round || ' ' || participant || ' ' || card FROM votes";
        let stored = self.psql_in(database, all).await?;
        let stored: BTreeSet<&str> = stored.lines().collect();
        let differ: Vec<_> = acked.symmetric_difference(&stored).take(5).collect();
        assert!(differ.is_empty(), "acknowledged or stored, not both: {differ:?}");
        Ok(())
    }

    /// The notes of all events with this reason, once there is one: events are written after the status.
    pub async fn events(&self, reason: &str) -> Result<Vec<String>> {
        let started = Instant::now();
        loop {
            let all = self.api::<Event>().list(&ListParams::default()).await?.items;
            let of = all
                .into_iter()
                .filter(|event| event.reason.as_deref() == Some(reason));
            let notes: Vec<_> = of.filter_map(|event| event.note).collect();
            if !notes.is_empty() {
                return Ok(notes);
            }
            if started.elapsed() > WAIT_TIMEOUT {
                bail!("no event {reason}");
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// The output of kubectl in this namespace.
    pub async fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        shell::run("kubectl", &[&["-n", &self.namespace], arguments].concat()).await
    }

    /// The same with text on kubectl's standard input.
    pub async fn feed_kubectl(&self, arguments: &[&str], input: &str) -> Result<String> {
        shell::feed("kubectl", &[&["-n", &self.namespace], arguments].concat(), input).await
    }

    /// The output of `kubectl get pokercluster` by column name.
    pub async fn columns(&self) -> Result<BTreeMap<String, String>> {
        let table = self.kubectl(&["get", "pokercluster", &self.name]).await?;
        println!("{table}");
        let mut lines = table.lines();
        let (Some(header), Some(row)) = (lines.next(), lines.next()) else {
            bail!("kubectl printed no table: {table}")
        };
        let begins: Vec<usize> = header
            .split_whitespace()
            .filter_map(|name| header.find(name))
            .collect();
        let ends = begins.iter().skip(1).copied().chain([usize::MAX]);
        let cell = |line: &str, begin: usize, end: usize| -> String {
            line.chars()
                .take(end)
                .skip(begin)
                .collect::<String>()
                .trim()
                .to_owned()
        };
        Ok(begins
            .iter()
            .zip(ends)
            .map(|(&begin, end)| (cell(header, begin, end), cell(row, begin, end)))
            .collect())
    }

    /// Deletes the namespace and waits for its deletion.
    pub async fn tear_down(self) -> Result<()> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let uid = namespaces.get(&self.namespace).await?.uid().unwrap_or_default();
        namespaces
            .delete(&self.namespace, &DeleteParams::default())
            .await?;
        self.wait_for(namespaces, &self.namespace, is_deleted(&uid)).await
    }

    fn selector(&self, component: &str) -> ListParams {
        ListParams::default().labels(&format!(
            "app.kubernetes.io/instance={},app.kubernetes.io/component={component}",
            self.name
        ))
    }
}

/// The status of a condition if it was set at the current generation.
pub fn condition(cluster: &PokerCluster, kind: &str) -> Option<String> {
    let conditions = &cluster.status.as_ref()?.conditions;
    let found = conditions.iter().find(|condition| condition.type_ == kind)?;
    (found.observed_generation == cluster.metadata.generation).then(|| found.status.clone())
}

/// Waits until the condition holds for an object. A watch may fail or fall behind under load, so it is restarted until
/// `limit` is over.
pub async fn watch_until<K>(api: Api<K>, name: &str, met: impl Condition<K>, limit: Duration) -> Result<()>
where
    K: Clone + Debug + Send + DeserializeOwned + Resource + 'static,
{
    let watch = async {
        let is_met = |object: Option<&K>| met.matches_object(object);
        loop {
            match timeout(WATCH_RESTART, await_condition(api.clone(), name, is_met)).await {
                Ok(Ok(_)) => return,
                Ok(Err(error)) => println!("watching {name} again: {error}"),
                Err(_) => continue,
            }
            sleep(Duration::from_millis(200)).await;
        }
    };
    timeout(limit, watch)
        .await
        .with_context(|| format!("{name} did not meet the condition within {limit:?}"))
}

/// The restarts of all containers of a pod.
pub fn restarts(pod: &Pod) -> i32 {
    let statuses = pod
        .status
        .iter()
        .flat_map(|s| s.container_statuses.iter().flatten());
    statuses.map(|status| status.restart_count).sum()
}

/// A namespace with a unique name that enforces the `restricted` Pod Security Standard.
async fn create_namespace(client: &Client, prefix: &str) -> Result<String> {
    let namespace = serde_json::from_value(json!({
        "metadata": {
            "generateName": format!("{prefix}-"),
            "labels": {"pod-security.kubernetes.io/enforce": "restricted", "app.kubernetes.io/part-of": "e2e"},
        },
    }))?;
    let created = Api::<Namespace>::all(client.clone())
        .create(&PostParams::default(), &namespace)
        .await?;
    Ok(created.name_any())
}
