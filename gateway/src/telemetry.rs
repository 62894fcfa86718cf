//! Logs: lines on standard error, as JSON or for people, with a level that a reload can change.

use gateway_config::{Log, LogFormat, LogLevel};
use std::io;
use tracing_subscriber::{
    EnvFilter, Registry, fmt,
    layer::{Layer, SubscriberExt},
    reload,
    util::{SubscriberInitExt, TryInitError},
};

/// The process's log, once installed.
#[derive(Clone)]
pub struct Telemetry {
    filter: reload::Handle<EnvFilter, Registry>,
    from_environment: bool,
}

impl Telemetry {
    /// Begins to write logs; once per process. RUST_LOG, when set, goes before the configured level, for good.
    pub fn install(log: &Log) -> Result<Self, TryInitError> {
        let from_environment = std::env::var(EnvFilter::DEFAULT_ENV).is_ok_and(|value| !value.is_empty());
        let filter = if from_environment { EnvFilter::from_default_env() } else { filter(log.level) };
        let (filter, handle) = reload::Layer::new(filter);
        let lines = match log.format {
            LogFormat::Json => fmt::layer()
                .json()
                .flatten_event(true)
                .with_current_span(false)
                .with_span_list(false)
                .with_writer(io::stderr)
                .boxed(),
            LogFormat::Text => fmt::layer().with_target(false).with_writer(io::stderr).boxed(),
        };
        tracing_subscriber::registry().with(filter).with(lines).try_init()?;
        Ok(Self { filter: handle, from_environment })
    }

    /// Takes the level of another configuration; the format stays.
    pub fn follow(&self, log: &Log) {
        if !self.from_environment
            && let Err(error) = self.filter.reload(filter(log.level))
        {
            tracing::warn!(%error, "the log level stays as it was");
        }
    }
}

/// Our own modules at the level asked for; libraries that narrate each connection only when something is odd.
fn filter(level: LogLevel) -> EnvFilter {
    let level = level.as_str();
    let quiet = if level == "trace" {
        "debug"
    } else if level == "error" {
        "error"
    } else {
        "warn"
    };
    let directives = ["pingora", "pingora_core", "pingora_proxy", "h2", "hyper", "rustls"]
        .map(|library| format!("{library}={quiet}"));
    EnvFilter::new(format!("{level},{}", directives.join(",")))
}
