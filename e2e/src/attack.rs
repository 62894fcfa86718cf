//! A gateway under attack: a door of every kind, a backend that records what reaches it, and what
//! must hold afterwards.

pub mod cases;
pub mod recorder;
pub mod wire;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::gatehouse::is_ready;
use crate::process::{PATIENCE, Process, eventually};
use crate::{free_port, program, scrape, workspace};
use recorder::Recorder;
use wire::Wire;

/// `[limits]` for tests that are not about the rate of requests.
pub const NO_RATE: &str = "rate_limit = { per_second = 1000000, burst = 1000000 }";
/// Longest line that the gateway may log, in bytes.
pub const LINE_MAX: usize = 8 * 1024;
/// Bytes of `/big.bin`.
pub const BIG_FILE: usize = 2 << 20;
/// What only stands in a file outside of the site.
pub const SECRET: &str = "this is outside of the site";
/// What stands in the page.
pub const PAGE: &str = "<!doctype html><title>the page</title>";
/// Descriptors that may be open more than before: kept connections to the backend, and those being
/// closed.
const MORE_DESCRIPTORS: usize = 24;

/// A running gateway with a folder of its own. Dropping it stops it.
pub struct Attacked {
    /// Where TLS is spoken, on loopback.
    pub https: u16,
    /// Where the routes are served in plain HTTP/1.1.
    pub plain: u16,
    /// Where plain HTTP/1.1 is redirected to https.
    pub redirect: u16,
    /// The admin address.
    pub admin: u16,
    /// The program.
    pub gateway: Process,
    /// What it stands before.
    pub backend: Recorder,
    /// Its folder; the site is in `site`.
    pub folder: TempDir,
    descriptors: usize,
}

/// By which door a request comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// In plain HTTP/1.1.
    Plain,
    /// HTTP/1.1 over TLS.
    Tls,
}

impl Attacked {
    /// Starts it with these keys of `[limits]` and these further sections, and waits until it is
    /// ready.
    pub async fn start(limits: &str, sections: &str) -> Self {
        let folder = TempDir::new().expect("a temporary folder can be made");
        make_site(folder.path());
        let backend = Recorder::start().await;
        let [https, plain, redirect, admin] = [free_port(), free_port(), free_port(), free_port()];
        let text = config([https, plain, redirect, admin, backend.port], limits, sections);
        let path = folder.path().join("gateway.toml");
        fs::write(&path, text).expect("the configuration can be written");
        let mut gateway = Process::start(
            "gateway",
            Command::new(program("gateway"))
                .arg("run")
                .arg("--config")
                .arg(&path)
                .current_dir(folder.path()),
        );
        gateway.wait_for("readiness", |_| is_ready(admin).then_some(()));
        let mut attacked =
            Self { https, plain, redirect, admin, gateway, backend, folder, descriptors: 0 };
        attacked.assert_serves().await;
        attacked.descriptors = attacked.open_descriptors();
        attacked
    }

    /// A connection by this door.
    pub async fn connect(&self, door: Door) -> Wire {
        match door {
            Door::Plain => Wire::new(self.tcp(self.plain).await),
            Door::Tls => self.tls("localhost", &[b"http/1.1"]).await,
        }
    }

    /// A TLS connection that asks for this name and offers these protocols.
    pub async fn tls(&self, name: &str, protocols: &[&[u8]]) -> Wire {
        let mut config = self.client();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let server = ServerName::try_from(name.to_owned()).expect("tests use valid names");
        let shaking =
            TlsConnector::from(Arc::new(config)).connect(server, self.tcp(self.https).await);
        let stream =
            tokio::time::timeout(PATIENCE, shaking).await.expect("the handshake ends in time");
        Wire::new(stream.expect("the handshake succeeds"))
    }

    /// A connection to one of its ports.
    pub async fn tcp(&self, port: u16) -> TcpStream {
        let tcp =
            TcpStream::connect(("127.0.0.1", port)).await.expect("the port takes connections");
        tcp.set_nodelay(true).expect("a connected socket takes options");
        tcp
    }

    /// A request by this door and what is answered.
    pub async fn exchange(&self, door: Door, request: &[u8]) -> Result<wire::Answer, String> {
        let mut wire = self.connect(door).await;
        // An answer may come, and the connection end, before all was sent.
        let _ = wire.send(request).await;
        wire.answer(request.starts_with(b"HEAD ")).await
    }

    /// Bytes of memory that the gateway holds now (`VmRSS`), or held at most so far (`VmHWM`);
    /// proc(5).
    pub fn memory(&self, field: &str) -> usize {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.gateway.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let kib =
            line.and_then(|rest| rest.trim().strip_suffix(" kB")?.trim().parse::<usize>().ok());
        kib.expect("the kernel gives memory in kB") * 1024
    }

    /// Forgets what was held at most so far, and gives what is held now, in bytes (`clear_refs` of
    /// proc(5)).
    pub fn forget_peak(&self) -> usize {
        fs::write(format!("/proc/{}/clear_refs", self.gateway.id()), "5")
            .expect("the owner of a process may do so");
        self.memory("VmRSS")
    }

