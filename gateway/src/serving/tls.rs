//! TLS towards clients: one `ServerConfig` per listener and snapshot, certificates selected by SNI,
//! short handshake deadlines.

mod acme_alpn;
mod client_certificate;
mod resolver;
mod socket;

pub(crate) use client_certificate::subject;
pub(crate) use socket::Socket;

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use gateway_acme::Challenges;
use gateway_config::{ClientCertificates, Name, TlsPolicy, TlsVersion};
use http::HeaderValue;
use rustls::server::{Acceptor, NoServerSessionStorage, ProducesTickets};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig, ServerConnection};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use crate::metrics::{HandshakeResult, Metrics};
use resolver::Resolver;

/// A certificate and its key, which can be replaced while they are served.
pub(crate) type Slot = Arc<ArcSwap<CertifiedKey>>;

/// Certificates and keys by their names in the configuration, and what else listeners need for TLS.
#[derive(Clone, Debug, Default)]
pub struct Certificates {
    by_name: HashMap<Name, Slot>,
    client_authorities: HashMap<PathBuf, Arc<RootCertStore>>,
    tickets: Option<Arc<dyn ProducesTickets>>,
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The configuration names a certificate that was not loaded.
    #[error("certificate `{0}` is configured but was not loaded")]
    NotLoaded(Name),
    /// rustls rejects the certificate or the key.
    #[error("certificate and key cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
    /// The authorities for client certificates cannot be used.
    #[error("client_ca: {0}")]
    Clients(String),
    /// The certificate cannot be parsed, so its names are unknown.
    #[error("certificate `{0}` cannot be read as X.509")]
    Unreadable(Name),
}

/// Maximum plaintext and ciphertext that rustls buffers for a peer that does not read.
const BUFFERED_MAX: usize = 64 * 1024;

impl Certificates {
    /// Adds a certificate: its chain, leaf first, and the leaf's key. Rejects a key that does not
    /// match the leaf.
    pub fn add(
        &mut self,
        name: Name,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<(), TlsError> {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let certified = CertifiedKey::from_der(chain, key, &provider)?;
        self.insert(name, Arc::new(certified));
        Ok(())
    }

    /// Adds a certificate with a signing key of any kind.
    pub fn insert(&mut self, name: Name, certified: Arc<CertifiedKey>) {
        self.insert_slot(name, Arc::new(ArcSwap::new(certified)));
    }

    /// Adds a certificate that can be replaced later through its slot.
    pub fn insert_slot(&mut self, name: Name, slot: Slot) {
        self.by_name.insert(name, slot);
    }

    /// The certificate of this name.
    pub fn get(&self, name: &Name) -> Option<&Slot> {
        self.by_name.get(name)
    }

    /// Adds the authorities for client certificates that a file contains.
    pub fn add_client_authorities(&mut self, file: PathBuf, roots: RootCertStore) {
        self.client_authorities.insert(file, Arc::new(roots));
    }

    /// Sets session ticket keys that replicas share; without them every process generates its own.
    pub fn share_tickets(&mut self, tickets: Arc<dyn ProducesTickets>) {
        self.tickets = Some(tickets);
    }

    pub(crate) fn tickets(&self) -> Option<&Arc<dyn ProducesTickets>> {
        self.tickets.as_ref()
    }
}

/// The TLS state of a listener.
#[derive(Debug)]
pub(crate) struct Https {
    pub(crate) config: Arc<ServerConfig>,
    resolver: Arc<Resolver>,
}

/// The server name (SNI) of a connection, and the certificates of its listener.
#[derive(Debug)]
pub(crate) struct RequestedName {
    name: String,
    resolver: Arc<Resolver>,
}

impl Https {
    /// The server name that the client sent; `None` if it sent none.
    pub(crate) fn requested_name(&self, session: &ServerConnection) -> Option<Arc<RequestedName>> {
        let name = session.server_name()?.to_ascii_lowercase();
        Some(Arc::new(RequestedName { name, resolver: Arc::clone(&self.resolver) }))
    }
}

impl RequestedName {
    /// Whether a request for this host needs another connection. The host is in lower case, without
    /// port.
    pub(crate) fn is_not_for(&self, host: &str) -> bool {
        self.resolver.is_misdirected(&self.name, host)
    }
}

/// Builds the TLS state of a listener with these certificates; the first one is the default.
pub(crate) fn https(
    policy: &TlsPolicy,
    names: &[Name],
    certificates: &Certificates,
    tickets: &Arc<dyn ProducesTickets>,
    clients: Option<&ClientCertificates>,
) -> Result<Https, TlsError> {
    let resolver = Arc::new(Resolver::new(names, certificates, policy.unknown_names)?);
    let versions: &[&rustls::SupportedProtocolVersion] = match policy.min_version {
        TlsVersion::Tls12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        TlsVersion::Tls13 => &[&rustls::version::TLS13],
    };
    // All cipher suites of this provider are AEAD with forward secrecy, and X25519MLKEM768 is
    // preferred.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)?;
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => {
            let roots = certificates.client_authorities.get(&clients.authorities);
            builder
                .with_client_cert_verifier(client_certificate::verifier(clients, roots, provider)?)
        }
    };
    let mut config = builder
        .with_cert_resolver(Arc::clone(&resolver) as Arc<dyn rustls::server::ResolvesServerCert>);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    if clients.is_none() {
        config.ticketer = Arc::clone(tickets);
    } else {
        // A session from a listener that requests no certificate must not be resumed on one that
        // requires it, nor after the authorities changed.
        config.send_tls13_tickets = 0;
    }
    config.session_storage = Arc::new(NoServerSessionStorage {});
    // RFC 8446 section 8: early data can be replayed, so it is not accepted.
    config.max_early_data_size = 0;
    Ok(Https { config: Arc::new(config), resolver })
}

