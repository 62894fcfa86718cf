//! Envelopes with a flipped bit, and envelopes with a field of another one.

use crate::envelope::device::Device;
use crate::envelope::device::Hash;
use crate::envelope::device::OwnDevice;
use crate::envelope::header::Header;
use crate::envelope::header::LogHead;
use crate::envelope::receiving::Claimed;
use crate::envelope::receiving::Reason;
use crate::envelope::receiving::Received;
use crate::envelope::receiving::Receiver;
use crate::envelope::sealed::Envelope;
use crate::envelope::sealed::Sealed;
use crate::envelope::vectors::EnvelopeVector;
use crate::envelope::vectors::Vectors;
use crate::envelope::vectors::read;

/// The browser's envelopes, and a recipient of all of them.
struct Exchange {
    vectors: Vectors,
    pinned: Vec<Device>,
    own: OwnDevice,
}

impl Exchange {
    fn new() -> Self {
        let vectors = read("rsa-aes-1.json");
        let own = vectors.find("bob", "desk").own();
        Self { pinned: vectors.public(), own, vectors }
    }

    /// Delivery to a receiver without history.
    fn deliver(&self, sealed: &Sealed, claimed: &Claimed) -> Result<Received, Reason> {
        Receiver::new(&self.own, &self.pinned).receive_sealed(sealed, claimed)
    }

    /// The first envelope: it is in the smallest size.
    fn first(&self) -> (&EnvelopeVector, Sealed, Claimed) {
        let vector = &self.vectors.envelopes[0];
        let (sealed, claimed) = (decoded(vector), vector.claimed());
        let received = self.deliver(&sealed, &claimed).expect("the envelope is good");
        assert_eq!(received.message, Some(vector.message()));
        (vector, sealed, claimed)
    }
}

fn decoded(vector: &EnvelopeVector) -> Sealed {
    vector.envelope.decode().expect("the envelope is canonical")
}

/// The binary fields of an envelope.
fn binary(sealed: &mut Sealed) -> Vec<&mut Vec<u8>> {
    let mut fields = vec![&mut sealed.header, &mut sealed.nonce, &mut sealed.ciphertext];
    fields.push(&mut sealed.signature);
    fields.extend(sealed.keys.iter_mut().map(|key| &mut key.key));
    fields
}

#[test]
fn every_flipped_bit_of_a_field_is_rejected() {
    let exchange = Exchange::new();
    let (_, mut sealed, claimed) = exchange.first();
    let mut flips = 0;
    for field in 0..binary(&mut sealed).len() {
        for bit in 0..binary(&mut sealed)[field].len() * 8 {
            binary(&mut sealed)[field][bit / 8] ^= 1 << (bit % 8);
            let reason = exchange.deliver(&sealed, &claimed).expect_err("a flipped bit");
            binary(&mut sealed)[field][bit / 8] ^= 1 << (bit % 8);
            let in_header = field == 0;
            let early = matches!(reason, Reason::Malformed | Reason::Misdirected);
            let expected = reason == Reason::Forged || in_header && early;
            assert!(expected, "field {field}, bit {bit}: {reason:?}");
            flips += 1;
        }
    }
    assert!(flips > 13_000, "{flips}");
    assert!(exchange.deliver(&sealed, &claimed).is_ok(), "every bit is restored");
}

#[test]
fn every_flipped_bit_of_the_json_is_rejected() {
    let exchange = Exchange::new();
    let (vector, _, claimed) = exchange.first();
    let mut json = serde_json::to_vec(&vector.envelope).expect("an envelope is JSON");
    for bit in 0..json.len() * 8 {
        json[bit / 8] ^= 1 << (bit % 8);
        if let Ok(envelope) = serde_json::from_slice::<Envelope>(&json) {
            let mut receiver = Receiver::new(&exchange.own, &exchange.pinned);
            let received = receiver.receive(&envelope, &claimed);
            assert!(received.is_err(), "bit {bit}: {}", String::from_utf8_lossy(&json));
        }
        json[bit / 8] ^= 1 << (bit % 8);
    }
}

