//! `gateway doctor`: checks what the configuration needs from the machine and the network.

mod authorities;
mod caa;
mod certificates;
mod collector;
mod dns;
mod network;
mod orders;
mod upstreams;

use std::process::ExitCode;

use clap::Args;
use gateway_config::Config;

use super::{ConfigArgs, complain, direct, say};
use crate::control::config_source::ConfigSource;
use crate::control::upgrade::check_directory;
use dns::{NameServer, NameServers};

#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Name server for CAA queries, such as 192.0.2.53 or 127.0.0.1:5353 [default: those of
    /// /etc/resolv.conf]
    #[arg(long, value_name = "ADDRESS")]
    nameserver: Option<NameServer>,
}

/// The result of one check.
struct Finding {
    subject: String,
    state: Finds,
}

enum Finds {
    Good(String),
    /// Works, but needs attention.
    Odd(String),
    /// Does not work: what is wrong and how to fix it.
    Bad(String),
}

impl Finding {
    fn good(subject: impl Into<String>, what: impl Into<String>) -> Self {
        Self { subject: subject.into(), state: Finds::Good(what.into()) }
    }

    fn odd(subject: impl Into<String>, what: impl Into<String>) -> Self {
        Self { subject: subject.into(), state: Finds::Odd(what.into()) }
    }

    fn bad(subject: impl Into<String>, what: impl Into<String>) -> Self {
        Self { subject: subject.into(), state: Finds::Bad(what.into()) }
    }

    /// Downgrades a failure to a warning.
    fn softened(self) -> Self {
        match self.state {
            Finds::Bad(what) => Self::odd(self.subject, what),
            _ => self,
        }
    }

    fn line(&self) -> String {
        let (mark, what) = match &self.state {
            Finds::Good(what) => ("ok  ", what),
            Finds::Odd(what) => ("look", what),
            Finds::Bad(what) => ("BAD ", what),
        };
        format!("{mark}  {}: {what}", self.subject)
    }
}

/// Checks that only the gateway's user can write to the directory of the upgrade socket.
fn upgrade(config: &Config) -> Option<Finding> {
    let socket = &config.upgrade.as_ref()?.socket;
    Some(match check_directory(socket) {
        Ok(()) => Finding::good(
            "upgrade",
            format!("only this user can write to the directory of {}", socket.display()),
        ),
        Err(error) => Finding::bad("upgrade", error.to_string()),
    })
}

pub(super) async fn doctor(arguments: DoctorArgs) -> ExitCode {
    let path = arguments.config.config;
    let config = match ConfigSource::File(path.clone()).load() {
        Ok(config) => config,
        Err(error) => return complain(&error.to_string()),
    };
    let mut findings = vec![Finding::good("configuration", format!("{} is valid", path.display()))];
    findings.push(certificates::clock(&path));
    findings.extend(certificates::certificates(&config));
    findings.extend(orders::orders(&config).await);
    findings.extend(network::listeners(&config).await);
    findings.extend(upgrade(&config));
    findings.extend(network::names(&config).await);
    let (authorities, directories) = authorities::authorities(&config).await;
    findings.extend(authorities);
    findings.extend(caa::caa(&config, &directories, &NameServers::new(arguments.nameserver)).await);
    findings.extend(upstreams::upstreams(&config).await);
    findings.extend(collector::collector(&config).await);

    for finding in &findings {
        say(&finding.line());
    }
    let bad = findings.iter().filter(|finding| matches!(finding.state, Finds::Bad(_))).count();
    if bad == 0 {
        ExitCode::SUCCESS
    } else {
        complain(&format!("{bad} of {} checks failed", findings.len()))
    }
}
