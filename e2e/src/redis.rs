//! A real Redis of the test's own: empty, on a free port, in memory.

use std::process::Command;

use tempfile::TempDir;

use crate::free_port;
use crate::process::Process;

/// A running Redis. Dropping it stops it.
pub struct Redis {
    /// As `REDIS_URL` takes it.
    pub url: String,
    /// Its port on loopback.
    pub port: u16,
    process: Process,
    folder: TempDir,
}

impl Redis {
    /// Starts Redis and waits until it accepts connections.
    pub fn start() -> Self {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let port = free_port();
        let process = spawn(port, &folder);
        Self { url: format!("redis://127.0.0.1:{port}"), port, process, folder }
    }

    /// All that Redis keeps, as the bytes of a dump: for looking whether something is in it.
    pub fn dump(&self) -> Vec<u8> {
        let file = self.folder.path().join("look.rdb");
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

    /// What it has printed.
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
