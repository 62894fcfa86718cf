//! ACME certificates, their storage, and client certificates: what is understood and what is
//! refused.

use std::path::Path;

use gateway_config::{
    Acme, AcmeChallenge, CertificateSource, CertificateStorage, Config, Protocol, Secret,
};

const ACME: &str = r#"[[listener]]
name = "https"
address = "127.0.0.1:8443"
protocol = "https"

[[certificate]]
name = "public"
source = "acme"
names = ["chat.example.org"]

[[route]]
name = "hello"
path = "/"
respond = { status = 200, body = "hello" }
"#;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, "gateway.toml", Path::new("/etc/gatehouse"))
        .map_err(|problems| problems.to_string())
}

fn acme(config: &Config) -> &Acme {
    let CertificateSource::Acme(acme) = &config.certificates[0].source else {
        panic!("{config:?}")
    };
    acme
}

#[test]
fn names_alone_are_enough() {
    let config = parse(ACME).unwrap();
    let issuer = &acme(&config).issuer;
    assert_eq!(issuer.directory.as_str(), "https://acme-v02.api.letsencrypt.org/directory");
    assert_eq!(issuer.challenges, [AcmeChallenge::TlsAlpn01, AcmeChallenge::Http01]);
    assert_eq!(
        config.certificate_storage,
        Some(CertificateStorage::Directory("/etc/gatehouse/certs/acme".into()))
    );
}

#[test]
fn every_kind_of_storage_is_understood_and_read_back() {
    let redis = |url, secret| {
        let prefix = "gatehouse".to_owned();
        Some(CertificateStorage::Redis { url, password: None, ca_file: None, secret, prefix })
    };
    let (env, file) =
        (|name: &str| Secret::Environment(name.to_owned()), |path: &str| Secret::File(path.into()));
    for (section, expected) in [
        ("directory = \"/var/acme\"", Some(CertificateStorage::Directory("/var/acme".into()))),
        ("redis_url_env = \"URL\"\nsecret_env = \"SEAL\"", redis(env("URL"), env("SEAL"))),
        (
            "redis_url_env = \"URL\"\nredis_password_file = \"word\"\nredis_ca_file = \"ca.pem\"\nsecret_env = \"SEAL\"",
            Some(CertificateStorage::Redis {
                url: env("URL"),
                password: Some(file("/etc/gatehouse/word")),
                ca_file: Some("/etc/gatehouse/ca.pem".into()),
                secret: env("SEAL"),
                prefix: "gatehouse".to_owned(),
            }),
        ),
        (
            "redis_url_file = \"/run/url\"\nsecret_file = \"seal\"",
            redis(file("/run/url"), file("/etc/gatehouse/seal")),
        ),
    ] {
        let mut config = parse(&format!("{ACME}[certificate_storage]\n{section}\n")).unwrap();
        assert_eq!(config.certificate_storage, expected, "{section}");
        let again = parse(&config.to_toml()).unwrap();
        config.hash.clone_from(&again.hash);
        assert_eq!(config, again);
    }
}

#[test]
fn clients_are_asked_for_certificates_when_their_authorities_are_named() {
    for (mode, required) in [("", true), ("client_certificates = \"optional\"\n", false)] {
        let wanted = format!("protocol = \"https\"\nclient_ca = \"clients.pem\"\n{mode}");
        let config = parse(&ACME.replacen("protocol = \"https\"\n", &wanted, 1)).unwrap();
        let Protocol::Https { client_certificates: Some(clients), .. } =
            &config.listeners[0].protocol
        else {
            panic!("{config:?}")
        };
        assert_eq!(
            (clients.authorities.as_path(), clients.required),
            (Path::new("/etc/gatehouse/clients.pem"), required)
        );
    }
}

#[test]
fn each_mistake_is_found_on_its_line() {
    let names = "names = [\"chat.example.org\"]\n";
    for (line, replacement, place, reason) in [
        (names, "", "6:1", "`source = \"acme\"` needs `names`"),
        (names, "names = [\"*.example.org\"]\n", "9:10", "is a wildcard"),
        (
            names,
            &format!("{names}directory = \"http://acme.example\"\n"),
            "10:13",
            "expected a URL such as `https://",
        ),
        (names, &format!("{names}challenges = []\n"), "6:1", "`challenges` is empty"),
        (
            names,
            &format!("{names}challenges = [\"dns-01\"]\n"),
            "10:15",
            "expected `tls-alpn-01` or `http-01`",
        ),
        (
            names,
            &format!("{names}contact = [\"admin\"]\n"),
            "10:12",
            "expected a URL such as `mailto:",
        ),
        (names, &format!("{names}eab_key_id = \"k\"\n"), "6:1", "give both or neither"),
        (
            names,
            &format!("{names}eab_key_id = \"k\"\neab_hmac_key_env = \"a+b/c==\"\n"),
            "11:20",
            "name of an environment",
        ),
        (names, &format!("{names}key = \"k.pem\"\n"), "10:7", "is for `source = \"files\"`"),
        (
            "source = \"acme\"",
            "source = \"self-signed\"\nprofile = \"x\"",
            "9:11",
            "is for `source = \"acme\"`",
        ),
        (
            "[[route]]",
            "[certificate_storage]\n[[route]]",
            "11:1",
            "expected either `directory`, or Redis",
        ),
        (
            "[[route]]",
            "[certificate_storage]\nredis_url_env = \"A\"\n[[route]]",
            "11:1",
            "`secret_env` or `secret_file`",
        ),
        (
            "[[route]]",
            "[certificate_storage]\ndirectory = \"d\"\nredis_ca_file = \"c\"\n[[route]]",
            "13:17",
            "is for Redis",
        ),
        (
            "[[route]]",
            "[certificate_storage]\ndirectory = \"d\"\nsecret_env = \"A\"\n[[route]]",
            "11:1",
            "expected either `directory`, or Redis",
        ),
        (
            "protocol = \"https\"\n",
            "protocol = \"https\"\nclient_certificates = \"required\"\n",
            "1:1",
            "needs `client_ca`",
        ),
    ] {
        let problems = parse(&ACME.replacen(line, replacement, 1)).unwrap_err();
        assert!(problems.contains(&format!("gateway.toml:{place}: ")), "{replacement}: {problems}");
        assert!(problems.contains(reason), "{replacement}: {problems}");
        assert!(!problems.contains("a+b/c=="), "{problems}");
    }
}
