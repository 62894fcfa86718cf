//! The configuration as it is written: every key, its type, and what it means. The JSON Schema is
//! made from these.

pub(crate) mod certificate;
pub(crate) mod listener;
pub(crate) mod operation;
pub(crate) mod route;
pub(crate) mod text;
pub(crate) mod tracing;
pub(crate) mod upstream;

pub(crate) use text::{Text, Value};

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
    reason = "says which sections there are; the sections are read one by one, so that each reports its problems"
)]
pub(crate) struct File {
    /// Where to listen. Required, at least one.
    listener: Vec<ListenerText>,
    /// What TLS demands on every https listener. Default: TLS 1.2 or newer, HSTS for a year.
    tls: Option<TlsText>,
    /// Certificates. Required, at least one, when a listener speaks https. Default: none.
    certificate: Option<Vec<CertificateText>>,
    /// Where ACME certificates and session ticket keys are kept. Default: below `certs/acme`, if
    /// one is ordered.
    certificate_storage: Option<StorageText>,
    /// Which request goes where. Required, at least one. The most specific route wins, whatever the
    /// order here.
    route: Vec<RouteText>,
    /// Internal services that routes forward to. Default: none.
    upstream: Option<Vec<UpstreamText>>,
    /// Static sites that routes serve. Default: none.
    site: Option<Vec<SiteText>>,
    /// General protection. Default: safe limits, given at each key.
    limits: Option<LimitsText>,
    /// Where metrics, health and reload are served. Default: nowhere.
    admin: Option<AdminText>,
    /// Logs. Default: access log on, level info, JSON, addresses pseudonymised.
    log: Option<LogText>,
    /// Which requests are traced, and the OpenTelemetry collector that gets their spans. Default:
    /// none, and nothing is sent.
    tracing: Option<TracingText>,
    /// How the gateway stops. Default: no delay, 30 seconds.
    drain: Option<DrainText>,
    /// How a new process takes over from the running one without losing a connection. Default: it
    /// does not.
    upgrade: Option<UpgradeText>,
    /// Who is believed. Default: nobody.
    trust: Option<TrustText>,
}

/// The sections that could be read.
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
