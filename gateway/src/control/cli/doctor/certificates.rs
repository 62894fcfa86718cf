//! The system clock, and the validity and coverage of certificates.

use std::path::Path;
use std::time::SystemTime;

use gateway_config::{Action, CertificateSource, Config, HostPattern};
use jiff::Timestamp;

use super::Finding;
use crate::control::certificates::{self, Facts, Purpose};

const DAY: i64 = 86_400;

/// The clock must not be earlier than the modification time of the configuration file.
pub(super) fn clock(config: &Path) -> Finding {
    let written = std::fs::metadata(config).and_then(|metadata| metadata.modified());
    let ahead = written.ok().and_then(|written| written.duration_since(SystemTime::now()).ok());
    match ahead {
        Some(ahead) if ahead.as_secs() > 300 => Finding::bad(
            "clock",
            format!(
                "the configuration was modified {} s in the future: set the clock (`timedatectl`)",
                ahead.as_secs()
            ),
        ),
        _ => Finding::good("clock", Timestamp::now().to_string()),
    }
}

pub(super) fn certificates(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    let facts = match certificates::load(config, Purpose::DryRun) {
        Ok(loaded) => loaded.facts,
        Err(errors) => {
            let say = |error: &certificates::CertificateError| {
                let advice = "must be PEM, readable by this user, and match each other";
                Finding::bad(
                    format!("certificate {}", error.name),
                    format!("{}; its files {advice}", error.reason),
                )
            };
            return errors.iter().map(say).collect();
        }
    };
    let now = Timestamp::now().as_second();
    let mut names: Vec<String> = facts.values().flat_map(|facts| facts.names.clone()).collect();
    for certificate in &config.certificates {
        match (&certificate.source, facts.get(&certificate.name)) {
            // These facts belong to the stand-in; `orders` reports the certificate itself.
            (CertificateSource::Acme(acme), _) => {
                names.extend(acme.names.iter().map(ToString::to_string))
            }
            (CertificateSource::SelfSigned { names: to_be, .. }, None) => {
                names.extend(to_be.iter().map(ToString::to_string));
                let subject = format!("certificate {}", certificate.name);
                findings.push(Finding::good(
                    subject,
                    "will be issued at startup by the local authority",
                ));
            }
            (source, Some(facts)) => {
                let by_hand = matches!(source, CertificateSource::Files { .. });
                findings.push(validity(certificate.name.as_str(), facts, by_hand, now));
            }
            (CertificateSource::Files { .. }, None) => {}
        }
    }
    findings.extend(uncovered(config, &names));
    findings
}

fn validity(name: &str, facts: &Facts, by_hand: bool, now: i64) -> Finding {
    let subject = format!("certificate {name}");
    let days = (facts.not_after - now) / DAY;
    if now < facts.not_before {
        return Finding::bad(
            subject,
            "is not valid yet: the clock is behind, or the configuration names the wrong file",
        );
    }
    if days < 0 {
        return Finding::bad(subject, format!("expired {} days ago: renew it", -days));
    }
    if by_hand && days < 14 {
        return Finding::odd(subject, format!("expires in {days} days: renew it"));
    }
    Finding::good(subject, format!("{} for {days} days", facts.names.join(", ")))
}

/// Hosts of routes that no certificate covers.
fn uncovered(config: &Config, names: &[String]) -> Vec<Finding> {
    let covers = |host: &str| {
        let wildcard = host.split_once('.').map(|(_, parent)| format!("*.{parent}"));
        names.iter().any(|name| *name == host || Some(name) == wildcard.as_ref())
    };
    if names.is_empty() {
        return Vec::new();
    }
    let routes =
        config.routes.iter().filter(|route| !matches!(route.action, Action::Redirect { .. }));
    let hosts = routes.flat_map(|route| &route.hosts).filter_map(|host| match host {
        HostPattern::Exact(host) if !covers(host) => Some(host),
        _ => None,
    });
    let odd = |host: &String| {
        Finding::odd(
            format!("host {host}"),
            "has a route but no certificate: browsers will show a warning",
        )
    };
    hosts.map(odd).collect()
}
