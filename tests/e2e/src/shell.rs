//! Commands on this machine and in pods.

use std::process::Stdio;

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, AttachParams};
use tokio::io::AsyncReadExt;
use tokio::process::Command;

/// Runs a program and returns what it printed; fails with its error output.
pub async fn run(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .await
        .with_context(|| format!("cannot run {program}: put it on PATH"))?;
    if !output.status.success() {
        bail!(
            "{program} {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Runs a command in a pod and returns what it printed.
pub async fn exec(pods: &Api<Pod>, pod: &str, command: &[&str]) -> Result<String> {
    let parameters = AttachParams::default().stdout(true).stderr(true);
    let mut process = pods.exec(pod, command.iter().copied(), &parameters).await?;
    let (mut out, mut err) = (String::new(), String::new());
    let stdout = process.stdout().context("no standard output")?;
    let stderr = process.stderr().context("no standard error")?;
    let status = process.take_status().context("no status")?;
    tokio::pin!(stdout, stderr);
    let (read_out, read_err) = tokio::join!(stdout.read_to_string(&mut out), stderr.read_to_string(&mut err));
    read_out?;
    read_err?;
    match status.await {
        Some(status) if status.status.as_deref() == Some("Success") => Ok(out),
        status => bail!("{} in {pod}: {status:?} {}", command.join(" "), err.trim()),
    }
}
