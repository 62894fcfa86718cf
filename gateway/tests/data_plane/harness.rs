//! Test harness: one gateway per test, with its own certificate and backends.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use axum::Router;
use gateway::{Certificates, Metrics, Plane, Pseudonyms, Snapshot};
use gateway_config::Config;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

/// Maximum wait for any event in a test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Gateway {
    pub(crate) plane: Arc<Plane>,
    pub(crate) metrics: Metrics,
    pub(crate) https: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) proxied: SocketAddr,
    snapshot: Arc<ArcSwap<Snapshot>>,
    certificates: Certificates,
    roots: RootCertStore,
    stop: CancellationToken,
}

impl Gateway {
    /// Starts a gateway with three listeners: https, http that redirects, and https with the PROXY
    /// protocol. `text` adds all other sections.
    pub(crate) async fn start(text: &str) -> Self {
        // All tests of this process install the same provider; only the first call succeeds.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let made =
            rcgen::generate_simple_self_signed(vec!["localhost".into(), "chat.example.org".into()])
                .unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let mut certificates = Certificates::default();
        let key = made.signing_key.serialize_der().try_into().unwrap();
        certificates.add("test".parse().unwrap(), vec![made.cert.der().clone()], key).unwrap();

        let metrics = Metrics::new();
        let snapshot = build(text, &certificates, None, &metrics);
        let snapshot = Arc::new(ArcSwap::from_pointee(snapshot));
        let challenge = |token: &str| (token == "known").then(|| "known.thumbprint".to_owned());
        let plane = Plane::new(Arc::clone(&snapshot), metrics.clone(), Arc::new(challenge));
        let stop = CancellationToken::new();
        let mut bound = Vec::new();
        for name in ["https", "http", "proxied"] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            bound.push(listener.local_addr().unwrap());
            plane.serve(listener, name, stop.clone());
        }
        let [https, http, proxied] = bound.try_into().unwrap();
        plane.set_https_port(https.port());
        Self { plane, metrics, https, http, proxied, snapshot, certificates, roots, stop }
    }

    /// Applies another configuration.
    pub(crate) fn reload(&self, text: &str) {
        let previous = self.snapshot.load_full();
        self.snapshot.store(Arc::new(build(
            text,
            &self.certificates,
            Some(&previous),
            &self.metrics,
        )));
    }

    fn tls(&self, alpn: &[&[u8]]) -> ClientConfig {
        let mut config = ClientConfig::builder()
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        config
    }

    /// A client that uses HTTP/2.
    pub(crate) fn client(&self) -> reqwest::Client {
        self.client_for(&[b"h2", b"http/1.1"])
    }

    /// A client that uses HTTP/1.1.
    pub(crate) fn client_h1(&self) -> reqwest::Client {
        self.client_for(&[b"http/1.1"])
    }

    fn client_for(&self, alpn: &[&[u8]]) -> reqwest::Client {
        reqwest::Client::builder()
            .tls_backend_preconfigured(self.tls(alpn))
            .redirect(reqwest::redirect::Policy::none())
            .resolve("chat.example.org", self.https)
            .timeout(PATIENCE)
            .build()
            .unwrap()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.https.port())
    }

    /// A TLS connection for raw bytes.
    pub(crate) async fn raw(&self) -> TlsStream<TcpStream> {
        self.raw_on(TcpStream::connect(self.https).await.unwrap()).await
    }

    pub(crate) async fn raw_on(&self, tcp: TcpStream) -> TlsStream<TcpStream> {
        self.raw_speaking(b"http/1.1", tcp).await
    }

    /// A TLS connection for raw HTTP/2 frames.
    pub(crate) async fn raw_h2(&self) -> TlsStream<TcpStream> {
        self.raw_speaking(b"h2", TcpStream::connect(self.https).await.unwrap()).await
    }

    async fn raw_speaking(&self, protocol: &[u8], tcp: TcpStream) -> TlsStream<TcpStream> {
        let connector = TlsConnector::from(Arc::new(self.tls(&[protocol])));
        connector.connect(ServerName::try_from("localhost").unwrap(), tcp).await.unwrap()
    }

    /// Sends bytes and reads until the gateway closes the connection.
    pub(crate) async fn exchange(&self, bytes: &[u8]) -> String {
        let mut stream = self.raw().await;
        stream.write_all(bytes).await.unwrap();
        read_to_end(&mut stream).await
    }

    /// Sample count and sample sum of a histogram.
    pub(crate) fn observed(&self, name: &str) -> (u64, f64) {
        let families = self.metrics.registry().gather();
        let metrics = families
            .iter()
            .filter(|family| family.name() == name)
            .flat_map(|family| family.get_metric());
        metrics.map(|metric| metric.get_histogram()).fold((0, 0.0), |(count, sum), histogram| {
            (count + histogram.get_sample_count(), sum + histogram.get_sample_sum())
        })
    }

    /// The sum of a metric over all series with these labels.
    pub(crate) fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let families = self.metrics.registry().gather();
        let metrics = families
            .iter()
            .filter(|family| family.name() == name)
            .flat_map(|family| family.get_metric());
        let matching = metrics.filter(|metric| {
            labels.iter().all(|(name, value)| {
                metric.get_label().iter().any(|pair| pair.name() == *name && pair.value() == *value)
            })
        });
        matching
            .map(|metric| metric.get_counter().get_value() + metric.get_gauge().get_value())
            .sum()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn build(
    text: &str,
    certificates: &Certificates,
    previous: Option<&Snapshot>,
    metrics: &Metrics,
) -> Snapshot {
    let all = format!(
        r#"
        [[listener]]
        name = "https"
        address = "127.0.0.1:1"
        protocol = "https"

        [[listener]]
        name = "http"
        address = "127.0.0.1:2"
        protocol = "http"

        [[listener]]
        name = "proxied"
        address = "127.0.0.1:3"
        protocol = "https"
        proxy_protocol = ["127.0.0.0/8"]

        [[certificate]]
        name = "test"
        source = "files"
        cert = "unused.pem"
        key = "unused.key"

        {text}
        "#
    );
    let config = Config::parse(&all, "test.toml", Path::new("/"))
        .unwrap_or_else(|problems| panic!("{problems}\n{all}"));
    Snapshot::build(Arc::new(config), certificates, previous, metrics, &Pseudonyms::new()).unwrap()
}

