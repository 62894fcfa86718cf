//! `gateway drain`, for the stop hook of a container.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::{complain, direct, say};
use crate::control::config_source::ConfigSource;

/// Time for the process to exit after the drain.
const GRACE: Duration = Duration::from_secs(5);

/// Timeout of one request to the admin address.
const ANSWER: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub(super) struct DrainArgs {
    /// Configuration file of the running gateway; its admin address and drain timeouts are used
    #[arg(
        long,
        short,
        value_name = "FILE",
        default_value = "gateway.toml",
        env = "GATEWAY_CONFIG"
    )]
    config: PathBuf,
    /// Admin address of the running gateway [default: the one in the configuration]
    #[arg(long, value_name = "ADDR")]
    admin: Option<SocketAddr>,
    /// Return immediately instead of waiting until the gateway has stopped
    #[arg(long)]
    no_wait: bool,
}

pub(super) async fn drain(args: DrainArgs) -> ExitCode {
    let config = ConfigSource::File(args.config).load();
    let configured =
        config.as_ref().ok().and_then(|config| config.admin.as_ref()).map(|admin| admin.address);
    let Some(admin) = args.admin.or(configured) else {
        let reason = config.map_or_else(
            |error| error.to_string(),
            |_| "the configuration has no [admin]".to_owned(),
        );
        return complain(&format!("no admin address: {reason}; set it with --admin"));
    };
    let asked = direct().post(format!("http://{admin}/drain")).timeout(ANSWER).send().await;
    match asked {
        Ok(answer) if answer.status().is_success() => {}
        Ok(answer) => return complain(&format!("{admin} returned {}", answer.status())),
        Err(error) => return complain(&format!("no gateway responds at {admin}: {error}")),
    }
    if args.no_wait {
        say("draining");
        return ExitCode::SUCCESS;
    }
    let longest = config
        .map_or(Duration::from_secs(60), |config| config.drain.delay + config.drain.deadline)
        + GRACE;
    let deadline = Instant::now() + longest;
    while Instant::now() < deadline {
        match tokio::time::timeout(ANSWER, TcpStream::connect(admin)).await {
            Ok(Ok(_still_there)) => tokio::time::sleep(Duration::from_millis(200)).await,
            _ => {
                say("drained");
                return ExitCode::SUCCESS;
            }
        }
    }
    complain(&format!("the gateway at {admin} is still running after {longest:?}"))
}
