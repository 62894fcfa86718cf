//! The configuration as written: every key with its type and meaning. The JSON Schema is generated
//! from these types.

pub(crate) mod certificate;
pub(crate) mod listener;
pub(crate) mod operation;
pub(crate) mod route;
pub(crate) mod text;
pub(crate) mod tracing;
pub(crate) mod upstream;

pub(crate) use text::{Text, Value, found};

use schemars::JsonSchema;
use toml::Spanned;

use certificate::{CertificateText, StorageText, TlsText};
use listener::ListenerText;
use operation::{AdminText, DrainText, LimitsText, LogText, TrustText, UpgradeText};
use route::{RouteText, SiteText};
use tracing::TracingText;
use upstream::UpstreamText;

/// The configuration of a Gatehouse gateway.
#[derive(JsonSchema)]
#[schemars(rename = "Gateway", deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "defines the schema; sections are deserialized one by one, so that each reports its own problems"
)]
pub(crate) struct File {
    /// Addresses to listen on. Required, at least one.
    listener: Vec<ListenerText>,
    /// TLS policy of every https listener. Default: TLS 1.2 or newer, HSTS for one year.
    tls: Option<TlsText>,
    /// Certificates. Required, at least one, if a listener uses https. Default: none.
    certificate: Option<Vec<CertificateText>>,
    /// Storage for ACME certificates and session ticket keys. Default: `certs/acme` if a
    /// certificate is ordered by ACME.
    certificate_storage: Option<StorageText>,
    /// Which requests go where. The most specific route wins, regardless of the order in the file.
    /// Required, at least one.
    route: Vec<RouteText>,
    /// Internal services that routes forward to. Default: none.
    upstream: Option<Vec<UpstreamText>>,
    /// Static sites that routes serve. Default: none.
    site: Option<Vec<SiteText>>,
    /// Protection against overload and abuse. Default: safe limits, listed at each key.
    limits: Option<LimitsText>,
    /// Address of metrics, health and reload. Default: none.
    admin: Option<AdminText>,
    /// Logs. Default: access log on, level `info`, JSON, client addresses pseudonymised.
    log: Option<LogText>,
    /// Traces, sent to an OpenTelemetry collector. Default: off.
    tracing: Option<TracingText>,
    /// Graceful shutdown. Default: no delay, 30 seconds to finish.
    drain: Option<DrainText>,
    /// Replacing the running gateway process by a new one without losing a connection. Default:
    /// off.
    upgrade: Option<UpgradeText>,
    /// Trusted proxies and request header fields. Default: no proxy is trusted.
    trust: Option<TrustText>,
}

/// The JSON Schema (draft 2020-12) of a configuration file, for editors and for spelling
/// suggestions.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(File).to_value()
}

/// Sections that were read successfully.
#[derive(Default)]
pub(crate) struct Sections {
    pub(crate) listener: Vec<Spanned<ListenerText>>,
    pub(crate) tls: Option<TlsText>,
    pub(crate) certificate: Vec<Spanned<CertificateText>>,
    pub(crate) certificate_storage: Option<Spanned<StorageText>>,
    pub(crate) route: Vec<Spanned<RouteText>>,
    pub(crate) upstream: Vec<Spanned<UpstreamText>>,
    pub(crate) site: Vec<Spanned<SiteText>>,
    pub(crate) limits: Option<LimitsText>,
    pub(crate) admin: Option<AdminText>,
    pub(crate) log: Option<LogText>,
    pub(crate) tracing: Option<Spanned<TracingText>>,
    pub(crate) drain: Option<DrainText>,
    pub(crate) upgrade: Option<UpgradeText>,
    pub(crate) trust: Option<TrustText>,
}
