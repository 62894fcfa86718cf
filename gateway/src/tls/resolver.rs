//! Server name to certificate: exact before wildcard, the listener's first certificate when nothing matches.

use super::{Certificates, TlsError};
use gateway_config::Name;
use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use std::{collections::HashMap, sync::Arc};
use x509_parser::{extensions::GeneralName, prelude::FromDer as _, prelude::X509Certificate};

#[derive(Debug)]
pub(super) struct Resolver {
    exact: HashMap<String, Arc<CertifiedKey>>,
    /// By what stands behind `*.`.
    wildcard: HashMap<String, Arc<CertifiedKey>>,
    default: Arc<CertifiedKey>,
}

impl Resolver {
    pub(super) fn new(names: &[Name], certificates: &Certificates) -> Result<Self, TlsError> {
        let mut resolver: Option<Self> = None;
        for name in names {
            let certified = certificates.get(name).ok_or_else(|| TlsError::NotLoaded(name.clone()))?;
            let dns_names = dns_names(certified).ok_or_else(|| TlsError::Unreadable(name.clone()))?;
            let resolver = resolver.get_or_insert_with(|| Self {
                exact: HashMap::new(),
                wildcard: HashMap::new(),
                default: Arc::clone(certified),
            });
            for dns_name in dns_names {
                let (map, key) = match dns_name.strip_prefix("*.") {
                    Some(parent) => (&mut resolver.wildcard, parent.to_owned()),
                    None => (&mut resolver.exact, dns_name),
                };
                map.entry(key).or_insert_with(|| Arc::clone(certified));
            }
        }
        resolver.ok_or(TlsError::Unusable(rustls::Error::NoCertificatesPresented))
    }

    fn find(&self, server_name: Option<&str>) -> &Arc<CertifiedKey> {
        let found = server_name.and_then(|name| {
            let name = name.to_ascii_lowercase();
            // RFC 6125 section 6.4.3: a wildcard stands for exactly one label.
            let by_parent = || name.split_once('.').and_then(|(_, parent)| self.wildcard.get(parent));
            self.exact.get(&name).or_else(by_parent)
        });
        found.unwrap_or(&self.default)
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(self.find(hello.server_name())))
    }
}

fn dns_names(certified: &CertifiedKey) -> Option<Vec<String>> {
    let (_, leaf) = X509Certificate::from_der(certified.cert.first()?).ok()?;
    let names = leaf.subject_alternative_name().ok()?.map(|extension| &extension.value.general_names);
    let dns = names.into_iter().flatten().filter_map(|name| match name {
        GeneralName::DNSName(dns) => Some(dns.to_ascii_lowercase()),
        _ => None,
    });
    Some(dns.collect())
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
        let resolver = Resolver::new(&names, &all).expect("resolves");
        for (asked, expected) in [
            (Some("chat.example.org"), "exact"),
            (Some("CHAT.example.org"), "exact"),
            (Some("other.example.org"), "wild"),
            (Some("a.b.example.org"), "first"),
            (Some("example.org"), "first"),
            (None, "first"),
        ] {
            let found = resolver.find(asked);
            let expected_key = all.get(&expected.parse().expect("a name")).expect("listed");
            assert!(Arc::ptr_eq(found, expected_key), "{asked:?} should get {expected}");
        }
    }

    #[test]
    fn a_certificate_that_was_not_loaded_is_named() {
        let error = Resolver::new(&["gone".parse().expect("a name")], &Certificates::default()).expect_err("missing");
        assert_eq!(error.to_string(), "certificate `gone` is configured and was not loaded");
    }
}
