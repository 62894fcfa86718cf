//! The gateway alone, in front of whatever listens on these ports.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::balancer::Target;
use crate::client::Visitor;
use crate::gatehouse::{admin, is_ready};
use crate::process::Process;
use crate::{free_port, program};

/// A running gateway with a folder of its own. Dropping it stops it.
pub struct Edge {
    /// Where https is served, on loopback.
    pub https_port: u16,
    /// Where metrics, health and reload are.
    pub admin_port: u16,
    /// The program.
    pub gateway: Process,
    base: String,
    folder: TempDir,
}

impl Edge {
    /// Starts it in front of a backend on this port, with room for load, and waits until it is
    /// ready.
    pub fn start(backend: u16) -> Self {
        Self::start_with(backend, "", "")
    }

    /// The same, with further keys of the https listener and further sections.
    pub fn start_with(backend: u16, listener: &str, sections: &str) -> Self {
        let target = Target { https: free_port(), admin: free_port() };
        Self::run(target, base(target, backend, listener, LOCAL), sections)
    }

    /// The same on these ports, with a `[[certificate]]` of the test's own and further sections.
    pub fn start_at(target: Target, backend: u16, certificate: &str, sections: &str) -> Self {
        Self::run(target, base(target, backend, "", certificate), sections)
    }

    fn run(target: Target, base: String, sections: &str) -> Self {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let Target { https: https_port, admin: admin_port } = target;
        let path = folder.path().join("gateway.toml");
        fs::write(&path, format!("{base}{sections}")).expect("the configuration can be written");
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

    /// Puts a new configuration in the place of the old one at once, as careful tools do; nothing
    /// reloads it yet but the gateway's own watch.
    pub fn rewrite(&self, sections: &str) {
        let path = self.folder.path().join("gateway.toml");
        let next = path.with_extension("next");
        fs::write(&next, format!("{}{sections}", self.base))
            .expect("the configuration can be written");
        fs::rename(&next, &path).expect("the configuration can be replaced");
    }

    /// Another configuration beside the first, of the same listeners, and its path.
    pub fn write(&self, name: &str, sections: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, format!("{}{sections}", self.base))
            .expect("the configuration can be written");
        path
    }

    /// A path in its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A `gateway` command in its folder with this configuration.
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

    /// Starts another process that takes over, with this configuration.
    pub fn successor(&self, config: &str) -> Process {
        Process::start("successor", &mut self.command(&["run", "--take-over"], config))
    }

    /// `POST /reload`: status and report.
    pub fn reload(&self) -> (u16, String) {
        admin(self.admin_port, "POST", "/reload").expect("the admin address answers")
    }

    /// A new visitor who trusts the local CA.
    pub fn visitor(&self) -> Visitor {
        Visitor::new(self.https_port, &self.ca())
    }

    /// A new visitor who trusts this root alone.
    pub fn visitor_trusting(&self, root: &Path) -> Visitor {
        Visitor::new(self.https_port, root)
    }

    /// The local CA.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("certs/local-ca.pem")
    }
}

/// A certificate of the local authority.
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
