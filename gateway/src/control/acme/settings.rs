//! Converts the configuration to the maintainer's settings, and reads the files it names.

use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use gateway_acme::{Authority, ChallengeKind, ExternalAccount, NameSet, Settings};
use gateway_config::{AcmeChallenge, AcmeExternalAccount, AcmeIssuer};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::{files, secret};

/// Contents of the files and variables that an issuer names, to detect changes on reload.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Inputs {
    roots: Option<Vec<CertificateDer<'static>>>,
    hmac_key: Option<Vec<u8>>,
}

impl Inputs {
    pub(super) fn read(issuer: &AcmeIssuer) -> Result<Self, String> {
        Ok(Self {
            roots: issuer.ca_file.as_deref().map(roots).transpose()?,
            hmac_key: issuer.external_account.as_ref().map(hmac_key).transpose()?,
        })
    }
}

pub(super) fn settings(issuer: &AcmeIssuer, inputs: &Inputs, names: Vec<NameSet>) -> Settings {
    let with_us = |url: &str| Authority {
        roots: inputs.roots.clone(),
        contacts: issuer.contacts.clone(),
        ..Authority::new(url)
    };
    let account = issuer.external_account.as_ref().zip(inputs.hmac_key.clone());
    // External account and profile belong to the first authority only.
    let mut authorities = vec![Authority {
        profile: issuer.profile.clone(),
        external_account: account.map(|(account, hmac_key)| ExternalAccount {
            key_id: account.key_id.clone(),
            hmac_key,
        }),
        ..with_us(issuer.directory.as_str())
    }];
    authorities.extend(issuer.fallback_directory.as_ref().map(|url| with_us(url.as_str())));
    let challenges = issuer.challenges.iter().map(|challenge| match challenge {
        AcmeChallenge::TlsAlpn01 => ChallengeKind::TlsAlpn01,
        AcmeChallenge::Http01 => ChallengeKind::Http01,
    });
    Settings { challenges: challenges.collect(), ..Settings::new(names, authorities) }
}

fn hmac_key(account: &AcmeExternalAccount) -> Result<Vec<u8>, String> {
    let text = secret::read(&account.hmac_key)?;
    BASE64_URL_SAFE_NO_PAD
        .decode(text.trim_end_matches('='))
        .map_err(|error| format!("external account key: expected base64url: {error}"))
}

fn roots(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let said = |error: &dyn std::fmt::Display| format!("ca_file: {}: {error}", file.display());
    let pem = files::read(file, files::PEM_MOST).map_err(|error| said(&error))?;
    let roots: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| said(&error))?;
    if roots.is_empty() { Err(said(&"expected PEM certificates, found none")) } else { Ok(roots) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profile_and_external_account_apply_only_to_the_first_directory() {
        let issuer = AcmeIssuer {
            directory: "https://one.example/dir".parse().unwrap(),
            fallback_directory: Some("https://two.example/dir".parse().unwrap()),
            contacts: vec!["mailto:admin@example.org".to_owned()],
            profile: Some("shortlived".to_owned()),
            challenges: vec![AcmeChallenge::Http01],
            external_account: Some(AcmeExternalAccount {
                key_id: "kid".to_owned(),
                hmac_key: gateway_config::Secret::File("key".into()),
            }),
            ca_file: None,
        };
        let inputs = Inputs { roots: None, hmac_key: Some(vec![1; 32]) };
        let names = NameSet::new(["chat.example.org"]).unwrap();
        let Settings { authorities, challenges, .. } = settings(&issuer, &inputs, vec![names]);
        let [first, second] = &authorities[..] else { panic!("{authorities:?}") };
        assert_eq!(first.profile.as_deref(), Some("shortlived"));
        assert_eq!(first.external_account.as_ref().map(|account| account.hmac_key.len()), Some(32));
        assert!(second.profile.is_none() && second.external_account.is_none());
        assert_eq!(first.contacts, second.contacts);
        assert_eq!(challenges, [ChallengeKind::Http01]);
    }
}
