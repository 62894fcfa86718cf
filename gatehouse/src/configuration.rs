//! The gateway's configuration: the operator's own file, or a default text built from the command
//! line.

use std::error::Error;
use std::io::IsTerminal as _;
use std::path::PathBuf;

use gateway::ConfigSource;
use gateway_config::{ListenAddress, ServerName, SiteRoot, Standalone, StandaloneAcme};

use crate::arguments::Arguments;
use crate::services;

/// The cookie that identifies an account, so that one account's sockets reach one backend.
const ACCOUNT_COOKIE: &str = "__Host-gatehouse";

pub(crate) fn source(arguments: &Arguments) -> Result<ConfigSource, Box<dyn Error>> {
    if let Some(path) = &arguments.config {
        return Ok(ConfigSource::File(path.clone()));
    }
    let socket = services::socket(&arguments.data)?;
    let target: gateway_config::Target = format!("unix:{}", socket.display()).parse()?;
    let public = !arguments.domain.is_empty();
    let (ordered, local): (Vec<_>, Vec<_>) = arguments.domain.iter().cloned().partition(|name| {
        if arguments.acme_directory.is_some() { !is_wildcard(name) } else { is_public(name) }
    });
    let standalone = Standalone {
        https: addresses(&arguments.https, if public { "[::]:443" } else { "localhost:8443" })?,
        http: addresses(&arguments.http, if public { "[::]:80" } else { "localhost:8080" })?,
        admin: Some(arguments.admin),
        admin_hosts: arguments.admin_host.clone(),
        api: target.clone(),
        live: target,
        account_cookie: ACCOUNT_COOKIE.to_owned(),
        certificates: std::path::absolute(&arguments.certs)?,
        names: local,
        acme: Some(StandaloneAcme {
            names: ordered,
            storage: std::path::absolute(arguments.data.join("certificates"))?,
            directory: arguments.acme_directory.clone(),
            ca_file: arguments.acme_ca.as_deref().map(std::path::absolute).transpose()?,
        }),
        ui: SiteRoot::Embedded,
        text_log: std::io::stderr().is_terminal(),
    };
    let origin = "the command line".to_owned();
    Ok(ConfigSource::Text { text: standalone.to_toml(), origin, base: PathBuf::from(".") })
}

/// Whether a public authority can issue for this name: it is in the public DNS, not local.
fn is_public(name: &ServerName) -> bool {
    // RFC 6761, RFC 6762, RFC 8375, and `.internal`, which ICANN has reserved.
    const LOCAL: [&str; 9] = [
        "localhost",
        "local",
        "test",
        "example",
        "invalid",
        "internal",
        "lan",
        "home",
        "home.arpa",
    ];
    match name {
        ServerName::Ip(_) => false,
        ServerName::Dns(dns) => {
            let below = |parent: &&str| {
                dns == parent || dns.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.'))
            };
            dns.contains('.') && !is_wildcard(name) && !LOCAL.iter().any(below)
        }
    }
}

/// Wildcards cannot be validated by HTTP-01 or TLS-ALPN-01.
fn is_wildcard(name: &ServerName) -> bool {
    matches!(name, ServerName::Dns(dns) if dns.starts_with("*."))
}

fn addresses(given: &[ListenAddress], default: &str) -> Result<Vec<ListenAddress>, String> {
    if given.is_empty() { Ok(vec![default.parse()?]) } else { Ok(given.to_vec()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_public_dns_are_ordered_from_a_public_authority() {
        for (name, public) in [
            ("chat.example.org", true),
            ("localhost", false),
            ("box", false),
            ("chat.box.local", false),
            ("chat.home.arpa", false),
            ("notlocal.org", true),
            ("*.example.org", false),
            ("192.0.2.1", false),
        ] {
            assert_eq!(is_public(&name.parse().expect("a name")), public, "{name}");
        }
    }
}
