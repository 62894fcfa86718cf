//! The front door: terminates TLS, routes, protects, serves the static UI, carries WebSockets, and
//! changes its configuration without dropping a connection.
//!
//! ```text
//! serving:  listener → tls → connection → tunnel | proxy → router → filters
//!           → static files | upstream → record → access log, metrics, traces
//! control:  cli → config source → certificates → snapshot → bind → gateway
//!           ← handle ← maintenance (files, renewal), SIGHUP, admin
//! ```
//!
//! Start at [`Gateway::start`] for the control plane and at [`Plane`] for the data plane; what they
//! share is one [`Snapshot`], swapped whole. Control imports serving, never the reverse; both stand
//! on metrics, files and secrets.

mod control;
mod serving;

mod metrics;
mod files;
mod secret;

pub use control::cli::Cli;
pub use control::config_source::{ConfigError, ConfigSource};
pub use control::gateway::{Gateway, Options, RunningGateway};
pub use control::handle::Handle;
pub use control::local_ca::AUTHORITY_FILE;
pub use control::phase::{Haste, Phase};
pub use control::report::{Changes, ReloadReport};
pub use control::signals::{Held, Signals};
pub use control::telemetry::Telemetry;
pub use control::trust;
pub use control::upgrade::Upgrades;
pub use metrics::{Declared, Metrics};
pub use serving::access_log::Pseudonyms;
pub use serving::challenges::Http01;
pub use serving::drain::Idle;
pub use serving::page;
pub use serving::plane::{Drained, Plane};
pub use serving::snapshot::Snapshot;
pub use serving::tls::Certificates;
