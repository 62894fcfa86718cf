//! Checks what the browser wrote about an account: `ui/src/crypto/vectors/device-log.json`.

use crate::envelope::account_vectors::AccountVectors;
use crate::envelope::account_vectors::ChunkVector;
use crate::envelope::account_vectors::KeysVector;
use crate::envelope::account_vectors::read;
use crate::envelope::device::Device;
use crate::envelope::device::SUITE;
use crate::envelope::device::sha256;
use crate::envelope::device_log::Entry;
use crate::envelope::device_log::Log;
use crate::envelope::device_log::Received;
use crate::envelope::device_log::SignedEntry;
use crate::envelope::encoding::from_base64url;
use crate::envelope::encoding::to_base64url;
use crate::envelope::linking;
use crate::envelope::linking::Place;
use crate::envelope::linking::Transcript;
use crate::envelope::recovery;
use crate::envelope::safety;
use crate::envelope::statement::statement;
use crate::envelope::vectors::bytes;

fn array<const N: usize>(text: &str) -> [u8; N] {
    bytes(text).try_into().unwrap_or_else(|_| panic!("expected {N} bytes: {text}"))
}

fn log(vectors: &AccountVectors) -> Log {
    let entries: Vec<SignedEntry> =
        vectors.log.entries.iter().map(|entry| entry.signed.clone()).collect();
    let log = Log::read(&vectors.log.account, array(&vectors.log.identity_key), &entries);
    log.unwrap_or_else(|(version, fault)| panic!("version {version}: {fault:?}"))
}

#[test]
fn entries_of_a_device_log_are_reproduced() {
    let vectors = read();
    assert_eq!(vectors.suite, SUITE);
    assert_eq!(vectors.log.entries.len(), 4);
    for vector in &vectors.log.entries {
        let entry = Entry {
            account: vectors.log.account.clone(),
            version: vector.version,
            previous: array(&vector.previous),
            identity_key: array(&vectors.log.identity_key),
            operation: vector.operation,
            device: vector.device.clone(),
            signing_key: array(&vector.signing_key),
            time: vector.time,
            signer: vector.signer.clone(),
        };
        let encoded = entry.encode();
        assert_eq!(hex::encode(&encoded), vector.bytes, "version {}", vector.version);
        assert_eq!(to_base64url(&encoded), vector.signed.entry, "version {}", vector.version);
        assert_eq!(hex::encode(sha256(&encoded)), vector.hash, "version {}", vector.version);
        assert_eq!(Entry::parse(&encoded), Some(entry), "version {}", vector.version);
    }
}

#[test]
fn a_device_log_is_replayed_to_the_same_devices() {
    let vectors = read();
    let log = log(&vectors);
    let hashes: Vec<String> = log.hashes.iter().map(hex::encode).collect();
    let expected: Vec<&str> = vectors.log.entries.iter().map(|entry| entry.hash.as_str()).collect();
    assert_eq!(hashes, expected);
    assert_eq!(log.devices.len(), vectors.log.devices.len());
    for vector in &vectors.log.devices {
        let logged = &log.devices[&vector.device];
        assert_eq!(hex::encode(logged.signing_key), vector.signing_key, "{}", vector.device);
        assert_eq!(logged.approved_in, vector.approved_in, "{}", vector.device);
        assert_eq!(logged.removed_in, vector.removed_in, "{}", vector.device);
    }
}

#[test]
fn a_device_log_that_breaks_a_rule_is_rejected_with_the_reason() {
    let vectors = read();
    assert!(vectors.rejected_logs.len() > 30, "every rule has its attackers");
    for vector in &vectors.rejected_logs {
        let identity_key = array(&vector.identity_key);
        let read = Log::read(&vector.account, identity_key, &vector.entries);
        assert_eq!(read.err(), Some((vector.version, vector.fault)), "{}", vector.name);
    }
}

#[test]
fn a_received_device_log_is_compared_with_the_stored_one() {
    let vectors = read();
    let log = log(&vectors);
    assert_eq!(vectors.received_logs.len(), 11);
    for vector in &vectors.received_logs {
        let received = log.receive(array(&vector.identity_key), &vector.entries);
        assert_eq!(received, vector.result, "{}", vector.name);
    }
}

#[test]
fn every_flipped_bit_of_an_entry_is_rejected() {
    let vectors = read();
    let log = log(&vectors);
    for (at, signed) in log.entries.iter().enumerate() {
        let bytes = from_base64url(&signed.entry).expect("an entry is base64url");
        for bit in 0..8 * bytes.len() {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let mut entries = log.entries.clone();
            entries[at].entry = to_base64url(&flipped);
            let received = log.receive(log.identity_key, &entries);
            assert_eq!(received, Received::Invalid, "version {}, bit {bit}", at + 1);
        }
    }
}

/// The device and the bytes that it signed, if the statement is valid.
fn listed(account: &str, device: &str, keys: &KeysVector) -> Option<(Device, Vec<u8>)> {
    let encryption_key = from_base64url(&keys.encryption_key)?;
    let signing_key = from_base64url(&keys.signing_key)?;
    let signature = from_base64url(&keys.signature)?;
    let read = Device::new(account, device, &encryption_key, &signing_key)?;
    let signed = statement(&read, keys.generation, keys.created_at);
    let valid = keys.suite == SUITE && keys.generation > 0 && read.verifies(&signed, &signature);
    valid.then_some((read, signed))
}

