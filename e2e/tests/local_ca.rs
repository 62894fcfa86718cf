//! The local authority: Chromium, NSS and rustls enforce its name constraints, and a phone can get
//! its certificate.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use e2e::echo::Echo;
use e2e::edge::Edge;
use e2e::handshakes::Connection;
use e2e::load::client;
use e2e::process::Process;
use e2e::program;
use nix::sys::signal::Signal;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, Issuer, KeyPair};
use reqwest::Version;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tempfile::TempDir;

/// A site outside the authority's name constraints.
const OTHER_SITE: &str = "bank.example";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stolen_authority_key_cannot_issue_for_other_sites() {
    let backend = Echo::start().await;
    let edge = Edge::start(backend.port);
    let certs = edge.ca().parent().expect("the CA is in a folder").to_owned();
    let forged = forge(&certs);
    edge.rewrite(&format!(
        "[[certificate]]\nname = \"forged\"\nsource = \"files\"\ncert = \"{0}.pem\"\nkey = \"{0}.key\"\n\
         [[route]]\nname = \"page\"\npath = \"/\"\nrespond = {{ status = 200, body = \"the page itself\" }}\n",
        forged.display()
    ));
    let (status, report) = edge.reload();
    assert_eq!(status, 200, "{report}");

    let home = TempDir::new().expect("create a temporary folder");
    let database = home.path().join(".pki/nssdb");
    fs::create_dir_all(&database).expect("create a folder");
    certutil(&database, &["-N", "--empty-password"], None);
    certutil(&database, &["-A", "-t", "C,,", "-n", "ca", "-i"], Some(&edge.ca()));

    let page = browse(home.path(), "localhost", edge.https_port);
    assert!(String::from_utf8_lossy(&page.stdout).contains("the page itself"), "{page:?}");
    let refused = browse(home.path(), OTHER_SITE, edge.https_port);
    assert!(!String::from_utf8_lossy(&refused.stdout).contains("the page itself"), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("ERR_CERT_INVALID"), "{refused:?}");

    for (name, file, valid) in
        [("good", certs.join("local.pem"), true), ("bad", forged.with_extension("pem"), false)]
    {
        certutil(&database, &["-A", "-t", ",,", "-n", name, "-i"], Some(&file));
        let verdict = certutil(&database, &["-V", "-u", "V", "-e", "-n", name], None);
        let output = format!("{verdict:?}");
        assert_eq!(verdict.status.success(), valid, "{output}");
        assert_eq!(
            output.contains("not permitted to issue a certificate with this name"),
            !valid,
            "{output}"
        );
    }

    assert!(Connection::open(edge.https_port, "localhost", &edge.ca()).await.is_ok());
    let refused =
        Connection::open(edge.https_port, OTHER_SITE, &edge.ca()).await.map(drop).unwrap_err();
    assert!(refused.contains("NameConstraint") || refused.contains("name constraint"), "{refused}");
}

/// Creates a certificate for that site, signed with the authority's key: `certs/forged.pem` and
/// `.key`.
fn forge(certs: &Path) -> std::path::PathBuf {
    let key = fs::read_to_string(certs.join("local-ca.key")).expect("the authority has a key");
    let authority =
        fs::read_to_string(certs.join("local-ca.pem")).expect("the authority has a certificate");
    let key = KeyPair::from_pem(&key).expect("parse the key");
    let issuer =
        Issuer::from_ca_cert_pem(&authority, key).expect("parse the authority's certificate");
    let own = KeyPair::generate().expect("generate a key");
    let mut leaf = CertificateParams::new(vec![OTHER_SITE.to_owned()]).expect("the name is valid");
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    let leaf = leaf.signed_by(&own, &issuer).expect("sign the certificate");
    let forged = certs.join("forged");
    fs::write(forged.with_extension("pem"), format!("{}{authority}", leaf.pem()))
        .expect("write the file");
    fs::write(forged.with_extension("key"), own.serialize_pem()).expect("write the file");
    forged
}

fn certutil(database: &Path, arguments: &[&str], file: Option<&Path>) -> Output {
    let mut command = Command::new("certutil");
    command.args(arguments).args(file).arg("-d").arg(format!("sql:{}", database.display()));
    command.output().expect("certutil is installed")
}

/// Loads a page in Chromium with the NSS database of this home directory.
fn browse(home: &Path, host: &str, port: u16) -> Output {
    Command::new("timeout")
        .args([
            "60",
            "chromium",
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--enable-logging=stderr",
        ])
        .arg(format!("--user-data-dir={}", home.join("profile").display()))
        .args([&format!("--host-resolver-rules=MAP {OTHER_SITE} 127.0.0.1"), "--dump-dom"])
        .arg(format!("https://{host}:{port}/"))
        .env("HOME", home)
        .output()
        .expect("chromium is installed")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn phone_is_offered_only_the_public_certificate() {
    let backend = Echo::start().await;
    let edge = Edge::start(backend.port);
    let certs = edge.ca().parent().expect("the CA is in a folder").to_owned();
    let client = client(&edge.ca(), Version::HTTP_11);
    let mut offer = Process::start(
        "gatehouse trust --phone",
        Command::new(program("gatehouse"))
            .args(["trust", "--phone", "127.0.0.1", "--certs"])
            .arg(&certs),
    );
    let url = offer.wait_for("the address", |offer| {
        let log = offer.log();
        Some(log.split_once("Open ")?.1.split_once(' ')?.0.to_owned())
    });
    let get = async |path: &str| {
        let answer = client.get(format!("{url}{path}")).send().await.expect("receive an answer");
        let kind = answer
            .headers()
            .get("content-type")
            .map(|kind| kind.to_str().unwrap_or_default().to_owned());
        (
            answer.status().as_u16(),
            kind.unwrap_or_default(),
            answer.bytes().await.expect("read the whole answer").to_vec(),
        )
    };
    let pem = fs::read(edge.ca()).expect("the authority has a certificate");
    let der = CertificateDer::from_pem_slice(&pem).expect("parse the PEM certificate");

    assert_eq!(get("ca.crt").await, (200, "application/x-x509-ca-cert".to_owned(), der.to_vec()));
    assert_eq!(get("ca.pem").await, (200, "application/x-pem-file".to_owned(), pem));
    let (status, _, page) = get("").await;
    let page = String::from_utf8(page).expect("the page is text");
    let openssl = Command::new("openssl")
        .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
        .arg(edge.ca())
        .output()
        .expect("openssl is installed");
    let openssl = String::from_utf8_lossy(&openssl.stdout).into_owned();
    let fingerprint = openssl.trim().split_once('=').expect("openssl prints it after `=`").1;
    assert!(status == 200 && page.contains(fingerprint), "{page}");
    assert!(offer.log().contains(fingerprint) && offer.log().contains('█'), "{}", offer.log());
    for path in ["local-ca.key", "local.key", "../local-ca.key", "certs/local-ca.key"] {
        assert_eq!(get(path).await.0, 404, "{path}");
    }
    offer.signal(Signal::SIGINT);
    assert!(tokio::task::block_in_place(|| offer.wait()).success(), "{}", offer.log());
}
