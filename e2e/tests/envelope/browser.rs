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

#[test]
fn missing_and_discontinuous_messages_are_noticed() {
    let vectors = read(FILE);
    let (own, pinned) = (vectors.find("eve", "den").own(), vectors.public());
    let mut receiver = Receiver::new(&own, &pinned);
    let [first, second, third, _] = &vectors.envelopes[..] else { panic!("four envelopes") };
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