/// AES-GCM alone detects what the signature detects: a sender cannot send two texts at once.
#[test]
fn every_flipped_bit_of_what_aes_covers_is_detected_without_the_signature() {
    let exchange = Exchange::new();
    let (vector, mut sealed, _) = exchange.first();
    let key = vector.message_key();
    assert!(sealed.decrypt(&key).is_some(), "the message key opens the ciphertext");
    for field in 0..3 {
        for bit in 0..binary(&mut sealed)[field].len() * 8 {
            binary(&mut sealed)[field][bit / 8] ^= 1 << (bit % 8);
            assert_eq!(sealed.decrypt(&key), None, "field {field}, bit {bit}");
            binary(&mut sealed)[field][bit / 8] ^= 1 << (bit % 8);
        }
    }
}

/// One bit of each byte: RSA is slow.
#[test]
fn a_flipped_bit_of_a_wrapped_key_is_detected_without_the_signature() {
    let exchange = Exchange::new();
    let (_, sealed, _) = exchange.first();
    let mine = sealed.keys.iter().find(|key| key.device == exchange.own.public.device);
    let mut wrapped = mine.expect("the device is a recipient").key.clone();
    assert!(exchange.own.unwrap_key(&wrapped).is_some(), "the wrapped key opens");
    for at in 0..wrapped.len() {
        wrapped[at] ^= 1 << (at % 8);
        assert_eq!(exchange.own.unwrap_key(&wrapped), None, "byte {at}");
        wrapped[at] ^= 1 << (at % 8);
    }
}

/// The fields of an envelope, grouped by shape.
#[derive(Clone, PartialEq)]
struct Fields {
    texts: Vec<String>,
    hashes: Vec<Hash>,
    /// Counters and versions.
    numbers: Vec<u64>,
    lifetimes: Vec<u32>,
    /// Nonce, ciphertext, signature, wrapped keys.
    bytes: Vec<Vec<u8>>,
}

/// The fields in `Fields::bytes` before the wrapped keys.
const BEFORE_KEYS: usize = 3;
const SIGNATURE: usize = 2;

impl Fields {
    fn split(sealed: &Sealed) -> Self {
        let header = Header::parse(&sealed.header).expect("the header is canonical");
        let mut texts = vec![header.conversation, header.sender, header.device, header.cid];
        texts.push(header.read.device);
        let mut hashes = vec![header.previous, header.commitment, header.own_log.head];
        hashes.extend([header.peer_log.head, header.read.hash]);
        let numbers = vec![
            header.counter,
            header.own_log.version,
            header.peer_log.version,
            header.read.counter,
        ];
        for recipient in header.recipients {
            texts.extend([recipient.account, recipient.device]);
            hashes.push(recipient.fingerprint);
        }
        let Sealed { nonce, ciphertext, signature, .. } = sealed.clone();
        let mut bytes = vec![nonce, ciphertext, signature];
        for wrapped in &sealed.keys {
            texts.push(wrapped.device.clone());
            bytes.push(wrapped.key.clone());
        }
        Self { texts, hashes, numbers, lifetimes: vec![header.lifetime], bytes }
    }

    /// Puts the fields back into an envelope of this form.
    fn join(&self, form: &Sealed) -> Sealed {
        let mut header = Header::parse(&form.header).expect("the header is canonical");
        let mut texts = self.texts.iter().cloned();
        let mut text = || texts.next().expect("the form has the same number of texts");
        header.conversation = text();
        header.sender = text();
        header.device = text();
        header.cid = text();
        header.read.device = text();
        header.counter = self.numbers[0];
        header.own_log = LogHead { version: self.numbers[1], head: self.hashes[2] };
        header.peer_log = LogHead { version: self.numbers[2], head: self.hashes[3] };
        (header.read.counter, header.read.hash) = (self.numbers[3], self.hashes[4]);
        (header.previous, header.commitment) = (self.hashes[0], self.hashes[1]);
        header.lifetime = self.lifetimes[0];
        for (recipient, fingerprint) in header.recipients.iter_mut().zip(&self.hashes[5..]) {
            recipient.account = text();
            recipient.device = text();
            recipient.fingerprint = *fingerprint;
        }
        let mut keys = form.keys.clone();
        for (wrapped, key) in keys.iter_mut().zip(&self.bytes[BEFORE_KEYS..]) {
            wrapped.device = text();
            wrapped.key.clone_from(key);
        }
        Sealed {
            header: header.encode(),
            nonce: self.bytes[0].clone(),
            ciphertext: self.bytes[1].clone(),
            signature: self.bytes[SIGNATURE].clone(),
            keys,
        }
    }
}

