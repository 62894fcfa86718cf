//! Certificates for TLS-ALPN-01 (RFC 8737 section 3).

use std::fmt::Write;
use std::net::IpAddr;
use std::sync::Arc;

use aws_lc_rs::digest;
use instant_acme::Identifier;
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair, SanType};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::sign::CertifiedKey;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// The only protocol that an authority offers in the handshake of a TLS-ALPN-01 challenge.
pub const ACME_TLS_ALPN: &[u8] = b"acme-tls/1";

/// The server name that the authority sends: for an address, its reverse name (RFC 8738 section 6).
pub(super) fn server_name(identifier: &Identifier) -> String {
    match identifier {
        Identifier::Dns(name) => name.clone(),
        Identifier::Ip(IpAddr::V4(address)) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        Identifier::Ip(IpAddr::V6(address)) => {
            let mut name = String::with_capacity(72);
            for byte in address.octets().iter().rev() {
                // Writing to a String cannot fail.
                let _ = write!(name, "{:x}.{:x}.", byte & 15, byte >> 4);
            }
            name + "ip6.arpa"
        }
        other => format!("{:?}", other.authorized(false)),
    }
}

/// A self-signed certificate for exactly one name, with the digest of the key authorization in a
/// critical extension.
pub(super) fn certificate(
    server_name: &str,
    key_authorization: &str,
) -> Result<Arc<CertifiedKey>, String> {
    let text = |error: rcgen::Error| error.to_string();
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.subject_alt_names = vec![match address(server_name) {
        Some(address) => SanType::IpAddress(address),
        None => SanType::DnsName(server_name.try_into().map_err(text)?),
    }];
    let digest = digest::digest(&digest::SHA256, key_authorization.as_bytes());
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest.as_ref())];
    let key = KeyPair::generate().map_err(text)?;
    let certificate = params.self_signed(&key).map_err(text)?;
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    // Not `from_der`: its comparison of the keys fails on the critical extension. They match by
    // construction.
    let signer = any_supported_type(&private).map_err(|error| error.to_string())?;
    Ok(Arc::new(CertifiedKey::new(vec![certificate.der().clone()], signer)))
}

/// The address of a reverse name from [`server_name`].
fn address(server_name: &str) -> Option<IpAddr> {
    if let Some(reversed) = server_name.strip_suffix(".in-addr.arpa") {
        let parts = reversed.split('.').rev();
        let bytes: Vec<u8> = parts.map(|part| part.parse().ok()).collect::<Option<_>>()?;
        return <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from);
    }
    let parts = server_name.strip_suffix(".ip6.arpa")?.split('.').rev();
    let nibble = |part| u8::from_str_radix(part, 16).ok().filter(|nibble| *nibble < 16);
    let nibbles: Vec<u8> = parts.map(nibble).collect::<Option<_>>()?;
    let byte = |pair: &[u8]| pair.iter().fold(0, |byte, nibble| byte << 4 | nibble);
    let bytes: Vec<u8> = nibbles.chunks_exact(2).map(byte).collect();
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}

#[cfg(test)]
mod tests {
    use x509_parser::oid_registry::asn1_rs::oid;
    use x509_parser::parse_x509_certificate;

    use super::*;

    #[test]
    fn the_certificate_holds_only_the_name_and_the_critical_digest() {
        let made = certificate("a.example", "token.thumb").unwrap();
        let (_, parsed) = parse_x509_certificate(&made.cert[0]).unwrap();
        let alternatives = parsed.subject_alternative_name().unwrap().unwrap();
        assert_eq!(alternatives.value.general_names.len(), 1);
        let id = oid!(1.3.6.1.5.5.7.1.31);
        let extension = parsed.extensions().iter().find(|extension| extension.oid == id).unwrap();
        assert!(extension.critical);
        let digest = digest::digest(&digest::SHA256, b"token.thumb");
        assert_eq!(extension.value, [&[4, 32], digest.as_ref()].concat());
    }

    #[test]
    fn addresses_are_requested_by_their_reverse_names() {
        for text in ["192.0.2.7", "2001:db8::7"] {
            let address_of: IpAddr = text.parse().unwrap();
            assert_eq!(address(&server_name(&Identifier::Ip(address_of))), Some(address_of));
        }
        assert_eq!(
            server_name(&Identifier::Ip("192.0.2.7".parse().unwrap())),
            "7.2.0.192.in-addr.arpa"
        );
        assert_eq!(address("a.example"), None);
    }
}
