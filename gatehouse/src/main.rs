//! `gatehouse`: gateway and backend in one process, joined by a Unix socket. Composition only.

mod arguments;
mod configuration;
mod services;
mod trust;
mod verify_ui;

use std::error::Error;
use std::process::ExitCode;

use clap::Parser as _;
use gateway::{Gateway, Held, Options, Signals, Telemetry, Upgrades};

use crate::arguments::{Arguments, Command};
use crate::services::Services;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match &arguments.command {
        // First: a signal may arrive as soon as a port is open or a file exists.
        None => Held::new().map_err(Into::into).and_then(|held| serve(&arguments, held)),
        Some(Command::Trust { phone: None }) => trust::install(&arguments.certs),
        Some(Command::Trust { phone: Some(address) }) => trust::offer(&arguments.certs, *address),
        Some(Command::Untrust) => trust::remove(),
        Some(Command::VerifyUi(wanted)) => return verify_ui::run(wanted),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(error.as_ref()),
    }
}

#[tokio::main]
async fn serve(arguments: &Arguments, held: Held) -> Result<(), Box<dyn Error>> {
    let signals = Signals::install(held)?;
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_provider| "another rustls crypto provider is already installed")?;
    let source = configuration::source(arguments)?;
    let telemetry = Telemetry::install(&source.load()?.log)?;

    let services = Services::start(&arguments.data).await?;
    let options = Options {
        registries: vec![services.registry()],
        telemetry: Some(telemetry),
        // A successor could take over the sockets, but not the services in this process.
        upgrades: Upgrades::Ignored,
        ..Options::default()
    };
    let gateway = Gateway::start(source, options).await?;
    let obeying = tokio::spawn(signals.obey(gateway.handle()));
    announce(arguments, &gateway.handle()).await;

    // Concurrently: the gateway's connections end when the services close theirs.
    let handle = gateway.handle();
    let services = async {
        handle.ending().await;
        services.drain().await;
    };
    tokio::join!(gateway.run(), services);
    obeying.abort();
    Ok(())
}

/// Prints the URL.
#[expect(clippy::print_stdout, reason = "the person who starts the program needs the URL")]
async fn announce(arguments: &Arguments, gateway: &gateway::Handle) {
    let addresses = gateway.addresses().await;
    let port = addresses
        .iter()
        .find(|(name, _)| name.as_str() == "https")
        .map(|(_, address)| address.port());
    let host = arguments.domain.first().map_or_else(|| "localhost".to_owned(), ToString::to_string);
    match port {
        Some(443) => println!("Gatehouse is ready: https://{host}"),
        Some(port) => println!("Gatehouse is ready: https://{host}:{port}"),
        None => println!("Gatehouse is ready"),
    }
    if arguments.domain.is_empty() && arguments.config.is_none() {
        println!(
            "Its certificate comes from a local authority. Run `gatehouse trust` to make this machine's browsers accept it."
        );
    }
}

#[expect(clippy::print_stderr, reason = "a command reports its failure on standard error")]
fn failed(error: &dyn Error) -> ExitCode {
    eprintln!("gatehouse: {error}");
    ExitCode::FAILURE
}
