//! Server name to certificate: exact before wildcard; when nothing matches, the listener's first one or none.

use super::{Certificates, Slot, TlsError};
use gateway_config::{Name, UnknownNames};
use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use std::{collections::HashMap, sync::Arc};
use x509_parser::{extensions::GeneralName, prelude::FromDer as _, prelude::X509Certificate};

#[derive(Debug)]
pub(super) struct Resolver {
    exact: HashMap<String, Slot>,
    /// By what stands behind `*.`.
    wildcard: HashMap<String, Slot>,
    /// For a name of no certificate.
    unknown: Option<Slot>,
    /// For clients that ask for no name, as they do for an IP address.
    unnamed: Option<Slot>,
}

impl Resolver {
    pub(super) fn new(names: &[Name], certificates: &Certificates, unknown: UnknownNames) -> Result<Self, TlsError> {
        let mut resolver = Self { exact: HashMap::new(), wildcard: HashMap::new(), unknown: None, unnamed: None };
        let mut first = None;
        for name in names {
            let slot = certificates.get(name).ok_or_else(|| TlsError::NotLoaded(name.clone()))?;
            let (dns_names, has_address) =
                alternative_names(&slot.load()).ok_or_else(|| TlsError::Unreadable(name.clone()))?;
            first.get_or_insert_with(|| Arc::clone(slot));
            if has_address {
                resolver.unnamed.get_or_insert_with(|| Arc::clone(slot));
            }
            for dns_name in dns_names {
                let (map, key) = match dns_name.strip_prefix("*.") {
                    Some(parent) => (&mut resolver.wildcard, parent.to_owned()),
                    None => (&mut resolver.exact, dns_name),
                };
                map.entry(key).or_insert_with(|| Arc::clone(slot));
            }
        }
        let first = first.ok_or(TlsError::Unusable(rustls::Error::NoCertificatesPresented))?;
        if unknown == UnknownNames::Default {
            resolver.unnamed = Some(Arc::clone(&first));
            resolver.unknown = Some(first);
        }
        Ok(resolver)
    }

    fn find(&self, server_name: Option<&str>) -> Option<&Slot> {
        let Some(name) = server_name else { return self.unnamed.as_ref() };
        let name = name.to_ascii_lowercase();
        // RFC 6125 section 6.4.3: a wildcard stands for exactly one label.
        let by_parent = || name.split_once('.').and_then(|(_, parent)| self.wildcard.get(parent));
        self.exact.get(&name).or_else(by_parent).or(self.unknown.as_ref())
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.find(hello.server_name()).map(|slot| slot.load_full())
    }
}

/// DNS names in lower case, and whether there is an address too.
fn alternative_names(certified: &CertifiedKey) -> Option<(Vec<String>, bool)> {
    let (_, leaf) = X509Certificate::from_der(certified.cert.first()?).ok()?;
    let names = leaf.subject_alternative_name().ok()?.map(|extension| &extension.value.general_names);
    let (mut dns_names, mut has_address) = (Vec::new(), false);
    for name in names.into_iter().flatten() {
        match name {
            GeneralName::DNSName(dns) => dns_names.push(dns.to_ascii_lowercase()),
            GeneralName::IPAddress(_) => has_address = true,
            _ => {}
        }
    }
    Some((dns_names, has_address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificates(list: &[(&str, &[&str])]) -> (Vec<Name>, Certificates) {
        let mut all = Certificates::default();
        for (name, dns) in list {
            let made = rcgen::generate_simple_self_signed(dns.iter().map(|dns| (*dns).to_owned()).collect::<Vec<_>>());
            let made = made.expect("a certificate");
            let key = made.signing_key.serialize_der().try_into().expect("a key");
            all.add(name.parse().expect("a name"), vec![made.cert.der().clone()], key).expect("usable");
        }
        (list.iter().map(|(name, _)| name.parse().expect("a name")).collect(), all)
    }

    #[test]
    fn the_closest_name_wins() {
        let list: [(&str, &[&str]); 3] =
            [("first", &["localhost"]), ("wild", &["*.example.org"]), ("exact", &["chat.example.org"])];
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
    fn unknown_names_are_refused_where_asked_for_and_addresses_still_work() {
        let (names, all) = certificates(&[("name", &["chat.example.org"]), ("address", &["192.0.2.1"])]);
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
    fn a_certificate_that_was_not_loaded_is_named() {
        let error = Resolver::new(&["gone".parse().expect("a name")], &Certificates::default(), UnknownNames::Default)
            .expect_err("missing");
        assert_eq!(error.to_string(), "certificate `gone` is configured and was not loaded");
    }
}
