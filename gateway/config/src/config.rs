//! The validated configuration: a [`Config`] needs no further checks.

use std::path::Path;

use crate::problem::Collector;
use crate::{
    Admin, Certificate, CertificateStorage, Drain, Limits, Listener, Log, Name, Problems, Route,
    Site, TlsPolicy, Tracing, Trust, Upgrade, Upstream, read, validate,
};

/// A consistent configuration: names are unique and every reference resolves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// At least one.
    pub listeners: Vec<Listener>,
    /// TLS policy.
    pub tls: TlsPolicy,
    /// At least one if a listener uses https.
    pub certificates: Vec<Certificate>,
    /// Storage for ACME certificates and session ticket keys; always present when a certificate is
    /// ordered by ACME.
    pub certificate_storage: Option<CertificateStorage>,
    /// At least one.
    pub routes: Vec<Route>,
    /// Internal services.
    pub upstreams: Vec<Upstream>,
    /// Static sites.
    pub sites: Vec<Site>,
    /// Protection against overload and abuse.
    pub limits: Limits,
    /// Address of metrics, health and reload; `None`: none.
    pub admin: Option<Admin>,
    /// Logs.
    pub log: Log,
    /// Traces of requests; `None`: off.
    pub tracing: Option<Tracing>,
    /// Graceful shutdown.
    pub drain: Drain,
    /// Replacing the running process without downtime; `None`: off.
    pub upgrade: Option<Upgrade>,
    /// Trusted proxies and request header fields.
    pub trust: Trust,
    /// SHA-256 of the configuration text, in hexadecimal.
    pub hash: String,
}

impl Config {
    /// Parses and validates a configuration. `origin` names the text in problems; relative paths in
    /// it resolve against `base`.
    pub fn parse(text: &str, origin: &str, base: &Path) -> Result<Self, Problems> {
        let mut problems = Collector::new(text);
        let sections = read::sections(text, &mut problems);
        match validate::config(text, base, sections, &mut problems) {
            Some(config) if problems.is_empty() => Ok(config),
            _ => Err(problems.into_problems(origin)),
        }
    }

    /// The upstream with this name.
    pub fn upstream(&self, name: &Name) -> Option<&Upstream> {
        self.upstreams.iter().find(|upstream| upstream.name == *name)
    }

    /// The site with this name.
    pub fn site(&self, name: &Name) -> Option<&Site> {
        self.sites.iter().find(|site| site.name == *name)
    }

    /// The certificate with this name.
    pub fn certificate(&self, name: &Name) -> Option<&Certificate> {
        self.certificates.iter().find(|certificate| certificate.name == *name)
    }
}
