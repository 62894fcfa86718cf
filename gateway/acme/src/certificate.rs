//! Checked certificates by name, ready to serve.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::sign::CertifiedKey;

use crate::names::NameSet;

/// A certificate that passed [`check`](crate::check), with its key, ready for rustls.
#[derive(Clone)]
pub struct Certificate {
    /// The chain and the key, for a [`ServerConfig`](rustls::ServerConfig) or a resolver.
    pub key: Arc<CertifiedKey>,
    /// The DNS names (some with a leading `*.`) and IP addresses it is valid for.
    pub names: Vec<String>,
    /// Start of its validity.
    pub not_before: SystemTime,
    /// End of its validity.
    pub not_after: SystemTime,
    /// Its serial number, in hex.
    pub serial: String,
    /// The id for renewal information (RFC 9773 section 4.1): key identifier of the issuer, serial
    /// number.
    pub(crate) renewal_id: Option<(Vec<u8>, Vec<u8>)>,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("names", &self.names)
            .field("serial", &self.serial)
            .finish_non_exhaustive()
    }
}

/// A snapshot of all certificates.
#[derive(Clone, Debug, Default)]
pub struct Certificates {
    by_set: BTreeMap<NameSet, Arc<Certificate>>,
    by_name: BTreeMap<String, Arc<Certificate>>,
}

impl Certificates {
    /// The certificate of a configured set of names, if it exists.
    pub fn of(&self, names: &NameSet) -> Option<&Arc<Certificate>> {
        self.by_set.get(names)
    }

    /// The certificate for a server name (SNI) in lower case.
    pub fn resolve(&self, server_name: &str) -> Option<&Arc<Certificate>> {
        self.by_name.get(server_name)
    }

    /// Each configured set of names that has a certificate.
    pub fn iter(&self) -> impl Iterator<Item = (&NameSet, &Arc<Certificate>)> {
        self.by_set.iter()
    }

    pub(crate) fn insert(&mut self, names: &NameSet, certificate: &Arc<Certificate>) {
        self.by_set.insert(names.clone(), Arc::clone(certificate));
        for name in names.iter() {
            self.by_name.insert(name.to_owned(), Arc::clone(certificate));
        }
    }
}
