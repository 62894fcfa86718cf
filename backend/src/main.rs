//! `backend`: runs the services of one role until SIGTERM.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use backend::settings::Args;
use backend::{ListenAddress, Listener, Settings, telemetry};
use clap::Parser;
use prometheus::Registry;
use tokio::signal::unix::{Signal, SignalKind, signal};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    // First: a signal may arrive as soon as a port is open or a file exists.
    let signals = signal(SignalKind::terminate())
        .and_then(|terminate| Ok((terminate, signal(SignalKind::interrupt())?)));
    telemetry::start();
    match run(args, signals).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "cannot run");
            ExitCode::FAILURE
        }
    }
}

async fn run(
    args: Args,
    signals: io::Result<(Signal, Signal)>,
) -> Result<(), Box<dyn std::error::Error>> {
    let (mut terminate, mut interrupt) = signals?;
    let settings = Settings::from_args(&args)?;
    let drain = settings.drain;
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_provider| "a rustls crypto provider is already installed")?;

    let listeners = bind(&args.listen).await?;
    let running = backend::start(settings, args.role, listeners, Registry::new()).await?;
    let listening: Vec<_> = args.listen.iter().map(ToString::to_string).collect();
    tracing::info!(?listening, addresses = ?running.addresses(), admin = ?running.admin_address(), "serving");

    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("draining");
    // A second signal stops at once.
    let again = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    tokio::select! {
        () = running.drain(drain.max(Duration::from_secs(1))) => tracing::info!("drained"),
        () = again => tracing::warn!("stopped without draining"),
    }
    Ok(())
}

async fn bind(addresses: &[ListenAddress]) -> Result<Vec<Listener>, Box<dyn std::error::Error>> {
    let mut listeners = Vec::with_capacity(addresses.len());
    for address in addresses {
        let listener = Listener::bind(address).await;
        listeners.push(listener.map_err(|error| format!("cannot listen on {address}: {error}"))?);
    }
    Ok(listeners)
}
