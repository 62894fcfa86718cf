//! Certificates ordered by ACME, and where they are kept.

use std::path::PathBuf;
use std::str::FromStr;

use crate::ServerName;

/// A certificate to order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acme {
    /// The names in the certificate; never empty, no wildcards.
    pub names: Vec<ServerName>,
    /// Who issues it, and how.
    pub issuer: AcmeIssuer,
    /// The directory of the local certificate authority whose leaf is served until the first
    /// certificate is there.
    pub stand_in_directory: PathBuf,
}

/// From whom certificates are ordered, and how names are proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcmeIssuer {
    /// The authority's directory.
    pub directory: DirectoryUrl,
    /// The directory that takes over while the first keeps failing.
    pub fallback_directory: Option<DirectoryUrl>,
    /// URLs for the account, such as `mailto:admin@example.org`.
    pub contacts: Vec<String>,
    /// The certificate profile to ask for.
    pub profile: Option<String>,
    /// Ways to prove a name, preferred first; never empty.
    pub challenges: Vec<AcmeChallenge>,
    /// External account binding at the first directory.
    pub external_account: Option<AcmeExternalAccount>,
    /// PEM roots that alone are trusted for the HTTPS of the directories; `None`: those of the
    /// machine.
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
            Err(format!("expected a URL such as `{}`", Self::LETS_ENCRYPT))
        }
    }
}

/// A way to prove control of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcmeChallenge {
    /// On the https listeners (RFC 8737).
    TlsAlpn01,
    /// On the http listeners (RFC 8555 section 8.3).
    Http01,
}

impl AcmeChallenge {
    /// Its name.
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

/// The binding to an account that the authority knows already (RFC 8555 section 7.3.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcmeExternalAccount {
    /// The key's id.
    pub key_id: String,
    /// The HMAC key in base64url, as the authority shows it.
    pub hmac_key: Secret,
}

/// `[certificate_storage]`: where ACME certificates, accounts, challenges and session ticket keys
/// are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateStorage {
    /// A directory of this machine.
    Directory(PathBuf),
    /// Redis or Valkey, shared by replicas.
    Redis {
        /// `redis://`, `rediss://`, `unix://`, `redis-sentinel://…/MASTER` or `redis-cluster://`.
        url: Secret,
        /// The password, instead of one in the URL.
        password: Option<Secret>,
        /// PEM authorities that alone are trusted for its TLS; `None`: those of the web.
        ca_file: Option<PathBuf>,
        /// Seals every value: 32 random bytes or more.
        secret: Secret,
        /// Begins every key.
        prefix: String,
    },
}

/// Where a secret is; never the secret itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    /// In this environment variable.
    Environment(String),
    /// In this file; white space around it does not count.
    File(PathBuf),
}
