//! One bare control plane (etcd, API server, controller-manager) for all tests of this binary.
//!
//! `POKER_TEST_KUBECONFIG` is the kubeconfig of one that already runs. Without it `tests/cluster/apiserver` starts one,
//! and a child process stops it when this process ends, however it ends.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client, Config, ResourceExt,
    api::{Patch, PatchParams},
    client::{ClientBuilder, retry::RetryPolicy},
    config::{KubeConfigOptions, Kubeconfig},
    runtime::wait::{await_condition, conditions},
};
use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};
use tokio::sync::OnceCell;
use tower::retry::RetryLayer;

use crate::faults::Faults;

static KUBECONFIG: OnceLock<PathBuf> = OnceLock::new();

fn kubeconfig() -> &'static Path {
    KUBECONFIG.get_or_init(|| match std::env::var_os("POKER_TEST_KUBECONFIG") {
        Some(path) => path.into(),
        None => start(),
    })
}

fn start() -> PathBuf {
    let script = "../tests/cluster/apiserver";
    let dir = std::env::temp_dir().join(format!("poker-apiserver-{}", std::process::id()));
    // Stops the server when our end of the pipe closes, which happens however this process ends.
    let supervisor = Command::new("sh")
        .arg("-c")
        .arg(r#"cat >/dev/null; "$1" down "$2"; rmdir "$2""#)
        .args(["sh", script])
        .arg(&dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("the supervisor starts");
    std::mem::forget(supervisor);
    let up = Command::new(script)
        .arg("up")
        .arg(&dir)
        .stdin(Stdio::null())
        .status()
        .expect("bash is installed");
    assert!(
        up.success(),
        "tests/cluster/apiserver up {} failed",
        dir.display()
    );
    dir.join("kubeconfig")
}

/// The kubeconfig of the administrator; the first call waits for the API server.
pub async fn kubeconfig_path() -> &'static Path {
    tokio::task::spawn_blocking(kubeconfig)
        .await
        .expect("the API server starts")
}

async fn config() -> Config {
    static CRYPTO: OnceLock<()> = OnceLock::new();
    CRYPTO.get_or_init(poker_operator::controller::install_crypto);
    let path = kubeconfig_path().await;
    let kubeconfig = Kubeconfig::read_from(path).expect("kubeconfig is readable");
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .expect("kubeconfig is valid")
}

/// The administrator's client, without faults; the CRD is installed.
pub async fn client() -> Client {
    static INSTALLED: OnceCell<()> = OnceCell::const_new();
    let client = Client::try_from(config().await).expect("client");
    INSTALLED
        .get_or_init(|| install(client.clone(), poker_operator_api::crd()))
        .await;
    client
}

/// Installs a CRD and waits until it is served.
pub async fn install(client: Client, definition: CustomResourceDefinition) {
    let definitions: Api<CustomResourceDefinition> = Api::all(client);
    let patch = PatchParams::apply("test").force();
    definitions
        .patch(&definition.name_any(), &patch, &Patch::Apply(&definition))
        .await
        .expect("definition");
    let established = conditions::is_crd_established();
    await_condition(definitions, &definition.name_any(), established)
        .await
        .expect("established");
}

/// The operator's client, with `faults` below kube's retries.
pub async fn faulty_client(faults: &Faults) -> Client {
    let mut config = config().await;
    config.default_retry = false;
    ClientBuilder::try_from(config)
        .expect("client")
        .with_layer(faults)
        .with_layer(&RetryLayer::new(RetryPolicy::server_retry()))
        .build()
}
