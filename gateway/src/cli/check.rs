//! `gateway check`.

use super::{complain, say};
use crate::{acme::Acme, config_source::ConfigSource, gateway::apply};
use std::{path::PathBuf, process::ExitCode};

pub(super) async fn check(path: PathBuf) -> ExitCode {
    let source = ConfigSource::File(path.clone());
    let (config, loaded, _) = match apply::load(&source, &Acme::default()).await {
        Ok(loaded) => loaded,
        Err(error) => return complain(&error.to_string()),
    };
    say(&config.to_toml());
    for (name, facts) in &loaded.facts {
        let until =
            jiff::Timestamp::from_second(facts.not_after).map_or("an unknown time".to_owned(), |at| at.to_string());
        say(&format!("# certificate {name}: {}; valid until {until}", facts.names.join(", ")));
    }
    say(&format!(
        "# {} is right: {} listeners, {} certificates, {} routes, {} upstreams, {} sites; sha256 {}",
        path.display(),
        config.listeners.len(),
        config.certificates.len(),
        config.routes.len(),
        config.upstreams.len(),
        config.sites.len(),
        config.hash
    ));
    ExitCode::SUCCESS
}
