//! `[[certificate]]` and `[tls]`.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Text;
use crate::{AcmeChallenge, DirectoryUrl, Name, ServerName};

/// A certificate, and where it comes from.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Certificate")]
pub(crate) struct CertificateText {
    /// A name for listeners, logs and metrics. Required, unique.
    pub(crate) name: Text<Name>,
    /// Where it comes from. Required.
    pub(crate) source: SourceText,
    /// `self-signed`: the directory of the local certificate authority, made on first use. Default:
    /// `certs`. `acme`: the URL of the authority's directory. Default: that of Let's Encrypt.
    pub(crate) directory: Option<Text<String>>,
    /// `self-signed` and `acme`: the DNS names and IP addresses in the certificate. Required for
    /// `acme`, where wildcards cannot be had. Default for `self-signed`: `localhost`, `127.0.0.1`,
    /// `::1`. Default: see there.
    pub(crate) names: Option<Vec<Text<ServerName>>>,
    /// `files`: a PEM file with the chain, leaf first. Required there.
    pub(crate) cert: Option<Text<PathBuf>>,
    /// `files`: a PEM file with the leaf's private key. Required there.
    pub(crate) key: Option<Text<PathBuf>>,
    /// `acme`: the URL of a directory that takes over while the first keeps failing. Default: none.
    pub(crate) fallback_directory: Option<Text<DirectoryUrl>>,
    /// `acme`: URLs under which the authority reaches you, such as `mailto:admin@example.org`.
    /// Default: none.
    pub(crate) contact: Option<Vec<Text<String>>>,
    /// `acme`: the certificate profile to ask for, such as `shortlived`. Default: the authority's
    /// own.
    pub(crate) profile: Option<Text<String>>,
    /// `acme`: how names may be proven, preferred first: `tls-alpn-01` on the https listeners,
    /// `http-01` on the http listeners. The authority comes to port 443 or 80. Default: both, in
    /// this order.
    pub(crate) challenges: Option<Vec<Text<AcmeChallenge>>>,
    /// `acme`: the key id of an external account binding, as ZeroSSL and others ask for. Default:
    /// none.
    pub(crate) eab_key_id: Option<Text<String>>,
    /// `acme`: the environment variable with the binding's HMAC key in base64url. Default: none.
    pub(crate) eab_hmac_key_env: Option<Text<String>>,
    /// `acme`: a file with the binding's HMAC key in base64url. Default: none.
    pub(crate) eab_hmac_key_file: Option<Text<PathBuf>>,
    /// `acme`: a PEM file with the only roots trusted for the https of the directory, of a private
    /// authority. Default: those of the machine.
    pub(crate) ca_file: Option<Text<PathBuf>>,
    /// `acme`: the directory of the local certificate authority whose certificate is served until
    /// there is another. Default: `certs`.
    pub(crate) stand_in_directory: Option<Text<PathBuf>>,
}

/// Where a certificate comes from.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "CertificateSource")]
pub(crate) enum SourceText {
    /// Issued by a certificate authority of this machine's own, and renewed by itself.
    SelfSigned,
    /// PEM files, read again when they change.
    Files,
    /// Ordered from Let's Encrypt or another authority, and renewed by itself.
    Acme,
}

/// What TLS demands on every https listener.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Tls")]
pub(crate) struct TlsText {
    /// The oldest version accepted. Default: `1.2`.
    pub(crate) min_version: Option<VersionText>,
    /// `Strict-Transport-Security` max-age; `0s` turns it off. Default: `365d`.
    pub(crate) hsts_max_age: Option<Text<Duration>>,
    /// Whether HSTS covers subdomains. Default: false.
    pub(crate) hsts_include_subdomains: Option<bool>,
    /// What a client gets that asks for a name of no certificate. Default: `default`.
    pub(crate) unknown_names: Option<UnknownNamesText>,
    /// Whether a request is answered 421 if its host belongs to another certificate than the name
    /// for which its connection was opened (RFC 9110 section 15.5.20). Default: true.
    pub(crate) refuse_misdirected: Option<bool>,
}

/// What a client gets that asks for a name of no certificate.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "UnknownNames")]
pub(crate) enum UnknownNamesText {
    /// The listener's first certificate.
    Default,
    /// An alert. A client that asks for no name at all, as for an IP address, gets the first
    /// certificate with an address.
    Refuse,
}

/// Where ACME certificates, accounts, challenges and session ticket keys are kept: `directory`, or
/// all of Redis.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CertificateStorage")]
pub(crate) struct StorageText {
    /// A directory of this machine, private to its user. Default: `certs/acme`, if a certificate is
    /// ordered.
    pub(crate) directory: Option<Text<PathBuf>>,
    /// The environment variable with the URL of a Redis that replicas share: `redis://` or
    /// `rediss://` (TLS), through Sentinel `redis-sentinel://host,host/MASTER`, a cluster
    /// `redis-cluster://host,host`. Default: none.
    pub(crate) redis_url_env: Option<Text<String>>,
    /// A file with that URL. Default: none.
    pub(crate) redis_url_file: Option<Text<PathBuf>>,
    /// The environment variable with the password of that Redis, instead of one in the URL.
    /// Default: none.
    pub(crate) redis_password_env: Option<Text<String>>,
    /// A file with that password. Default: none.
    pub(crate) redis_password_file: Option<Text<PathBuf>>,
    /// A PEM file with the only authorities trusted for the TLS of that Redis. Default: those of
    /// the web.
    pub(crate) redis_ca_file: Option<Text<PathBuf>>,
    /// The environment variable with the secret that seals what Redis keeps: 32 random bytes or
    /// more, the same for every replica. Required with Redis, here or as a file.
    pub(crate) secret_env: Option<Text<String>>,
    /// A file with that secret. Required with Redis, here or in the environment.
    pub(crate) secret_file: Option<Text<PathBuf>>,
    /// Begins every key in Redis. Default: `gatehouse`.
    pub(crate) prefix: Option<Text<Name>>,
}

/// A TLS version.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "TlsVersion")]
pub(crate) enum VersionText {
    /// TLS 1.2.
    #[serde(rename = "1.2")]
    Tls12,
    /// TLS 1.3.
    #[serde(rename = "1.3")]
    Tls13,
}
