//! The app and Redis as processes.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use tokio::time::Instant;

use crate::client::STUCK;

const POLL: Duration = Duration::from_millis(20);

/// A process that ends with the test.
pub struct Process(pub Child);

impl Process {
    /// `poker-app` with these arguments.
    pub fn poker_app(args: &[&str]) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_poker-app"));
        command.args(args).stdout(Stdio::null()).stderr(Stdio::piped());
        Process(command.spawn().unwrap())
    }

    /// An empty Redis that keeps nothing on disk; returns its URL too.
    pub async fn redis(folder: &Path) -> (Process, String) {
        let port = free_port();
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--port", &port.to_string()]);
        command.arg("--dir").arg(folder).stdout(Stdio::null());
        let child = command.spawn().unwrap_or_else(|error| {
            panic!("cannot start redis-server ({error}): apt-get install redis-server")
        });
        let process = Process(child);
        until("redis listens", async || is_listening(port).await).await;
        (process, format!("redis://127.0.0.1:{port}"))
    }

    /// Asks the process to end, as Kubernetes does.
    pub fn terminate(&self) {
        let pid = self.0.id().to_string();
        let status = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        assert!(status.success());
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    pub async fn ended(&mut self) -> ExitStatus {
        until("the process ends", async || self.0.try_wait().unwrap().is_some()).await;
        self.0.wait().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

pub fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

pub async fn is_listening(port: u16) -> bool {
    tokio::net::TcpStream::connect(local(port)).await.is_ok()
}

/// Waits for the effect of another process.
pub async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + STUCK;
    while !done().await {
        assert!(Instant::now() < end, "stuck: {what}");
        tokio::time::sleep(POLL).await;
    }
}
