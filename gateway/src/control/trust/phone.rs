//! Serves the public certificate of the local authority to a phone in the same network.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;

use axum::Router;
use axum::http::header;
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;

use crate::control::local_ca;

const PAGE: &str = include_str!("phone.html");

/// A certificate to be downloaded.
pub struct Offer {
    listener: TcpListener,
    address: SocketAddr,
    pem: String,
    der: CertificateDer<'static>,
    fingerprint: String,
}

impl Offer {
    /// Loads the authority of this directory and binds the address, or by default an address of
    /// this machine in its network.
    pub async fn open(certs: &Path, address: Option<SocketAddr>) -> io::Result<Self> {
        let file = certs.join(local_ca::AUTHORITY_FILE);
        let at =
            |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", file.display()));
        let pem = std::fs::read_to_string(&file).map_err(at)?;
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| {
            at(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("expected a PEM certificate: {error:?}"),
            ))
        })?;
        let wanted = match address {
            Some(address) => address,
            None => SocketAddr::new(own_address()?, 0),
        };
        let listener = TcpListener::bind(wanted).await.map_err(|error| {
            io::Error::new(error.kind(), format!("cannot listen on {wanted}: {error}"))
        })?;
        let address = listener.local_addr()?;
        let fingerprint = fingerprint(&der);
        Ok(Self { listener, address, pem, der, fingerprint })
    }

    /// URL for the phone.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// SHA-256 fingerprint of the certificate in the format of phones: `AB:CD:…`.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Serves a page with instructions and the certificate in both formats, until `end`.
    pub async fn serve(self, end: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        let page = PAGE.replace("{fingerprint}", &self.fingerprint);
        let Self { pem, der, .. } = self;
        let router = Router::new()
            .route("/", get(async move || (HARDENED, Html(page))))
            .route(
                "/ca.crt",
                get(async move || certificate("application/x-x509-ca-cert", der.to_vec())),
            )
            .route(
                "/ca.pem",
                get(async move || certificate("application/x-pem-file", pem.into_bytes())),
            );
        tokio::select! {
            served = axum::serve(self.listener, router).into_future() => served,
            () = end => Ok(()),
        }
    }
}

const HARDENED: [(header::HeaderName, &str); 2] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    ),
    (header::CACHE_CONTROL, "no-store"),
];

fn certificate(kind: &'static str, bytes: Vec<u8>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-store")], bytes)
}

fn fingerprint(der: &[u8]) -> String {
    let pairs: Vec<String> = Sha256::digest(der).iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}

/// The local address of the default route. Connecting a UDP socket sends no packet.
fn own_address() -> io::Result<IpAddr> {
    // TEST-NET-1 (RFC 5737) is not assigned to any host.
    let far = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 9));
    let look = || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.connect(far)?;
        socket.local_addr()
    };
    match look() {
        Ok(address) if !address.ip().is_loopback() => Ok(address.ip()),
        _ => Err(io::Error::new(
            io::ErrorKind::AddrNotAvailable,
            "found no network interface: specify an address that the phone can reach",
        )),
    }
}
