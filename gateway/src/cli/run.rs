//! `gateway run`.

use super::complain;
use crate::{
    config_source::ConfigSource,
    gateway::{Gateway, Options},
    life_cycle::Signals,
    telemetry::Telemetry,
};
use std::{path::PathBuf, process::ExitCode};
use tokio_util::sync::CancellationToken;

pub(super) async fn run(config: PathBuf) -> ExitCode {
    let signals = match Signals::install() {
        Ok(signals) => signals,
        Err(error) => return complain(&format!("cannot take signals: {error}")),
    };
    let source = ConfigSource::File(config);
    // Read once for the log's sake, so that everything from here on is logged as asked.
    let telemetry = match source.load() {
        Ok(config) => Telemetry::install(&config.log),
        Err(error) => return complain(&error.to_string()),
    };
    let options = Options { telemetry: telemetry.ok(), ..Options::default() };
    let gateway = match Gateway::start(source, options, CancellationToken::new()).await {
        Ok(gateway) => gateway,
        Err(error) => return complain(&error.to_string()),
    };
    let handle = gateway.handle();
    for (listener, address) in handle.addresses().await {
        tracing::info!(%listener, %address, "listening");
    }
    if let Some(address) = handle.admin_address().await {
        tracing::info!(%address, "admin");
    }
    tokio::select! {
        _drained = gateway.run() => ExitCode::SUCCESS,
        never = signals.obey(handle) => match never {},
    }
}
