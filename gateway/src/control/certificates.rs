//! Loads the configured certificates: issues self-signed ones, reads files, and rejects invalid
//! ones.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use gateway_acme::check::{self, Pem};
use gateway_config::{Certificate, CertificateSource, Config, Name, Protocol, ServerName};
use rustls::RootCertStore;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::control::local_ca;
use crate::files::{self, PEM_MOST};
use crate::serving::tls::Certificates;

/// All configured certificates, ready for TLS, with their metadata.
#[derive(Clone, Default)]
pub(crate) struct Loaded {
    /// For TLS.
    pub certificates: Certificates,
    /// For reports, metrics and reloads.
    pub facts: BTreeMap<Name, Facts>,
    /// Metadata of certificates that the local authority has not issued yet.
    pub(crate) to_come: BTreeMap<Name, Facts>,
    /// Files that operators may change, with the SHA-256 of the contents that were read.
    pub(crate) files: BTreeMap<PathBuf, String>,
}

/// Why certificates are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To serve them: missing certificates of the local authority are issued.
    Serve,
    /// For a dry run: no file is created or written. A certificate that is not issued yet is
    /// replaced by an equivalent one that is never served.
    DryRun,
}

/// Metadata of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Names in the certificate.
    pub names: Vec<String>,
    /// Start of validity, in Unix time.
    pub not_before: i64,
    /// End of validity, in Unix time.
    pub not_after: i64,
    /// SHA-256 of the leaf, in hexadecimal.
    pub fingerprint: String,
}

/// Why a certificate cannot be used, with its name and file.
#[derive(Debug, thiserror::Error)]
#[error("certificate `{name}`: {reason}")]
pub struct CertificateError {
    /// The certificate.
    pub name: Name,
    /// The problem.
    pub reason: String,
}

/// Loads all certificates of a configuration, or returns an error for each that fails.
pub(crate) fn load(config: &Config, purpose: Purpose) -> Result<Loaded, Vec<CertificateError>> {
    let mut loaded = Loaded::default();
    let mut errors = Vec::new();
    for listener in &config.listeners {
        if let Protocol::Https { client_certificates: Some(clients), certificates } =
            &listener.protocol
            && let Err(reason) = client_authorities(&clients.authorities, &mut loaded)
            && let Some(name) = certificates.first()
        {
            let reason = format!("listener `{}`, key `client_ca`: {reason}", listener.name);
            errors.push(CertificateError { name: name.clone(), reason });
        }
    }
    if purpose == Purpose::Serve {
        prepare_authorities(config);
    }
    for certificate in &config.certificates {
        if let Err(reason) = load_one(certificate, purpose, &mut loaded) {
            errors.push(CertificateError { name: certificate.name.clone(), reason });
        }
    }
    if errors.is_empty() { Ok(loaded) } else { Err(errors) }
}

/// Whether a self-signed certificate is due for renewal.
pub(crate) fn renewal_is_due(config: &Config) -> bool {
    config.certificates.iter().any(|certificate| {
        local(certificate).is_some_and(|(directory, names)| {
            local_ca::is_due(directory, certificate.name.as_str(), names)
        })
    })
}

/// Files with certificates that operators may change.
pub(crate) fn files(config: &Config) -> Vec<PathBuf> {
    let files = config.certificates.iter().flat_map(|certificate| match &certificate.source {
        CertificateSource::Files { cert, key } => vec![cert.clone(), key.clone()],
        CertificateSource::SelfSigned { .. } | CertificateSource::Acme(_) => Vec::new(),
    });
    let clients = config.listeners.iter().filter_map(|listener| match &listener.protocol {
        Protocol::Https { client_certificates: Some(clients), .. } => {
            Some(clients.authorities.clone())
        }
        _ => None,
    });
    files.chain(clients).collect()
}

/// The directory of the local authority and the names, for certificates it issues.
fn local(certificate: &Certificate) -> Option<(&Path, &[ServerName])> {
    match &certificate.source {
        CertificateSource::SelfSigned { directory, names } => Some((directory, names)),
        // The stand-in, replaced by the ordered certificate once that is available.
        CertificateSource::Acme(acme) => Some((&acme.stand_in_directory, &acme.names)),
        CertificateSource::Files { .. } => None,
    }
}

fn load_one(
    certificate: &Certificate,
    purpose: Purpose,
    loaded: &mut Loaded,
) -> Result<(), String> {
    let (cert, key) = match (&certificate.source, local(certificate)) {
        (CertificateSource::Files { cert, key }, _) => (cert.clone(), key.clone()),
        (_, Some((directory, names))) => {
            let stem = certificate.name.as_str();
            match purpose {
                Purpose::Serve => issue(certificate, directory, names)?,
                Purpose::DryRun => match local_ca::usable_files(directory, stem, names)
                    .map_err(|error| error.to_string())?
                {
                    Some(files) => files,
                    None => return dry_run(certificate, names, loaded),
                },
            }
        }
        (_, None) => return Ok(()),
    };
    let chain_pem = files::read(&cert, PEM_MOST)
        .map_err(|error| format!("cert: {}: {error}", cert.display()))?;
    let key_pem =
        files::read(&key, PEM_MOST).map_err(|error| format!("key: {}: {error}", key.display()))?;
    let (chain, facts) =
        chain(&chain_pem).map_err(|reason| format!("cert: {}: {reason}", cert.display()))?;
    let private = PrivateKeyDer::from_pem_slice(&key_pem)
        .map_err(|error| format!("key: {}: {}", key.display(), said(&error)))?;
    if let CertificateSource::Files { .. } = certificate.source {
        check(&cert, &chain_pem, &key, &key_pem)?;
        loaded.files.insert(cert, hex::encode(Sha256::digest(&chain_pem)));
        loaded.files.insert(key, hex::encode(Sha256::digest(&key_pem)));
    }
    loaded
        .certificates
        .add(certificate.name.clone(), chain, private)
        .map_err(|error| error.to_string())?;
    loaded.facts.insert(certificate.name.clone(), facts);
    Ok(())
}

