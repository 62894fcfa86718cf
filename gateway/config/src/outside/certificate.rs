//! `[[certificate]]`, `[tls]` and `[certificate_storage]`.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Text;
use crate::{AcmeChallenge, DirectoryUrl, Name, ServerName};

/// A certificate and its source.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Certificate")]
pub(crate) struct CertificateText {
    /// Name for listeners, logs and metrics. Required, unique.
    pub(crate) name: Text<Name>,
    /// Where the certificate comes from. Required.
    pub(crate) source: SourceText,
    /// `self-signed`: directory of the local certificate authority, created on first use. `acme`:
    /// URL of the authority's directory. Default: `certs` for `self-signed`, Let's Encrypt for
    /// `acme`.
    pub(crate) directory: Option<Text<String>>,
    /// `self-signed` and `acme`: DNS names and IP addresses in the certificate; `acme` does not
    /// support wildcards. Required for `acme`. Default: `localhost`, `127.0.0.1` and `::1` for
    /// `self-signed`.
    pub(crate) names: Option<Vec<Text<ServerName>>>,
    /// `files`: PEM file with the certificate chain, leaf first. Required for `files`.
    pub(crate) cert: Option<Text<PathBuf>>,
    /// `files`: PEM file with the private key of the leaf. Required for `files`.
    pub(crate) key: Option<Text<PathBuf>>,
    /// `acme`: URL of a directory that is used while the first one keeps failing. Default: none.
    pub(crate) fallback_directory: Option<Text<DirectoryUrl>>,
    /// `acme`: contact URLs for the authority, such as `mailto:admin@example.org`. Default: none.
    pub(crate) contact: Option<Vec<Text<String>>>,
    /// `acme`: certificate profile to request, such as `shortlived`. Default: the authority's
    /// default.
    pub(crate) profile: Option<Text<String>>,
    /// `acme`: challenge types, preferred first: `tls-alpn-01` on the https listeners, `http-01` on
    /// the http listeners. The authority connects to port 443 or 80. Default: both, in this order.
    pub(crate) challenges: Option<Vec<Text<AcmeChallenge>>>,
    /// `acme`: key identifier of an external account binding, which ZeroSSL and others require.
    /// Default: none.
    pub(crate) eab_key_id: Option<Text<String>>,
    /// `acme`: environment variable with the HMAC key of the binding, in base64url. Default: none.
    pub(crate) eab_hmac_key_env: Option<Text<String>>,
    /// `acme`: file with the HMAC key of the binding, in base64url. Default: none.
    pub(crate) eab_hmac_key_file: Option<Text<PathBuf>>,
    /// `acme`: PEM file with the only roots trusted for HTTPS to the directory, for a private
    /// authority. Default: the system's roots.
    pub(crate) ca_file: Option<Text<PathBuf>>,
    /// `acme`: directory of the local certificate authority whose certificate is served until the
    /// first one is issued. Default: `certs`.
    pub(crate) stand_in_directory: Option<Text<PathBuf>>,
}

/// Where a certificate comes from.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "CertificateSource")]
pub(crate) enum SourceText {
    /// Issued by a local certificate authority and renewed automatically.
    SelfSigned,
    /// PEM files, reloaded when they change.
    Files,
    /// Ordered from Let's Encrypt or another ACME authority and renewed automatically.
    Acme,
}

/// TLS policy of every https listener.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Tls")]
pub(crate) struct TlsText {
    /// Oldest TLS version accepted. Default: `1.2`.
    pub(crate) min_version: Option<VersionText>,
    /// `Strict-Transport-Security` max-age; `0s` turns it off. Default: `365d`.
    pub(crate) hsts_max_age: Option<Text<Duration>>,
    /// Whether HSTS includes subdomains. Default: false.
    pub(crate) hsts_include_subdomains: Option<bool>,
    /// Reply to a client that requests a server name without a certificate. Default: `default`.
    pub(crate) unknown_names: Option<UnknownNamesText>,
    /// Whether to send 421 if the host of a request belongs to a different certificate than the
    /// server name of its connection (RFC 9110 section 15.5.20). Default: true.
    pub(crate) refuse_misdirected: Option<bool>,
}

/// Reply to a client that requests a server name without a certificate.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "UnknownNames")]
pub(crate) enum UnknownNamesText {
    /// Send the listener's first certificate.
    Default,
    /// Send a TLS alert. A client that requests no server name, for example because it connects to
    /// an IP address, gets the first certificate that contains an address.
    Refuse,
}

/// Storage for ACME certificates, accounts, challenges and session ticket keys: either `directory`
/// or the Redis keys.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CertificateStorage")]
pub(crate) struct StorageText {
    /// Local directory, accessible only to the gateway's user. Default: `certs/acme` if a
    /// certificate is ordered by ACME.
    pub(crate) directory: Option<Text<PathBuf>>,
    /// Environment variable with the URL of a Redis that replicas share: `redis://`, `rediss://`
    /// (TLS), `redis-sentinel://host,host/MASTER` or `redis-cluster://host,host`. Default: none.
    pub(crate) redis_url_env: Option<Text<String>>,
    /// File with the Redis URL. Default: none.
    pub(crate) redis_url_file: Option<Text<PathBuf>>,
    /// Environment variable with the Redis password, if it is not part of the URL. Default: none.
    pub(crate) redis_password_env: Option<Text<String>>,
    /// File with the Redis password. Default: none.
    pub(crate) redis_password_file: Option<Text<PathBuf>>,
    /// PEM file with the only authorities trusted for TLS to Redis. Default: the public web
    /// authorities.
    pub(crate) redis_ca_file: Option<Text<PathBuf>>,
    /// Environment variable with the secret that encrypts the values in Redis: at least 32 random
    /// bytes, the same for every replica. Required with Redis, unless `secret_file` is set.
    pub(crate) secret_env: Option<Text<String>>,
    /// File with that secret. Required with Redis, unless `secret_env` is set.
    pub(crate) secret_file: Option<Text<PathBuf>>,
    /// Prefix of every key in Redis. Default: `gatehouse`.
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
