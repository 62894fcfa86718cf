//! Settings of an operator: certificates, authorities, challenges.

use std::fmt;
use std::time::Duration;

use rustls_pki_types::CertificateDer;

use crate::challenge::ChallengeKind;
use crate::names::NameSet;
use crate::schedule::Backoff;

/// The settings of a [`Maintainer`](crate::Maintainer).
#[derive(Clone, Debug)]
pub struct Settings {
    /// One certificate per set of names.
    pub certificates: Vec<NameSet>,
    /// The ACME servers. The first is preferred; the next is used while it keeps failing. Never
    /// empty.
    pub authorities: Vec<Authority>,
    /// The allowed challenges, preferred first. Never empty.
    pub challenges: Vec<ChallengeKind>,
    /// How long to wait after a failure.
    pub backoff: Backoff,
    /// After how many failures in a row the next authority is tried.
    pub fallback_after: u32,
    /// How often storage is read for changes by other replicas; at most 30 s.
    pub poll: Duration,
    /// How long the ordering lock of a crashed replica stays.
    pub lock_ttl: Duration,
    /// Deadline of one attempt, all challenges and retries included.
    pub order_deadline: Duration,
}

impl Settings {
    /// The usual settings for `certificates` from `authorities`.
    pub fn new(certificates: Vec<NameSet>, authorities: Vec<Authority>) -> Self {
        Self {
            certificates,
            authorities,
            challenges: vec![ChallengeKind::TlsAlpn01, ChallengeKind::Http01],
            backoff: Backoff::default(),
            fallback_after: 3,
            poll: Duration::from_secs(15),
            lock_ttl: Duration::from_secs(20),
            order_deadline: Duration::from_secs(300),
        }
    }

    pub(crate) fn check(&self) -> Result<(), SettingsError> {
        if self.authorities.is_empty() {
            return Err(SettingsError::NoAuthority);
        }
        if self.challenges.is_empty() {
            return Err(SettingsError::NoChallenge);
        }
        if self.fallback_after == 0
            || self.poll.is_zero()
            || self.poll > MOST_POLL
            || self.lock_ttl < LEAST_TTL
        {
            return Err(SettingsError::OutOfRange);
        }
        match self.authorities.iter().find(|authority| !authority.url.starts_with("https://")) {
            Some(authority) => Err(SettingsError::NotHttps(authority.url.clone())),
            None => Ok(()),
        }
    }
}

const MOST_POLL: Duration = Duration::from_secs(30);
const LEAST_TTL: Duration = Duration::from_millis(300);

/// One ACME server and our account there.
#[derive(Clone, Debug)]
pub struct Authority {
    /// The URL of its directory, such as `https://acme-v02.api.letsencrypt.org/directory`.
    pub url: String,
    /// The only roots to trust for its HTTPS. Without them: the system's roots.
    pub roots: Option<Vec<CertificateDer<'static>>>,
    /// Contact addresses of the account, such as `mailto:admin@example.org`.
    pub contacts: Vec<String>,
    /// External account binding (RFC 8555 section 7.3.4), as ZeroSSL and others require.
    pub external_account: Option<ExternalAccount>,
    /// The certificate profile to request, such as `shortlived`.
    pub profile: Option<String>,
}

impl Authority {
    /// A server that needs nothing but its directory URL.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            roots: None,
            contacts: Vec::new(),
            external_account: None,
            profile: None,
        }
    }

    /// The host (and port) of the directory, short enough for a status or a label.
    pub fn host(&self) -> &str {
        let rest = self.url.strip_prefix("https://").unwrap_or(&self.url);
        rest.split('/').next().unwrap_or(rest)
    }
}

/// The key that binds an ACME account to an existing account at the authority.
#[derive(Clone)]
pub struct ExternalAccount {
    /// The key id from the authority.
    pub key_id: String,
    /// The HMAC key, decoded from base64url.
    pub hmac_key: Vec<u8>,
}

impl fmt::Debug for ExternalAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalAccount").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// Why settings are invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// No ACME server.
    #[error("expected at least one ACME directory")]
    NoAuthority,
    /// No challenge allowed.
    #[error("expected at least one of `http-01` and `tls-alpn-01`")]
    NoChallenge,
    /// A number out of range.
    #[error(
        "expected `fallback_after` of 1 or more, `poll` above 0 and up to 30 s, `lock_ttl` of 300 ms or more"
    )]
    OutOfRange,
    /// ACME is HTTPS only (RFC 8555 section 6.1).
    #[error("expected an ACME directory that starts with `https://`, got `{0}`")]
    NotHttps(String),
    /// The HTTPS client cannot be built.
    #[error("cannot build the HTTPS client for {url}: {reason}")]
    Client {
        /// The directory URL.
        url: String,
        /// What failed.
        reason: String,
    },
}
