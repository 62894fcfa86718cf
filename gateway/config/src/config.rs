//! The validated configuration: whoever holds a [`Config`] needs to check nothing more.

use std::path::Path;

use crate::problem::Collector;
use crate::{
    Admin, Certificate, CertificateStorage, Drain, Limits, Listener, Log, Name, Problems, Route,
    Site, TlsPolicy, Tracing, Trust, Upgrade, Upstream, read, validate,
};

/// A configuration that holds together: names are unique, every reference is to something that
/// exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where to listen; at least one.
    pub listeners: Vec<Listener>,
    /// What TLS demands.
    pub tls: TlsPolicy,
    /// Certificates; at least one when a listener speaks https.
    pub certificates: Vec<Certificate>,
    /// Where ACME certificates and session ticket keys are kept; always there when a certificate is
    /// ordered.
    pub certificate_storage: Option<CertificateStorage>,
    /// Which request goes where; at least one.
    pub routes: Vec<Route>,
    /// Internal services.
    pub upstreams: Vec<Upstream>,
    /// Static sites.
    pub sites: Vec<Site>,
    /// General protection.
    pub limits: Limits,
    /// Where metrics, health and reload are served; `None`: nowhere.
    pub admin: Option<Admin>,
    /// Logs.
    pub log: Log,
    /// Traces of requests; `None`: none are made.
    pub tracing: Option<Tracing>,
    /// How to stop.
    pub drain: Drain,
    /// How a new process takes over; `None`: it does not.
    pub upgrade: Option<Upgrade>,
    /// Who is believed.
    pub trust: Trust,
    /// SHA-256 of the text it was read from, in hexadecimal.
    pub hash: String,
}

impl Config {
    /// Reads and validates a configuration. `origin` names the text in problems; relative paths in
    /// it are below `base`.
    pub fn parse(text: &str, origin: &str, base: &Path) -> Result<Self, Problems> {
        let mut problems = Collector::new(text);
        let sections = read::sections(text, &mut problems);
        match validate::config(text, base, sections, &mut problems) {
            Some(config) if problems.is_empty() => Ok(config),
            _ => Err(problems.into_problems(origin)),
        }
    }

    /// The upstream of this name.
    pub fn upstream(&self, name: &Name) -> Option<&Upstream> {
        self.upstreams.iter().find(|upstream| upstream.name == *name)
    }

    /// The site of this name.
    pub fn site(&self, name: &Name) -> Option<&Site> {
        self.sites.iter().find(|site| site.name == *name)
    }

    /// The certificate of this name.
    pub fn certificate(&self, name: &Name) -> Option<&Certificate> {
        self.certificates.iter().find(|certificate| certificate.name == *name)
    }
}
