//! The gateway alone, in front of a given backend port.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::balancer::Target;
use crate::client::Visitor;
use crate::gatehouse::{admin, is_ready};
use crate::process::Process;
use crate::{free_port, program};

/// A running gateway in its own folder. Dropping it stops it.
pub struct Edge {
    /// The https port on loopback.
    pub https_port: u16,
    /// The admin port.
    pub admin_port: u16,
    /// The gateway process.
    pub gateway: Process,
    base: String,
    folder: TempDir,
}

impl Edge {
    /// Starts the gateway in front of a backend on this port, without an effective rate limit, and
    /// waits until it is ready.
    pub fn start(backend: u16) -> Self {
        Self::start_with(backend, "", "")
    }

    /// Like `start`, with additional keys for the https listener and additional sections.
    pub fn start_with(backend: u16, listener: &str, sections: &str) -> Self {
        let target = Target { https: free_port(), admin: free_port() };
        Self::run(target, base(target, backend, listener, LOCAL), sections)
    }

    /// Like `start` on these ports, with the test's own `[[certificate]]` and additional sections.
    pub fn start_at(target: Target, backend: u16, certificate: &str, sections: &str) -> Self {
        Self::run(target, base(target, backend, "", certificate), sections)
    }

    fn run(target: Target, base: String, sections: &str) -> Self {
        let folder = TempDir::new().expect("create a temporary folder");
        let Target { https: https_port, admin: admin_port } = target;
        let path = folder.path().join("gateway.toml");
        fs::write(&path, format!("{base}{sections}")).expect("write the configuration");
        let mut gateway = Process::start(
            "gateway",
            Command::new(program("gateway"))
                .arg("run")
                .arg("--config")
                .arg(&path)
                .current_dir(folder.path()),
        );
        gateway.wait_for("readiness", |_| is_ready(admin_port).then_some(()));
        Self { https_port, admin_port, gateway, base, folder }
    }

    /// Replaces the configuration file atomically. Only the gateway's file watcher reloads it.
    pub fn rewrite(&self, sections: &str) {
        let path = self.folder.path().join("gateway.toml");
        let next = path.with_extension("next");
        fs::write(&next, format!("{}{sections}", self.base)).expect("write the configuration");
        fs::rename(&next, &path).expect("replace the configuration");
    }

    /// Writes a second configuration with the same listeners next to the first, and returns its
    /// path.
    pub fn write(&self, name: &str, sections: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, format!("{}{sections}", self.base)).expect("write the configuration");
        path
    }

    /// A path in the gateway's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A `gateway` command in the gateway's folder with this configuration.
    pub fn command(&self, arguments: &[&str], config: &str) -> Command {
        let mut command = Command::new(program("gateway"));
        command
            .args(arguments)
            .arg("--config")
            .arg(self.path(config))
            .current_dir(self.folder.path());
        command.env_remove("NOTIFY_SOCKET");
        command
    }

    /// Starts a successor with this configuration.
    pub fn successor(&self, config: &str) -> Process {
        Process::start("successor", &mut self.command(&["run", "--take-over"], config))
    }

    /// Sends `POST /reload` and returns status and report.
    pub fn reload(&self) -> (u16, String) {
        admin(self.admin_port, "POST", "/reload").expect("the admin address answers")
    }

    /// A new visitor that trusts the local CA.
    pub fn visitor(&self) -> Visitor {
        Visitor::new(self.https_port, &self.ca())
    }

    /// A new visitor that trusts only this root.
    pub fn visitor_trusting(&self, root: &Path) -> Visitor {
        Visitor::new(self.https_port, root)
    }

    /// The local CA's certificate file.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("certs/local-ca.pem")
    }
}

/// The keys of a certificate from the local authority.
const LOCAL: &str = "name = \"local\"\nsource = \"self-signed\"\ndirectory = \"certs\"\n";

fn base(
    Target { https, admin }: Target,
    backend: u16,
    listener: &str,
    certificate: &str,
) -> String {
    format!(
        r#"
[[listener]]
name = "https"
address = "localhost:{https}"
protocol = "https"
{listener}

[[certificate]]
{certificate}
[[route]]
name = "api"
path_prefix = "/api"
upstream = "backend"

[[route]]
name = "live"
path = "/ws"
upstream = "backend"
websocket = true

[[upstream]]
name = "backend"
targets = ["127.0.0.1:{backend}"]

[limits]
rate_limit = {{ per_second = 1000000, burst = 1000000 }}

[log]
access = false

[admin]
address = "127.0.0.1:{admin}"
"#
    )
}
