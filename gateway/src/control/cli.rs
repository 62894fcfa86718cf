//! The command line of the `gateway` program.

mod check;
mod doctor;
mod drain;
mod run;
mod schema;
mod upgrade;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::control::signals::Held;

/// The Gatehouse gateway: terminates TLS, routes requests to internal services, serves the static
/// UI, and reloads its configuration without dropping connections.
#[derive(Debug, Parser)]
#[command(name = "gateway", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway until SIGTERM; reload on SIGHUP, when the file changes, or on POST /reload
    /// at the admin address
    Run(run::RunArgs),
    /// Replace the running gateway by this program, and wait until the new process serves
    Upgrade(ConfigArgs),
    /// Validate the configuration and its certificates, and print the effective configuration
    Check(ConfigArgs),
    /// Print the JSON Schema of the configuration, for editors
    Schema,
    /// Drain the running gateway, and wait until it has stopped
    Drain(drain::DrainArgs),
    /// Check the configuration, certificates, ports, DNS and upstreams, and report how to fix each
    /// problem
    Doctor(doctor::DoctorArgs),
}

#[derive(Debug, Args)]
struct ConfigArgs {
    /// Configuration file
    #[arg(
        long,
        short,
        value_name = "FILE",
        default_value = "gateway.toml",
        env = "GATEWAY_CONFIG"
    )]
    config: PathBuf,
}

impl Cli {
    /// Runs the command. A crypto provider for rustls must be installed.
    pub fn execute(self) -> ExitCode {
        // Must run before the runtime starts threads.
        let held = matches!(self.command, Command::Run(_)).then(Held::new);
        let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return complain(&format!("cannot start: {error}")),
        };
        runtime.block_on(async {
            match self.command {
                Command::Run(args) => run::run(args, held.unwrap_or_else(Held::new)).await,
                Command::Upgrade(args) => upgrade::upgrade(args.config).await,
                Command::Check(args) => check::check(args.config).await,
                Command::Schema => schema::schema(),
                Command::Drain(args) => drain::drain(args).await,
                Command::Doctor(args) => doctor::doctor(args).await,
            }
        })
    }
}

/// An HTTP client for the admin address that ignores the proxy settings of the environment.
fn direct() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap_or_default()
}

#[expect(clippy::print_stdout, reason = "a command writes its result to standard output")]
fn say(text: &str) {
    println!("{}", text.trim_end());
}

#[expect(clippy::print_stderr, reason = "a command writes its errors to standard error")]
fn complain(text: &str) -> ExitCode {
    eprintln!("{}", text.trim_end());
    ExitCode::FAILURE
}
