//! The set of names of one certificate.

use std::fmt;
use std::net::IpAddr;

use aws_lc_rs::digest;
use instant_acme::Identifier;
use rustls_pki_types::ServerName;

/// The names of one certificate: DNS names in lower case and IP addresses, sorted, without
/// duplicates, never empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NameSet(Vec<String>);

/// Why a list of names is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The list is empty.
    #[error("a certificate needs at least one name")]
    Empty,
    /// More than authorities accept.
    #[error(
        "a certificate can hold {MOST_NAMES} names at most, got {0}: split them over several certificates"
    )]
    TooMany(usize),
    /// A wildcard, which needs DNS-01.
    #[error(
        "`{0}` is a wildcard, which HTTP-01 and TLS-ALPN-01 cannot prove: list the names one by one"
    )]
    Wildcard(String),
    /// Neither a DNS name nor an IP address.
    #[error("expected a DNS name such as `chat.example.org` or an IP address, got `{0}`")]
    Malformed(String),
}

/// The limit of Let's Encrypt and others.
const MOST_NAMES: usize = 100;

impl NameSet {
    /// Parses the names of a configuration.
    pub fn new<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> Result<Self, NameError> {
        let mut parsed =
            names.into_iter().map(|name| parse(name.as_ref())).collect::<Result<Vec<_>, _>>()?;
        parsed.sort();
        parsed.dedup();
        match parsed.len() {
            0 => Err(NameError::Empty),
            1..=MOST_NAMES => Ok(Self(parsed)),
            many => Err(NameError::TooMany(many)),
        }
    }

    /// The names in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// The names in order, as a slice.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }

    /// A short id for file names and keys: the first name for readability, a digest for
    /// uniqueness.
    pub fn id(&self) -> String {
        let first = self.0.first().map_or("", String::as_str).replace(':', "_");
        let digest = hex::encode(digest::digest(&digest::SHA256, self.0.join(",").as_bytes()));
        let short: String = digest.chars().take(16).collect();
        format!("{first}-{short}")
    }

    pub(crate) fn identifiers(&self) -> Vec<Identifier> {
        self.iter()
            .map(|name| {
                name.parse().map_or_else(|_| Identifier::Dns(name.to_owned()), Identifier::Ip)
            })
            .collect()
    }
}

impl fmt::Display for NameSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

fn parse(name: &str) -> Result<String, NameError> {
    if let Ok(ip) = name.parse::<IpAddr>() {
        return Ok(ip.to_string());
    }
    let lower = name.trim_end_matches('.').to_ascii_lowercase();
    if lower.starts_with("*.") {
        return Err(NameError::Wildcard(name.to_owned()));
    }
    match ServerName::try_from(lower.as_str()) {
        Ok(ServerName::DnsName(_)) => Ok(lower),
        _ => Err(NameError::Malformed(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lowered_sorted_and_deduplicated() {
        let names = NameSet::new(["B.example", "a.example.", "b.example", "192.0.2.1"]).unwrap();
        assert_eq!(names.to_string(), "192.0.2.1, a.example, b.example");
    }

    #[test]
    fn the_id_depends_on_the_set_and_not_on_its_order() {
        let one = NameSet::new(["a.example", "b.example"]).unwrap();
        assert_eq!(one.id(), NameSet::new(["b.example", "a.example"]).unwrap().id());
        assert_ne!(one.id(), NameSet::new(["a.example"]).unwrap().id());
    }

    #[test]
    fn names_that_no_authority_signs_are_rejected() {
        assert_eq!(NameSet::new(Vec::<String>::new()), Err(NameError::Empty));
        assert_eq!(NameSet::new(["*.a.example"]), Err(NameError::Wildcard("*.a.example".into())));
        assert_eq!(NameSet::new(["../../etc"]), Err(NameError::Malformed("../../etc".into())));
    }
}
