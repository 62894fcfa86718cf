//! Key exchange and ciphers: the strongest that a client offers, and no outdated ones.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use rustls::{ClientConfig, ClientConnection, NamedGroup, RootCertStore, SupportedCipherSuite};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::support::{FRONT, TestGateway, fixed_route, install_provider};

async fn gateway() -> TestGateway {
    TestGateway::start(&(FRONT.replace("localhost:0", "127.0.0.1:0") + &fixed_route("hello"))).await
}

/// The group negotiated with a client that offers these groups, in this order.
async fn shake(
    port: u16,
    ca: &Path,
    groups: &[&'static dyn SupportedKxGroup],
) -> (NamedGroup, SupportedCipherSuite) {
    let provider = CryptoProvider { kx_groups: groups.to_vec(), ..aws_lc_rs::default_provider() };
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tcp = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap();
    let session: &ClientConnection = stream.get_ref().1;
    (
        session.negotiated_key_exchange_group().unwrap().name(),
        session.negotiated_cipher_suite().unwrap(),
    )
}

#[tokio::test]
async fn the_post_quantum_hybrid_is_preferred_and_other_clients_get_their_first_choice() {
    use aws_lc_rs::kx_group::{SECP256R1, SECP384R1, X25519, X25519MLKEM768};
    install_provider();
    let gateway = gateway().await;
    let (port, ca) = (gateway.address("https").await.port(), gateway.path("certs/local-ca.pem"));
    for (offered, expected) in [
        (&[X25519MLKEM768, X25519, SECP256R1, SECP384R1][..], NamedGroup::X25519MLKEM768),
        (&[X25519, SECP256R1], NamedGroup::X25519),
        (&[SECP256R1, SECP384R1], NamedGroup::secp256r1),
        (&[SECP384R1], NamedGroup::secp384r1),
    ] {
        let (group, suite) = shake(port, &ca, offered).await;
        assert_eq!(group, expected, "offered groups: {offered:?}");
        assert!(suite.tls13().is_some());
    }
    gateway.stop().await;
}

/// Output of OpenSSL's client; `None` if the handshake failed.
fn openssl(port: u16, arguments: &[&str]) -> Option<String> {
    let output = Command::new("openssl")
        .args(["s_client", "-servername", "localhost", "-connect", &format!("127.0.0.1:{port}")])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("openssl must be installed");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let shaken = !text.contains("Cipher is (NONE)") && text.contains("Cipher is ");
    shaken.then_some(text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_1_2_works_only_with_aead_suites_and_older_versions_fail() {
    let gateway = gateway().await;
    let port = gateway.address("https").await.port();
    // Level 0 makes OpenSSL offer outdated algorithms.
    for (accepted, arguments) in [
        (true, &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"][..]),
        (true, &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"]),
        (true, &["-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"]),
        (true, &["-tls1_3"]),
        (
            false,
            &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA384:@SECLEVEL=0"],
        ),
        (
            false,
            &[
                "-tls1_2",
                "-cipher",
                "AES128-GCM-SHA256:AES128-SHA:DHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0",
            ],
        ),
        (false, &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]),
        (false, &["-tls1", "-cipher", "ALL:@SECLEVEL=0"]),
    ] {
        let printed = openssl(port, arguments);
        assert_eq!(printed.is_some(), accepted, "{arguments:?}: {printed:?}");
    }
    // OpenSSL supports the hybrid from 3.5.
    let version =
        Command::new("openssl").arg("version").output().expect("openssl must be installed").stdout;
    let version = String::from_utf8_lossy(&version).into_owned();
    let number: Vec<u32> =
        version.split([' ', '.']).skip(1).map_while(|part| part.parse().ok()).collect();
    if number >= vec![3, 5] {
        let printed = openssl(port, &["-tls1_3"]).expect("the handshake succeeds");
        assert!(printed.contains("X25519MLKEM768"), "{printed}");
    }
    gateway.stop().await;
}
