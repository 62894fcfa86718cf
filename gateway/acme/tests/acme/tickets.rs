//! A TLS 1.3 session of one replica resumes on another.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use gateway_acme::{TicketMaintainer, TicketSettings};
use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, RootCertStore, ServerConfig, ServerConnection,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::support::clock::JumpingClock;
use crate::support::redis::Redis;

const SETTINGS: TicketSettings = TicketSettings {
    rotate: Duration::from_secs(3600),
    generations: 3,
    poll: Duration::from_secs(30),
};

#[tokio::test]
async fn a_session_of_one_replica_resumes_on_another() {
    let redis = Redis::start().await;
    let clock = Arc::new(JumpingClock::default());
    let maintainer =
        || TicketMaintainer::new(SETTINGS, Arc::new(redis.storage()), clock.clone()).unwrap();
    let (one, other) = (maintainer(), maintainer());
    let identity = Identity::new();
    let (server_one, server_other) = (identity.server(&one), identity.server(&other));
    let client = identity.client();

    // Before they share a key, a session resumes only on its own replica.
    assert_eq!(handshake(&client, &server_one), HandshakeKind::Full);
    assert_eq!(handshake(&client, &server_one), HandshakeKind::Resumed);
    assert_eq!(handshake(&client, &server_other), HandshakeKind::Full);

    one.refresh().await.unwrap();
    other.refresh().await.unwrap();
    let client = identity.client();
    assert_eq!(handshake(&client, &server_one), HandshakeKind::Full);
    assert_eq!(handshake(&client, &server_other), HandshakeKind::Resumed);

    // Also across a rotation: a new key is not used until the other replica had time to read it.
    clock.jump_to(SystemTime::now() + SETTINGS.rotate + Duration::from_secs(5));
    one.refresh().await.unwrap();
    assert_eq!(handshake(&client, &server_one), HandshakeKind::Resumed);
    assert_eq!(handshake(&client, &server_other), HandshakeKind::Resumed);
}

/// A server certificate, and a client that trusts it.
struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["a.example".to_owned()])
            .unwrap()
            .self_signed(&key)
            .unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Self { chain: vec![certificate.der().clone()], key }
    }

    fn server(&self, tickets: &TicketMaintainer) -> Arc<ServerConfig> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .unwrap();
        config.ticketer = tickets.ticketer();
        Arc::new(config)
    }

    fn client(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.chain[0].clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Arc::new(config)
    }
}

/// A complete handshake and the tickets after it, in memory.
fn handshake(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>) -> HandshakeKind {
    let mut client =
        ClientConnection::new(client.clone(), "a.example".try_into().unwrap()).unwrap();
    let mut server = ServerConnection::new(server.clone()).unwrap();
    while client.wants_write() || server.wants_write() {
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        server.read_tls(&mut &*bytes).unwrap();
        server.process_new_packets().unwrap();
        bytes.clear();
        server.write_tls(&mut bytes).unwrap();
        client.read_tls(&mut &*bytes).unwrap();
        client.process_new_packets().unwrap();
    }
    assert_eq!(client.handshake_kind(), server.handshake_kind());
    server.handshake_kind().unwrap()
}
