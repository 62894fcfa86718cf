//! Real `redis-server` processes on free loopback ports, each in a folder of its own, stopped when
//! dropped.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use backend_store::redis::RedisSettings;
use tempfile::TempDir;
use test_ports::free_port;

/// Deadline for starting a server.
const DEADLINE: Duration = Duration::from_secs(60);

/// One server without persistence.
pub(crate) struct RedisServer {
    folder: TempDir,
    port: u16,
    tls: bool,
    more: Vec<String>,
    process: Child,
}

impl RedisServer {
    pub(crate) fn start() -> Self {
        Self::with(tempfile::tempdir().unwrap(), false, &[])
    }

    /// With a certificate for `localhost` from its own authority; TLS only.
    pub(crate) fn start_tls() -> Self {
        let folder = tempfile::tempdir().unwrap();
        certify(folder.path());
        Self::with(folder, true, &[])
    }

    fn with(folder: TempDir, tls: bool, more: &[&str]) -> Self {
        let more = more.iter().map(|&option| option.to_owned()).collect::<Vec<_>>();
        // Another process may take the free port first: try another one.
        for _ in 0..20 {
            let port = free_port();
            if let Some(process) = launch(folder.path(), port, tls, &more) {
                return Self { folder, port, tls, more, process };
            }
        }
        panic!("redis-server does not start; is it installed?");
    }

    pub(crate) fn settings(&self) -> RedisSettings {
        let scheme = if self.tls { "rediss" } else { "redis" };
        let ca_file = self.tls.then(|| self.folder.path().join("ca.pem"));
        RedisSettings {
            url: format!("{scheme}://localhost:{}", self.port),
            ca_file,
            ..RedisSettings::default()
        }
    }

    /// Its working folder, in which it saves its data.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Kills it (SIGKILL).
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Suspends it (SIGSTOP): connections stay open and get no response.
    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn go_on(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        assert!(
            Command::new("kill")
                .args([signal, &self.process.id().to_string()])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Starts it again on the same port, empty.
    pub(crate) fn restart(&mut self) {
        let start = Instant::now();
        while start.elapsed() < DEADLINE {
            if let Some(process) = launch(self.folder(), self.port, self.tls, &self.more) {
                self.process = process;
                return;
            }
        }
        panic!("redis-server does not come back on port {}", self.port);
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // It may be dead already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A cluster of three masters.
pub(crate) struct RedisCluster {
    nodes: Vec<RedisServer>,
}

impl RedisCluster {
    pub(crate) async fn start() -> Self {
        let options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "5000"];
        let nodes: Vec<_> = (0..3)
            .map(|_| RedisServer::with(tempfile::tempdir().unwrap(), false, &options))
            .collect();
        for (node, slots) in
            nodes.iter().zip([("0", "5460"), ("5461", "10922"), ("10923", "16383")])
        {
            node.ask(&["CLUSTER", "ADDSLOTSRANGE", slots.0, slots.1]).await;
            for other in &nodes {
                // Only a bus port that is passed explicitly is known to be free.
                let (port, bus) = (other.port.to_string(), (other.bus_port()).to_string());
                node.ask(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]).await;
            }
        }
        let cluster = Self { nodes };
        let start = Instant::now();
        while !cluster.formed().await {
            assert!(start.elapsed() < 3 * DEADLINE, "the cluster does not form");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        cluster
    }

    async fn formed(&self) -> bool {
        for node in &self.nodes {
            let info = node.ask(&["CLUSTER", "INFO"]).await;
            if !info.contains("cluster_state:ok") || !info.contains("cluster_known_nodes:3") {
                return false;
            }
        }
        true
    }

    pub(crate) fn settings(&self) -> RedisSettings {
        let hosts: Vec<String> =
            self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        RedisSettings {
            url: format!("redis-cluster://{}", hosts.join(",")),
            ..RedisSettings::default()
        }
    }

    pub(crate) async fn empty(&self) {
        for node in &self.nodes {
            node.ask(&["FLUSHALL"]).await;
        }
    }
}

/// One sentinel that monitors one server.
pub(crate) struct Sentinel(RedisServer);

impl Sentinel {
    pub(crate) async fn start(master: &RedisServer) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let watch = format!("sentinel monitor mymaster 127.0.0.1 {} 1\n", master.port);
        std::fs::write(folder.path().join("sentinel.conf"), watch).unwrap();
        Self(RedisServer::with(folder, false, &["--sentinel"]))
    }

    pub(crate) fn settings(&self) -> RedisSettings {
        let url = format!("redis-sentinel://127.0.0.1:{}/mymaster", self.0.port);
        RedisSettings { url, ..RedisSettings::default() }
    }
}

impl RedisServer {
    /// All keys.
    pub(crate) async fn keys(&self) -> Vec<String> {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port)).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        redis::cmd("KEYS").arg("*").query_async(&mut connection).await.unwrap()
    }

    /// Sends one command over its own connection.
    pub(crate) async fn ask(&self, command: &[&str]) -> String {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port)).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut request = redis::cmd(command[0]);
        request.arg(&command[1..]);
        let answer: redis::Value = request.query_async(&mut connection).await.unwrap();
        match answer {
            redis::Value::BulkString(bytes) => String::from_utf8(bytes).unwrap(),
            redis::Value::VerbatimString { text, .. } => text,
            redis::Value::Int(number) => number.to_string(),
            other => format!("{other:?}"),
        }
    }

    fn bus_port(&self) -> u16 {
        bus_port(self.port)
    }
}

/// The default, port + 10000, may exceed the port range.
fn bus_port(port: u16) -> u16 {
    if port > 55_000 { port - 10_000 } else { port + 10_000 }
}

fn launch(folder: &Path, port: u16, tls: bool, more: &[String]) -> Option<Child> {
    let mut command = Command::new("redis-server");
    // A configuration file comes first; a sentinel writes to its own.
    let is_sentinel = more.iter().any(|option| option == "--sentinel");
    if is_sentinel {
        command.args(["sentinel.conf", "--sentinel"]);
    }
    command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.args(["--bind", "127.0.0.1", "--loglevel", "warning"]);
    if !is_sentinel {
        command.args(["--save", "", "--appendonly", "no"]);
    }
    if tls {
        command.args(["--port", "0", "--tls-port", &port.to_string(), "--tls-auth-clients", "no"]);
        command.args([
            "--tls-cert-file",
            "leaf.pem",
            "--tls-key-file",
            "leaf.key",
            "--tls-ca-cert-file",
            "ca.pem",
        ]);
    } else {
        command.args(["--port", &port.to_string()]);
    }
    if more.iter().any(|option| option == "--cluster-enabled") {
        command.args(more).args(["--cluster-port", &bus_port(port).to_string()]);
    }
    let mut process = command.spawn().expect("redis-server can be started: it is installed");
    let start = Instant::now();
    while start.elapsed() < DEADLINE {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Some(process);
        }
        if process.try_wait().unwrap().is_some() {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let _ = process.kill();
    let _ = process.wait();
    None
}

/// An authority, and a certificate for `localhost` signed by it.
fn certify(folder: &Path) {
    let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let authority_certificate = authority.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::from_params(&authority, &authority_key);
    let leaf_key = rcgen::KeyPair::generate().unwrap();
    let leaf = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&leaf_key, &issuer).unwrap();
    std::fs::write(folder.join("ca.pem"), authority_certificate.pem()).unwrap();
    std::fs::write(folder.join("leaf.pem"), leaf.pem()).unwrap();
    std::fs::write(folder.join("leaf.key"), leaf_key.serialize_pem()).unwrap();
}
