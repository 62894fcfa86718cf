//! Requests without pause over HTTP/1.1 and h2, each accounted for: answered in full, or failed and
//! why.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::{Client, RequestBuilder, StatusCode, Version};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio::task::JoinHandle;

use crate::echo::NUMBER;

/// After a failure a worker holds back, so that a closed door is not knocked at without end.
const BACK_OFF: Duration = Duration::from_millis(10);

/// What became of the requests.
#[derive(Debug, Default)]
pub struct Tally {
    /// The numbers of those answered 200, to the last byte.
    pub answered: HashSet<u64>,
    /// Those that were not.
    pub failures: Vec<Failure>,
}

/// A request that was not answered as it should.
#[derive(Debug)]
pub struct Failure {
    /// Its number.
    pub number: u64,
    /// When it was sent.
    pub sent: Instant,
    /// What came instead.
    pub reason: String,
    /// Whether no connection could be made.
    pub no_connection: bool,
}

/// Workers that ask without pause, half over HTTP/1.1 and half over h2.
pub struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    workers: Vec<JoinHandle<Tally>>,
}

impl Load {
    /// Starts this many workers, each with connections of its own, asking for `url` with these
    /// headers.
    pub fn start(workers: usize, ca: &Path, url: &str, headers: &[(&'static str, String)]) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let next = Arc::new(AtomicU64::new(0));
        let workers = (0..workers)
            .map(|worker| {
                let version = if worker % 2 == 0 { Version::HTTP_11 } else { Version::HTTP_2 };
                let client = client(ca, version);
                let request = headers
                    .iter()
                    .fold(client.get(url), |request, (name, value)| request.header(*name, value));
                let worker = Worker {
                    request,
                    version,
                    stop: Arc::clone(&stop),
                    answered: Arc::clone(&answered),
                };
                tokio::spawn(worker.run(Arc::clone(&next)))
            })
            .collect();
        Self { stop, answered, workers }
    }

    /// How many were answered so far.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Waits until this many more were answered.
    pub async fn answers(&self, more: u64) {
        let enough = self.answered() + more;
        let deadline = Instant::now() + crate::process::PATIENCE;
        while self.answered() < enough {
            assert!(Instant::now() < deadline, "patience is over waiting for {more} more answers");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Lets each worker finish its request, and adds up.
    pub async fn stop(self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Tally::default();
        for worker in self.workers {
            let tally = worker.await.expect("no worker panics");
            all.answered.extend(tally.answered);
            all.failures.extend(tally.failures);
        }
        all
    }
}

/// A client that trusts this CA alone and speaks this HTTP alone.
pub fn client(ca: &Path, version: Version) -> Client {
    // The first installation wins; later ones are refused, which is fine.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(ca).expect("the CA is a PEM certificate"))
        .expect("it can be trusted");
    let mut tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let alpn: &[u8] = if version == Version::HTTP_2 { b"h2" } else { b"http/1.1" };
    tls.alpn_protocols = vec![alpn.to_vec()];
    let builder = Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .timeout(crate::process::PATIENCE);
    let builder = if version == Version::HTTP_2 { builder } else { builder.http1_only() };
    builder.build().expect("the client can be built")
}

struct Worker {
    request: RequestBuilder,
    version: Version,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
}

impl Worker {
    async fn run(self, next: Arc<AtomicU64>) -> Tally {
        let mut tally = Tally::default();
        while !self.stop.load(Ordering::Relaxed) {
            let (number, sent) = (next.fetch_add(1, Ordering::Relaxed), Instant::now());
            match self.ask(number).await {
                Ok(()) => {
                    self.answered.fetch_add(1, Ordering::Relaxed);
                    tally.answered.insert(number);
                }
                Err((reason, no_connection)) => {
                    tally.failures.push(Failure { number, sent, reason, no_connection });
                    tokio::time::sleep(BACK_OFF).await;
                }
            }
        }
        tally
    }

    async fn ask(&self, number: u64) -> Result<(), (String, bool)> {
        let failed = |error: reqwest::Error| (format!("{error:?}"), error.is_connect());
        let request = self.request.try_clone().expect("a GET has no body").header(NUMBER, number);
        let response = request.send().await.map_err(failed)?;
        let (status, version) = (response.status(), response.version());
        response.bytes().await.map_err(failed)?;
        if status != StatusCode::OK || version != self.version {
            return Err((format!("answered {status} over {version:?}"), false));
        }
        Ok(())
    }
}
