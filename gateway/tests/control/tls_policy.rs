//! Client certificates, and server names without a certificate.

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::get;
use gateway::Options;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio::net::TcpListener;

use crate::support::tls::{Connection, Identity};
use crate::support::{Backend, FRONT, TestGateway};

/// A CA for client certificates.
struct Authority(Issuer<'static, KeyPair>, String);

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self(Issuer::new(params, key), pem)
    }

    fn issue(&self, name: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::OrganizationName, "Operators");
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.der().clone(), key.serialize_der().try_into().unwrap())
    }
}

/// A backend that responds with the client certificate's subject.
async fn subject_backend() -> (u16, tokio::task::AbortHandle) {
    let subject = |headers: HeaderMap| async move {
        headers
            .get_all("x-client-cert-subject")
            .iter()
            .map(|value| format!("[{}]", value.to_str().unwrap()))
            .collect::<String>()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let router = Router::new().route("/api/who", get(subject));
    (port, tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }).abort_handle())
}

#[tokio::test]
async fn the_backend_receives_the_subject_of_the_client_certificate_not_a_forged_one() {
    let (authority, (port, backend)) = (Authority::new(), subject_backend().await);
    let https = "protocol = \"https\"\n";
    let front = FRONT.replace("localhost:0", "127.0.0.1:0");
    for (mode, required) in [("required", true), ("optional", false)] {
        let asks =
            format!("{https}client_ca = \"clients.pem\"\nclient_certificates = \"{mode}\"\n");
        let text = front.replace(https, &asks)
            + &format!(
                "[[route]]\nname = \"api\"\npath_prefix = \"/api\"\nupstream = \"b\"\n[[upstream]]\nname = \"b\"\ntargets = [\"127.0.0.1:{port}\"]\n"
            );
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("clients.pem"), &authority.1).unwrap();
        std::fs::write(directory.path().join("gateway.toml"), text).unwrap();
        let options = Options { ignore_files: true, ..Options::default() };
        let gateway = TestGateway::start_in(directory, "gateway.toml", options)
            .await
            .unwrap_or_else(|e| panic!("{e}"));
        let tls = gateway.address("https").await.port();
        let claim = "X-Client-Cert-Subject: CN=root\r\n";

        let ask = async |identity: Option<Identity>| {
            Connection::open(tls, "localhost", identity).await?.get("/api/who", claim).await
        };
        let known = ask(Some(authority.issue("ann, O=admins"))).await.unwrap();
        assert!(known.ends_with("[O=Operators,CN=ann\\, O\\=admins]"), "{known}");
        assert!(
            ask(Some(Authority::new().issue("ann"))).await.is_err(),
            "{mode}: of another authority"
        );
        match ask(None).await {
            Ok(answer) => assert!(!required && answer.ends_with("\r\n\r\n"), "{mode}: {answer}"),
            Err(error) => assert!(required, "{mode}: {error}"),
        }
        gateway.stop().await;
    }
    backend.abort();
}

#[tokio::test]
async fn a_server_name_without_a_certificate_is_rejected_if_configured() {
    let backend = Backend::start().await;
    let base =
        FRONT.replace("localhost:0", "127.0.0.1:0") + &crate::support::backend_routes(&backend);
    for (policy, served) in [("default", true), ("refuse", false)] {
        let gateway =
            TestGateway::start(&format!("{base}[tls]\nunknown_names = \"{policy}\"\n")).await;
        let tls = gateway.address("https").await.port();
        assert!(Connection::open(tls, "localhost", None).await.is_ok(), "{policy}");
        assert!(
            Connection::open(tls, "127.0.0.1", None).await.is_ok(),
            "{policy}: an address has a certificate"
        );
        assert_eq!(
            Connection::open(tls, "other.example.org", None).await.is_ok(),
            served,
            "{policy}"
        );
        gateway.stop().await;
    }
}
