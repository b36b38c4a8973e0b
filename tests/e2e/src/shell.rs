//! Commands on this machine and in pods.

use std::process::Stdio;

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, AttachParams};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

/// Runs a program and returns its standard output; fails with its standard error.
pub async fn run(program: &str, arguments: &[&str]) -> Result<String> {
    feed(program, arguments, "").await
}

/// The same with text on its standard input.
pub async fn feed(program: &str, arguments: &[&str], input: &str) -> Result<String> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {program}: put it on PATH"))?;
    let mut stdin = child.stdin.take().context("no standard input")?;
    stdin.write_all(input.as_bytes()).await?;
    drop(stdin);
    let output = child.wait_with_output().await?;
    if !output.status.success() {
        bail!(
            "{program} {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Runs a command in a pod and returns its standard output.
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
