//! `/ca.pem` and `/ca.crt`: the public certificate of the local authority, to be trusted by
//! clients. Never a key.

use std::collections::BTreeSet;
use std::path::PathBuf;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use gateway_config::{CertificateSource, Config};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::control::handle::Handle;
use crate::control::local_ca::AUTHORITY_FILE;

/// PEM; all authorities, if there are several.
pub(super) async fn pem(State(gateway): State<Handle>) -> Response {
    match read(&gateway).await {
        Some(pem) => ([(header::CONTENT_TYPE, "application/x-pem-file")], pem).into_response(),
        None => none(),
    }
}

/// DER, as required by phones; the first authority, if there are several.
pub(super) async fn der(State(gateway): State<Handle>) -> Response {
    let pem = read(&gateway).await.unwrap_or_default();
    match CertificateDer::from_pem_slice(&pem) {
        Ok(der) => {
            ([(header::CONTENT_TYPE, "application/x-x509-ca-cert")], der.to_vec()).into_response()
        }
        Err(_) => none(),
    }
}

/// The PEM text of all local authorities; `None` if there are none.
async fn read(gateway: &Handle) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    for file in files(&gateway.config()) {
        all.extend(tokio::fs::read(file).await.unwrap_or_default());
    }
    (!all.is_empty()).then_some(all)
}

fn files(config: &Config) -> BTreeSet<PathBuf> {
    let directories =
        config.certificates.iter().filter_map(|certificate| match &certificate.source {
            CertificateSource::SelfSigned { directory, .. } => Some(directory),
            CertificateSource::Acme(acme) => Some(&acme.stand_in_directory),
            CertificateSource::Files { .. } => None,
        });
    directories.map(|directory| directory.join(AUTHORITY_FILE)).collect()
}

fn none() -> Response {
    (StatusCode::NOT_FOUND, "there is no local authority\n").into_response()
}
