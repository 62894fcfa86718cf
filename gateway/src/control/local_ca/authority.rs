//! The authority: its key, its certificate, and the names it permits.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use gateway_config::ServerName;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{ToSpan, Zoned};
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, GeneralSubtree, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, NameConstraints,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::store::Directory;
use super::{AUTHORITY_FILE, LocalCaError};

const KEY_FILE: &str = "local-ca.key";
const YEARS: i64 = 10;

pub(super) struct Authority {
    pub(super) issuer: Issuer<'static, KeyPair>,
    pub(super) pem: String,
    /// Subject key identifier, which is the authority key identifier of issued certificates.
    pub(super) key_id: Vec<u8>,
    permitted: BTreeSet<ServerName>,
}

impl Authority {
    /// The authority in the directory; `None` if there is none that is valid for another year.
    pub(super) fn load(directory: &Directory) -> Result<Option<Self>, LocalCaError> {
        let certificate = directory.read(&directory.path(AUTHORITY_FILE))?;
        let key = directory.read(&directory.path(KEY_FILE))?;
        let (Some(pem), Some(key)) = (certificate, key) else { return Ok(None) };
        let Ok(key) = KeyPair::from_pem(&key) else { return Ok(None) };
        Ok(Self::parse(pem, key))
    }

    /// Creates an authority for the local names, these names, and the names of the previous
    /// authority.
    pub(super) fn make(
        directory: &Directory,
        names: &[ServerName],
        old: Option<&Self>,
    ) -> Result<Self, LocalCaError> {
        let (made, key) = Self::generate(names, old)?;
        directory.write_private(&directory.path(KEY_FILE), &key)?;
        directory.write(&directory.path(AUTHORITY_FILE), &made.pem)?;
        Ok(made)
    }

    /// Generates the authority and its key as PEM, without writing them.
    pub(super) fn generate(
        names: &[ServerName],
        old: Option<&Self>,
    ) -> Result<(Self, String), LocalCaError> {
        let mut permitted = local_names();
        permitted.extend(names.iter().map(constraint));
        permitted.extend(old.into_iter().flat_map(|old| old.permitted.iter().cloned()));

        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let today = Zoned::now().with_time_zone(TimeZone::UTC).date();
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Gatehouse");
        // The date distinguishes authorities of one machine in a browser's list.
        params.distinguished_name.push(DnType::CommonName, format!("Gatehouse local CA {today}"));
        set_validity(&mut params, YEARS.years());
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: permitted.iter().map(subtree).collect(),
            excluded_subtrees: vec![],
        });
        let pem = params.self_signed(&key)?.pem();

        let private = key.serialize_pem();
        let made = Self::parse(pem, key)
            .ok_or(LocalCaError::Made(rcgen::Error::CouldNotParseCertificate))?;
        Ok((made, private))
    }

    /// Whether its name constraints permit all of these names.
    pub(super) fn permits(&self, names: &[ServerName]) -> bool {
        names.iter().all(|name| match constraint(name) {
            ServerName::Ip(ip) => self.permitted.contains(&ServerName::Ip(ip)),
            ServerName::Dns(name) => self.permitted.iter().any(|permitted| match permitted {
                ServerName::Dns(base) => {
                    name == *base
                        || name.strip_suffix(base.as_str()).is_some_and(|rest| rest.ends_with('.'))
                }
                ServerName::Ip(_) => false,
            }),
        })
    }

    fn parse(pem: String, key: KeyPair) -> Option<Self> {
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
        let (_, certificate) = X509Certificate::from_der(&der).ok()?;
        let year = Zoned::now().timestamp().as_second() + 365 * 86_400;
        if certificate.validity().not_after.timestamp() < year
            || certificate.public_key().subject_public_key.data != key.public_key_raw()
        {
            return None;
        }
        let key_id = certificate.extensions().iter().find_map(|extension| {
            match extension.parsed_extension() {
                ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
                _ => None,
            }
        })?;
        let constraints = certificate.name_constraints().ok()??.value;
        let permitted = constraints
            .permitted_subtrees
            .iter()
            .flatten()
            .filter_map(|subtree| named(&subtree.base))
            .collect();
        let issuer = Issuer::from_ca_cert_der(&der, key).ok()?;
        Some(Self { issuer, pem, key_id, permitted })
    }
}

fn local_names() -> BTreeSet<ServerName> {
    let ips = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    ips.map(ServerName::Ip).into_iter().chain([ServerName::Dns("localhost".to_owned())]).collect()
}

/// The narrowest constraint that permits a name; a DNS constraint covers the name and its
/// subdomains.
fn constraint(name: &ServerName) -> ServerName {
    match name {
        ServerName::Dns(dns) => ServerName::Dns(dns.strip_prefix("*.").unwrap_or(dns).to_owned()),
        ServerName::Ip(ip) => ServerName::Ip(*ip),
    }
}

fn subtree(name: &ServerName) -> GeneralSubtree {
    match name {
        ServerName::Dns(dns) => GeneralSubtree::DnsName(dns.clone()),
        ServerName::Ip(ip) => GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(
            *ip,
            if ip.is_ipv4() { 32 } else { 128 },
        )),
    }
}

/// An address constraint contains address and mask, 8 or 32 bytes: RFC 5280 section 4.2.1.10.
fn named(base: &GeneralName<'_>) -> Option<ServerName> {
    match base {
        GeneralName::DNSName(dns) => Some(ServerName::Dns((*dns).to_owned())),
        GeneralName::IPAddress(bytes) => {
            let (address, _mask) = bytes.split_at_checked(bytes.len() / 2)?;
            let v4 = <[u8; 4]>::try_from(address).map(IpAddr::from);
            v4.or_else(|_| <[u8; 16]>::try_from(address).map(IpAddr::from)).ok().map(ServerName::Ip)
        }
        _ => None,
    }
}

/// Sets the validity, which starts one day in the past because the clock of another device may be
/// behind.
pub(super) fn set_validity(params: &mut CertificateParams, last: jiff::Span) {
    let today = Zoned::now().with_time_zone(TimeZone::UTC).date();
    let midnight = |date: Date| {
        rcgen::date_time_ymd(
            date.year().into(),
            date.month().unsigned_abs(),
            date.day().unsigned_abs(),
        )
    };
    params.not_before = midnight(today.saturating_sub(1.day()));
    params.not_after = midnight(today.saturating_add(last));
}