    /// What must hold after any attack: it serves, by every door, its log is clean, and nothing
    /// stays open.
    pub async fn assert_well(&mut self) {
        self.assert_serves().await;
        for seen in self.backend.seen() {
            assert_eq!(seen.ambiguity(), None);
            assert!(
                !seen.line().contains("smuggled"),
                "a smuggled request reached the backend: {}",
                seen.line()
            );
        }
        let most = self.descriptors + MORE_DESCRIPTORS;
        eventually("descriptors to be closed", || (self.open_descriptors() <= most).then_some(()));
        assert_clean(&self.gateway.log());
    }

    async fn assert_serves(&self) {
        for door in [Door::Plain, Door::Tls] {
            for (path, expected) in [("/", PAGE), ("/api/well", "/api/well")] {
                let request =
                    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
                let answer = self.allowed(door, &request).await;
                assert_eq!(
                    (answer.status, answer.text().as_str()),
                    (200, expected),
                    "{door:?} {path}"
                );
            }
        }
        assert!(scrape::metrics(self.admin).contains("gateway_build_info"));
    }

    /// Asks until the limits allow it: of requests (429), and of what is held (503) until the end
    /// of the attack's connections was noticed.
    async fn allowed(&self, door: Door, request: &str) -> wire::Answer {
        let asking = async {
            loop {
                let answer = self
                    .exchange(door, request.as_bytes())
                    .await
                    .expect("an ordinary request is answered");
                if ![429, 503].contains(&answer.status) {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, asking).await.expect("a limited address is served again")
    }

    /// Descriptors that the gateway has open now.
    pub fn open_descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.gateway.id())).expect("it runs").count()
    }

    fn client(&self) -> ClientConfig {
        // The first installation wins; later ones are refused, which is fine.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut roots = RootCertStore::empty();
        for directory in ["certs", "other-certs"] {
            let path: PathBuf = self.folder.path().join(directory).join("local-ca.pem");
            let root = CertificateDer::from_pem_file(path).expect("the CA is a PEM certificate");
            roots.add(root).expect("the CA can be trusted");
        }
        ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()
    }
}

/// No panic, no line without bound, no path of the machine that built the program.
///
/// # Panics
/// With the line, when there is one.
pub fn assert_clean(log: &str) {
    let built = workspace().display().to_string();
    for line in log.lines() {
        let begin: String = line.chars().take(400).collect();
        assert!(!line.contains("panicked"), "a panic: {begin}");
        assert!(line.len() <= LINE_MAX, "a line of {} bytes: {begin}", line.len());
        let foreign =
            ["/.cargo/", "/rustc/", built.as_str()].into_iter().find(|path| line.contains(path));
        assert_eq!(foreign, None, "a path of the machine that built it: {begin}");
    }
}

fn make_site(folder: &Path) {
    let site = folder.join("site");
    let write = |path: PathBuf, text: &[u8]| fs::write(path, text).expect("the folder takes files");
    for directory in ["assets", "sub", ".hidden"] {
        fs::create_dir_all(site.join(directory)).expect("the folder takes folders");
    }
    write(site.join("index.html"), PAGE.as_bytes());
    write(site.join("assets/app-12345678.js"), b"script()");
    write(site.join("sub/a.txt"), b"0123456789");
    write(site.join("big.bin"), &vec![b'x'; BIG_FILE]);
    write(site.join(".env"), SECRET.as_bytes());
    write(site.join(".hidden/file.txt"), SECRET.as_bytes());
    write(folder.join("secret.txt"), SECRET.as_bytes());
    let link = |to: &str, name: &str| {
        std::os::unix::fs::symlink(to, site.join(name)).expect("the folder takes links");
    };
    link("../secret.txt", "link.txt");
    link("../..", "sub/up");
    link("/etc", "etc");
}

fn config(
    [https, plain, redirect, admin, backend]: [u16; 5],
    limits: &str,
    sections: &str,
) -> String {
    format!(
        r#"
[[listener]]
name = "https"
address = "localhost:{https}"
protocol = "https"

[[listener]]
name = "plain"
address = "localhost:{plain}"
protocol = "http"
mode = "plain"

[[listener]]
name = "redirect"
address = "localhost:{redirect}"
protocol = "http"

[[certificate]]
name = "local"
source = "self-signed"
directory = "certs"
names = ["localhost", "127.0.0.1"]

[[certificate]]
name = "other"
source = "self-signed"
directory = "other-certs"
names = ["one.example", "two.example"]

[[route]]
name = "api"
path_prefix = "/api"
upstream = "backend"

[[route]]
name = "live"
path = "/ws"
upstream = "backend"
websocket = true

[[route]]
name = "page"
path_prefix = "/"
methods = ["GET", "HEAD"]
static = "page"

[[site]]
name = "page"
root = "site"
spa_fallback = "index.html"

[[upstream]]
name = "backend"
targets = ["127.0.0.1:{backend}"]
keepalive_connections = 8

[limits]
{limits}

[admin]
address = "127.0.0.1:{admin}"
{sections}
"#
    )
}
