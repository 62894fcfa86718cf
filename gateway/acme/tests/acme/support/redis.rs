//! A Redis of one's own.

use super::{Process, free_port, listening};
use gateway_acme::RedisStorage;
use std::process::{Command, Stdio};
use tempfile::TempDir;

pub(crate) const SECRET: &[u8] = b"a secret of thirty-two bytes or more";

pub(crate) struct Redis {
    port: u16,
    process: Option<Process>,
    directory: TempDir,
}

impl Redis {
    pub(crate) async fn start() -> Self {
        let mut redis = Self { port: free_port(), process: None, directory: tempfile::tempdir().unwrap() };
        redis.up().await;
        redis
    }

    /// Ends it; what it knew is lost.
    pub(crate) fn down(&mut self) {
        self.process = None;
    }

    /// Starts it (again), on the same port.
    pub(crate) async fn up(&mut self) {
        let process = Command::new("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .arg("--dir")
            .arg(self.directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed");
        self.process = Some(Process(process));
        listening(self.port).await;
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn storage(&self) -> RedisStorage {
        RedisStorage::connect(&self.url(), "test", SECRET).unwrap()
    }
}
