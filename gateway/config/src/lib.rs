//! The gateway's configuration: TOML text in; a validated [`Config`] out, or all problems with
//! their line, column and key path.
//!
//! text → `read` → `outside` (serde types with positions) → `validate` → [`Config`]. This crate
//! opens no sockets and none of the files named in the configuration.

// Text to sections.
mod read;
mod unknown_keys;
mod key_paths;
mod outside;

// Sections to a configuration.
mod validate;
mod config;
mod listener;
mod certificate;
mod acme;
mod route;
mod upstream;
mod site;
mod limits;
mod operation;
mod tracing;

// A configuration to text.
mod effective;
mod standalone;

// Shared by all of the above.
mod name;
mod problem;
mod units;

pub use acme::{
    Acme, AcmeChallenge, AcmeExternalAccount, AcmeIssuer, CertificateStorage, DirectoryUrl, Secret,
};
pub use certificate::{
    Certificate, CertificateSource, ServerName, TlsPolicy, TlsVersion, UnknownNames,
};
pub use config::Config;
pub use limits::Limits;
pub use listener::{ClientCertificates, ListenAddress, Listener, Protocol};
pub use name::Name;
pub use operation::{Admin, Drain, Log, LogFormat, LogLevel, Trust, Upgrade};
pub use outside::schema;
pub use problem::{Problem, Problems};
pub use route::{Action, HostPattern, PathMatch, RateLimit, Route, RouteTimeouts};
pub use site::{Site, SiteRoot};
pub use standalone::{Standalone, StandaloneAcme};
pub use tracing::{CollectorUrl, Tracing};
pub use units::{bytes_text, duration_text};
pub use upstream::{Balance, CircuitBreaker, Ejection, HealthCheck, Retries, Target, Upstream};
