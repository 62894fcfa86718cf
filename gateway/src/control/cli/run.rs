//! `gateway run`.

use std::io;
use std::process::ExitCode;

use clap::Args;

use super::{ConfigArgs, complain};
use crate::control::config_source::ConfigSource;
use crate::control::gateway::{Gateway, Options};
use crate::control::service_manager;
use crate::control::signals::{Held, Signals};
use crate::control::telemetry::Telemetry;
use crate::control::upgrade::Upgrades;

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Replace the running gateway without refusing or losing a connection: take over its listening
    /// sockets through the [upgrade] socket of the configuration. The running gateway drains and
    /// exits once this one serves. If none is running, start normally
    #[arg(long)]
    take_over: bool,
}

pub(super) async fn run(args: RunArgs, held: io::Result<Held>) -> ExitCode {
    // Install the handlers first: a signal can arrive as soon as a port is open.
    let signals = match held.and_then(Signals::install) {
        Ok(signals) => signals,
        Err(error) => return complain(&format!("cannot install signal handlers: {error}")),
    };
    let source = ConfigSource::File(args.config.config);
    // Load the configuration once to set up the log, so that everything after this is logged as
    // configured.
    let telemetry = match source.load() {
        Ok(config) => Telemetry::install(&config.log),
        Err(error) => return complain(&error.to_string()),
    };
    let upgrades = if args.take_over { Upgrades::TakeOver } else { Upgrades::Offered };
    let options = Options { telemetry: telemetry.ok(), upgrades, ..Options::default() };
    let gateway = match Gateway::start(source, options).await {
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
    service_manager::serving(args.take_over);
    tokio::select! {
        _drained = gateway.run() => ExitCode::SUCCESS,
        never = signals.obey(handle) => match never {},
    }
}
