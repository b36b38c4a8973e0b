//! The binary as a pod runs it: a process that SIGTERM ends.

use crate::{
    leadership::holder,
    server,
    world::{WAIT_TIMEOUT, World},
};
use k8s_openapi::api::{apps::v1::Deployment, coordination::v1::Lease};
use serde_json::{Value, json};
use std::{fs::File, net::TcpListener, time::Duration};
use tokio::process::{Child, Command};

struct Program {
    child: Child,
    admin: String,
    log: tempfile::NamedTempFile,
}

impl Program {
    async fn start(world: &World) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        let log = tempfile::NamedTempFile::new().unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_poker-operator"))
            .args(["run", "--admin-listen", &address])
            .args([
                "--watch-namespace",
                &world.namespace,
                "--namespace",
                &world.namespace,
            ])
            .env("KUBECONFIG", server::kubeconfig_path().await)
            .stdout(File::create(log.path()).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self {
            child,
            admin: format!("http://{address}"),
            log,
        }
    }

    async fn get(&self, path: &str) -> Option<(u16, String)> {
        let response = reqwest::get(format!("{}{path}", self.admin)).await.ok()?;
        Some((response.status().as_u16(), response.text().await.ok()?))
    }

    async fn until_ready(&self) {
        let ready = async {
            while !matches!(self.get("/ready").await, Some((200, _))) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(WAIT_TIMEOUT, ready)
            .await
            .expect("the operator is ready");
    }

    /// Ends the process as the kubelet does and returns the exit code and the log.
    async fn terminate(mut self) -> (Option<i32>, String) {
        let pid = self.child.id().unwrap().to_string();
        let killed = Command::new("kill").args(["-TERM", &pid]).status().await;
        assert!(killed.unwrap().success());
        let status = tokio::time::timeout(WAIT_TIMEOUT, self.child.wait()).await;
        let code = status.expect("the process ends").unwrap().code();
        (code, std::fs::read_to_string(self.log.path()).unwrap())
    }
}

#[tokio::test]
async fn the_binary_answers_probes_logs_json_and_exits_cleanly_on_sigterm() {
    let world = World::new("program").await;
    let program = Program::start(&world).await;
    program.until_ready().await;
    world.create("demo", json!({"version": "1.0.0"})).await.unwrap();
    world.until::<Deployment>("demo-worker", "there", |_| true).await;
    assert_eq!(program.get("/live").await.unwrap().0, 200);
    let (status, metrics) = program.get("/metrics").await.unwrap();
    assert_eq!(status, 200);
    assert!(
        metrics.contains("poker_operator_reconcile_duration_seconds_count"),
        "{metrics}"
    );

    let (code, log) = program.terminate().await;
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("stopping"), "{log}");
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).expect("every line is JSON");
        for key in ["timestamp", "level", "message"] {
            assert!(line[key].is_string(), "no {key} in {line}");
        }
    }
    let lease = world.api::<Lease>().get("poker-operator").await.unwrap();
    assert_eq!(holder(&lease), None, "another operator can lead at once");
    world.remove().await;
}
