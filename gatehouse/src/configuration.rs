//! From the command line to the gateway's configuration: a file of the operator's own, or the text of the default one.

use std::error::Error;
use std::io::IsTerminal as _;
use std::path::PathBuf;

use gateway::config_source::ConfigSource;
use gateway_config::{ListenAddress, SiteRoot, Standalone};

use crate::arguments::Arguments;
use crate::services;

/// The cookie that tells accounts apart, for sending one account's sockets to one place.
const ACCOUNT_COOKIE: &str = "__Host-gatehouse";

pub(crate) fn source(arguments: &Arguments) -> Result<ConfigSource, Box<dyn Error>> {
    if let Some(path) = &arguments.config {
        return Ok(ConfigSource::File(path.clone()));
    }
    let socket = services::socket(&arguments.data)?;
    let target: gateway_config::Target = format!("unix:{}", socket.display()).parse()?;
    let public = !arguments.domain.is_empty();
    let standalone = Standalone {
        https: addresses(&arguments.https, if public { "[::]:443" } else { "localhost:8443" })?,
        http: addresses(&arguments.http, if public { "[::]:80" } else { "localhost:8080" })?,
        admin: Some(arguments.admin),
        api: target.clone(),
        live: target,
        account_cookie: ACCOUNT_COOKIE.to_owned(),
        certificates: std::path::absolute(&arguments.certs)?,
        names: arguments.domain.clone(),
        ui: SiteRoot::Embedded,
        text_log: std::io::stderr().is_terminal(),
    };
    let origin = "the command line".to_owned();
    Ok(ConfigSource::Text { text: standalone.to_toml(), origin, base: PathBuf::from(".") })
}

fn addresses(given: &[ListenAddress], default: &str) -> Result<Vec<ListenAddress>, String> {
    if given.is_empty() { Ok(vec![default.parse()?]) } else { Ok(given.to_vec()) }
}
