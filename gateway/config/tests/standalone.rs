//! The generated configuration of a single machine parses like a file.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::path::Path;

use gateway_config::{
    Action, Balance, CertificateSource, CertificateStorage, Config, ListenAddress, PathMatch,
    Protocol, SiteRoot, Standalone, StandaloneAcme,
};

fn standalone() -> Standalone {
    Standalone {
        https: vec!["localhost:8443".parse().unwrap(), "[::]:443".parse().unwrap()],
        http: vec!["localhost:8080".parse().unwrap()],
        admin: Some("127.0.0.1:9090".parse().unwrap()),
        admin_hosts: vec!["gatehouse".parse().unwrap()],
        api: "unix:/tmp/a \"quoted\" path/api.sock".parse().unwrap(),
        live: "unix:/tmp/live.sock".parse().unwrap(),
        account_cookie: "__Host-gatehouse".to_owned(),
        certificates: "/tmp/certs".into(),
        names: vec!["chat.example.org".parse().unwrap()],
        acme: None,
        ui: SiteRoot::Embedded,
        text_log: true,
    }
}

#[test]
fn the_generated_text_parses_to_the_requested_settings() {
    let text = standalone().to_toml();
    let config = Config::parse(&text, "standalone", Path::new("/"))
        .unwrap_or_else(|problems| panic!("{problems}\n{text}"));
    assert_eq!(config.listeners.len(), 3);
    assert_eq!(config.listeners[0].address, ListenAddress::Localhost(8443));
    assert!(matches!(config.listeners[2].protocol, Protocol::HttpRedirect { https_port: None }));
    let live =
        config.routes.iter().find(|route| route.path == PathMatch::Exact("/ws".into())).unwrap();
    assert!(live.websocket && live.require_origin);
    let Action::Upstream(upstream) = &live.action else { panic!("{live:?}") };
    assert_eq!(
        config.upstream(upstream).unwrap().balance,
        Balance::Rendezvous { cookie: "__Host-gatehouse".into() }
    );
    assert_eq!(config.sites[0].root, SiteRoot::Embedded);
    let admin = config.admin.unwrap();
    assert_eq!((admin.address.port(), admin.hosts), (9090, vec!["gatehouse".parse().unwrap()]));
}

#[test]
fn a_public_name_is_ordered_by_acme_and_localhost_keeps_its_local_certificate() {
    let acme = StandaloneAcme {
        names: vec!["chat.example.org".parse().unwrap()],
        storage: "/var/gatehouse/certificates".into(),
        directory: Some("https://acme.example.org/dir".parse().unwrap()),
        ca_file: Some("/etc/root.pem".into()),
    };
    let text = Standalone { names: Vec::new(), acme: Some(acme), ..standalone() }.to_toml();
    let config = Config::parse(&text, "standalone", Path::new("/"))
        .unwrap_or_else(|p| panic!("{p}\n{text}"));
    let Protocol::Https { certificates, .. } = &config.listeners[0].protocol else {
        panic!("{config:?}")
    };
    let offered: Vec<&str> = certificates.iter().map(gateway_config::Name::as_str).collect();
    assert_eq!(offered, ["public", "local"]);
    let CertificateSource::Acme(acme) = &config.certificates[0].source else {
        panic!("{config:?}")
    };
    assert_eq!(acme.issuer.directory.as_str(), "https://acme.example.org/dir");
    assert_eq!(acme.stand_in_directory, Path::new("/tmp/certs"));
    let storage = CertificateStorage::Directory("/var/gatehouse/certificates".into());
    assert_eq!(config.certificate_storage, Some(storage));
}
