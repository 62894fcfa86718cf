//! Logs: one JSON object per line on standard error, filtered by `RUST_LOG`.

use tracing_subscriber::EnvFilter;

/// Starts logging, filtered by `RUST_LOG` or `info`. Once per process.
pub fn start() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_span_list(false)
        .with_env_filter(filter);
    // Without the bridge from the `log` crate: its records contain paths of the build machine.
    if tracing::subscriber::set_global_default(subscriber.with_writer(std::io::stderr).finish())
        .is_err()
    {
        tracing::debug!("logging is already started");
    }
}
