//! `gatehouse`, as started by `make run`: embedded store, demo model, local certificate.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::client::Visitor;
use crate::process::Process;
use crate::{free_port, program};

/// A running `gatehouse` in its own folder. Dropping it stops it.
pub struct Gatehouse {
    /// The https port on loopback.
    pub https_port: u16,
    /// The http port, which redirects.
    pub http_port: u16,
    /// The admin port.
    pub admin_port: u16,
    /// The process.
    pub process: Process,
    folder: TempDir,
}

impl Gatehouse {
    /// Starts `gatehouse` on free ports and waits until it is ready.
    pub fn start() -> Self {
        Self::start_with(|_, _| {})
    }

    /// Like `start`, after `adjust` has changed the command line; it also receives the folder.
    pub fn start_with(adjust: impl FnOnce(&mut Command, &Path)) -> Self {
        let folder = TempDir::new().expect("create a temporary folder");
        let [https_port, http_port, admin_port] = [free_port(), free_port(), free_port()];
        Self::run(folder, https_port, http_port, admin_port, adjust)
    }

    /// Like `start_with` on these ports: https, http, admin.
    pub fn start_at(
        [https, http, admin]: [u16; 3],
        adjust: impl FnOnce(&mut Command, &Path),
    ) -> Self {
        Self::run(TempDir::new().expect("create a temporary folder"), https, http, admin, adjust)
    }

    /// Starts a new process in the same folder on other ports, after the old one has exited.
    pub fn restart(self) -> Self {
        let [https_port, http_port, admin_port] = [free_port(), free_port(), free_port()];
        let Self { folder, .. } = self;
        Self::run(folder, https_port, http_port, admin_port, |_, _| {})
    }

    fn run(
        folder: TempDir,
        https_port: u16,
        http_port: u16,
        admin_port: u16,
        adjust: impl FnOnce(&mut Command, &Path),
    ) -> Self {
        let mut command = command(&folder, https_port, http_port, admin_port);
        adjust(&mut command, folder.path());
        let process = Process::start("gatehouse", &mut command);
        let mut running = Self { https_port, http_port, admin_port, process, folder };
        running.process.wait_for("readiness", |_| is_ready(admin_port).then_some(()));
        running
    }

    /// A new visitor that trusts the local CA.
    pub fn visitor(&self) -> Visitor {
        Visitor::new(self.https_port, &self.ca())
    }

    /// The local CA's certificate file.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("certs/local-ca.pem")
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The contents of all data files, to search for a text.
    pub fn stored(&self) -> Vec<u8> {
        let mut all = Vec::new();
        collect(&self.data(), &mut all);
        assert!(!all.is_empty(), "the store is not empty");
        all
    }
}

/// The command line for a folder and ports.
pub fn command(folder: &TempDir, https_port: u16, http_port: u16, admin_port: u16) -> Command {
    let mut command = Command::new(program("gatehouse"));
    command
        .arg("--https")
        .arg(format!("localhost:{https_port}"))
        .arg("--http")
        .arg(format!("localhost:{http_port}"))
        .arg("--admin")
        .arg(format!("127.0.0.1:{admin_port}"))
        .current_dir(folder.path())
        .env_remove("OPENAI_API_KEY")
        .env_remove("REDIS_URL");
    command
}

/// Whether `/readyz` on this admin port answers 200.
pub fn is_ready(admin_port: u16) -> bool {
    admin(admin_port, "GET", "/readyz").is_some_and(|(status, _)| status == 200)
}

/// Sends a request to an admin address without an HTTP library; `None` without an answer.
pub fn admin(port: u16, method: &str, path: &str) -> Option<(u16, String)> {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(std::time::Duration::from_secs(60))).ok()?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split_whitespace().nth(1)?.parse().ok()?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Some((status, body.to_owned()))
}

fn collect(folder: &Path, all: &mut Vec<u8>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, all);
        } else if path.is_file() {
            all.extend(fs::read(&path).expect("read a data file"));
        }
    }
}
