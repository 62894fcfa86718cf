//! ACME certificates, their storage, and client certificates: accepted and rejected settings.

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
fn only_names_are_required() {
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
fn every_kind_of_storage_survives_writing_and_parsing() {
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
fn client_certificates_are_required_by_default_when_an_authority_is_set() {
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

/// A text of [`ACME`], its replacement, and the position and a part of the reason of the problem.
type Case = (&'static str, &'static str, &'static str, &'static str);

fn check(cases: &[Case]) {
    for (text, replacement, position, reason) in cases {
        let problems = parse(&ACME.replacen(text, replacement, 1)).expect_err(replacement);
        assert!(
            problems.contains(&format!("gateway.toml:{position}: ")),
            "{replacement}: expected {position}, found {problems}"
        );
        assert!(problems.contains(reason), "{replacement}: expected {reason}, found {problems}");
        assert!(!problems.contains("a+b/c=="), "the secret is repeated: {problems}");
    }
}

#[test]
fn invalid_acme_certificates_are_rejected() {
    const NAMES: &str = "names = [\"chat.example.org\"]\n";
    check(&[
        (NAMES, "", "6:1", "certificate: `source = \"acme\"` requires `names`"),
        (NAMES, "names = [\"*.example.org\"]\n", "9:10", "wildcards are not supported"),
        (
            NAMES,
            "names = [\"a.example\"]\ndirectory = \"http://acme.example\"\n",
            "10:13",
            "certificate.directory: expected an https URL such as `https://",
        ),
        (
            NAMES,
            "names = [\"a.example\"]\nchallenges = []\n",
            "6:1",
            "expected `challenges` with `tls-alpn-01`",
        ),
        (
            NAMES,
            "names = [\"a.example\"]\nchallenges = [\"dns-01\"]\n",
            "10:15",
            "expected `tls-alpn-01` or `http-01`, found \"dns-01\"",
        ),
        (
            NAMES,
            "names = [\"a.example\"]\ncontact = [\"admin\"]\n",
            "10:12",
            "certificate.contact: expected a URL such as `mailto:",
        ),
        (
            NAMES,
            "names = [\"a.example\"]\nkey = \"k.pem\"\n",
            "10:7",
            "certificate.key: only for `source = \"files\"`",
        ),
        (
            "source = \"acme\"",
            "source = \"self-signed\"\nprofile = \"x\"",
            "9:11",
            "certificate.profile: only for `source = \"acme\"`",
        ),
    ]);
}

#[test]
fn an_invalid_external_account_is_rejected_without_repeating_its_key() {
    const NAMES: &str = "names = [\"chat.example.org\"]\n";
    check(&[
        (NAMES, "names = [\"a.example\"]\neab_key_id = \"k\"\n", "6:1", "set both or neither"),
        (
            NAMES,
            "names = [\"a.example\"]\neab_key_id = \"k\"\neab_hmac_key_env = \"a+b/c==\"\n",
            "11:20",
            "certificate.eab_hmac_key_env: expected the name of an environment",
        ),
    ]);
}

#[test]
fn invalid_certificate_storage_is_rejected() {
    check(&[
        (
            "[[route]]",
            "[certificate_storage]\n[[route]]",
            "11:1",
            "certificate_storage: expected either `directory`, or for Redis",
        ),
        (
            "[[route]]",
            "[certificate_storage]\nredis_url_env = \"A\"\n[[route]]",
            "11:1",
            "Redis requires `secret_env` or `secret_file`",
        ),
        (
            "[[route]]",
            "[certificate_storage]\ndirectory = \"d\"\nredis_ca_file = \"c\"\n[[route]]",
            "13:17",
            "certificate_storage.redis_ca_file: only for Redis",
        ),
        (
            "[[route]]",
            "[certificate_storage]\ndirectory = \"d\"\nsecret_env = \"A\"\n[[route]]",
            "11:1",
            "expected either `directory`, or for Redis",
        ),
    ]);
}

#[test]
fn verification_of_client_certificates_requires_an_authority() {
    check(&[(
        "protocol = \"https\"\n",
        "protocol = \"https\"\nclient_certificates = \"required\"\n",
        "1:1",
        "`client_certificates` requires `client_ca`",
    )]);
}
