//! Listeners.

use std::net::SocketAddr;

use toml::Spanned;

use super::Check;
use crate::outside::Text;
use crate::outside::certificate::CertificateText;
use crate::outside::listener::{ClientText, HttpMode, ListenerText, ProtocolText};
use crate::{ClientCertificates, Limits, ListenAddress, Listener, Name, Protocol};

pub(super) fn listeners(
    check: &mut Check<'_, '_>,
    sections: &[Spanned<ListenerText>],
    certificates: &[Spanned<CertificateText>],
    limits: &Limits,
) -> Vec<Listener> {
    check.unique("listener", sections, |listener| &listener.name);
    unique_addresses(check, sections);
    let all: Vec<Name> = certificates
        .iter()
        .filter_map(|section| section.get_ref().name.parsed.clone().ok())
        .collect();
    let first_https =
        sections.iter().find(|section| section.get_ref().protocol == ProtocolText::Https);
    sections
        .iter()
        .filter_map(|section| listener(check, section, &all, first_https.is_some(), limits))
        .collect()
}

fn listener(
    check: &mut Check<'_, '_>,
    section: &Spanned<ListenerText>,
    certificates: &[Name],
    https_exists: bool,
    limits: &Limits,
) -> Option<Listener> {
    let text = section.get_ref();
    let name = check.take(&text.name);
    let address = check.take(&text.address);
    let proxy_protocol = check.all(text.proxy_protocol.as_ref(), Vec::new());
    let max_connections =
        check.within(text.max_connections.as_ref(), limits.max_connections, 1, u32::MAX);
    let protocol = match text.protocol {
        ProtocolText::Https => {
            if text.mode.is_some() {
                check.add(section.span(), "`mode` is only for `protocol = \"http\"`: remove it");
            }
            check.reject(text.https_port.as_ref(), "only for `protocol = \"http\"`: remove it");
            let certificates = check.all(text.certificates.as_ref(), certificates.to_vec());
            if certificates.is_empty() {
                check.add(
                    section.span(),
                    "`protocol = \"https\"` requires a `[[certificate]]`, found none",
                );
            }
            Protocol::Https { certificates, client_certificates: clients(check, section) }
        }
        ProtocolText::Http => {
            if let Some(first) = text.certificates.as_ref().and_then(|list| list.first()) {
                check.add(first.span.clone(), "only for `protocol = \"https\"`: remove it");
            }
            check.reject(text.client_ca.as_ref(), "only for `protocol = \"https\"`: remove it");
            if text.client_certificates.is_some() {
                check.add(
                    section.span(),
                    "`client_certificates` is only for `protocol = \"https\"`: remove it",
                );
            }
            http(check, section, https_exists)
        }
    };
    Some(Listener { name: name?, address: address?, protocol, proxy_protocol, max_connections })
}

fn clients(
    check: &mut Check<'_, '_>,
    section: &Spanned<ListenerText>,
) -> Option<ClientCertificates> {
    let text = section.get_ref();
    let Some(authorities) = &text.client_ca else {
        if text.client_certificates.is_some() {
            check.add(section.span(), "`client_certificates` requires `client_ca`");
        }
        return None;
    };
    let required = text.client_certificates != Some(ClientText::Optional);
    check.path(authorities).map(|authorities| ClientCertificates { authorities, required })
}

fn http(
    check: &mut Check<'_, '_>,
    section: &Spanned<ListenerText>,
    https_exists: bool,
) -> Protocol {
    let text = section.get_ref();
    if text.mode == Some(HttpMode::Plain) {
        check.reject(text.https_port.as_ref(), "only for `mode = \"redirect\"`: remove it");
        return Protocol::HttpPlain;
    }
    let https_port = text.https_port.as_ref().and_then(|port| check.take(port));
    if https_port.is_none() && !https_exists {
        check.add(
            section.span(),
            "found no https listener to redirect to: add one, or set `https_port` or `mode = \"plain\"`",
        );
    }
    Protocol::HttpRedirect { https_port }
}

fn unique_addresses(check: &mut Check<'_, '_>, sections: &[Spanned<ListenerText>]) {
    for (index, section) in sections.iter().enumerate() {
        let text = &section.get_ref().address;
        let Ok(address) = &text.parsed else { continue };
        if let Some(other) = overlapping(address, sections.get(..index).unwrap_or_default()) {
            check.add(
                text.span.clone(),
                format!("{}: use another address or port", taken(address, other)),
            );
        }
    }
}

/// Adds a problem if the admin address overlaps with a listener.
pub(super) fn check_admin(
    check: &mut Check<'_, '_>,
    admin: &Text<SocketAddr>,
    sections: &[Spanned<ListenerText>],
) {
    let Ok(address) = &admin.parsed else { return };
    let address = ListenAddress::Socket(*address);
    if let Some(other) = overlapping(&address, sections) {
        let reason = format!("{}: use another port for `[admin]`", taken(&address, other));
        check.add(admin.span.clone(), reason);
    }
}

fn overlapping<'s>(
    address: &ListenAddress,
    sections: &'s [Spanned<ListenerText>],
) -> Option<&'s ListenAddress> {
    let addresses =
        sections.iter().filter_map(|section| section.get_ref().address.parsed.as_ref().ok());
    addresses.into_iter().find(|other| address.overlaps(other))
}

fn taken(address: &ListenAddress, other: &ListenAddress) -> String {
    if address == other {
        format!("a listener already has the address {other}")
    } else {
        format!("{address} overlaps with the listener address {other}")
    }
}
