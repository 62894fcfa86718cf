//! The gateway alone in front of two backend processes that share one Redis, as on Kubernetes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::client::Visitor;
use crate::gatehouse::is_ready;
use crate::process::Process;
use crate::redis::Redis;
use crate::{free_port, program, workspace};

/// The gateway, two backends and Redis. Dropping it stops them all.
pub struct Split {
    /// The https port on loopback.
    pub https_port: u16,
    /// The gateway's admin port.
    pub admin_port: u16,
    /// The gateway process.
    pub gateway: Process,
    /// Both backends, each with its port.
    pub backends: Vec<(u16, Process)>,
    /// The shared Redis.
    pub redis: Redis,
    folder: TempDir,
}

impl Split {
    /// Starts everything and waits until it is ready.
    pub fn start() -> Self {
        let folder = TempDir::new().expect("create a temporary folder");
        let redis = Redis::start();
        let backends: Vec<(u16, Process)> =
            (0..2).map(|_| backend(&redis, folder.path())).collect();
        let [https_port, http_port, admin_port] = [free_port(), free_port(), free_port()];
        let ports: Vec<u16> = backends.iter().map(|(port, _)| *port).collect();
        let settings = configuration(https_port, http_port, admin_port, &ports, folder.path());
        let path = folder.path().join("gateway.toml");
        fs::write(&path, settings).expect("write the configuration");
        let mut gateway = Process::start(
            "gateway",
            Command::new(program("gateway"))
                .arg("run")
                .arg("--config")
                .arg(&path)
                .current_dir(folder.path()),
        );
        gateway.wait_for("readiness", |_| is_ready(admin_port).then_some(()));
        Self { https_port, admin_port, gateway, backends, redis, folder }
    }

    /// A new visitor that trusts the local CA.
    pub fn visitor(&self) -> Visitor {
        Visitor::new(self.https_port, &self.ca())
    }

    /// The local CA's certificate file.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("certs/local-ca.pem")
    }

    /// The configuration file.
    pub fn configuration(&self) -> PathBuf {
        self.folder.path().join("gateway.toml")
    }

    /// The logs of all processes.
    pub fn logs(&self) -> String {
        let backends: String = self.backends.iter().map(|(_, process)| process.log()).collect();
        format!("{}{backends}{}", self.gateway.log(), self.redis.log())
    }
}

/// Starts a backend on this Redis; returns its port too.
fn backend(redis: &Redis, folder: &Path) -> (u16, Process) {
    let [port, admin_port] = [free_port(), free_port()];
    let mut process = Process::start(
        "backend",
        Command::new(program("backend"))
            .args(["--role", "all", "--listen", &format!("127.0.0.1:{port}")])
            .env("REDIS_URL", &redis.url)
            .env("ADMIN_ADDR", format!("127.0.0.1:{admin_port}"))
            .env_remove("OPENAI_API_KEY")
            .current_dir(folder),
    );
    process.wait_for("readiness", |_| is_ready(admin_port).then_some(()));
    (port, process)
}

fn configuration(https: u16, http: u16, admin: u16, backends: &[u16], folder: &Path) -> String {
    let targets: Vec<String> =
        backends.iter().map(|port| format!("\"127.0.0.1:{port}\"")).collect();
    let targets = targets.join(", ");
    let certs = folder.join("certs").display().to_string();
    let ui = workspace().join("ui/dist").display().to_string();
    format!(
        r#"
[[listener]]
name = "https"
address = "localhost:{https}"
protocol = "https"

[[listener]]
name = "http"
address = "localhost:{http}"
protocol = "http"

[[certificate]]
name = "local"
source = "self-signed"
directory = "{certs}"

[[route]]
name = "api"
path_prefix = "/api"
upstream = "api"

[[route]]
name = "live"
path = "/ws"
upstream = "live"
websocket = true

[[route]]
name = "ui"
path_prefix = "/"
static = "ui"

[[site]]
name = "ui"
root = "{ui}"
spa_fallback = "index.html"

[[upstream]]
name = "api"
targets = [{targets}]

[[upstream]]
name = "live"
targets = [{targets}]
balance = "rendezvous"
hash_cookie = "__Host-gatehouse"

[admin]
address = "127.0.0.1:{admin}"
"#
    )
}
