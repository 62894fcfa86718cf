//! Selects a certificate by server name: exact before wildcard; without a match, the listener's
//! first certificate or none.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use gateway_config::{Name, UnknownNames};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{Certificates, Slot, TlsError};

/// The certificates of a listener, by name.
#[derive(Debug)]
pub(crate) struct Resolver {
    offered: Vec<Offered>,
    /// Name → first certificate with it, as an index into `offered` (as in the fields below).
    exact: HashMap<String, usize>,
    /// By the part after `*.`.
    wildcard: HashMap<String, usize>,
    /// For a name that no certificate has.
    unknown: Option<usize>,
    /// For clients that send no server name, for example because they connect to an IP address.
    unnamed: Option<usize>,
}

/// A certificate and the names that it is valid for.
#[derive(Debug)]
struct Offered {
    slot: Slot,
    names: AlternativeNames,
}

#[derive(Debug, Default)]
struct AlternativeNames {
    /// In lower case; wildcards start with `*.`.
    dns: Vec<String>,
    addresses: Vec<IpAddr>,
}

impl Resolver {
    pub(super) fn new(
        names: &[Name],
        certificates: &Certificates,
        unknown: UnknownNames,
    ) -> Result<Self, TlsError> {
        let (mut offered, mut exact, mut wildcard) = (Vec::new(), HashMap::new(), HashMap::new());
        for (index, name) in names.iter().enumerate() {
            let slot = certificates.get(name).ok_or_else(|| TlsError::NotLoaded(name.clone()))?;
            let names = AlternativeNames::of(&slot.load())
                .ok_or_else(|| TlsError::Unreadable(name.clone()))?;
            for dns in &names.dns {
                match dns.strip_prefix("*.") {
                    Some(parent) => wildcard.entry(parent.to_owned()).or_insert(index),
                    None => exact.entry(dns.clone()).or_insert(index),
                };
            }
            offered.push(Offered { slot: Arc::clone(slot), names });
        }
        if offered.is_empty() {
            return Err(TlsError::Unusable(rustls::Error::NoCertificatesPresented));
        }
        let (unknown, unnamed) = match unknown {
            UnknownNames::Default => (Some(0), Some(0)),
            UnknownNames::Refuse => {
                (None, offered.iter().position(|offered| !offered.names.addresses.is_empty()))
            }
        };
        Ok(Self { offered, exact, wildcard, unknown, unnamed })
    }

    /// Whether a request for `host` came over a connection for another certificate: the certificate
    /// served for the server name `asked` is not valid for this host, and a client that sends this
    /// host as server name would get another one (RFC 9110 section 15.5.20, RFC 9113 section
    /// 9.1.1). Both are in lower case, without port and trailing dot; an IPv6 address is in
    /// brackets.
    pub(super) fn is_misdirected(&self, asked: &str, host: &str) -> bool {
        if asked == host {
            return false;
        }
        let address = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host)
            .parse()
            .ok();
        let shown = self.index(Some(asked));
        // RFC 6066 section 3: an address is not sent as a server name.
        let would_be_shown = self.index(if address.is_some() { None } else { Some(host) });
        let covers = |index: usize| {
            self.offered.get(index).is_some_and(|offered| offered.names.cover(host, address))
        };
        shown.is_none() || (shown != would_be_shown && !shown.is_some_and(covers))
    }

    fn find(&self, server_name: Option<&str>) -> Option<&Slot> {
        Some(&self.offered.get(self.index(server_name)?)?.slot)
    }

    fn index(&self, server_name: Option<&str>) -> Option<usize> {
        let Some(name) = server_name else { return self.unnamed };
        let name = name.to_ascii_lowercase();
        // RFC 6125 section 6.4.3: a wildcard matches exactly one label.
        let by_parent = || name.split_once('.').and_then(|(_, parent)| self.wildcard.get(parent));
        self.exact.get(&name).or_else(by_parent).copied().or(self.unknown)
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.find(hello.server_name()).map(|slot| slot.load_full())
    }
}

impl AlternativeNames {
    fn of(certified: &CertifiedKey) -> Option<Self> {
        let (_, leaf) = X509Certificate::from_der(certified.cert.first()?).ok()?;
        let names =
            leaf.subject_alternative_name().ok()?.map(|extension| &extension.value.general_names);
        let mut found = Self::default();
        for name in names.into_iter().flatten() {
            match name {
                GeneralName::DNSName(dns) => found.dns.push(dns.to_ascii_lowercase()),
                GeneralName::IPAddress(bytes) => found.addresses.extend(address(bytes)),
                _ => {}
            }
        }
        Some(found)
    }

    fn cover(&self, host: &str, address: Option<IpAddr>) -> bool {
        if let Some(address) = address {
            return self.addresses.contains(&address);
        }
        let parent = host.split_once('.').map(|(_, parent)| parent);
        self.dns
            .iter()
            .any(|dns| dns == host || dns.strip_prefix("*.").is_some_and(|dns| Some(dns) == parent))
    }
}