/// Calls `found` with each swap of a field of one list with a field of the other: the first list
/// after the swap, and the index of its changed field.
fn swaps<T: Clone + PartialEq>(mine: &[T], other: &[T], mut found: impl FnMut(Vec<T>, usize)) {
    for at in 0..mine.len() {
        for field in other {
            let mut swapped = mine.to_vec();
            swapped[at].clone_from(field);
            if swapped != mine {
                found(swapped, at);
            }
        }
    }
}

/// Every envelope of `mine` with one field of `other`, and which field of `bytes` it is.
fn mixed(mine: &Fields, other: &Fields) -> Vec<(Fields, Option<usize>)> {
    let mut all = Vec::new();
    swaps(&mine.texts, &other.texts, |texts, _| all.push((Fields { texts, ..mine.clone() }, None)));
    swaps(&mine.hashes, &other.hashes, |hashes, _| {
        all.push((Fields { hashes, ..mine.clone() }, None));
    });
    swaps(&mine.numbers, &other.numbers, |numbers, _| {
        all.push((Fields { numbers, ..mine.clone() }, None));
    });
    swaps(&mine.lifetimes, &other.lifetimes, |lifetimes, _| {
        all.push((Fields { lifetimes, ..mine.clone() }, None));
    });
    swaps(&mine.bytes, &other.bytes, |bytes, at| {
        if bytes[at].len() == mine.bytes[at].len() {
            all.push((Fields { bytes, ..mine.clone() }, Some(at)));
        }
    });
    all
}

/// Also after the sender signed the mixed envelope: the ciphertext covers the header, and a wrapped
/// key opens one ciphertext only.
#[test]
fn a_field_of_another_envelope_is_rejected() {
    let exchange = Exchange::new();
    let mut count = 0;
    for one in &exchange.vectors.envelopes {
        let form = decoded(one);
        let sender = exchange.vectors.find(&one.sender, &one.device).own();
        let fields = Fields::split(&form);
        assert_eq!(fields.join(&form), form);
        let mine = form.keys.iter().position(|key| key.device == exchange.own.public.device);
        let mine = BEFORE_KEYS + mine.expect("the device is a recipient");
        for other in &exchange.vectors.envelopes {
            for (mixed, at) in mixed(&fields, &Fields::split(&decoded(other))) {
                let mut sealed = mixed.join(&form);
                let received = exchange.deliver(&sealed, &one.claimed());
                assert!(received.is_err(), "{} with a field of {}", one.name, other.name);
                count += 1;
                // Keys of other recipients are the sender's choice.
                if at.is_some_and(|at| at >= SIGNATURE && at != mine) {
                    continue;
                }
                sealed.signature = sender.sign(&sealed.signed());
                let received = exchange.deliver(&sealed, &one.claimed());
                let opened = received.is_ok_and(|received| received.message.is_some());
                assert!(!opened, "{} signed with a field of {}", one.name, other.name);
            }
        }
    }
    assert!(count > 5000, "{count}");
}

/// Headers, key lists and pairs within one envelope.
#[test]
fn a_swapped_header_or_key_list_is_rejected() {
    let exchange = Exchange::new();
    for one in &exchange.vectors.envelopes {
        for other in &exchange.vectors.envelopes {
            if one.name == other.name {
                continue;
            }
            let header = Sealed { header: decoded(other).header, ..decoded(one) };
            let keys = Sealed { keys: decoded(other).keys, ..decoded(one) };
            for claimed in [one.claimed(), other.claimed()] {
                assert!(exchange.deliver(&header, &claimed).is_err(), "{}", one.name);
                assert!(exchange.deliver(&keys, &claimed).is_err(), "{}", one.name);
            }
        }
        let mut sealed = decoded(one);
        let keys = sealed.keys.len();
        for (at, with) in (0..keys).flat_map(|at| (0..at).map(move |with| (at, with))) {
            sealed.keys.swap(at, with);
            assert_eq!(exchange.deliver(&sealed, &one.claimed()), Err(Reason::Malformed));
            sealed.keys.swap(at, with);
        }
    }
}
