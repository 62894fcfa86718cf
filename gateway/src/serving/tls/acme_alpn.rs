//! The handshake of a TLS-ALPN-01 challenge, by which an ACME authority validates a name (RFC
//! 8737).

use std::sync::Arc;

use gateway_acme::{ACME_TLS_ALPN, Challenges};
use rustls::ServerConfig;
use rustls::server::ClientHello;
use rustls::sign::{CertifiedKey, SingleCertAndKey};

/// The name to validate, if this is such a handshake.
pub(super) fn asked_for(hello: &ClientHello<'_>) -> Option<String> {
    // RFC 8737 section 3: this protocol and no other.
    let mut offered = hello.alpn()?;
    let exactly = offered.next() == Some(ACME_TLS_ALPN) && offered.next().is_none();
    if exactly { hello.server_name().map(str::to_ascii_lowercase) } else { None }
}

/// The TLS configuration with the challenge's certificate, if a challenge for this name is pending.
pub(super) async fn proof(name: &str, challenges: &[Arc<Challenges>]) -> Option<Arc<ServerConfig>> {
    for challenges in challenges {
        if let Some(key) = challenges.tls_alpn01(name).await {
            return config(key);
        }
    }
    None
}

fn config(key: Arc<CertifiedKey>) -> Option<Arc<ServerConfig>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .ok()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    config.alpn_protocols = vec![ACME_TLS_ALPN.to_vec()];
    config.send_tls13_tickets = 0;
    Some(Arc::new(config))
}
