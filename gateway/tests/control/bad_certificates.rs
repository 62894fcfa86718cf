//! Certificate files that clients would refuse are refused by `gateway check` and at the start,
//! with file and reason.

use std::process::Command;

use gateway::Options;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::support::{FRONT, TestGateway, says};

/// Chain and key as an operator would have them.
struct Files {
    chain: String,
    key: String,
}

/// A root, an authority below it, and what it issues for `localhost`.
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

/// What `gateway check` says of these files: nothing when they are right.
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
    std::fs::write(directory.join("gateway.toml"), text + &says("x")).unwrap();
    std::fs::write(directory.join("chain.pem"), &files.chain).unwrap();
    std::fs::write(directory.join("key.pem"), &files.key).unwrap();
}

#[tokio::test]
async fn files_that_clients_would_refuse_are_refused_with_file_and_reason() {
    let authority = Authority::new();
    let right = || authority.issue(|_| {});
    let of = |chain: String| Files { chain, ..right() };
    let leaf = |files: &Files| files.chain.replace(&authority.pem, "");
    let (other, stranger) = (right(), Authority::new());
    let cut = |pem: &str| {
        pem.lines().filter(|line| !line.starts_with("-----END")).collect::<Vec<_>>().join("\n")
    };
    let mixed = right();
    let cases = [
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
        (
            "another's key",
            Files { key: other.key.clone(), ..right() },
            "key.pem",
            "does not belong to",
        ),
        (
            "authority first",
            Files { chain: format!("{}{}", authority.pem, leaf(&mixed)), key: mixed.key.clone() },
            "chain.pem",
            "it must come first",
        ),
        (
            "a link is missing",
            Files { chain: format!("{}{}", leaf(&mixed), authority.root), key: mixed.key.clone() },
            "chain.pem",
            "wrong order",
        ),
        (
            "a namesake of its authority",
            Files { chain: format!("{}{}", leaf(&mixed), stranger.pem), key: mixed.key.clone() },
            "chain.pem",
            "was not signed by",
        ),
        ("RSA of 1024 bits", weak("weak.pem"), "chain.pem", "RSA key of 1024 bits"),
        ("SHA-1", weak("sha1.pem"), "chain.pem", "SHA-1"),
        ("no certificate", of("nothing".to_owned()), "chain.pem", "PEM"),
        ("empty", of(String::new()), "chain.pem", "PEM"),
        ("cut off", of(cut(&right().chain)), "chain.pem", "PEM"),
        ("a key for a chain", of(right().key), "chain.pem", "PEM"),
        ("a chain for a key", Files { key: right().chain, ..right() }, "key.pem", "PEM"),
        ("an encrypted key", Files { key: encrypted(), ..right() }, "key.pem", "PEM"),
    ];
    assert_eq!(checked(&right()), None);
    for (case, files, file, reason) in cases {
        let said = checked(&files).unwrap_or_else(|| panic!("{case}: accepted"));
        assert!(said.contains("certificate `local`") && said.contains(file), "{case}: {said}");
        assert!(said.contains(reason), "{case}: {said}");

        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), &files);
        let refused = TestGateway::start_in(directory, "gateway.toml", Options::default()).await;
        let error = refused.err().unwrap_or_else(|| panic!("{case}: served")).to_string();
        assert!(error.contains(reason), "{case}: {error}");
    }
}

/// Certificates that today's tools do not make any more.
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
        .expect("openssl is installed");
    String::from_utf8(output.stdout).unwrap()
}