/// The value of `Strict-Transport-Security`, if it is configured.
pub(crate) fn hsts(tls: &TlsPolicy) -> Option<HeaderValue> {
    let subdomains = if tls.hsts_include_subdomains { "; includeSubDomains" } else { "" };
    let value =
        HeaderValue::try_from(format!("max-age={}{subdomains}", tls.hsts_max_age.as_secs())).ok();
    value.filter(|_| !tls.hsts_max_age.is_zero())
}

/// Completes the handshake within the deadline; `None` after a TLS-ALPN-01 validation, which ends
/// with its handshake.
pub(crate) async fn accept(
    tcp: TcpStream,
    config: Arc<ServerConfig>,
    challenges: &[Arc<Challenges>],
    deadline: Duration,
    metrics: &Metrics,
) -> io::Result<Option<TlsStream<Socket>>> {
    let started = Instant::now();
    let handshake = tokio::time::timeout_at(started + deadline, async {
        let hello = LazyConfigAcceptor::new(Acceptor::default(), Socket(tcp)).await?;
        if let Some(name) = acme_alpn::asked_for(&hello.client_hello())
            && let Some(proof) = acme_alpn::proof(&name, challenges).await
        {
            hello.into_stream(proof).await?.shutdown().await?;
            return Ok(None);
        }
        hello
            .into_stream_with(config, |session| session.set_buffer_limit(Some(BUFFERED_MAX)))
            .await
            .map(Some)
    })
    .await
    .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    let seconds = started.elapsed().as_secs_f64();
    match &handshake {
        Ok(None) => {}
        Ok(Some(stream)) => {
            let (_, session) = stream.get_ref();
            let version = if session.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_2) {
                "1.2"
            } else {
                "1.3"
            };
            let resumed = session.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
            metrics.handshake(version, HandshakeResult::Success, resumed, seconds);
        }
        Err(error) => {
            let result = match error.kind() {
                io::ErrorKind::TimedOut => HandshakeResult::Timeout,
                io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::BrokenPipe => HandshakeResult::Closed,
                _ => HandshakeResult::Failure,
            };
            metrics.handshake("none", result, false, seconds);
        }
    }
    handshake
}
