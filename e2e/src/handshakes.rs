//! A continuous stream of new connections: each does a full handshake, verifies the certificate
//! with one root, and sends a request.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustls::client::Resumption;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Timeout for one connection.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Pause between two connections of a worker, to leave room for other tests on a small machine.
const PAUSE: Duration = Duration::from_millis(10);

/// An open connection with a full handshake, not a resumed session.
pub struct Connection {
    stream: TlsStream<TcpStream>,
    name: String,
}

impl Connection {
    /// Opens a TLS connection for `name` to this loopback port, trusting one root.
    pub async fn open(port: u16, name: &str, root: &Path) -> Result<Self, String> {
        Self::with(connector(root), port, name).await
    }

    async fn with(connector: TlsConnector, port: u16, name: &str) -> Result<Self, String> {
        let handshake = async {
            let tcp = TcpStream::connect(("127.0.0.1", port))
                .await
                .map_err(|error| format!("cannot connect: {error}"))?;
            let server = ServerName::try_from(name.to_owned()).expect("tests use valid names");
            connector
                .connect(server, tcp)
                .await
                .map_err(|error| format!("handshake failed: {error}"))
        };
        let stream = timeout(TIMEOUT, handshake).await.map_err(|_| "handshake timed out")??;
        Ok(Self { stream, name: name.to_owned() })
    }

    /// The serial number of the server's certificate.
    pub fn serial(&self) -> String {
        let chain =
            self.stream.get_ref().1.peer_certificates().expect("servers present certificates");
        X509Certificate::from_der(&chain[0])
            .expect("the certificate was verified")
            .1
            .raw_serial_as_string()
    }

    /// Sends a `GET` over HTTP/1.1 and reads the answer by its length; the connection stays open.
    pub async fn get(&mut self, path: &str) -> Result<String, String> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.name);
        let exchange = async {
            self.stream
                .write_all(request.as_bytes())
                .await
                .map_err(|error| format!("cannot send: {error}"))?;
            let (mut answer, mut chunk) = (Vec::new(), [0; 2048]);
            loop {
                match self.stream.read(&mut chunk).await {
                    Ok(0) => return Err("the connection closed before the answer".to_owned()),
                    Ok(length) => answer.extend_from_slice(chunk.get(..length).unwrap_or_default()),
                    Err(error) => return Err(format!("cannot read: {error}")),
                }
                let text = String::from_utf8_lossy(&answer);
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                let lower = head.to_ascii_lowercase();
                let length = lower
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
                if length.is_some_and(|length: usize| body.len() >= length) {
                    return Ok(text.into_owned());
                }
            }
        };
        timeout(TIMEOUT, exchange).await.map_err(|_| "the answer timed out")?
    }
}

/// Workers that connect, send a request and close, in a loop.
pub struct Handshakes {
    stop: Arc<AtomicBool>,
    tried: Arc<AtomicU64>,
    serials: Arc<Mutex<BTreeMap<String, u64>>>,
    workers: Vec<JoinHandle<Vec<Fault>>>,
}

/// A failed connection.
#[derive(Debug)]
pub struct Fault {
    /// When the connection was started.
    pub started: Instant,
    /// Why it failed.
    pub reason: String,
}

impl Handshakes {
    /// Starts this many workers, each requesting `https://localhost:PORT/PATH`.
    pub fn start(workers: usize, port: u16, root: &Path, path: &str) -> Self {
        let (stop, tried) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let serials = Arc::new(Mutex::new(BTreeMap::new()));
        let connector = connector(root);
        let workers = (0..workers)
            .map(|_| {
                let (connector, path) = (connector.clone(), path.to_owned());
                let (stop, tried, serials) =
                    (Arc::clone(&stop), Arc::clone(&tried), Arc::clone(&serials));
                tokio::spawn(async move {
                    let mut faults = Vec::new();
                    while !stop.load(Ordering::Relaxed) {
                        tried.fetch_add(1, Ordering::Relaxed);
                        let started = Instant::now();
                        match exchange(connector.clone(), port, &path).await {
                            Ok(serial) => {
                                *serials
                                    .lock()
                                    .expect("no worker panics")
                                    .entry(serial)
                                    .or_default() += 1
                            }
                            Err(reason) => faults.push(Fault { started, reason }),
                        }
                        tokio::time::sleep(PAUSE).await;
                    }
                    faults
                })
            })
            .collect();
        Self { stop, tried, serials, workers }
    }

    /// The number of connections per certificate, by serial number.
    pub fn serials(&self) -> BTreeMap<String, u64> {
        self.serials.lock().expect("no worker panics").clone()
    }

    /// Connections started so far.
    pub fn tried(&self) -> u64 {
        self.tried.load(Ordering::Relaxed)
    }

    /// Stops the workers and returns connections per certificate, connections started, and faults.
    pub async fn stop(self) -> (BTreeMap<String, u64>, u64, Vec<Fault>) {
        self.stop.store(true, Ordering::Relaxed);
        let mut faults = Vec::new();
        for worker in self.workers {
            faults.extend(worker.await.expect("no worker panics"));
        }
        let serials = self.serials.lock().expect("no worker panics").clone();
        (serials, self.tried.load(Ordering::Relaxed), faults)
    }
}

async fn exchange(connector: TlsConnector, port: u16, path: &str) -> Result<String, String> {
    let mut connection = Connection::with(connector, port, "localhost").await?;
    let answer = connection.get(path).await?;
    match answer.starts_with("HTTP/1.1 200 ") {
        true => Ok(connection.serial()),
        false => Err(format!("answered {}", answer.lines().next().unwrap_or_default())),
    }
}

fn connector(root: &Path) -> TlsConnector {
    // Fails if a provider is already installed, which is fine.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(root).expect("read the root's PEM certificate"))
        .expect("trust the CA");
    let mut tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    // A resumed session keeps the certificate of its first handshake.
    tls.resumption = Resumption::disabled();
    TlsConnector::from(Arc::new(tls))
}
