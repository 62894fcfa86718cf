//! Certificates and the TLS policy.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::{Acme, Name};

/// One `[[certificate]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Unique among certificates.
    pub name: Name,
    /// Where the certificate comes from.
    pub source: CertificateSource,
}

/// Where a certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateSource {
    /// Issued by the local certificate authority, which is created on first use.
    SelfSigned {
        /// Directory of the authority and the certificates it issued.
        directory: PathBuf,
        /// The names in the certificate; never empty.
        names: Vec<ServerName>,
    },
    /// PEM files, watched for changes.
    Files {
        /// Certificate chain, leaf first.
        cert: PathBuf,
        /// Private key of the leaf.
        key: PathBuf,
    },
    /// Ordered from an authority by ACME (RFC 8555) and renewed automatically.
    Acme(Acme),
}

/// A name that a certificate can be valid for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ServerName {
    /// A DNS name in lower case, optionally with a leading `*.`.
    Dns(String),
    /// An IP address.
    Ip(IpAddr),
}

impl FromStr for ServerName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(ip) = text.parse() {
            return Ok(Self::Ip(ip));
        }
        let lower = text.to_ascii_lowercase();
        if is_dns_name(lower.strip_prefix("*.").unwrap_or(&lower)) {
            return Ok(Self::Dns(lower));
        }
        Err("expected a DNS name such as `chat.example.org` or `*.example.org`, or an IP address"
            .to_owned())
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Ip(ip) => ip.fmt(f),
        }
    }
}

/// `[tls]`: policy of every https listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsPolicy {
    /// Oldest protocol version accepted.
    pub min_version: TlsVersion,
    /// `Strict-Transport-Security` max-age; zero: the header is not sent.
    pub hsts_max_age: Duration,
    /// Whether HSTS includes subdomains.
    pub hsts_include_subdomains: bool,
    /// Reply to a client that requests a server name without a certificate.
    pub unknown_names: UnknownNames,
    /// Whether to reject a request whose host belongs to a different certificate than the server
    /// name of its connection.
    pub refuse_misdirected: bool,
}

/// Reply to a client that requests a server name without a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownNames {
    /// The listener's first certificate.
    Default,
    /// A TLS alert.
    Refuse,
}

/// A TLS protocol version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246), AEAD suites with forward secrecy only.
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

/// Letters, digits and inner hyphens in labels of 1 to 63 (RFC 1123 section 2.1), at most 253 in
/// total. Underscores are accepted because service names inside clusters use them.
pub(crate) fn is_dns_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    text.len() <= 253 && text.split('.').all(label)
}
