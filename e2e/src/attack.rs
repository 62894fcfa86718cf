//! A gateway under attack: a listener of every kind, a backend that records its requests, and the
//! checks after an attack.

pub mod cases;
pub mod recorder;
mod setup;
pub mod wire;

use std::fs;
use std::path::PathBuf;
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
use crate::process::{Process, TIMEOUT, eventually};
use crate::{free_port, program, scrape, workspace};
use recorder::Recorder;
use wire::Wire;

/// `[limits]` for tests without a rate limit.
pub const NO_RATE: &str = "rate_limit = { per_second = 1000000, burst = 1000000 }";
/// Maximum length of a log line, in bytes.
pub const LINE_MAX: usize = 8 * 1024;
/// Size of `/big.bin`, in bytes.
pub const BIG_FILE: usize = 2 << 20;
/// Content of files outside the site.
pub const SECRET: &str = "this is outside of the site";
/// Content of the page.
pub const PAGE: &str = "<!doctype html><title>the page</title>";
/// Additional descriptors that may be open after an attack: idle connections to the backend, and
/// connections being closed.
const MORE_DESCRIPTORS: usize = 24;

/// A running gateway in its own folder. Dropping it stops it.
pub struct Attacked {
    /// Port of the TLS listener.
    pub https: u16,
    /// Port of the listener that serves the routes over plain HTTP/1.1.
    pub plain: u16,
    /// Port of the listener that redirects to https.
    pub redirect: u16,
    /// Port of the admin address.
    pub admin: u16,
    /// The gateway process.
    pub gateway: Process,
    /// The backend behind it.
    pub backend: Recorder,
    /// Its folder, with the site in `site`.
    pub folder: TempDir,
    descriptors: usize,
}

/// The listener that a request uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// Plain HTTP/1.1.
    Plain,
    /// HTTP/1.1 over TLS.
    Tls,
}

impl Attacked {
    /// Starts the gateway with these keys in `[limits]` and these additional sections, and waits
    /// until it is ready.
    pub async fn start(limits: &str, sections: &str) -> Self {
        let folder = TempDir::new().expect("create a temporary folder");
        setup::write_site(folder.path());
        let backend = Recorder::start().await;
        let [https, plain, redirect, admin] = [free_port(), free_port(), free_port(), free_port()];
        let text =
            setup::configuration([https, plain, redirect, admin, backend.port], limits, sections);
        let path = folder.path().join("gateway.toml");
        fs::write(&path, text).expect("write the configuration");
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

    /// Opens a connection to a listener.
    pub async fn connect(&self, listener: Listener) -> Wire {
        match listener {
            Listener::Plain => Wire::new(self.tcp(self.plain).await),
            Listener::Tls => self.tls("localhost", &[b"http/1.1"]).await,
        }
    }

    /// Opens a TLS connection with this server name and these ALPN protocols.
    pub async fn tls(&self, name: &str, protocols: &[&[u8]]) -> Wire {
        let mut config = self.client();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let server = ServerName::try_from(name.to_owned()).expect("tests use valid names");
        let handshake =
            TlsConnector::from(Arc::new(config)).connect(server, self.tcp(self.https).await);
        let stream = tokio::time::timeout(TIMEOUT, handshake)
            .await
            .expect("the handshake completes in time");
        Wire::new(stream.expect("the handshake succeeds"))
    }

    /// Opens a TCP connection to one of its ports.
    pub async fn tcp(&self, port: u16) -> TcpStream {
        let tcp = TcpStream::connect(("127.0.0.1", port)).await.expect("connect to the port");
        tcp.set_nodelay(true).expect("set TCP_NODELAY");
        tcp
    }

    /// Sends a request to a listener and returns the answer.
    pub async fn exchange(
        &self,
        listener: Listener,
        request: &[u8],
    ) -> Result<wire::Answer, String> {
        let mut wire = self.connect(listener).await;
        // The gateway may answer and close the connection before everything is sent.
        let _ = wire.send(request).await;
        wire.answer(request.starts_with(b"HEAD ")).await
    }

    /// The gateway's resident memory in bytes: now (`VmRSS`) or at its peak (`VmHWM`), proc(5).
    pub fn memory(&self, field: &str) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.gateway.id()))
            .expect("the process runs");
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let kib =
            line.and_then(|rest| rest.trim().strip_suffix(" kB")?.trim().parse::<usize>().ok());
        kib.expect("the kernel reports memory in kB") * 1024
    }

    /// Resets the memory peak and returns the current resident memory, in bytes (`clear_refs` in
    /// proc(5)).
    pub fn reset_peak(&self) -> usize {
        fs::write(format!("/proc/{}/clear_refs", self.gateway.id()), "5")
            .expect("reset the memory peak");
        self.memory("VmRSS")
    }

    /// Checks the gateway after an attack: it serves on every listener, its log is clean, and no
    /// descriptors leak.
    pub async fn assert_healthy(&mut self) {
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
        eventually("closed descriptors", || (self.open_descriptors() <= most).then_some(()));
        assert_clean(&self.gateway.log());
    }

    async fn assert_serves(&self) {
        for listener in [Listener::Plain, Listener::Tls] {
            for (path, expected) in [("/", PAGE), ("/api/well", "/api/well")] {
                let request =
                    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
                let answer = self.exchange_when_allowed(listener, &request).await;
                assert_eq!(
                    (answer.status, answer.text().as_str()),
                    (200, expected),
                    "{listener:?} {path}"
                );
            }
        }
        assert!(scrape::metrics(self.admin).contains("gateway_build_info"));
    }

    /// Repeats a request while the attack's client address is still limited by request rate (429)
    /// or by held memory (503).
    async fn exchange_when_allowed(&self, listener: Listener, request: &str) -> wire::Answer {
        let attempts = async {
            loop {
                let answer = self
                    .exchange(listener, request.as_bytes())
                    .await
                    .expect("a normal request gets an answer");
                if ![429, 503].contains(&answer.status) {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(TIMEOUT, attempts).await.expect("a limited address is served again")
    }

    /// The number of descriptors the gateway has open.
    pub fn open_descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.gateway.id())).expect("the process runs").count()
    }

    fn client(&self) -> ClientConfig {
        // Fails if a provider is already installed, which is fine.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut roots = RootCertStore::empty();
        for directory in ["certs", "other-certs"] {
            let path: PathBuf = self.folder.path().join(directory).join("local-ca.pem");
            let root = CertificateDer::from_pem_file(path).expect("read the CA's PEM certificate");
            roots.add(root).expect("trust the CA");
        }
        ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()
    }
}

/// Checks that a log has no panic, no overlong line and no path of the build machine.
///
/// # Panics
/// With the offending line.
pub fn assert_clean(log: &str) {
    let built = workspace().display().to_string();
    for line in log.lines() {
        let begin: String = line.chars().take(400).collect();
        assert!(!line.contains("panicked"), "a panic: {begin}");
        assert!(line.len() <= LINE_MAX, "a line of {} bytes: {begin}", line.len());
        let foreign =
            ["/.cargo/", "/rustc/", built.as_str()].into_iter().find(|path| line.contains(path));
        assert_eq!(foreign, None, "a path of the build machine: {begin}");
    }
}
