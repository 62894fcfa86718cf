//! Logs on standard error, as JSON or text; a reload can change level and format.

mod json;
mod panics;

use std::io::{self, IsTerminal};

use gateway_config::{Log, LogFormat, LogLevel};
use tracing_subscriber::layer::{Layer, Layered, SubscriberExt};
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

/// Handle of the installed log.
#[derive(Clone)]
pub struct Telemetry {
    filter: reload::Handle<EnvFilter, Registry>,
    lines: reload::Handle<Lines, Filtered>,
    from_environment: bool,
}

type Filtered = Layered<reload::Layer<EnvFilter, Registry>, Registry>;
type Lines = Box<dyn Layer<Filtered> + Send + Sync>;

impl Telemetry {
    /// Starts logging; call once per process. RUST_LOG takes precedence over the configured level,
    /// also after reloads.
    pub fn install(log: &Log) -> Result<Self, TryInitError> {
        let environment =
            std::env::var(EnvFilter::DEFAULT_ENV).ok().filter(|value| !value.is_empty());
        let from_environment = environment.is_some();
        let filter =
            environment.map_or_else(|| filter(log.level), |directives| asked_for(&directives));
        let (filter, handle) = reload::Layer::new(filter);
        let (layer, lines) = reload::Layer::new(lines(log.format));
        tracing_subscriber::registry().with(filter).with(layer).try_init()?;
        panics::log();
        Ok(Self { filter: handle, lines, from_environment })
    }

    /// Applies level and format of another configuration.
    pub fn follow(&self, log: &Log) {
        let level =
            if self.from_environment { Ok(()) } else { self.filter.reload(filter(log.level)) };
        if let Err(error) = level.and_then(|()| self.lines.reload(lines(log.format))) {
            tracing::warn!(%error, "cannot change the log settings");
        }
    }
}

/// Neither format writes spans, because their fields are formatted for only one of the formats.
fn lines(format: LogFormat) -> Lines {
    match format {
        LogFormat::Json => fmt::layer().event_format(json::Json).with_writer(io::stderr).boxed(),
        LogFormat::Text => fmt::layer()
            .with_target(false)
            .with_ansi(io::stderr().is_terminal())
            .with_writer(io::stderr)
            .boxed(),
    }
}

/// Our own modules at the configured level; verbose libraries only at `warn`. Warnings of rustls
/// are caused by clients, for example by an IP address as server name, and count as failed
/// handshakes.
fn filter(level: LogLevel) -> EnvFilter {
    let level = level.as_str();
    let (quiet, tls) = match level {
        "trace" => ("debug", "debug"),
        "error" => ("error", "error"),
        _ => ("warn", "error"),
    };
    let directives = ["pingora", "pingora_core", "pingora_proxy", "h2", "hyper"]
        .map(|library| format!("{library}={quiet}"));
    EnvFilter::new(format!("{level},{},rustls={tls}", directives.join(",")))
}

/// The directives of RUST_LOG; a global level does not apply to rustls.
fn asked_for(directives: &str) -> EnvFilter {
    if directives.contains("rustls") {
        return EnvFilter::new(directives);
    }
    EnvFilter::new(format!("rustls=error,{directives}"))
}
