//! Writes the effective configuration as TOML, with every default filled in.

mod acme;
mod tracing;

use std::fmt::Display;
use std::path::Path;
use std::time::Duration;

use crate::units::{bytes_text, duration_text};
use crate::{
    Action, Balance, Certificate, CertificateSource, Config, Limits, Listener, LogFormat,
    PathMatch, Protocol, RateLimit, Route, Site, SiteRoot, TlsVersion, UnknownNames, Upstream,
};

/// Replaces values that must not be shown.
const REDACTED: &str = "(not shown)";

impl Config {
    /// The configuration as TOML with every default filled in. Paths of private keys are redacted.
    pub fn to_toml(&self) -> String {
        let mut text = Writer::default();
        self.listeners.iter().for_each(|listener| text.listener(listener));
        text.section("tls");
        text.string(
            "min_version",
            if self.tls.min_version == TlsVersion::Tls13 { "1.3" } else { "1.2" },
        );
        text.duration("hsts_max_age", self.tls.hsts_max_age);
        text.plain("hsts_include_subdomains", self.tls.hsts_include_subdomains);
        text.string(
            "unknown_names",
            if self.tls.unknown_names == UnknownNames::Refuse { "refuse" } else { "default" },
        );
        text.plain("refuse_misdirected", self.tls.refuse_misdirected);
        self.certificates.iter().for_each(|certificate| text.certificate(certificate));
        if let Some(storage) = &self.certificate_storage {
            text.storage(storage);
        }
        self.routes.iter().for_each(|route| text.route(route));
        self.upstreams.iter().for_each(|upstream| text.upstream(upstream));
        self.sites.iter().for_each(|site| text.site(site));
        text.limits(&self.limits);
        if let Some(admin) = &self.admin {
            text.section("admin");
            text.string("address", admin.address);
            text.list("hosts", &admin.hosts);
        }
        text.section("log");
        text.plain("access", self.log.access);
        text.string("level", self.log.level.as_str());
        text.string("format", if self.log.format == LogFormat::Json { "json" } else { "text" });
        text.plain("pseudonymise", self.log.pseudonymise);
        if let Some(tracing) = &self.tracing {
            text.tracing(tracing);
        }
        text.section("drain");
        text.duration("delay", self.drain.delay);
        text.duration("deadline", self.drain.deadline);
        if let Some(upgrade) = &self.upgrade {
            text.section("upgrade");
            text.path("socket", &upgrade.socket);
        }
        text.section("trust");
        text.list("forwarded", &self.trust.forwarded);
        text.plain("underscores_in_headers", self.trust.underscores_in_headers);
        text.0
    }
}

#[derive(Default)]
struct Writer(String);

impl Writer {
    fn section(&mut self, name: &str) {
        self.line(&format!("{}[{name}]", self.gap()));
    }

    fn item(&mut self, name: &str) {
        self.line(&format!("{}[[{name}]]", self.gap()));
    }

