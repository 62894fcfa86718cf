//! Checks of a chain: every certificate is valid now, strong enough, and signed by the next.

use std::time::SystemTime;

use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::parse_x509_certificate;
use x509_parser::public_key::PublicKey;

use super::reason::Reason;
use crate::clock::from_timestamp;

/// Parses every certificate.
pub(super) fn parse<'a>(
    ders: &'a [CertificateDer<'static>],
) -> Result<Vec<X509Certificate<'a>>, Reason> {
    let parse = |(index, der): (usize, &'a CertificateDer<'static>)| {
        parse_x509_certificate(der)
            .map(|(_, certificate)| certificate)
            .map_err(|error| Reason::Malformed { position: index + 1, reason: error.to_string() })
    };
    ders.iter().enumerate().map(parse).collect()
}

/// Time, strength and order, from the leaf up.
pub(super) fn check(chain: &[X509Certificate<'_>], now: SystemTime) -> Result<(), Reason> {
    for (index, certificate) in chain.iter().enumerate() {
        let position = index + 1;
        check_time(certificate, position, now)?;
        check_strength(certificate, position)?;
        if let Some(next) = chain.get(position) {
            check_issuer(certificate, next, position)?;
        }
    }
    Ok(())
}

/// The position, counted from 1, of the certificate that the key belongs to.
pub(super) fn position_of_key(
    chain: &[X509Certificate<'_>],
    key: &PrivateKeyDer<'_>,
) -> Option<usize> {
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(key).ok()?;
    let public = key.public_key()?;
    chain
        .iter()
        .position(|certificate| certificate.public_key().raw == public.as_ref())
        .map(|index| index + 1)
}

fn check_time(
    certificate: &X509Certificate<'_>,
    position: usize,
    now: SystemTime,
) -> Result<(), Reason> {
    let validity = certificate.validity();
    let (from, until) = (
        from_timestamp(validity.not_before.timestamp()),
        from_timestamp(validity.not_after.timestamp()),
    );
    if now < from {
        return Err(Reason::NotYetValid { position, at: from });
    }
    if now > until {
        return Err(Reason::Expired { position, at: until });
    }
    Ok(())
}

fn check_strength(certificate: &X509Certificate<'_>, position: usize) -> Result<(), Reason> {
    if let Ok(PublicKey::RSA(key)) = certificate.public_key().parsed() {
        let bits = key.key_size();
        if bits < LEAST_RSA_BITS {
            return Err(Reason::WeakKey { position, bits });
        }
    }
    // The signature of a root on itself is not verified by anyone.
    let own = certificate.issuer().as_raw() == certificate.subject().as_raw();
    if !own
        && WEAK_SIGNATURES
            .contains(&certificate.signature_algorithm.algorithm.to_id_string().as_str())
    {
        return Err(Reason::WeakSignature { position });
    }
    Ok(())
}

fn check_issuer(
    certificate: &X509Certificate<'_>,
    next: &X509Certificate<'_>,
    position: usize,
) -> Result<(), Reason> {
    if certificate.issuer().as_raw() != next.subject().as_raw() {
        return Err(Reason::WrongOrder {
            position,
            subject: certificate.subject().to_string(),
            issuer: certificate.issuer().to_string(),
            found: next.subject().to_string(),
        });
    }
    certificate
        .verify_signature(Some(next.public_key()))
        .map_err(|_| Reason::BadSignature { position })
}

const LEAST_RSA_BITS: usize = 2048;

/// md5WithRSA, sha1WithRSA, dsaWithSha1, ecdsaWithSha1 (RFC 8017 appendix A.2.4, RFC 3279 section
/// 2.2).
const WEAK_SIGNATURES: [&str; 4] =
    ["1.2.840.113549.1.1.4", "1.2.840.113549.1.1.5", "1.2.840.10040.4.3", "1.2.840.10045.4.1"];
