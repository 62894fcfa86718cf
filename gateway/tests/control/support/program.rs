//! The `gateway` program as a process.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

use super::{SOON, install_provider, replace, trusting, within};

/// A running gateway and its log.
pub(crate) struct Program {
    pub(crate) child: Child,
    pub(crate) log: Lines<BufReader<ChildStderr>>,
    pub(crate) https: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) directory: TempDir,
}

/// The program with these arguments, in this directory.
pub(crate) fn program(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gateway"));
    command
        .args(arguments)
        .current_dir(directory)
        .env_remove("RUST_LOG")
        .env_remove("GATEWAY_CONFIG")
        .kill_on_drop(true);
    command
}

impl Program {
    pub(crate) async fn run(config: &str) -> Self {
        install_provider();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("gateway.toml"), config).unwrap();
        let mut child = program(directory.path(), &["run"]).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let https = address(&next(&mut log, "\"message\":\"listening\"").await);
        let admin = address(&next(&mut log, "\"message\":\"admin\"").await);
        Self { child, log, https, admin, directory }
    }

    pub(crate) async fn reload(&self, config: &str) {
        replace(&self.directory.path().join("gateway.toml"), config);
        let url = format!("http://{}/reload", self.admin);
        assert_eq!(reqwest::Client::new().post(url).send().await.unwrap().status(), 200);
    }

    pub(crate) async fn ask(&self, path: &str) {
        let client = trusting(&self.directory.path().join("certs/local-ca.pem"));
        client.get(format!("https://localhost:{}{path}", self.https.port())).send().await.unwrap();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().unwrap().try_into().unwrap()), signal).unwrap();
    }

    /// Stops it with SIGTERM and returns the rest of its log.
    pub(crate) async fn end(mut self) -> Vec<String> {
        self.signal(Signal::SIGTERM);
        let mut lines = Vec::new();
        while let Some(line) = within(SOON, self.log.next_line()).await.unwrap() {
            lines.push(line);
        }
        assert!(within(SOON, self.child.wait()).await.unwrap().success());
        lines
    }
}

fn address(line: &str) -> SocketAddr {
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    line["address"].as_str().unwrap().parse().unwrap()
}

/// The next line of the log that contains this text.
pub(crate) async fn next(log: &mut Lines<BufReader<ChildStderr>>, text: &str) -> String {
    let find = async {
        loop {
            let line = log
                .next_line()
                .await
                .unwrap()
                .unwrap_or_else(|| panic!("the log ended before {text:?} was found"));
            if line.contains(text) {
                return line;
            }
        }
    };
    within(SOON, find).await
}
