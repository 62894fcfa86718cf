//! Certificates ordered by ACME, and the storage for them.

use std::path::PathBuf;
use std::str::FromStr;

use crate::ServerName;

/// A certificate to order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acme {
    /// The names in the certificate; never empty, no wildcards.
    pub names: Vec<ServerName>,
    /// The authority that issues it, and how.
    pub issuer: AcmeIssuer,
    /// Directory of the local certificate authority whose leaf is served until the first
    /// certificate is issued.
    pub stand_in_directory: PathBuf,
}

/// The certificate authority, and how names are validated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcmeIssuer {
    /// URL of the authority's directory.
    pub directory: DirectoryUrl,
    /// Directory that is used while the first one keeps failing.
    pub fallback_directory: Option<DirectoryUrl>,
    /// URLs for the account, such as `mailto:admin@example.org`.
    pub contacts: Vec<String>,
    /// Certificate profile to request.
    pub profile: Option<String>,
    /// Challenge types, preferred first; never empty.
    pub challenges: Vec<AcmeChallenge>,
    /// External account binding at the first directory.
    pub external_account: Option<AcmeExternalAccount>,
    /// PEM file with the only roots trusted for HTTPS to the directories; `None`: the system's
    /// roots.
    pub ca_file: Option<PathBuf>,
}

/// The URL of an ACME directory; https only (RFC 8555 section 6.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryUrl(String);

impl DirectoryUrl {
    /// Let's Encrypt.
    pub const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

    /// The URL as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn lets_encrypt() -> Self {
        Self(Self::LETS_ENCRYPT.to_owned())
    }
}

impl FromStr for DirectoryUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let url = text.parse::<http::Uri>().ok();
        let right =
            url.is_some_and(|url| url.scheme_str() == Some("https") && url.host().is_some());
        if right {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("expected an https URL such as `{}`", Self::LETS_ENCRYPT))
        }
    }
}

/// A challenge type: how control of a name is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcmeChallenge {
    /// Answered on the https listeners (RFC 8737).
    TlsAlpn01,
    /// Answered on the http listeners (RFC 8555 section 8.3).
    Http01,
}

impl AcmeChallenge {
    /// The type as it is written in ACME.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TlsAlpn01 => "tls-alpn-01",
            Self::Http01 => "http-01",
        }
    }
}

impl std::fmt::Display for AcmeChallenge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for AcmeChallenge {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = [Self::TlsAlpn01, Self::Http01].into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| "expected `tls-alpn-01` or `http-01`".to_owned())
    }
}

/// External account binding: ties the ACME account to an existing account at the authority (RFC
/// 8555 section 7.3.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcmeExternalAccount {
    /// Key identifier.
    pub key_id: String,
    /// HMAC key in base64url, as the authority displays it.
    pub hmac_key: Secret,
}

/// `[certificate_storage]`: storage for ACME certificates, accounts, challenges and session ticket
/// keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateStorage {
    /// A local directory.
    Directory(PathBuf),
    /// Redis or Valkey, shared by replicas.
    Redis {
        /// `redis://`, `rediss://`, `unix://`, `redis-sentinel://…/MASTER` or `redis-cluster://`.
        url: Secret,
        /// Password, if it is not part of the URL.
        password: Option<Secret>,
        /// PEM file with the only authorities trusted for TLS to Redis; `None`: the public web
        /// authorities.
        ca_file: Option<PathBuf>,
        /// Encrypts every value: at least 32 random bytes.
        secret: Secret,
        /// Prefix of every key.
        prefix: String,
    },
}

/// Location of a secret; never the secret itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    /// An environment variable.
    Environment(String),
    /// A file; leading and trailing white space is ignored.
    File(PathBuf),
}
