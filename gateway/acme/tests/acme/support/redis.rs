//! A Redis of one's own.

use super::{Process, free_port, listening};
use gateway_acme::RedisStorage;
use std::process::{Command, Stdio};
use tempfile::TempDir;

pub(crate) const SECRET: &[u8] = b"a secret of thirty-two bytes or more";

pub(crate) struct Redis {
    port: u16,
    _process: Process,
    _directory: TempDir,
}

impl Redis {
    pub(crate) async fn start() -> Self {
        let (port, directory) = (free_port(), tempfile::tempdir().unwrap());
        let process = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .arg("--dir")
            .arg(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed");
        let process = Process(process);
        listening(port).await;
        Self { port, _process: process, _directory: directory }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn storage(&self) -> RedisStorage {
        RedisStorage::connect(&self.url(), "test", SECRET).unwrap()
    }
}
