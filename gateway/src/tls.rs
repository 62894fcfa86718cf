//! TLS on the client's side: one `ServerConfig` per listener and snapshot, certificates chosen by SNI, short deadlines.

mod resolver;

use crate::metrics::{HandshakeResult, Metrics};
use gateway_config::{Name, TlsPolicy, TlsVersion};
use resolver::Resolver;
use rustls::{
    ServerConfig,
    server::{Acceptor, NoServerSessionStorage, ProducesTickets},
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::{collections::HashMap, io, sync::Arc, time::Duration};
use tokio::{net::TcpStream, time::Instant};
use tokio_rustls::{LazyConfigAcceptor, server::TlsStream};

/// Certificates with their keys, by the name that the configuration gives them.
#[derive(Clone, Debug, Default)]
pub struct Certificates(HashMap<Name, Arc<CertifiedKey>>);

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The configuration names a certificate that was not loaded.
    #[error("certificate `{0}` is configured and was not loaded")]
    NotLoaded(Name),
    /// rustls does not take the certificate or the key.
    #[error("certificate and key cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
    /// The certificate has no name that a client could ask for.
    #[error("certificate `{0}` cannot be read as X.509")]
    Unreadable(Name),
}

/// Most plaintext and ciphertext that rustls holds back for a peer that does not read.
const HELD_BACK: usize = 64 * 1024;

impl Certificates {
    /// Adds a certificate: its chain, leaf first, and the leaf's key; refuses a key that is not the leaf's.
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

    /// Adds a certificate whose key signs in some other way.
    pub fn insert(&mut self, name: Name, certified: Arc<CertifiedKey>) {
        self.0.insert(name, certified);
    }

    /// The certificate of this name.
    pub fn get(&self, name: &Name) -> Option<&Arc<CertifiedKey>> {
        self.0.get(name)
    }
}

/// The configuration of a listener that offers these certificates, the first one being the default.
pub(crate) fn server_config(
    policy: &TlsPolicy,
    names: &[Name],
    certificates: &Certificates,
    tickets: &Arc<dyn ProducesTickets>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let resolver = Resolver::new(names, certificates)?;
    let versions: &[&rustls::SupportedProtocolVersion] = match policy.min_version {
        TlsVersion::Tls12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        TlsVersion::Tls13 => &[&rustls::version::TLS13],
    };
    // All suites of this provider are AEAD with forward secrecy, and X25519MLKEM768 comes first.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ticketer = Arc::clone(tickets);
    config.session_storage = Arc::new(NoServerSessionStorage {});
    // RFC 8446 section 8: early data can be replayed, so none is taken.
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

/// Shakes hands within the deadline.
pub(crate) async fn accept(
    tcp: TcpStream,
    config: Arc<ServerConfig>,
    deadline: Duration,
    metrics: &Metrics,
) -> io::Result<TlsStream<TcpStream>> {
    let started = Instant::now();
    let shaken = tokio::time::timeout_at(started + deadline, async {
        let hello = LazyConfigAcceptor::new(Acceptor::default(), tcp).await?;
        hello.into_stream_with(config, |session| session.set_buffer_limit(Some(HELD_BACK))).await
    })
    .await
    .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    let seconds = started.elapsed().as_secs_f64();
    match &shaken {
        Ok(stream) => {
            let (_, session) = stream.get_ref();
            let version =
                if session.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_2) { "1.2" } else { "1.3" };
            let resumed = session.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
            metrics.handshake(version, HandshakeResult::Success, resumed, seconds);
        }
        Err(error) => {
            let result = match error.kind() {
                io::ErrorKind::TimedOut => HandshakeResult::Timeout,
                io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                    HandshakeResult::Closed
                }
                _ => HandshakeResult::Failure,
            };
            metrics.handshake("none", result, false, seconds);
        }
    }
    shaken
}
