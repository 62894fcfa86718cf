//! Certificates ordered by ACME, and their storage.

use std::ops::Range;
use std::path::PathBuf;

use toml::Spanned;

use super::Check;
use crate::outside::certificate::{CertificateText, StorageText};
use crate::outside::{Text, found};
use crate::{
    Acme, AcmeChallenge, AcmeExternalAccount, AcmeIssuer, Certificate, CertificateSource,
    CertificateStorage, DirectoryUrl, Name, Secret, ServerName,
};

pub(super) fn acme(
    check: &mut Check<'_, '_>,
    section: &Spanned<CertificateText>,
) -> Option<CertificateSource> {
    let text = section.get_ref();
    let reason = "only for `source = \"files\"`: remove it";
    check.reject(text.cert.as_ref(), reason);
    check.reject(text.key.as_ref(), reason);
    for name in text.names.iter().flatten() {
        if matches!(&name.parsed, Ok(ServerName::Dns(dns)) if dns.starts_with("*.")) {
            check.add(
                name.span.clone(),
                "wildcards are not supported with `source = \"acme\"`: list the names one by one",
            );
        }
    }
    let names = check.all(text.names.as_ref(), Vec::new());
    if names.is_empty() {
        check.add(section.span(), "`source = \"acme\"` requires `names`");
    }
    let challenges =
        check.all(text.challenges.as_ref(), vec![AcmeChallenge::TlsAlpn01, AcmeChallenge::Http01]);
    if challenges.is_empty() {
        check.add(
            section.span(),
            "expected `challenges` with `tls-alpn-01`, `http-01` or both, found none",
        );
    }
    for contact in text.contact.iter().flatten() {
        if let Ok(url) = &contact.parsed
            && !url.starts_with("mailto:")
            && !url.contains("://")
        {
            check.unexpected(contact, "expected a URL such as `mailto:admin@example.org`", url);
        }
    }
    let issuer = AcmeIssuer {
        directory: directory(check, text.directory.as_ref()),
        fallback_directory: text.fallback_directory.as_ref().and_then(|url| check.take(url)),
        contacts: check.all(text.contact.as_ref(), Vec::new()),
        profile: text.profile.as_ref().and_then(|profile| check.take(profile)),
        challenges,
        external_account: external_account(check, section),
        ca_file: text.ca_file.as_ref().and_then(|path| check.path(path)),
    };
    let stand_in_directory = match &text.stand_in_directory {
        Some(directory) => check.path(directory)?,
        None => check.base.join("certs"),
    };
    Some(CertificateSource::Acme(Acme { names, issuer, stand_in_directory }))
}

/// Adds a problem for every key that applies only to ACME.
pub(super) fn reject_keys(check: &mut Check<'_, '_>, text: &CertificateText) {
    let reason = "only for `source = \"acme\"`: remove it";
    check.reject(text.fallback_directory.as_ref(), reason);
    check.reject(text.contact.as_ref().and_then(|list| list.first()), reason);
    check.reject(text.profile.as_ref(), reason);
    check.reject(text.challenges.as_ref().and_then(|list| list.first()), reason);
    check.reject(text.eab_key_id.as_ref(), reason);
    check.reject(text.eab_hmac_key_env.as_ref(), reason);
    check.reject(text.eab_hmac_key_file.as_ref(), reason);
    check.reject(text.ca_file.as_ref(), reason);
    check.reject(text.stand_in_directory.as_ref(), reason);
}