/// RFC 5280 section 4.2.1.6: 4 bytes for IPv4, 16 for IPv6.
fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificates(list: &[(&str, &[&str])]) -> (Vec<Name>, Certificates) {
        let mut all = Certificates::default();
        for (name, dns) in list {
            let made = rcgen::generate_simple_self_signed(
                dns.iter().map(|dns| (*dns).to_owned()).collect::<Vec<_>>(),
            );
            let made = made.expect("a certificate");
            let key = made.signing_key.serialize_der().try_into().expect("a key");
            all.add(name.parse().expect("a name"), vec![made.cert.der().clone()], key)
                .expect("usable");
        }
        (list.iter().map(|(name, _)| name.parse().expect("a name")).collect(), all)
    }

    #[test]
    fn an_exact_name_precedes_a_wildcard_and_the_default() {
        let list: [(&str, &[&str]); 3] = [
            ("first", &["localhost"]),
            ("wild", &["*.example.org"]),
            ("exact", &["chat.example.org"]),
        ];
        let (names, all) = certificates(&list);
        let resolver = Resolver::new(&names, &all, UnknownNames::Default).expect("resolves");
        for (asked, expected) in [
            (Some("chat.example.org"), "exact"),
            (Some("CHAT.example.org"), "exact"),
            (Some("other.example.org"), "wild"),
            (Some("a.b.example.org"), "first"),
            (Some("example.org"), "first"),
            (None, "first"),
        ] {
            let found = resolver.find(asked).expect("a certificate");
            let expected_key = all.get(&expected.parse().expect("a name")).expect("listed");
            assert!(Arc::ptr_eq(found, expected_key), "{asked:?} should get {expected}");
        }
    }

    #[test]
    fn unknown_names_are_rejected_if_configured_and_addresses_still_work() {
        let (names, all) =
            certificates(&[("name", &["chat.example.org"]), ("address", &["192.0.2.1"])]);
        let resolver = Resolver::new(&names, &all, UnknownNames::Refuse).expect("resolves");
        let of = |name: &str| all.get(&name.parse().expect("a name"));
        let same = |a: Option<&Slot>, b: Option<&Slot>| match (a, b) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (a, b) => a.is_none() && b.is_none(),
        };
        assert!(same(resolver.find(Some("chat.example.org")), of("name")));
        assert!(same(resolver.find(Some("other.example.org")), None));
        assert!(same(resolver.find(None), of("address")));
        let named = Resolver::new(&names[..1], &all, UnknownNames::Refuse).expect("resolves");
        assert!(named.find(None).is_none());
    }

    #[test]
    fn a_certificate_that_was_not_loaded_is_reported_by_name() {
        let error = Resolver::new(
            &["gone".parse().expect("a name")],
            &Certificates::default(),
            UnknownNames::Default,
        )
        .expect_err("missing");
        assert_eq!(error.to_string(), "certificate `gone` is configured but was not loaded");
    }

    #[test]
    fn a_request_is_misdirected_unless_the_certificate_is_valid_for_its_host() {
        let list: [(&str, &[&str]); 3] = [
            ("first", &["one.example", "shared.example"]),
            ("wild", &["*.two.example", "shared.example"]),
            ("address", &["three.example", "192.0.2.1"]),
        ];
        let (names, all) = certificates(&list);
        let resolver = |unknown| Resolver::new(&names, &all, unknown).expect("resolves");
        let (lenient, strict) = (resolver(UnknownNames::Default), resolver(UnknownNames::Refuse));
        for (asked, host, misdirected, if_strict) in [
            ("one.example", "one.example", false, false),
            ("one.example", "shared.example", false, false),
            // The served certificate is valid for the host, although the host has another one.
            ("a.two.example", "shared.example", false, false),
            ("a.two.example", "b.two.example", false, false),
            ("a.two.example", "a.b.two.example", true, true),
            ("one.example", "a.two.example", true, true),
            ("one.example", "three.example", true, true),
            ("three.example", "192.0.2.1", false, false),
            ("one.example", "192.0.2.1", false, true),
            ("three.example", "[2001:db8::1]", true, false),
            // No certificate has this name: as a server name it selects the first certificate or
            // none.
            ("one.example", "unknown.example", false, true),
            ("three.example", "unknown.example", true, true),
            ("unknown.example", "other.example", false, true),
            ("unknown.example", "one.example", false, true),
            ("unknown.example", "three.example", true, true),
        ] {
            assert_eq!(lenient.is_misdirected(asked, host), misdirected, "{asked} {host}");
            assert_eq!(strict.is_misdirected(asked, host), if_strict, "strict: {asked} {host}");
        }
    }
}
