//! Checks a certificate and its key before they are served. Errors name the file and the reason.

mod chain;
mod reason;

pub use reason::{CheckError, Reason};

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::crypto::aws_lc_rs;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};

use crate::certificate::Certificate;
use crate::clock::from_timestamp;

/// The text of a chain or key, and its origin for errors.
#[derive(Clone, Copy)]
pub struct Pem<'a> {
    /// A path, or a text such as `the stored certificate`.
    pub origin: &'a str,
    /// The text.
    pub text: &'a [u8],
}

/// Reads and checks a chain (leaf first) and a key. The leaf must be valid for the names in
/// `wanted`, which may be empty.
pub fn files(
    chain: &Path,
    key: &Path,
    wanted: &[String],
    now: SystemTime,
) -> Result<Certificate, CheckError> {
    let read = |path: &Path| {
        std::fs::read(path)
            .map_err(|error| Reason::Unreadable(error.to_string()).of(path.display().to_string()))
    };
    let (chain_text, key_text) = (read(chain)?, read(key)?);
    let (chain_origin, key_origin) = (chain.display().to_string(), key.display().to_string());
    pem(
        Pem { origin: &chain_origin, text: &chain_text },
        Pem { origin: &key_origin, text: &key_text },
        wanted,
        now,
    )
}

/// Like [`files`], for text in memory.
pub fn pem(
    chain: Pem<'_>,
    key: Pem<'_>,
    wanted: &[String],
    now: SystemTime,
) -> Result<Certificate, CheckError> {
    let ders = CertificateDer::pem_slice_iter(chain.text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Reason::NotPem(error.to_string()).of(chain.origin))?;
    let private = PrivateKeyDer::from_pem_slice(key.text).map_err(|error| match error {
        rustls_pki_types::pem::Error::NoItemsFound => Reason::NoKey.of(key.origin),
        error => Reason::NotPem(error.to_string()).of(key.origin),
    })?;
    let parsed = chain::parse(&ders).map_err(|reason| reason.of(chain.origin))?;
    let Some(leaf) = parsed.first() else {
        return Err(Reason::NoCertificate.of(chain.origin));
    };

    // The most specific reason first: a swapped chain would also fail the check of the chain, and a
    // weak key may not load.
    let position = chain::position_of_key(&parsed, &private);
    if let Some(position) = position.filter(|position| *position > 1) {
        return Err(Reason::LeafNotFirst { position }.of(chain.origin));
    }
    chain::check(&parsed, now).map_err(|reason| reason.of(chain.origin))?;
    let certified = CertifiedKey::from_der(ders.clone(), private, &aws_lc_rs::default_provider());
    let certified = certified.map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            Reason::KeyMismatch { chain: chain.origin.to_owned() }.of(key.origin)
        }
        error => Reason::KeyUnusable(error.to_string()).of(key.origin),
    })?;
    let names = names(leaf);
    if let Some(missing) = wanted.iter().find(|wanted| !covers(&names, wanted)) {
        return Err(Reason::NameMissing { name: missing.clone(), has: names }.of(chain.origin));
    }
    Ok(Certificate {
        key: Arc::new(certified),
        not_before: from_timestamp(leaf.validity().not_before.timestamp()),
        not_after: from_timestamp(leaf.validity().not_after.timestamp()),
        serial: hex::encode(leaf.raw_serial()),
        renewal_id: issuer_key(leaf).map(|issuer| (issuer, leaf.raw_serial().to_vec())),
        names,
    })
}

/// The DNS names and addresses of a leaf (RFC 6125: the subject's common name does not count).
fn names(leaf: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(alternatives)) = leaf.subject_alternative_name() else { return Vec::new() };
    let name = |general: &GeneralName<'_>| match general {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        GeneralName::IPAddress(bytes) => address(bytes).map(|ip| ip.to_string()),
        _ => None,
    };
    alternatives.value.general_names.iter().filter_map(name).collect()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(IpAddr::from(four));
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}

/// A wildcard matches exactly one label (RFC 6125 section 6.4.3).
fn covers(names: &[String], wanted: &str) -> bool {
    let wanted = wanted.to_ascii_lowercase();
    let parent = wanted.split_once('.').map(|(_, parent)| format!("*.{parent}"));
    names.iter().any(|name| *name == wanted || Some(name) == parent.as_ref())
}

fn issuer_key(leaf: &X509Certificate<'_>) -> Option<Vec<u8>> {
    leaf.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(issuer) => {
            issuer.key_identifier.as_ref().map(|id| id.0.to_vec())
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests;
