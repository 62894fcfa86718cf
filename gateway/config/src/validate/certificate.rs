//! Certificates and the TLS policy.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;

use super::{Check, acme};
use crate::outside::certificate::{
    CertificateText, SourceText, TlsText, UnknownNamesText, VersionText,
};
use crate::outside::{Text, Value};
use crate::{Certificate, CertificateSource, ServerName, TlsPolicy, TlsVersion, UnknownNames};

pub(super) fn policy(check: &mut Check<'_, '_>, text: TlsText) -> TlsPolicy {
    let year = Duration::from_secs(365 * 24 * 3600);
    TlsPolicy {
        min_version: match text.min_version {
            Some(VersionText::Tls13) => TlsVersion::Tls13,
            Some(VersionText::Tls12) | None => TlsVersion::Tls12,
        },
        hsts_max_age: check.or(text.hsts_max_age.as_ref(), year),
        hsts_include_subdomains: text.hsts_include_subdomains.unwrap_or(false),
        unknown_names: match text.unknown_names {
            Some(UnknownNamesText::Refuse) => UnknownNames::Refuse,
            Some(UnknownNamesText::Default) | None => UnknownNames::Default,
        },
        refuse_misdirected: text.refuse_misdirected.unwrap_or(true),
    }
}

pub(super) fn certificates(
    check: &mut Check<'_, '_>,
    sections: &[Spanned<CertificateText>],
) -> Vec<Certificate> {
    check.unique("certificate", sections, |certificate| &certificate.name);
    sections.iter().filter_map(|section| certificate(check, section)).collect()
}

fn certificate(
    check: &mut Check<'_, '_>,
    section: &Spanned<CertificateText>,
) -> Option<Certificate> {
    let text = section.get_ref();
    let name = check.take(&text.name);
    let source = match text.source {
        SourceText::SelfSigned => self_signed(check, section),
        SourceText::Files => files(check, section),
        SourceText::Acme => acme::acme(check, section),
    };
    if text.source != SourceText::Acme {
        acme::reject_keys(check, text);
    }
    Some(Certificate { name: name?, source: source? })
}

fn self_signed(
    check: &mut Check<'_, '_>,
    section: &Spanned<CertificateText>,
) -> Option<CertificateSource> {
    let text = section.get_ref();
    let reason = "only for `source = \"files\"`; `source = \"self-signed\"` uses `directory`";
    check.reject(text.cert.as_ref(), reason);
    check.reject(text.key.as_ref(), reason);
    let directory = match &text.directory {
        Some(directory) => check.base.join(directory_path(check, directory)?),
        None => check.base.join("certs"),
    };
    let localhost = vec![
        ServerName::Dns("localhost".to_owned()),
        ServerName::Ip(Ipv4Addr::LOCALHOST.into()),
        ServerName::Ip(Ipv6Addr::LOCALHOST.into()),
    ];
    let names = check.all(text.names.as_ref(), localhost);
    if names.is_empty() {
        check.add(section.span(), "expected at least one name in `names`, found none");
    }
    Some(CertificateSource::SelfSigned { directory, names })
}

fn directory_path(check: &mut Check<'_, '_>, text: &Text<String>) -> Option<PathBuf> {
    let path = check.take(text)?;
    PathBuf::parse(&path).map_err(|reason| check.unexpected(text, &reason, &path)).ok()
}

fn files(
    check: &mut Check<'_, '_>,
    section: &Spanned<CertificateText>,
) -> Option<CertificateSource> {
    let text = section.get_ref();
    check.reject(
        text.directory.as_ref(),
        "only for `source = \"self-signed\"` and `source = \"acme\"`: remove it",
    );
    if let Some(first) = text.names.as_ref().and_then(|names| names.first()) {
        check.add(
            first.span.clone(),
            "only for `source = \"self-signed\"` and `source = \"acme\"`; the names are read from `cert`",
        );
    }
    let (Some(cert), Some(key)) = (&text.cert, &text.key) else {
        check.add(section.span(), "`source = \"files\"` requires `cert` and `key`");
        return None;
    };
    let (cert, key) = (check.path(cert), check.path(key));
    Some(CertificateSource::Files { cert: cert?, key: key? })
}
