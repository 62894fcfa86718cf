//! HAProxy in front of several gateways as a layer-4 load balancer: it passes TLS through and
//! checks `/readyz`.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use tempfile::TempDir;

use crate::free_port;
use crate::process::{Process, eventually};

/// A running HAProxy. Dropping it stops it.
pub struct Balancer {
    /// The loopback port for clients.
    pub port: u16,
    _process: Process,
    _folder: TempDir,
}

/// A gateway behind it.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its https port.
    pub https: u16,
    /// Its admin port.
    pub admin: u16,
}

impl Balancer {
    /// Starts HAProxy. A target gets connections while it is ready.
    pub fn start(targets: &[Target]) -> Self {
        let (port, folder) = (free_port(), TempDir::new().expect("create a temporary folder"));
        let mut text = format!(
            "defaults\n  mode tcp\n  balance roundrobin\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n\
             listen tls\n  bind 127.0.0.1:{port}\n  option redispatch 1\n  retries 5\n  option httpchk GET /readyz\n"
        );
        for (index, Target { https, admin }) in targets.iter().enumerate() {
            let _ = writeln!(
                text,
                "  server s{index} 127.0.0.1:{https} check port {admin} inter 200 fall 1 rise 1"
            );
        }
        let path = folder.path().join("haproxy.cfg");
        fs::write(&path, text).expect("write the configuration");
        // On Debian, HAProxy is in a directory of root's PATH only.
        let search = std::env::var("PATH").unwrap_or_default() + ":/usr/local/sbin:/usr/sbin";
        let process = Process::start(
            "haproxy",
            Command::new("haproxy").env("PATH", search).args(["-db", "-f"]).arg(path),
        );
        eventually("HAProxy to listen", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
        Self { port, _process: process, _folder: folder }
    }
}
