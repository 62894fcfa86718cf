//! From the configuration's words to the maintainer's settings; reads the files that are named there.

use crate::secret;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use gateway_acme::{Authority, ChallengeKind, ExternalAccount, NameSet, Settings};
use gateway_config::{AcmeChallenge, AcmeExternalAccount, AcmeIssuer};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use std::path::Path;

pub(super) fn settings(issuer: &AcmeIssuer, names: Vec<NameSet>) -> Result<Settings, String> {
    let roots = issuer.ca_file.as_deref().map(roots).transpose()?;
    let with_us =
        |url: &str| Authority { roots: roots.clone(), contacts: issuer.contacts.clone(), ..Authority::new(url) };
    // The account at the authority and its profiles are the first one's own.
    let mut authorities = vec![Authority {
        profile: issuer.profile.clone(),
        external_account: issuer.external_account.as_ref().map(external_account).transpose()?,
        ..with_us(issuer.directory.as_str())
    }];
    authorities.extend(issuer.fallback_directory.as_ref().map(|url| with_us(url.as_str())));
    let challenges = issuer.challenges.iter().map(|challenge| match challenge {
        AcmeChallenge::TlsAlpn01 => ChallengeKind::TlsAlpn01,
        AcmeChallenge::Http01 => ChallengeKind::Http01,
    });
    Ok(Settings { challenges: challenges.collect(), ..Settings::new(names, authorities) })
}

fn external_account(account: &AcmeExternalAccount) -> Result<ExternalAccount, String> {
    let text = secret::read(&account.hmac_key)?;
    let hmac_key = BASE64_URL_SAFE_NO_PAD
        .decode(text.trim_end_matches('='))
        .map_err(|error| format!("the key of the external account: expected base64url: {error}"))?;
    Ok(ExternalAccount { key_id: account.key_id.clone(), hmac_key })
}

fn roots(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let said = |error: &dyn std::fmt::Display| format!("ca_file: {}: {error}", file.display());
    let pem = std::fs::read(file).map_err(|error| said(&error))?;
    let roots: Vec<_> = CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().map_err(|error| said(&error))?;
    if roots.is_empty() { Err(said(&"expected PEM certificates, found none")) } else { Ok(roots) }
}