/// Adds a temporary certificate in place of one that is not issued yet.
fn dry_run(
    certificate: &Certificate,
    names: &[ServerName],
    loaded: &mut Loaded,
) -> Result<(), String> {
    let (chain_pem, key_pem) = local_ca::dry_run(names).map_err(|error| error.to_string())?;
    let (chain, facts) = chain(chain_pem.as_bytes())?;
    let private =
        PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|error| said(&error))?;
    loaded
        .certificates
        .add(certificate.name.clone(), chain, private)
        .map_err(|error| error.to_string())?;
    loaded.to_come.insert(certificate.name.clone(), facts);
    Ok(())
}

/// Rejects what clients would reject: expired, incomplete, in the wrong order, weak, or with a key
/// that does not match.
fn check(cert: &Path, chain: &[u8], key: &Path, private: &[u8]) -> Result<(), String> {
    let (cert, key) = (format!("cert: {}", cert.display()), format!("key: {}", key.display()));
    let (chain, private) =
        (Pem { origin: &cert, text: chain }, Pem { origin: &key, text: private });
    check::pem(chain, private, &[], SystemTime::now()).map(drop).map_err(|error| error.to_string())
}

/// Reads the authorities of client certificates.
fn client_authorities(file: &Path, loaded: &mut Loaded) -> Result<(), String> {
    let pem =
        files::read(file, PEM_MOST).map_err(|error| format!("{}: {error}", file.display()))?;
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(&pem) {
        let root = root.map_err(|error| format!("{}: {}", file.display(), said(&error)))?;
        roots.add(root).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    if roots.is_empty() {
        return Err(format!("{}: expected PEM certificates, found none", file.display()));
    }
    loaded.files.insert(file.to_owned(), hex::encode(Sha256::digest(&pem)));
    loaded.certificates.add_client_authorities(file.to_owned(), roots);
    Ok(())
}

/// Ensures that each local authority permits all names it needs. Otherwise an authority replaced
/// for the names of a later certificate would invalidate the certificates issued before. Failures
/// are reported by `issue`.
fn prepare_authorities(config: &Config) {
    let issue_all = || {
        let local = config
            .certificates
            .iter()
            .filter_map(|certificate| Some((certificate, local(certificate)?)));
        let made = local.filter(|(certificate, (directory, names))| {
            local_ca::issue(directory, certificate.name.as_str(), names)
                .is_ok_and(|issued| issued.new_authority)
        });
        let directories: BTreeSet<&Path> = made.map(|(_, (directory, _))| directory).collect();
        for directory in &directories {
            let authority = directory.join(local_ca::AUTHORITY_FILE);
            tracing::info!(authority = %authority.display(), "created a local certificate authority; browsers warn until it is trusted");
        }
        !directories.is_empty()
    };
    // After the first call, the authority permits all names.
    let _ = issue_all() && issue_all();
}

fn issue(
    certificate: &Certificate,
    directory: &Path,
    names: &[ServerName],
) -> Result<(PathBuf, PathBuf), String> {
    let issued = local_ca::issue(directory, certificate.name.as_str(), names)
        .map_err(|error| error.to_string())?;
    Ok((issued.cert, issued.key))
}

/// Parses a chain, leaf first, and the metadata of its leaf.
fn chain(pem: &[u8]) -> Result<(Vec<CertificateDer<'static>>, Facts), String> {
    let chain = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| said(&error))?;
    let leaf = chain.first().ok_or("expected PEM certificates, found none")?;
    let facts = facts(leaf).ok_or("the first certificate is not valid X.509")?;
    Ok((chain, facts))
}

pub(crate) fn facts(leaf: &CertificateDer<'_>) -> Option<Facts> {
    let (_, certificate) = X509Certificate::from_der(leaf).ok()?;
    let names = certificate
        .subject_alternative_name()
        .ok()
        .flatten()
        .map(|extension| &extension.value.general_names);
    let names = names.into_iter().flatten().filter_map(|name| match name {
        GeneralName::DNSName(dns) => Some((*dns).to_owned()),
        GeneralName::IPAddress(bytes) => address(bytes),
        _ => None,
    });
    Some(Facts {
        names: names.collect(),
        not_before: certificate.validity().not_before.timestamp(),
        not_after: certificate.validity().not_after.timestamp(),
        fingerprint: hex::encode(Sha256::digest(leaf)),
    })
}

fn address(bytes: &[u8]) -> Option<String> {
    let v4 = <[u8; 4]>::try_from(bytes).map(std::net::IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(std::net::IpAddr::from))
        .ok()
        .map(|ip| ip.to_string())
}

fn said(error: &rustls_pki_types::pem::Error) -> String {
    use rustls_pki_types::pem::Error;
    match error {
        Error::NoItemsFound => "expected PEM, found none".to_owned(),
        Error::MissingSectionEnd { .. } => {
            "the PEM text is truncated: a section has no end".to_owned()
        }
        Error::IllegalSectionStart { .. } => {
            "expected PEM text, found a malformed section header".to_owned()
        }
        Error::Base64Decode(reason) => format!("the PEM text is damaged: {reason}"),
        error => format!("{error:?}"),
    }
}