    fn gap(&self) -> &'static str {
        if self.0.is_empty() { "" } else { "\n" }
    }

    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    fn plain(&mut self, key: &str, value: impl Display) {
        self.line(&format!("{key} = {value}"));
    }

    fn string(&mut self, key: &str, value: impl Display) {
        self.plain(key, quoted(value));
    }

    fn path(&mut self, key: &str, path: &Path) {
        self.string(key, path.display());
    }

    fn duration(&mut self, key: &str, duration: Duration) {
        self.string(key, duration_text(duration));
    }

    fn bytes(&mut self, key: &str, bytes: u64) {
        self.string(key, bytes_text(bytes));
    }

    fn list(&mut self, key: &str, values: &[impl Display]) {
        let values: Vec<_> = values.iter().map(quoted).collect();
        self.plain(key, format!("[{}]", values.join(", ")));
    }

    /// Writes a list that means "any" when it is absent.
    fn list_unless_empty(&mut self, key: &str, values: &[impl Display]) {
        if !values.is_empty() {
            self.list(key, values);
        }
    }

    fn rate_limit(&mut self, limit: &RateLimit) {
        // `Debug` keeps the decimal point that makes the number a float.
        self.plain(
            "rate_limit",
            format!("{{ per_second = {:?}, burst = {} }}", limit.per_second, limit.burst),
        );
    }

    fn listener(&mut self, listener: &Listener) {
        self.item("listener");
        self.string("name", &listener.name);
        self.string("address", &listener.address);
        match &listener.protocol {
            Protocol::Https { certificates, client_certificates } => {
                self.string("protocol", "https");
                self.list("certificates", certificates);
                if let Some(clients) = client_certificates {
                    self.path("client_ca", &clients.authorities);
                    self.string(
                        "client_certificates",
                        if clients.required { "required" } else { "optional" },
                    );
                }
            }
            Protocol::HttpRedirect { https_port } => {
                self.string("protocol", "http");
                self.string("mode", "redirect");
                if let Some(port) = https_port {
                    self.plain("https_port", port);
                }
            }
            Protocol::HttpPlain => {
                self.string("protocol", "http");
                self.string("mode", "plain");
            }
        }
        self.list("proxy_protocol", &listener.proxy_protocol);
        self.plain("max_connections", listener.max_connections);
    }

    fn certificate(&mut self, certificate: &Certificate) {
        self.item("certificate");
        self.string("name", &certificate.name);
        match &certificate.source {
            CertificateSource::SelfSigned { directory, names } => {
                self.string("source", "self-signed");
                self.path("directory", directory);
                self.list("names", names);
            }
            CertificateSource::Files { cert, key: _ } => {
                self.string("source", "files");
                self.path("cert", cert);
                self.string("key", REDACTED);
            }
            CertificateSource::Acme(acme) => self.acme(acme),
        }
    }

    fn route(&mut self, route: &Route) {
        self.item("route");
        self.string("name", &route.name);
        self.list_unless_empty("hosts", &route.hosts);
        match &route.path {
            PathMatch::Exact(path) => self.string("path", path),
            PathMatch::Prefix(path) => self.string("path_prefix", path),
        }
        self.list_unless_empty("methods", &route.methods);
        match &route.action {
            Action::Upstream(name) => self.string("upstream", name),
            Action::Static(name) => self.string("static", name),
            Action::Redirect { location, status } => {
                self.plain(
                    "redirect",
                    format!("{{ location = {}, status = {} }}", quoted(location), status.as_u16()),
                );
            }
            Action::Respond { status, body } => {
                self.plain(
                    "respond",
                    format!("{{ status = {}, body = {} }}", status.as_u16(), quoted(body)),
                );
            }
        }
        self.plain("websocket", route.websocket);
        self.plain("require_origin", route.require_origin);
        self.bytes("body_limit", route.body_limit);
        self.duration("first_byte_timeout", route.timeouts.first_byte);
        self.duration("idle_timeout", route.timeouts.idle);
        self.duration("websocket_idle_timeout", route.timeouts.websocket_idle);
        if let Some(limit) = &route.rate_limit {
            self.rate_limit(limit);
        }
    }

    fn upstream(&mut self, upstream: &Upstream) {
        self.item("upstream");
        self.string("name", &upstream.name);
        self.list("targets", &upstream.targets);
        match &upstream.balance {
            Balance::LeastRequest => self.string("balance", "least-request"),
            Balance::Rendezvous { cookie } => {
                self.string("balance", "rendezvous");
                self.string("hash_cookie", cookie);
            }
        }
        self.duration("connect_timeout", upstream.connect_timeout);
        self.plain("keepalive_connections", upstream.keepalive_connections);
        self.duration("keepalive_timeout", upstream.keepalive_timeout);
        self.duration("slow_start", upstream.slow_start);
        if let Some(check) = &upstream.health_check {
            self.line("[upstream.health_check]");
            if let Some(path) = &check.path {
                self.string("path", path);
            }
            self.duration("interval", check.interval);
            self.duration("timeout", check.timeout);
            self.plain("healthy_after", check.healthy_after);
            self.plain("unhealthy_after", check.unhealthy_after);
        }
        self.line("[upstream.retries]");
        self.plain("per_request", upstream.retries.per_request);
        self.plain("budget_percent", upstream.retries.budget_percent);
        self.line("[upstream.ejection]");
        self.plain("consecutive_failures", upstream.ejection.consecutive_failures);
        self.duration("duration", upstream.ejection.duration);
        self.plain("max_percent", upstream.ejection.max_percent);
        self.line("[upstream.circuit_breaker]");
        self.plain("max_requests", upstream.circuit_breaker.max_requests);
        self.plain("max_websockets", upstream.circuit_breaker.max_websockets);
    }

    fn site(&mut self, site: &Site) {
        self.item("site");
        self.string("name", &site.name);
        match &site.root {
            SiteRoot::Embedded => self.string("root", "embedded"),
            SiteRoot::Directory(path) => self.path("root", path),
        }
        if let Some(file) = &site.spa_fallback {
            self.string("spa_fallback", file);
        }
        if let Some(policy) = &site.content_security_policy {
            self.string("content_security_policy", policy);
        }
    }

    fn limits(&mut self, limits: &Limits) {
        self.section("limits");
        self.plain("max_connections", limits.max_connections);
        self.plain("max_connections_per_address", limits.max_connections_per_address);
        self.duration("handshake_timeout", limits.handshake_timeout);
        self.duration("header_timeout", limits.header_timeout);
        self.duration("body_timeout", limits.body_timeout);
        self.duration("send_timeout", limits.send_timeout);
        self.duration("keepalive_timeout", limits.keepalive_timeout);
        self.plain("keepalive_requests", limits.keepalive_requests);
        self.bytes("header_bytes", limits.header_bytes.into());
        self.plain("header_fields", limits.header_fields);
        self.bytes("body_bytes", limits.body_bytes);
        self.plain("h2_concurrent_streams", limits.h2_concurrent_streams);
        self.plain("h2_pending_resets", limits.h2_pending_resets);
        self.bytes("held_bytes_per_address", limits.held_bytes_per_address);
        self.rate_limit(&limits.rate_limit);
        self.plain("rate_limit_addresses", limits.rate_limit_addresses);
    }
}

fn quoted(value: impl Display) -> String {
    toml::Value::String(value.to_string()).to_string()
}
