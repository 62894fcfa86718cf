//! Certificate files that clients would reject fail `gateway check` and the start, with file and
//! reason.

use std::process::Command;

use gateway::Options;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::support::{FRONT, TestGateway, fixed_route};

/// Certificate chain and key, as PEM.
struct Files {
    chain: String,
    key: String,
}

/// A root, an intermediate below it, and leaves for `localhost`.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    root: String,
}

impl Authority {
    fn new() -> Self {
        let ca = |name: &str| {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.distinguished_name.push(DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params
        };
        let (root_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let (root, intermediate) = (ca("Root"), ca("Intermediate"));
        let root_pem = root.self_signed(&root_key).unwrap().pem();
        let pem = intermediate.signed_by(&key, &Issuer::new(root, root_key)).unwrap().pem();
        Self { issuer: Issuer::new(intermediate, key), pem, root: root_pem }
    }

    fn issue(&self, adjust: impl FnOnce(&mut CertificateParams)) -> Files {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        adjust(&mut params);
        let leaf = params.signed_by(&key, &self.issuer).unwrap().pem();
        Files { chain: format!("{leaf}{}", self.pem), key: key.serialize_pem() }
    }
}

/// The errors of `gateway check` for these files; `None` if it accepts them.
fn checked(files: &Files) -> Option<String> {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), files);
    let output = Command::new(env!("CARGO_BIN_EXE_gateway"))
        .args(["check", "--config", "gateway.toml"])
        .current_dir(directory.path())
        .output()
        .unwrap();
    (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

fn write(directory: &std::path::Path, files: &Files) {
    let text = FRONT.replace(
        "source = \"self-signed\"",
        "source = \"files\"\ncert = \"chain.pem\"\nkey = \"key.pem\"",
    );
    std::fs::write(directory.join("gateway.toml"), text + &fixed_route("x")).unwrap();
    std::fs::write(directory.join("chain.pem"), &files.chain).unwrap();
    std::fs::write(directory.join("key.pem"), &files.key).unwrap();
}

/// Name, files, the file at fault and a part of the reason.
type Case = (&'static str, Files, &'static str, &'static str);

fn invalid_leaves(authority: &Authority) -> Vec<Case> {
    let valid = || authority.issue(|_| {});
    let stranger = Authority::new();
    let leaf = |files: &Files| files.chain.replace(&authority.pem, "");
    let mixed = valid();
    let with_chain = |chain: String| Files { chain, key: mixed.key.clone() };
    vec![
        (
            "expired",
            authority.issue(|leaf| leaf.not_after = rcgen::date_time_ymd(2020, 1, 1)),
            "chain.pem",
            "expired on",
        ),
        (
            "not yet valid",
            authority.issue(|leaf| leaf.not_before = rcgen::date_time_ymd(2090, 1, 1)),
            "chain.pem",
            "is not valid before",
        ),
        ("another key", Files { key: valid().key, ..valid() }, "key.pem", "does not belong to"),
        (
            "authority first",
            with_chain(format!("{}{}", authority.pem, leaf(&mixed))),
            "chain.pem",
            "it must come first",
        ),
        (
            "intermediate missing",
            with_chain(format!("{}{}", leaf(&mixed), authority.root)),
            "chain.pem",
            "wrong order",
        ),
        (
            "another authority with the same name",
            with_chain(format!("{}{}", leaf(&mixed), stranger.pem)),
            "chain.pem",
            "was not signed by",
        ),
        ("RSA of 1024 bits", weak("weak.pem"), "chain.pem", "RSA key of 1024 bits"),
        ("SHA-1", weak("sha1.pem"), "chain.pem", "SHA-1"),
    ]
}

fn invalid_pem(authority: &Authority) -> Vec<Case> {
    let valid = || authority.issue(|_| {});
    let with_chain = |chain: String| Files { chain, ..valid() };
    let whole = valid().chain;
    let cut: Vec<_> = whole.lines().filter(|line| !line.starts_with("-----END")).collect();
    vec![
        ("no certificate", with_chain("nothing".to_owned()), "chain.pem", "PEM"),
        ("empty", with_chain(String::new()), "chain.pem", "PEM"),
        ("truncated", with_chain(cut.join("\n")), "chain.pem", "PEM"),
        ("a key as chain", with_chain(valid().key), "chain.pem", "PEM"),
        ("a chain as key", Files { key: valid().chain, ..valid() }, "key.pem", "PEM"),
        ("an encrypted key", Files { key: encrypted(), ..valid() }, "key.pem", "PEM"),
    ]
}

#[tokio::test]
async fn certificate_files_that_clients_would_reject_are_rejected() {
    let authority = Authority::new();
    assert_eq!(checked(&authority.issue(|_| {})), None);
    let cases = invalid_leaves(&authority).into_iter().chain(invalid_pem(&authority));
    for (case, files, file, reason) in cases {
        let printed = checked(&files).unwrap_or_else(|| panic!("{case}: accepted by check"));
        assert!(
            printed.contains("certificate `local`") && printed.contains(file),
            "{case}: {printed}"
        );
        assert!(printed.contains(reason), "{case}: {printed}");

        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), &files);
        let refused = TestGateway::start_in(directory, "gateway.toml", Options::default()).await;
        let error =
            refused.err().unwrap_or_else(|| panic!("{case}: accepted at the start")).to_string();
        assert!(error.contains(reason), "{case}: {error}");
    }
}

/// Certificates that current tools no longer generate.
fn weak(fixture: &str) -> Files {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("acme/src/check/fixtures")
        .join(fixture);
    Files {
        chain: std::fs::read_to_string(path).unwrap(),
        key: KeyPair::generate().unwrap().serialize_pem(),
    }
}

fn encrypted() -> String {
    let output = Command::new("openssl")
        .args([
            "genpkey",
            "-algorithm",
            "EC",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-aes256",
            "-pass",
            "pass:word",
        ])
        .output()
        .expect("openssl must be installed");
    String::from_utf8(output.stdout).unwrap()
}
