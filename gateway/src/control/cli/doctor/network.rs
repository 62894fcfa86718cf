//! Listening ports and DNS names.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use gateway_config::{CertificateSource, Config, HostPattern, ListenAddress, ServerName};

use super::{Finding, direct};
use crate::control::bind;

/// Timeout of one network operation.
pub(super) const ANSWER: Duration = Duration::from_secs(5);

/// Whether every address can be bound; a running gateway already holds them.
pub(super) async fn listeners(config: &Config) -> Vec<Finding> {
    let admin = config
        .admin
        .as_ref()
        .map(|admin| ("admin".to_owned(), ListenAddress::Socket(admin.address)));
    let running = match &config.admin {
        Some(admin) => {
            let live = direct()
                .get(format!("http://{}/livez", admin.address))
                .timeout(ANSWER)
                .send()
                .await;
            live.is_ok_and(|answer| answer.status().is_success())
        }
        None => false,
    };
    let listeners = config
        .listeners
        .iter()
        .map(|listener| (format!("listener {}", listener.name), listener.address.clone()));
    let look = |(subject, address): (String, ListenAddress)| match bind::bind("address", &address) {
        Ok(_free) => Finding::good(subject, format!("{address} is free")),
        Err(_) if running => Finding::good(
            subject,
            format!("{address} is in use, and a gateway responds at the admin address"),
        ),
        Err(error) => Finding::bad(subject, error.to_string()),
    };
    let mut findings: Vec<Finding> = listeners.chain(admin.clone()).map(look).collect();
    if let Some((_, address)) = admin.filter(|(_, address)| !address.is_loopback()) {
        findings.push(Finding::odd(
            "admin",
            format!("{address} is not a loopback address: make sure the internet cannot reach it"),
        ));
    }
    findings
}

/// Whether every public name resolves.
pub(super) async fn names(config: &Config) -> Vec<Finding> {
    let mut names = BTreeSet::new();
    for route in &config.routes {
        names.extend(route.hosts.iter().filter_map(|host| match host {
            HostPattern::Exact(host) => Some(host.clone()),
            HostPattern::Wildcard(_) => None,
        }));
    }
    for certificate in &config.certificates {
        let own = match &certificate.source {
            CertificateSource::SelfSigned { names, .. } => Some(names),
            CertificateSource::Acme(acme) => Some(&acme.names),
            CertificateSource::Files { .. } => None,
        };
        if let Some(own) = own {
            names.extend(own.iter().filter_map(|name| match name {
                ServerName::Dns(dns) if !dns.starts_with("*.") => Some(dns.clone()),
                _ => None,
            }));
        }
    }
    let mut findings = Vec::new();
    for name in
        names.into_iter().filter(|name| name.parse::<IpAddr>().is_err() && !name.starts_with('['))
    {
        findings.push(resolves(&name).await);
    }
    findings
}

async fn resolves(name: &str) -> Finding {
    let subject = format!("name {name}");
    match tokio::time::timeout(ANSWER, tokio::net::lookup_host((name, 443))).await {
        Ok(Ok(addresses)) => {
            let addresses: BTreeSet<String> =
                addresses.map(|address| address.ip().to_string()).collect();
            Finding::good(subject, addresses.into_iter().collect::<Vec<_>>().join(", "))
        }
        Ok(Err(error)) => Finding::bad(
            subject,
            format!("does not resolve ({error}): add an A or AAAA record for it"),
        ),
        Err(_) => Finding::bad(subject, "the name servers do not respond: check /etc/resolv.conf"),
    }
}