pub(super) fn storage(
    check: &mut Check<'_, '_>,
    section: Option<&Spanned<StorageText>>,
    certificates: &[Certificate],
) -> Option<CertificateStorage> {
    let ordered = certificates
        .iter()
        .any(|certificate| matches!(certificate.source, CertificateSource::Acme(_)));
    let Some(section) = section else {
        return ordered.then(|| CertificateStorage::Directory(check.base.join("certs/acme")));
    };
    let text = section.get_ref();
    let span = section.span();
    let url = secret(
        check,
        &span,
        "redis_url",
        text.redis_url_env.as_ref(),
        text.redis_url_file.as_ref(),
    );
    let (env, file) = (text.redis_password_env.as_ref(), text.redis_password_file.as_ref());
    let password = secret(check, &span, "redis_password", env, file);
    let seal = secret(check, &span, "secret", text.secret_env.as_ref(), text.secret_file.as_ref());
    match (&text.directory, url, seal) {
        (Some(directory), None, None) => {
            let reason = "only for Redis, but `directory` is set: remove one of them";
            check.reject(text.prefix.as_ref(), reason);
            check.reject(text.redis_password_env.as_ref(), reason);
            check.reject(text.redis_password_file.as_ref(), reason);
            check.reject(text.redis_ca_file.as_ref(), reason);
            check.path(directory).map(CertificateStorage::Directory)
        }
        (None, Some(url), Some(secret)) => {
            let prefix = text.prefix.as_ref().and_then(|prefix| check.take(prefix));
            let prefix = prefix.as_ref().map_or("gatehouse", Name::as_str).to_owned();
            let ca_file = text.redis_ca_file.as_ref().and_then(|path| check.path(path));
            Some(CertificateStorage::Redis { url, password, ca_file, secret, prefix })
        }
        (None, Some(_), None) => {
            check.add(
                span,
                "Redis requires `secret_env` or `secret_file`: the secret encrypts the stored values",
            );
            None
        }
        _ => {
            check.add(
                span,
                "expected either `directory`, or for Redis one of `redis_url_env` and \
                 `redis_url_file` and one of `secret_env` and `secret_file`",
            );
            None
        }
    }
}

fn directory(check: &mut Check<'_, '_>, text: Option<&Text<String>>) -> DirectoryUrl {
    let Some(text) = text else { return DirectoryUrl::lets_encrypt() };
    let parsed = text
        .parsed
        .clone()
        .and_then(|url| url.parse().map_err(|reason: String| found(&reason, &url)));
    parsed.unwrap_or_else(|reason| {
        check.add(text.span.clone(), reason);
        DirectoryUrl::lets_encrypt()
    })
}

fn external_account(
    check: &mut Check<'_, '_>,
    section: &Spanned<CertificateText>,
) -> Option<AcmeExternalAccount> {
    let text = section.get_ref();
    let span = section.span();
    let hmac_key = secret(
        check,
        &span,
        "eab_hmac_key",
        text.eab_hmac_key_env.as_ref(),
        text.eab_hmac_key_file.as_ref(),
    );
    match (text.eab_key_id.as_ref().and_then(|id| check.take(id)), hmac_key) {
        (Some(key_id), Some(hmac_key)) => Some(AcmeExternalAccount { key_id, hmac_key }),
        (None, None) => None,
        _ => {
            check.add(
                span,
                "expected `eab_key_id` together with `eab_hmac_key_env` or `eab_hmac_key_file`: \
                 set both or neither",
            );
            None
        }
    }
}

/// The location of a secret: an environment variable or a file, not both.
pub(super) fn secret(
    check: &mut Check<'_, '_>,
    span: &Range<usize>,
    key: &str,
    env: Option<&Text<String>>,
    file: Option<&Text<PathBuf>>,
) -> Option<Secret> {
    match (env, file) {
        (Some(_), Some(_)) => {
            check.add(
                span.clone(),
                format!("both `{key}_env` and `{key}_file` are set: remove one of them"),
            );
            None
        }
        (Some(env), None) => match check.take(env) {
            Some(name) if is_variable(&name) => Some(Secret::Environment(name)),
            Some(_) => {
                check.add(
                    env.span.clone(),
                    "expected the name of an environment variable: `A-Z a-z 0-9 _`, found other characters",
                );
                None
            }
            None => None,
        },
        (None, Some(file)) => check.path(file).map(Secret::File),
        (None, None) => None,
    }
}

/// Rejects a secret written in place of the variable's name; the message does not repeat it.
fn is_variable(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=128).contains(&name.len())
        && name.bytes().all(allowed)
        && !name.starts_with(|c: char| c.is_ascii_digit())
}
