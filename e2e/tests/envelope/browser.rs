//! Opens what the browser sealed: `ui/src/crypto/vectors/rsa-aes-1.json`.

use crate::envelope::vectors::read;

const FILE: &str = "rsa-aes-1.json";

#[test]
fn keys_and_fingerprints_match() {
    read(FILE).check_devices();
}

#[test]
fn every_value_of_an_envelope_is_reproduced() {
    let vectors = read(FILE);
    assert_eq!(vectors.envelopes.len(), 4);
    vectors.check_values();
}

#[test]
fn every_recipient_opens_every_envelope() {
    let vectors = read(FILE);
    vectors.check_wrapped_keys();
    vectors.check_delivery();
}

#[test]
fn bad_envelopes_are_rejected_with_their_reason() {
    let vectors = read(FILE);
    assert_eq!(vectors.negative.len(), 18);
    vectors.check_negative("bob", "desk");
}

#[test]
fn safety_numbers_match() {
    let vectors = read(FILE);
    assert!(!vectors.safety.is_empty(), "the file has a safety number");
    vectors.check_safety();
}
