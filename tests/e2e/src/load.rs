//! Load over WebSockets from a pod inside the cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, LogParams, PostParams};
use serde::Deserialize;
use serde_json::json;

use crate::World;
use crate::images;
use crate::world::{WAIT_TIMEOUT, watch_until};

/// A pod that runs `poker-app load`.
pub struct Load {
    pods: Api<Pod>,
    name: String,
    seconds: u64,
}

/// The output of `poker-app load --json`; see its `--help`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadReport {
    pub teams: u64,
    pub teams_ready: u64,
    pub votes_sent: u64,
    pub votes_acked: u64,
    pub votes_unseen: u64,
    pub votes_lost: u64,
    pub votes_doubled: u64,
    pub sockets_closed_by_server: u64,
    pub seq_gaps: u64,
    pub reconnects: u64,
    /// Rejected commands by error code.
    pub errors: BTreeMap<String, u64>,
    pub latency_ms: Latencies,
    /// The acknowledged votes.
    #[serde(skip)]
    pub votes: Votes,
}

/// Votes as `team round participant card`.
#[derive(Default)]
pub struct Votes(pub BTreeSet<String>);

impl fmt::Debug for Votes {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "{} votes", self.0.len())
    }
}

/// A line of `--record`.
#[derive(Deserialize)]
struct RecordedVote {
    team: String,
    round: u64,
    participant: String,
    card: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Latencies {
    pub vote_to_ack: Latency,
    pub vote_to_seen: Latency,
}

/// Milliseconds.
#[derive(Debug, Deserialize)]
pub struct Latency {
    pub p50: f64,
    pub p99: f64,
    pub max: f64,
}

impl LoadReport {
    /// As [`assert_nothing_lost`](Self::assert_nothing_lost), and the server closed no socket.
    pub fn assert_undisturbed(&self) {
        self.assert_nothing_lost();
        assert_eq!(self.sockets_closed_by_server, 0, "{self:?}");
    }

    /// Every team voted, every vote was acknowledged and seen, none was lost or doubled, and no client saw a gap in the
    /// sequence of events.
    pub fn assert_nothing_lost(&self) {
        assert!(self.votes_acked > 0, "the load did not vote: {self:?}");
        assert_eq!(
            (self.teams_ready, self.votes_acked, self.votes_unseen),
            (self.teams, self.votes_sent, 0),
            "teams that voted, votes acknowledged, votes unseen: {self:?}"
        );
        assert_eq!(
            (self.votes_lost, self.votes_doubled, self.seq_gaps),
            (0, 0, 0),
            "votes lost, votes doubled, gaps: {self:?}"
        );
    }
}

impl Load {
    /// Starts `teams` × `participants` participants that cast `rate` votes a second in total.
    pub async fn start(
        world: &World,
        teams: u32,
        participants: u32,
        rate: u32,
        seconds: u64,
    ) -> Result<Self> {
        let pods: Api<Pod> = Api::namespaced(world.client.clone(), &world.namespace);
        let pod = serde_json::from_value(json!({
            "metadata": {"generateName": "load-", "labels": {"app": "load"}},
            "spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": false,
                "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [{
                    "name": "load",
                    "image": format!("{}:{}", images::app_repository(), images::version()),
                    "imagePullPolicy": "IfNotPresent",
                    "args": [
                        "load", "--json", "--record", "-",
                        "--url", format!("ws://{}.{}.svc", world.name, world.namespace),
                        "--teams", teams.to_string(), "--participants", participants.to_string(),
                        "--rate", rate.to_string(), "--seconds", seconds.to_string(), "--allow-remote",
                    ],
                    "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
                }],
            },
        }))?;
        let created = pods.create(&PostParams::default(), &pod).await?;
        let name = created.metadata.name.context("the pod has no name")?;
        Ok(Self { pods, name, seconds })
    }

    /// Asserts that the load still runs, so that everything so far happened under load.
    pub async fn assert_running(&self) -> Result<()> {
        let status = self.pods.get(&self.name).await?.status;
        let phase = status.and_then(|status| status.phase);
        assert_eq!(phase.as_deref(), Some("Running"), "the load ended too early");
        Ok(())
    }

    /// Waits for the load's end and returns its report.
    pub async fn finish(self) -> Result<LoadReport> {
        let ended = |pod: Option<&Pod>| {
            pod.and_then(|pod| pod.status.as_ref()?.phase.as_deref())
                .is_some_and(|phase| matches!(phase, "Succeeded" | "Failed"))
        };
        let limit = Duration::from_secs(self.seconds) + WAIT_TIMEOUT;
        watch_until(self.pods.clone(), &self.name, ended, limit).await?;
        let logs = self.pods.logs(&self.name, &LogParams::default()).await?;
        let mut lines = logs.lines().filter(|line| line.starts_with('{'));
        let Some(report) = lines.next_back() else {
            bail!("load {} printed no report:\n{logs}", self.name)
        };
        let mut report: LoadReport =
            serde_json::from_str(report).with_context(|| format!("cannot read the report {report}"))?;
        for line in lines {
            let vote: RecordedVote = serde_json::from_str(line)?;
            let text = format!("{} {} {} {}", vote.team, vote.round, vote.participant, vote.card);
            report.votes.0.insert(text);
        }
        println!("{report:?}");
        self.pods.delete(&self.name, &DeleteParams::default()).await?;
        Ok(report)
    }
}
