//! Opens what the browser sealed: `ui/src/crypto/vectors/rsa-aes-1.json`.

use crate::envelope::header::Header;
use crate::envelope::receiving::Notice;
use crate::envelope::receiving::Reason;
use crate::envelope::receiving::Receiver;
use crate::envelope::vectors::read;

const FILE: &str = "rsa-aes-1.json";

#[test]
fn keys_and_fingerprints_match() {
    read(FILE).check_devices();
}

#[test]
fn every_value_of_an_envelope_is_reproduced() {
    let vectors = read(FILE);
    assert_eq!(vectors.envelopes.len(), 6);
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
    assert_eq!(vectors.negative.len(), 36);
    vectors.check_negative("bob", "desk");
}

/// AES-GCM accepts the key that the receiver got, and the committed one: only the commitment tells
/// them apart.
#[test]
fn a_second_message_key_opens_the_ciphertext_and_is_rejected() {
    let vectors = read(FILE);
    let name = "a second message key that opens the ciphertext too";
    let mut negative = vectors.negative.iter();
    let vector = negative.find(|vector| vector.name == name).expect("the envelope is in the file");
    let sealed = vector.envelope.decode().expect("the envelope is canonical");
    let own = vectors.find("bob", "desk").own();
    let mut keys = sealed.keys.iter();
    let wrapped = keys.find(|key| key.device == "desk").expect("the device is a recipient");
    let second = own.unwrap_key(&wrapped.key).expect("the wrapped key opens");
    let committed = vectors.envelopes[0].message_key();
    assert_ne!(second, committed);
    assert!(sealed.decrypt(&second).is_some(), "the second key opens the ciphertext");
    assert!(sealed.decrypt(&committed).is_some(), "the committed key opens the ciphertext");
    let pinned = vectors.public();
    let received = Receiver::new(&own, &pinned).receive(&vector.envelope, &vector.claimed);
    assert_eq!(received, Err(Reason::Undecryptable));
    let phone = vectors.find("alice", "phone").own();
    let received = Receiver::new(&phone, &pinned).receive(&vector.envelope, &vector.claimed);
    assert!(received.is_ok_and(|received| received.message.is_some()));
}

#[test]
fn a_kept_generation_of_the_encryption_key_opens_messages() {
    let vectors = read(FILE);
    let pinned = vectors.public();
    let first = &vectors.envelopes[0];
    // Another encryption key under the same name.
    let desk = vectors.find("bob", "desk");
    let mut rotated = vectors.find("eve", "den").clone();
    (rotated.account, rotated.device) = (desk.account.clone(), desk.device.clone());
    let (rotated, retired) = (rotated.own(), [desk.own()]);
    let mut receiver = Receiver::new(&rotated, &pinned).with_retired(&retired);
    let received = receiver.receive(&first.envelope, &first.claimed());
    assert_eq!(received.map(|it| it.message), Ok(Some(first.message())));
    let received = Receiver::new(&rotated, &pinned).receive(&first.envelope, &first.claimed());
    assert_eq!(received, Err(Reason::Undecryptable));
}

#[test]
fn safety_numbers_match() {
    let vectors = read(FILE);
    assert!(!vectors.safety.is_empty(), "the file has a safety number");
    vectors.check_safety();
}

#[test]
fn missing_and_discontinuous_messages_are_noticed() {
    let vectors = read(FILE);
    let (own, pinned) = (vectors.find("eve", "den").own(), vectors.public());
    let mut receiver = Receiver::new(&own, &pinned);
    let [first, second, third, ..] = &vectors.envelopes[..] else { panic!("six envelopes") };
    let received = receiver.receive(&second.envelope, &second.claimed());
    assert_eq!(received.map(|it| it.notices), Ok(vec![Notice::Missing(1)]));
    let late = receiver.receive(&first.envelope, &first.claimed());
    assert_eq!(late, Err(Reason::Replay));

    let mut sealed = third.envelope.decode().expect("the envelope is canonical");
    let mut header = Header::parse(&sealed.header).expect("the header is canonical");
    header.previous[0] ^= 1;
    sealed.header = header.encode();
    sealed.signature = vectors.find("alice", "laptop").own().sign(&sealed.signed());
    let received = receiver.receive_sealed(&sealed, &third.claimed());
    assert_eq!(received.map(|it| it.notices), Ok(vec![Notice::Discontinuous]));
}

#[test]
fn unknown_devices_are_noticed() {
    let vectors = read(FILE);
    let own = vectors.find("bob", "desk").own();
    let first = &vectors.envelopes[0];
    let mut pinned = vectors.public();
    pinned.retain(|device| device.device != "phone");
    let received = Receiver::new(&own, &pinned).receive(&first.envelope, &first.claimed());
    let received = received.expect("the sender is known");
    assert_eq!(received.message, Some(first.message()));
    assert_eq!(received.notices, [Notice::UnknownRecipient]);

    pinned.retain(|device| device.device != "laptop");
    let received = Receiver::new(&own, &pinned).receive(&first.envelope, &first.claimed());
    assert_eq!(received, Err(Reason::UnknownDevice));
}
