//! A continuous stream of requests over HTTP/1.1 and h2. Each is recorded as answered in full or as
//! failed, with the reason.

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

/// Pause of a worker after a failure, so that a closed port does not cause a busy loop.
const BACK_OFF: Duration = Duration::from_millis(10);

/// The results of all requests.
#[derive(Debug, Default)]
pub struct Tally {
    /// The numbers of the requests answered 200 in full.
    pub answered: HashSet<u64>,
    /// All other requests.
    pub failures: Vec<Failure>,
}

impl Tally {
    /// Checks that every request was answered.
    ///
    /// # Panics
    /// With the number of failures and the first one.
    pub fn assert_no_failures(&self) {
        let failures = &self.failures;
        assert!(
            failures.is_empty(),
            "{} requests failed, the first: {:?}",
            failures.len(),
            failures.first()
        );
    }
}

/// A failed request.
#[derive(Debug)]
pub struct Failure {
    /// Its number.
    pub number: u64,
    /// When it was sent.
    pub sent: Instant,
    /// Why it failed.
    pub reason: String,
    /// Whether connecting failed.
    pub no_connection: bool,
}

/// Workers that send requests in a loop, half over HTTP/1.1 and half over h2.
pub struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    workers: Vec<JoinHandle<Tally>>,
}

impl Load {
    /// Starts this many workers, each with its own connections, requesting `url` with these
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

    /// The number of answers so far.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Waits for this many more answers.
    pub async fn answers(&self, more: u64) {
        let enough = self.answered() + more;
        let deadline = Instant::now() + crate::process::TIMEOUT;
        while self.answered() < enough {
            assert!(Instant::now() < deadline, "timed out waiting for {more} more answers");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Stops the workers after their current request and returns the combined results.
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

/// A client that trusts only this CA and uses only this HTTP version.
pub fn client(ca: &Path, version: Version) -> Client {
    // Fails if a provider is already installed, which is fine.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(ca).expect("read the CA's PEM certificate"))
        .expect("trust the CA");
    let mut tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let alpn: &[u8] = if version == Version::HTTP_2 { b"h2" } else { b"http/1.1" };
    tls.alpn_protocols = vec![alpn.to_vec()];
    let builder = Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .timeout(crate::process::TIMEOUT);
    let builder = if version == Version::HTTP_2 { builder } else { builder.http1_only() };
    builder.build().expect("build the client")
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
            match self.send(number).await {
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

    async fn send(&self, number: u64) -> Result<(), (String, bool)> {
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
