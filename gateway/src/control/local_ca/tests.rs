//! The authority, verified by OpenSSL as well.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::*;

fn names(list: &[&str]) -> Vec<ServerName> {
    list.iter().map(|name| name.parse().unwrap()).collect()
}

fn verify(directory: &Path, leaf: &Path, hostname: &[&str]) -> bool {
    let authority = directory.join(AUTHORITY_FILE);
    let mut openssl = Command::new("openssl");
    openssl
        .args(["verify", "-x509_strict", "-purpose", "sslserver", "-CAfile"])
        .arg(authority)
        .args(hostname)
        .arg(leaf);
    openssl.output().unwrap().status.success()
}

#[test]
fn an_issued_certificate_is_valid_only_for_its_names() {
    let directory = tempfile::tempdir().unwrap();
    let issued = issue(
        directory.path(),
        "leaf",
        &names(&["localhost", "app.localhost", "127.0.0.1", "::1"]),
    )
    .unwrap();
    assert!(issued.new_authority);
    for good in [
        ["-verify_hostname", "localhost"],
        ["-verify_hostname", "app.localhost"],
        ["-verify_ip", "::1"],
    ] {
        assert!(verify(directory.path(), &issued.cert, &good), "{good:?}");
    }
    assert!(!verify(directory.path(), &issued.cert, &["-verify_hostname", "example.org"]));
}

#[test]
fn name_constraints_prevent_certificates_for_other_sites() {
    let directory = tempfile::tempdir().unwrap();
    issue(directory.path(), "leaf", &names(&["localhost"])).unwrap();
    let files = Directory::open(directory.path()).unwrap();
    let authority = Authority::load(&files).unwrap().unwrap();
    let (chain, _) = leaf::make(&authority, &names(&["bank.example"])).unwrap();
    let forged = directory.path().join("forged.pem");
    std::fs::write(&forged, chain).unwrap();
    assert!(!verify(directory.path(), &forged, &[]));
    let (chain, _) = leaf::make(&authority, &names(&["192.0.2.1"])).unwrap();
    std::fs::write(&forged, chain).unwrap();
    assert!(!verify(directory.path(), &forged, &[]));
}

#[test]
fn keys_are_readable_only_by_their_owner() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("certs");
    let issued = issue(&directory, "leaf", &names(&["localhost"])).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    assert_eq!(mode(&directory.join("local-ca.key")), 0o600);
    assert_eq!(mode(&issued.key), 0o600);
}

#[test]
fn a_second_call_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let first = issue(directory.path(), "leaf", &names(&["localhost"])).unwrap();
    let before = std::fs::read(&first.cert).unwrap();
    let second = issue(directory.path(), "leaf", &names(&["localhost"])).unwrap();
    assert!(!second.new_authority && !is_due(directory.path(), "leaf", &names(&["localhost"])));
    assert_eq!(before, std::fs::read(&second.cert).unwrap());
}

#[test]
fn a_permitted_name_needs_a_new_leaf_and_any_other_a_new_authority() {
    let directory = tempfile::tempdir().unwrap();
    issue(directory.path(), "leaf", &names(&["localhost"])).unwrap();
    let within = issue(directory.path(), "leaf", &names(&["localhost", "a.localhost"])).unwrap();
    assert!(!within.new_authority);
    let without =
        issue(directory.path(), "leaf", &names(&["chat.example.org", "localhost"])).unwrap();
    assert!(without.new_authority);
    assert!(verify(directory.path(), &without.cert, &["-verify_hostname", "chat.example.org"]));
    assert!(!issue(directory.path(), "leaf", &names(&["localhost"])).unwrap().new_authority);
}

#[test]
fn a_damaged_file_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let issued = issue(directory.path(), "leaf", &names(&["localhost"])).unwrap();
    std::fs::write(&issued.cert, "no certificate").unwrap();
    assert!(is_due(directory.path(), "leaf", &names(&["localhost"])));
    issue(directory.path(), "leaf", &names(&["localhost"])).unwrap();
    assert!(verify(directory.path(), &issued.cert, &["-verify_hostname", "localhost"]));
}
