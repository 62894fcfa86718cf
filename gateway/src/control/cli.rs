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

/// The front door of Gatehouse: terminates TLS, routes to internal services, serves the static UI,
/// and changes its configuration without dropping a connection.
#[derive(Debug, Parser)]
#[command(name = "gateway", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until SIGTERM; reload on SIGHUP, on a changed file, or on POST /reload at the admin
    /// address
    Run(run::RunArgs),
    /// Start this program beside the running gateway, and wait until it has taken over
    Upgrade(ConfigArgs),
    /// Read the configuration and its certificates, and print what was understood
    Check(ConfigArgs),
    /// Print the JSON Schema of the configuration, for editors
    Schema,
    /// Ask the running gateway to drain, and wait until it has stopped
    Drain(drain::DrainArgs),
    /// Look for what would keep the gateway from working, and say how to mend it
    Doctor(doctor::DoctorArgs),
}

#[derive(Debug, Args)]
struct ConfigArgs {
    /// The configuration file
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
    /// Does what the command line says. A crypto provider for rustls must be installed.
    pub fn execute(self) -> ExitCode {
        // Before the runtime has threads.
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

/// A client for the admin address, which no proxy of the environment stands before.
fn direct() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap_or_default()
}

#[expect(clippy::print_stdout, reason = "standard output is where a command line's answer belongs")]
fn say(text: &str) {
    println!("{}", text.trim_end());
}

#[expect(
    clippy::print_stderr,
    reason = "standard error is where a command line's complaint belongs"
)]
fn complain(text: &str) -> ExitCode {
    eprintln!("{}", text.trim_end());
    ExitCode::FAILURE
}
