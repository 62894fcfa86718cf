//! A real Redis for one test: empty, on a free port, in memory.

use std::process::Command;

use tempfile::TempDir;

use crate::free_port;
use crate::process::Process;

/// A running Redis. Dropping it stops it.
pub struct Redis {
    /// Its URL, as for `REDIS_URL`.
    pub url: String,
    /// Its loopback port.
    pub port: u16,
    process: Process,
    folder: TempDir,
}

impl Redis {
    /// Starts Redis and waits until it accepts connections.
    pub fn start() -> Self {
        let folder = TempDir::new().expect("create a temporary folder");
        let port = free_port();
        let process = spawn(port, &folder);
        Self { url: format!("redis://127.0.0.1:{port}"), port, process, folder }
    }

    /// All data in Redis as the bytes of a dump, to search for a text.
    pub fn dump(&self) -> Vec<u8> {
        let file = self.folder.path().join("dump.rdb");
        let saved = Command::new("redis-cli")
            .args(["-p", &self.port.to_string(), "--rdb"])
            .arg(&file)
            .output()
            .expect("redis-cli is installed with redis-server");
        assert!(
            saved.status.success(),
            "redis-cli --rdb: {}",
            String::from_utf8_lossy(&saved.stderr)
        );
        std::fs::read(&file).expect("redis-cli wrote the dump")
    }

    /// Its output so far.
    pub fn log(&self) -> String {
        self.process.log()
    }
}

fn spawn(port: u16, folder: &TempDir) -> Process {
    let mut process = Process::start(
        "redis-server",
        Command::new("redis-server")
            .args([
                "--port",
                &port.to_string(),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--appendonly",
                "no",
            ])
            .args(["--rdbcompression", "no", "--maxmemory-policy", "noeviction", "--dir"])
            .arg(folder.path()),
    );
    process.wait_for_log("Ready to accept connections");
    process
}
