//! Logs: lines on standard error, as JSON or for people, with a level and a form that a reload can change.

use gateway_config::{Log, LogFormat, LogLevel};
use std::io::{self, IsTerminal};
use tracing_subscriber::{
    EnvFilter, Registry, fmt,
    layer::{Layer, Layered, SubscriberExt},
    reload,
    util::{SubscriberInitExt, TryInitError},
};

/// The process's log, once installed.
#[derive(Clone)]
pub struct Telemetry {
    filter: reload::Handle<EnvFilter, Registry>,
    lines: reload::Handle<Lines, Filtered>,
    from_environment: bool,
}

type Filtered = Layered<reload::Layer<EnvFilter, Registry>, Registry>;
type Lines = Box<dyn Layer<Filtered> + Send + Sync>;

impl Telemetry {
    /// Begins to write logs; once per process. RUST_LOG, when set, goes before the configured level, for good.
    pub fn install(log: &Log) -> Result<Self, TryInitError> {
        let from_environment = std::env::var(EnvFilter::DEFAULT_ENV).is_ok_and(|value| !value.is_empty());
        let filter = if from_environment { EnvFilter::from_default_env() } else { filter(log.level) };
        let (filter, handle) = reload::Layer::new(filter);
        let (layer, lines) = reload::Layer::new(lines(log.format));
        tracing_subscriber::registry().with(filter).with(layer).try_init()?;
        Ok(Self { filter: handle, lines, from_environment })
    }

    /// Takes level and format of another configuration.
    pub fn follow(&self, log: &Log) {
        let level = if self.from_environment { Ok(()) } else { self.filter.reload(filter(log.level)) };
        if let Err(error) = level.and_then(|()| self.lines.reload(lines(log.format))) {
            tracing::warn!(%error, "the log stays as it was");
        }
    }
}

/// No spans in either: what they hold is formatted for the one form or the other.
fn lines(format: LogFormat) -> Lines {
    match format {
        LogFormat::Json => fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_writer(io::stderr)
            .boxed(),
        LogFormat::Text => {
            fmt::layer().with_target(false).with_ansi(io::stderr().is_terminal()).with_writer(io::stderr).boxed()
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
