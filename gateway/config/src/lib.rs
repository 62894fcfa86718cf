//! The gateway's configuration: TOML text in, a validated [`Config`] out, or every problem with
//! file, line and reason.
//!
//! text → `outside` (serde, spans) → `validate` → [`Config`]. No sockets, no files of the
//! configuration's are opened.

mod acme;
mod certificate;
mod config;
mod effective;
mod limits;
mod listener;
mod name;
mod operation;
mod outside;
mod problem;
mod read;
mod route;
mod schema;
mod site;
mod standalone;
mod tracing;
mod units;
mod unknown_keys;
mod upstream;
mod validate;

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
pub use problem::{Problem, Problems};
pub use route::{Action, HostPattern, PathMatch, RateLimit, Route, RouteTimeouts};
pub use schema::schema;
pub use site::{Site, SiteRoot};
pub use standalone::{Standalone, StandaloneAcme};
pub use tracing::{CollectorUrl, Tracing};
pub use units::{bytes_text, duration_text};
pub use upstream::{Balance, CircuitBreaker, Ejection, HealthCheck, Retries, Target, Upstream};
