//! Server certificates of the local authority, valid for 90 days.

use std::collections::BTreeSet;
use std::net::IpAddr;

use gateway_config::ServerName;
use jiff::{ToSpan, Zoned};
use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, SanType,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::LocalCaError;
use super::authority::{Authority, set_validity};

const DAYS: i64 = 90;

/// Chain and key, as PEM.
pub(super) fn make(
    authority: &Authority,
    names: &[ServerName],
) -> Result<(String, String), LocalCaError> {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Gatehouse");
    set_validity(&mut params, DAYS.days());
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    for name in names {
        params.subject_alt_names.push(match name {
            ServerName::Dns(dns) => SanType::DnsName(dns.clone().try_into()?),
            ServerName::Ip(ip) => SanType::IpAddress(*ip),
        });
    }
    let certificate = params.signed_by(&key, &authority.issuer)?;
    Ok((format!("{}{}", certificate.pem(), authority.pem), key.serialize_pem()))
}

/// Whether this certificate was issued by this authority for exactly these names, with more than a
/// third of its lifetime left.
pub(super) fn is_usable(pem: &str, authority: &Authority, names: &[ServerName]) -> bool {
    let Ok(der) = CertificateDer::from_pem_slice(pem.as_bytes()) else { return false };
    let Ok((_, certificate)) = X509Certificate::from_der(&der) else { return false };
    let (from, to) = (
        certificate.validity().not_before.timestamp(),
        certificate.validity().not_after.timestamp(),
    );
    let left = to - Zoned::now().timestamp().as_second();
    let by_authority =
        certificate.extensions().iter().any(|extension| match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(id) => {
                id.key_identifier.as_ref().is_some_and(|id| id.0 == authority.key_id)
            }
            _ => false,
        });
    by_authority
        && left * 3 > to - from
        && alternative_names(&certificate) == names.iter().cloned().collect()
}

fn alternative_names(certificate: &X509Certificate<'_>) -> BTreeSet<ServerName> {
    let names = certificate
        .subject_alternative_name()
        .ok()
        .flatten()
        .map(|extension| &extension.value.general_names);
    let known = names.into_iter().flatten().filter_map(|name| match name {
        GeneralName::DNSName(dns) => Some(ServerName::Dns((*dns).to_owned())),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from)).ok().map(ServerName::Ip)
        }
        _ => None,
    });
    known.collect()
}
