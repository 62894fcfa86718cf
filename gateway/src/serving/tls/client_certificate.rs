//! Client certificates: their authorities and their subjects.

use std::fmt::Write as _;
use std::sync::Arc;

use gateway_config::ClientCertificates;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConnection};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

use super::TlsError;

pub(super) fn verifier(
    clients: &ClientCertificates,
    roots: Option<&Arc<RootCertStore>>,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let file = clients.authorities.display();
    let roots = roots.ok_or_else(|| TlsError::Clients(format!("{file} was not loaded")))?;
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), provider);
    let builder = if clients.required { builder } else { builder.allow_unauthenticated() };
    builder.build().map_err(|error| TlsError::Clients(format!("{file}: {error}")))
}

/// The subject of the client's certificate in the notation of RFC 4514, in printable ASCII only:
/// other bytes and `%` are percent-encoded.
pub(crate) fn subject(session: &ServerConnection) -> Option<Arc<str>> {
    let leaf = session.peer_certificates()?.first()?;
    let (_, certificate) = X509Certificate::from_der(leaf).ok()?;
    Some(visible(&distinguished_name(certificate.subject())).into())
}

/// RFC 4514 section 2.1: the last RDN comes first.
fn distinguished_name(name: &X509Name<'_>) -> String {
    let mut parts: Vec<String> = name
        .iter_rdn()
        .map(|part| part.iter().map(attribute).collect::<Vec<_>>().join("+"))
        .collect();
    parts.reverse();
    parts.join(",")
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let oid = attribute.attr_type().to_id_string();
    let short = match oid.as_str() {
        "2.5.4.3" => "CN",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "STREET",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        other => other,
    };
    match attribute.as_str() {
        Ok(value) => format!("{short}={}", escaped(value)),
        // RFC 4514 section 2.4: a value that is not a string is written in hexadecimal.
        Err(_) => format!("{short}=#{}", hex::encode(attribute.attr_value().data)),
    }
}

/// Escapes a value (RFC 4514 section 2.4); unescaped, one value could look like several.
fn escaped(value: &str) -> String {
    let last = value.chars().count().saturating_sub(1);
    let mut out = String::new();
    for (index, c) in value.chars().enumerate() {
        let edge = (index == 0 && matches!(c, ' ' | '#')) || (index == last && c == ' ');
        if edge || matches!(c, '"' | '+' | ',' | ';' | '<' | '=' | '>' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn visible(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => out.push(char::from(byte)),
            _ => {
                // Writing to a String cannot fail.
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_add_attributes_or_line_breaks() {
        assert_eq!(escaped("a,O=admins"), "a\\,O\\=admins");
        assert_eq!(escaped(" #x "), "\\ #x\\ ");
        assert_eq!(visible("Zoë\r\nx: 100%"), "Zo%C3%AB%0D%0Ax: 100%25");
    }
}
