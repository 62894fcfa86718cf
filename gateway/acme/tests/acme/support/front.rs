//! A minimal server for challenges: one port for HTTP-01, one for TLS-ALPN-01.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use gateway_acme::{ACME_TLS_ALPN, Challenges};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::server::Acceptor;
use rustls::sign::SingleCertAndKey;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::LazyConfigAcceptor;

use super::free_port;

/// The challenges of all replicas, used in rotation, so that replicas that do not order also
/// respond.
#[derive(Clone, Default)]
struct Answers(Arc<Mutex<Vec<Arc<Challenges>>>>, Arc<AtomicUsize>);

impl Answers {
    fn next(&self) -> Option<Arc<Challenges>> {
        let all = self.0.lock().unwrap();
        let next = self.1.fetch_add(1, Ordering::Relaxed);
        all.get(next.checked_rem(all.len())?).cloned()
    }
}

pub(crate) struct Front {
    pub(crate) http: u16,
    pub(crate) tls: u16,
    answers: Answers,
    /// Aborted on drop.
    tasks: JoinSet<()>,
}

impl Front {
    /// Both ports open.
    pub(crate) async fn open() -> Self {
        let mut front = Self::closed();
        front.open_http().await;
        front.open_tls().await;
        front
    }

    /// Both ports closed.
    pub(crate) fn closed() -> Self {
        Self {
            http: free_port(),
            tls: free_port(),
            answers: Answers::default(),
            tasks: JoinSet::new(),
        }
    }

    pub(crate) async fn open_http(&mut self) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.http)).await.unwrap();
        let answers = self.answers.clone();
        self.tasks.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // One at a time: only Pebble connects.
                let _ = answer_http(stream, &answers).await;
            }
        });
    }

    pub(crate) async fn open_tls(&mut self) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.tls)).await.unwrap();
        let answers = self.answers.clone();
        self.tasks.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = answer_tls(stream, &answers).await;
            }
        });
    }

    pub(crate) fn answer_only_with(&self, challenges: Arc<Challenges>) {
        *self.answers.0.lock().unwrap() = vec![challenges];
    }

    pub(crate) fn answer_with(&self, challenges: Arc<Challenges>) {
        self.answers.0.lock().unwrap().push(challenges);
    }
}

async fn answer_http(stream: TcpStream, answers: &Answers) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).await? > 0 {}
    let path = head.split(' ').nth(1).unwrap_or_default();
    let token = path.strip_prefix("/.well-known/acme-challenge/").unwrap_or_default();
    let answer = match answers.next() {
        Some(challenges) => challenges.http01(token).await,
        None => None,
    };
    let (status, body) = answer.map_or(("404 Not Found", String::new()), |body| ("200 OK", body));
    let length = body.len();
    let text =
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await
}

async fn answer_tls(stream: TcpStream, answers: &Answers) -> std::io::Result<()> {
    let hello = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
    let client = hello.client_hello();
    let only_acme =
        client.alpn().is_some_and(|mut offered| offered.all(|protocol| protocol == ACME_TLS_ALPN));
    let (true, Some(name), Some(challenges)) = (only_acme, client.server_name(), answers.next())
    else {
        return Ok(());
    };
    let Some(key) = challenges.tls_alpn01(name).await else { return Ok(()) };
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    config.alpn_protocols = vec![ACME_TLS_ALPN.to_vec()];
    let mut stream = hello.into_stream(Arc::new(config)).await?;
    stream.shutdown().await
}