/// Routes all requests to one upstream with these targets, `/ws` as a WebSocket.
pub(crate) fn routes_to(targets: &[SocketAddr]) -> String {
    let targets: Vec<String> = targets.iter().map(|target| format!("\"{target}\"")).collect();
    format!(
        r#"
        [[route]]
        name = "live"
        path = "/ws"
        upstream = "backend"
        websocket = true

        [[route]]
        name = "all"
        path_prefix = "/"
        upstream = "backend"
        body_limit = "1KiB"

        [[upstream]]
        name = "backend"
        targets = [{}]
        "#,
        targets.join(", ")
    )
}

/// A backend that stops when dropped.
pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Backend {
    pub(crate) async fn start(router: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, serving }
    }

    /// A backend that handles raw connections with a function of the test.
    pub(crate) async fn raw<F, Fut>(serve: F) -> Self
    where
        F: Fn(TcpStream) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(tcp));
            }
        });
        Self { address, serving }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Values a backend recorded.
pub(crate) type Seen<T> = Arc<Mutex<Vec<T>>>;

/// Reads until the peer closes the connection; fails the test if it does not.
pub(crate) async fn read_to_end(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes))
        .await
        .expect("the connection is not closed in time");
    // A connection may end without close_notify.
    if let Err(error) = read {
        assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof, "{error}");
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Waits until a condition holds.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < until, "timed out waiting until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
