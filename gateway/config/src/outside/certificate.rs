//! `[[certificate]]` and `[tls]`.

use super::Text;
use crate::{Name, ServerName};
use schemars::JsonSchema;
use serde::Deserialize;
use std::{path::PathBuf, time::Duration};

/// A certificate, and where it comes from.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Certificate")]
pub(crate) struct CertificateText {
    /// A name for listeners, logs and metrics. Required, unique.
    pub(crate) name: Text<Name>,
    /// Where it comes from. Required.
    pub(crate) source: SourceText,
    /// `self-signed`: the directory of the local certificate authority, made on first use. Default: `certs`.
    pub(crate) directory: Option<Text<PathBuf>>,
    /// `self-signed`: the DNS names and IP addresses in the certificate. Default: `localhost`, `127.0.0.1`, `::1`.
    pub(crate) names: Option<Vec<Text<ServerName>>>,
    /// `files`: a PEM file with the chain, leaf first. Required there.
    pub(crate) cert: Option<Text<PathBuf>>,
    /// `files`: a PEM file with the leaf's private key. Required there.
    pub(crate) key: Option<Text<PathBuf>>,
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
