//! `gateway check`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gateway_config::{Certificate, CertificateSource};

use super::{complain, say};
use crate::control::acme::Acme;
use crate::control::candidate::{Builder, Candidate};
use crate::control::config_source::ConfigSource;
use crate::control::upgrade::Upgrades;

pub(super) async fn check(path: PathBuf) -> ExitCode {
    let source = ConfigSource::File(path.clone());
    let builder = Builder::new(source, Upgrades::Offered);
    let Candidate { snapshot, loaded, acme } = match builder.dry_run(&Acme::default()).await {
        Ok(candidate) => candidate,
        Err(error) => return complain(&error.to_string()),
    };
    let config = snapshot.config();
    say(&config.to_toml());
    for (name, facts) in &loaded.facts {
        let until = UNIX_EPOCH + Duration::from_secs(facts.not_after.try_into().unwrap_or(0));
        say(&format!(
            "# certificate {name}: {}; valid until {}",
            facts.names.join(", "),
            time(until)
        ));
    }
    for certificate in config
        .certificates
        .iter()
        .filter(|certificate| !loaded.facts.contains_key(&certificate.name))
    {
        let stored = acme.statuses().into_iter().find(|(name, _)| *name == certificate.name);
        let what = match stored.and_then(|(_, status)| status.not_after) {
            Some(until) => format!("in storage; valid until {}", time(until)),
            None => to_come(certificate),
        };
        say(&format!("# certificate {}: {what}", certificate.name));
    }
    if let Some(trouble) = &acme.trouble {
        say(&format!("# {trouble}"));
    }
    say(&format!(
        "# {} is valid: {} listeners, {} certificates, {} routes, {} upstreams, {} sites; sha256 {}",
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

fn time(at: SystemTime) -> String {
    jiff::Timestamp::try_from(at)
        .map_or_else(|_| "an unknown time".to_owned(), |at| format!("{at:.0}"))
}

/// What a start would do about a certificate that does not exist yet.
fn to_come(certificate: &Certificate) -> String {
    let (names, whose) = match &certificate.source {
        CertificateSource::SelfSigned { directory, names } => {
            (names, format!("issued at startup by the local authority in {}", directory.display()))
        }
        CertificateSource::Acme(acme) => {
            (&acme.names, format!("ordered after startup from {}", acme.issuer.directory.as_str()))
        }
        CertificateSource::Files { .. } => return "from files".to_owned(),
    };
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    format!("{}; {whose}", names.join(", "))
}