#[test]
fn key_statements_are_verified() {
    let vectors = read();
    assert_eq!(vectors.statements.len(), 2);
    for vector in &vectors.statements {
        let read = listed(&vector.account, &vector.device, &vector.keys);
        let (read, signed) = read.expect("the statement is valid");
        assert_eq!(hex::encode(signed), vector.bytes, "generation {}", vector.keys.generation);
        assert_eq!(hex::encode(read.fingerprint()), vector.fingerprint);
    }
    assert!(vectors.rejected_statements.len() > 10);
    for vector in &vectors.rejected_statements {
        let read = listed(&vector.account, &vector.device, &vector.keys);
        assert!(read.is_none(), "{}", vector.name);
    }
}

#[test]
fn safety_numbers_of_identity_keys_match() {
    let vectors = read();
    assert_eq!(vectors.safety.len(), 2);
    for vector in &vectors.safety {
        let (a, b) = (array(&vector.a.identity_key), array(&vector.b.identity_key));
        let (first, second) = ((vector.a.account.as_str(), &a), (vector.b.account.as_str(), &b));
        assert_eq!(safety::number(first, second), vector.number);
        assert_eq!(safety::number(second, first), vector.number);
    }
}

#[test]
fn recovery_codes_are_written_and_read() {
    let vectors = read();
    assert_eq!(vectors.recovery_codes.len(), 3);
    for vector in &vectors.recovery_codes {
        let code = array(&vector.code);
        assert_eq!(recovery::format(&code), vector.text);
        for typed in vector.typed.iter().chain([&vector.text]) {
            assert_eq!(recovery::parse(typed), Ok(code), "{typed}");
        }
    }
    assert_eq!(vectors.rejected_codes.len(), 9);
    for vector in &vectors.rejected_codes {
        assert_eq!(recovery::parse(&vector.typed), Err(vector.fault.clone()), "{}", vector.typed);
    }
}

#[test]
fn identities_are_sealed_and_restored_with_the_code_only() {
    let vectors = read();
    assert_eq!(vectors.identities.len(), 2);
    for vector in &vectors.identities {
        let (account, code) = (vector.account.as_str(), array(&vector.code));
        let (identity_key, private) = (array(&vector.identity_key), bytes(&vector.private_key));
        let token = recovery::token(&code);
        assert_eq!(hex::encode(recovery::seal_key(&code)), vector.seal_key, "{account}");
        assert_eq!(hex::encode(token), vector.token, "{account}");
        assert_eq!(to_base64url(&sha256(&token)), vector.recovery, "{account}");
        let nonce = array(&vector.nonce);
        let sealed = recovery::seal(&code, account, &identity_key, &private, nonce);
        assert_eq!(to_base64url(&sealed), vector.sealed, "{account}");
        let restored = recovery::restore(&code, account, &identity_key, &vector.sealed);
        assert_eq!(restored, Some(private), "{account}");
    }
    assert_eq!(vectors.rejected_identities.len(), 8);
    for vector in &vectors.rejected_identities {
        let (code, identity_key) = (array(&vector.code), array(&vector.identity_key));
        let restored = recovery::restore(&code, &vector.account, &identity_key, &vector.sealed);
        assert_eq!(restored, None, "{}", vector.name);
    }
}

#[test]
fn both_devices_of_a_link_show_the_same_emoji() {
    let vectors = read();
    let expected: Vec<(&str, &str)> =
        vectors.emoji.iter().map(|it| (it.emoji.as_str(), it.name.as_str())).collect();
    assert_eq!(linking::emoji(), expected);
    assert_eq!(expected.len(), 64);
    assert_eq!(vectors.links.len(), 2);
    for vector in &vectors.links {
        let (key, signing_key) = (bytes(&vector.encryption_key), array(&vector.signing_key));
        let transcript = Transcript {
            fingerprint: linking::fingerprint(&vector.device, &key, &signing_key),
            account: vector.account.clone(),
            identity_key: array(&vector.identity_key),
            new_nonce: array(&vector.new_nonce),
            old_nonce: array(&vector.old_nonce),
        };
        let Transcript { fingerprint, new_nonce, .. } = &transcript;
        assert_eq!(hex::encode(fingerprint), vector.fingerprint, "{}", vector.device);
        let commitment = linking::commitment(new_nonce, fingerprint);
        assert_eq!(hex::encode(commitment), vector.commitment, "{}", vector.device);
        assert!(linking::is_revealed(&commitment, new_nonce, fingerprint), "{}", vector.device);
        assert_eq!(hex::encode(transcript.hash()), vector.hash, "{}", vector.device);
        assert_eq!(transcript.emoji(), vector.emoji, "{}", vector.device);
    }
    assert_eq!(vectors.rejected_reveals.len(), 4);
    for vector in &vectors.rejected_reveals {
        let (commitment, fingerprint) = (array(&vector.commitment), array(&vector.fingerprint));
        let revealed = linking::is_revealed(&commitment, &bytes(&vector.nonce), &fingerprint);
        assert!(!revealed, "{}", vector.name);
    }
}

#[test]
fn the_history_of_a_link_opens_only_at_its_place() {
    let vectors = read();
    let rsa = from_base64url(&vectors.history_private).expect("private keys are base64url");
    let open = |vector: &ChunkVector| {
        let place = Place {
            link: array(&vector.link),
            account: &vector.account,
            index: vector.index,
            total: vector.total,
        };
        linking::open(&rsa, &array(&vector.signer), &place, &vector.chunk)
    };
    assert_eq!(vectors.history.len(), 3);
    for vector in &vectors.history {
        let content = vector.content.as_deref().map(bytes);
        assert!(content.is_some(), "a chunk has content");
        assert_eq!(open(vector), content, "chunk {}", vector.index);
    }
    assert_eq!(vectors.rejected_history.len(), 13);
    for vector in &vectors.rejected_history {
        assert_eq!(open(vector), None, "{}", vector.name);
    }
}
