//! Every reason to reject a certificate, with the file that it names.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rcgen::{
    BasicConstraints, Certificate as Made, CertificateParams, DnType, IsCa, Issuer, KeyPair,
};
use tempfile::TempDir;

use super::*;
use crate::clock::from_unix;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn now() -> SystemTime {
    from_unix(1_900_000_000)
}

/// A root, an intermediate and a leaf, valid from yesterday for a month.
struct Chain {
    root: Made,
    intermediate: Made,
    leaf: Made,
    key: KeyPair,
}

fn params(name: &str, names: &[&str], ca: bool) -> CertificateParams {
    let mut params =
        CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
            .unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = (now() - DAY).into();
    params.not_after = (now() + 30 * DAY).into();
    params.use_authority_key_identifier_extension = true;
    if ca {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    params
}

fn chain() -> Chain {
    let [root_key, intermediate_key, key] = std::array::from_fn(|_| KeyPair::generate().unwrap());
    let (root, intermediate) = (params("root", &[], true), params("intermediate", &[], true));
    let by_root = Issuer::from_params(&root, &root_key);
    let by_intermediate = Issuer::from_params(&intermediate, &intermediate_key);
    let leaf = params("leaf", &["a.example", "*.b.example", "192.0.2.1"], false);
    Chain {
        leaf: leaf.signed_by(&key, &by_intermediate).unwrap(),
        intermediate: intermediate.signed_by(&intermediate_key, &by_root).unwrap(),
        root: root.self_signed(&root_key).unwrap(),
        key,
    }
}

fn check(
    chain: &[&Made],
    key: &KeyPair,
    wanted: &[&str],
    at: SystemTime,
) -> Result<Certificate, CheckError> {
    let text: String = chain.iter().map(|made| made.pem()).collect();
    let wanted: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
    let key = key.serialize_pem();
    pem(
        Pem { origin: "chain.pem", text: text.as_bytes() },
        Pem { origin: "key.pem", text: key.as_bytes() },
        &wanted,
        at,
    )
}

/// The rejected file and the reason.
fn fault<T>(result: Result<T, CheckError>) -> (String, Reason) {
    let error = result.err().expect("it is rejected");
    (error.origin, error.reason)
}

#[test]
fn a_good_chain_passes_with_or_without_its_root() {
    let all = chain();
    let checked = check(&[&all.leaf, &all.intermediate], &all.key, &["a.example"], now()).unwrap();
    assert_eq!(checked.names, ["a.example", "*.b.example", "192.0.2.1"]);
    assert_eq!((checked.not_before, checked.not_after), (now() - DAY, now() + 30 * DAY));
    assert_eq!(checked.key.cert.len(), 2);
    assert!(checked.renewal_id.is_some());
    check(&[&all.leaf, &all.intermediate, &all.root], &all.key, &[], now()).unwrap();
}

#[test]
fn every_certificate_must_be_valid_now() {
    let all = chain();
    let at = |at| fault(check(&[&all.leaf, &all.intermediate], &all.key, &[], at));
    let (origin, reason) = at(now() + 31 * DAY);
    assert_eq!(
        (origin.as_str(), &reason),
        ("chain.pem", &Reason::Expired { position: 1, at: now() + 30 * DAY })
    );
    assert!(reason.to_string().contains("expired on 2030-"), "{reason}");
    assert_eq!(at(now() - 2 * DAY).1, Reason::NotYetValid { position: 1, at: now() - DAY });
}

#[test]
fn the_key_must_belong_to_the_first_certificate() {
    let all = chain();
    let stranger = KeyPair::generate().unwrap();
    let (origin, reason) = fault(check(&[&all.leaf, &all.intermediate], &stranger, &[], now()));
    assert_eq!(
        (origin.as_str(), reason),
        ("key.pem", Reason::KeyMismatch { chain: "chain.pem".into() })
    );
    let swapped = fault(check(&[&all.intermediate, &all.leaf], &all.key, &[], now()));
    assert_eq!(swapped, ("chain.pem".into(), Reason::LeafNotFirst { position: 2 }));
}

#[test]
fn each_certificate_must_be_followed_by_its_issuer() {
    let all = chain();
    let (_, reason) =
        fault(check(&[&all.leaf, &all.root, &all.intermediate], &all.key, &[], now()));
    assert!(matches!(&reason, Reason::WrongOrder { position: 1, .. }), "{reason}");
    assert!(
        reason.to_string().contains("intermediate") && reason.to_string().contains("root"),
        "{reason}"
    );

    // The same names and other keys: only the signatures differ.
    let other = chain();
    let (_, reason) = fault(check(&[&all.leaf, &other.intermediate], &all.key, &[], now()));
    assert_eq!(reason, Reason::BadSignature { position: 1 });
}

#[test]
fn the_leaf_must_be_valid_for_the_wanted_names() {
    let all = chain();
    let check = |name: &str| check(&[&all.leaf, &all.intermediate], &all.key, &[name], now());
    for good in ["a.example", "A.Example", "x.b.example", "192.0.2.1"] {
        check(good).unwrap();
    }
    for bad in ["b.example", "x.y.b.example", "c.example", "192.0.2.2"] {
        let (_, reason) = fault(check(bad));
        assert!(matches!(&reason, Reason::NameMissing { name, .. } if name == bad), "{reason}");
        assert!(reason.to_string().contains("a.example, *.b.example, 192.0.2.1"), "{reason}");
    }
}

#[test]
fn weak_keys_and_signatures_are_rejected() {
    let key = KeyPair::generate().unwrap().serialize_pem();
    let key = Pem { origin: "key.pem", text: key.as_bytes() };
    let check =
        |chain: &[u8]| fault(pem(Pem { origin: "chain.pem", text: chain }, key, &[], now())).1;
    // Created with OpenSSL, because current libraries refuse to: RSA of 1024 bits; ECDSA with
    // SHA-1.
    let weak = check(include_bytes!("fixtures/weak.pem"));
    assert_eq!(weak, Reason::WeakKey { position: 1, bits: 1024 });
    let sha1 = check(include_bytes!("fixtures/sha1.pem"));
    assert_eq!(sha1, Reason::WeakSignature { position: 1 });
}

#[test]
fn a_missing_empty_or_malformed_file_is_named() {
    let directory = TempDir::new().unwrap();
    let path = |name: &str| directory.path().join(name);
    let all = chain();
    fs::write(path("chain.pem"), all.leaf.pem() + &all.intermediate.pem()).unwrap();
    fs::write(path("key.pem"), all.key.serialize_pem()).unwrap();
    fs::write(path("empty"), "").unwrap();
    fs::write(path("broken"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        .unwrap();
    let check = |chain: PathBuf, key: PathBuf| files(&chain, &key, &[], now());
    check(path("chain.pem"), path("key.pem")).unwrap();

    let (origin, reason) = fault(check(path("none"), path("key.pem")));
    assert!(
        origin.ends_with("/none") && matches!(reason, Reason::Unreadable(_)),
        "{origin}: {reason}"
    );
    assert_eq!(fault(check(path("empty"), path("key.pem"))).1, Reason::NoCertificate);
    let (origin, reason) = fault(check(path("chain.pem"), path("empty")));
    assert!(origin.ends_with("/empty") && reason == Reason::NoKey, "{origin}: {reason}");
    assert!(matches!(
        fault(check(path("broken"), path("key.pem"))).1,
        Reason::Malformed { position: 1, .. }
    ));
}
