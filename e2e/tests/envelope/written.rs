//! Seals what the browser opens: `ui/src/crypto/vectors/rust.json`. The file is committed, and the
//! test fails if it differs from what this module describes. `UPDATE_GENERATED=1` writes a missing
//! or different file. It keeps the file's keys, and generates keys for a missing file.

use std::env;
use std::fs;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::encoding::Pkcs8V1Der;
use aws_lc_rs::encoding::PublicKeyX509Der;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::rsa::PrivateDecryptingKey;
use aws_lc_rs::signature::Ed25519KeyPair;
use aws_lc_rs::signature::KeyPair;

use crate::envelope::attacker::Attacker;
use crate::envelope::attacker::RECEIVER;
use crate::envelope::device::Device;
use crate::envelope::device::Hash;
use crate::envelope::device::SUITE;
use crate::envelope::device::ed25519_info;
use crate::envelope::device::fixed;
use crate::envelope::encoding::LARGEST;
use crate::envelope::encoding::to_base64url;
use crate::envelope::header::Header;
use crate::envelope::header::LIFETIMES;
use crate::envelope::header::LogHead;
use crate::envelope::header::Read;
use crate::envelope::header::conversation;
use crate::envelope::header::in_order;
use crate::envelope::header::recipients;
use crate::envelope::plaintext::Content;
use crate::envelope::plaintext::LONGEST;
use crate::envelope::plaintext::Message;
use crate::envelope::safety;
use crate::envelope::sealed::Sealed;
use crate::envelope::sealed::commitment;
use crate::envelope::statement::statement;
use crate::envelope::vectors::DeviceName;
use crate::envelope::vectors::DeviceVector;
use crate::envelope::vectors::EnvelopeVector;
use crate::envelope::vectors::Kind;
use crate::envelope::vectors::SafetyVector;
use crate::envelope::vectors::Side;
use crate::envelope::vectors::Vectors;
use crate::envelope::vectors::hash;
use crate::envelope::vectors::path;
use crate::envelope::vectors::read;

const FILE: &str = "rust.json";
const UPDATE: &str = "UPDATE_GENERATED";

/// Account and device. UTF-8 and UTF-16 sort the first two differently; the names of the last two,
/// and those of the accounts, are prefixes of each other.
const DEVICES: &[(&str, &str)] =
    &[("ana", "～"), ("ana", "🌉"), ("ana-b", "desk"), ("ana-b", "desk2"), ("zoë", "desk")];

struct Described {
    name: &'static str,
    sender: (&'static str, &'static str),
    message: Message,
}

/// The messages of the file. All are in the conversation of `ana` and `ana-b`.
fn described() -> Vec<Described> {
    let message = |name, device: usize, written_at, text: &str| {
        let message = Message { written_at, content: Content::Text(text.to_owned()) };
        Described { name, sender: DEVICES[device], message }
    };
    let lifetime = Message { written_at: 4, content: Content::Lifetime };
    vec![
        message("the smallest size, full", 0, 0, &"a".repeat(238)),
        message("one byte more than the smallest size", 0, 1, &"a".repeat(239)),
        message("the longest message", 0, LARGEST, &"x".repeat(LONGEST)),
        message("an empty message", 1, 1_800_000_000_000, ""),
        message("a byte order mark at the start", 1, 1_800_000_000_001, "\u{feff}mark"),
        message("controls and the last character", 2, 2, "\0\u{1}\r\n\u{7f}\u{2028}\u{10ffff}"),
        message("several scripts", 3, 3, "Grüße, שלום, 你好, e\u{301} 👩‍👩‍👧"),
        Described { name: "a change of the lifetime", sender: DEVICES[1], message: lifetime },
    ]
}

fn generate(account: &str, device: &str, generation: u64) -> DeviceVector {
    let rsa = PrivateDecryptingKey::generate(KeySize::Rsa3072).expect("generate an RSA key");
    let private: Pkcs8V1Der<'_> = rsa.as_der().expect("an RSA key has PKCS #8");
    let public: PublicKeyX509Der<'_> = rsa.public_key().as_der().expect("an RSA key has DER");
    let signing = Ed25519KeyPair::generate().expect("generate an Ed25519 key");
    let signing_key = ed25519_info(signing.public_key().as_ref());
    let known = Device::new(account, device, public.as_ref(), &signing_key);
    let known = known.expect("the keys are of this suite");
    let created_at = 1_800_000_000_000 + generation;
    let signature = signing.sign(&statement(&known, generation, created_at));
    let signing = signing.to_pkcs8v1().expect("an Ed25519 key has PKCS #8");
    DeviceVector {
        account: account.to_owned(),
        device: device.to_owned(),
        encryption_key: to_base64url(public.as_ref()),
        signing_key: to_base64url(&signing_key),
        generation,
        created_at,
        signature: to_base64url(signature.as_ref()),
        encryption_private: to_base64url(private.as_ref()),
        signing_private: to_base64url(signing.as_ref()),
        fingerprint: hex::encode(known.fingerprint()),
    }
}

/// The log of an account at this place of the file: any head will do.
fn log_head(account: &str, at: usize) -> LogHead {
    match at {
        0 => LogHead::default(),
        2 => LogHead { version: LARGEST, head: fixed(&format!("{account}, last")) },
        _ => LogHead { version: 2, head: fixed(&format!("{account}, 2")) },
    }
}

/// The last envelope before that is not from this account.
fn read_before(vectors: &Vectors, account: &str) -> Read {
    let mut before = vectors.envelopes.iter();
    let last = before.rfind(|sealed| sealed.sender != account);
    last.map_or_else(Read::default, |last| Read {
        device: last.device.clone(),
        counter: last.counter,
        hash: hash(&last.hash),
    })
}

fn seal(vectors: &Vectors, described: &Described, at: usize) -> EnvelopeVector {
    let (account, device) = described.sender;
    let other = if account == "ana" { "ana-b" } else { "ana" };
    let cid = format!("cid-{}", at + 1);
    let mut last = vectors.envelopes.iter();
    let last = last.rfind(|sealed| sealed.sender == account && sealed.device == device);
    let devices = vectors.devices_of(&["ana", "ana-b"]);
    let (key, nonce) = (fixed(&format!("key {cid}")), fixed(&format!("nonce {cid}")));
    let header = Header {
        conversation: conversation("ana-b", "ana"),
        sender: account.to_owned(),
        device: device.to_owned(),
        cid,
        counter: last.map_or(1, |last| last.counter + 1),
        previous: last.map_or([0; 32], |last| hash(&last.hash)),
        commitment: commitment(&key),
        lifetime: LIFETIMES[at % LIFETIMES.len()],
        own_log: log_head(account, at),
        peer_log: log_head(other, at / 2),
        read: read_before(vectors, account),
        recipients: recipients(&devices),
    };
    let message = &described.message;
    let plaintext = message.encode().expect("the message fits");
    let own = vectors.find(account, device).own();
    let to = in_order(&devices);
    let sealed = Sealed::seal(&own, &to, header.encode(), &plaintext, &key, nonce);
    let mut named = Vec::new();
    for Device { account, device, .. } in devices {
        named.push(DeviceName { account, device });
    }
    let (kind, text) = match &message.content {
        Content::Text(text) => (Kind::Text, text.clone()),
        Content::Lifetime => (Kind::Lifetime, String::new()),
    };
    EnvelopeVector {
        name: described.name.to_owned(),
        previous: hex::encode(header.previous),
        commitment: hex::encode(header.commitment),
        lifetime: header.lifetime,
        own_log: header.own_log.into(),
        peer_log: header.peer_log.into(),
        read: (&header.read).into(),
        conversation: header.conversation,
        sender: header.sender,
        device: header.device,
        cid: header.cid,
        counter: header.counter,
        recipients: named,
        kind,
        written_at: message.written_at,
        text,
        message_key: hex::encode(key),
        nonce: hex::encode(nonce),
        header: hex::encode(&sealed.header),
        plaintext: hex::encode(plaintext),
        hash: hex::encode(sealed.hash()),
        envelope: sealed.encode(),
    }
}

fn safety_vector(one: &str, other: &str) -> SafetyVector {
    let (first, second) = (fixed(&format!("identity of {one}")), fixed(other));
    let side = |account: &str, key: &Hash| Side {
        account: account.to_owned(),
        identity_key: hex::encode(key),
    };
    SafetyVector {
        a: side(one, &first),
        b: side(other, &second),
        number: safety::number((one, &first), (other, &second)),
    }
}

/// The whole file for these devices.
fn make(devices: Vec<DeviceVector>) -> Vectors {
    let (envelopes, negative, safety) = (Vec::new(), Vec::new(), Vec::new());
    let mut vectors = Vectors { suite: SUITE.to_owned(), devices, envelopes, negative, safety };
    for (at, described) in described().iter().enumerate() {
        let sealed = seal(&vectors, described, at);
        vectors.envelopes.push(sealed);
    }
    vectors.negative = Attacker::new(&vectors).negative();
    let pairs = [("ana", "ana-b"), ("zoë", "ana")];
    vectors.safety = pairs.map(|(one, other)| safety_vector(one, other)).into();
    vectors
}

/// What does not depend on random padding: all but the wrapped keys, and the hashes and signatures
/// over them.
fn description(vectors: &Vectors) -> Vec<String> {
    let mut lines = Vec::new();
    for device in &vectors.devices {
        let name = format!("device {} of {}", device.device, device.account);
        lines.push(format!("{name}: {} {}", device.generation, device.created_at));
    }
    for it in &vectors.envelopes {
        let sender = format!("{} of {} in {}", it.device, it.sender, it.conversation);
        lines.push(format!("{} from {sender}: {} {}", it.name, it.cid, it.counter));
        lines.push(format!("{} {:?} {:?} {}", it.written_at, it.kind, it.text, it.lifetime));
        for log in [&it.own_log, &it.peer_log] {
            lines.push(format!("log {} {}", log.version, log.head));
        }
        lines.push(format!("{} read {} {}", it.commitment, it.read.device, it.read.counter));
        lines.push(format!("{} {} {}", it.message_key, it.nonce, it.plaintext));
        for to in &it.recipients {
            lines.push(format!("to {} of {}", to.device, to.account));
        }
    }
    for it in &vectors.negative {
        lines.push(format!("{}: {:?} {:?}", it.name, it.reason, it.claimed));
    }
    for SafetyVector { a, b, number } in &vectors.safety {
        for side in [a, b] {
            lines.push(format!("{} {}", side.account, side.identity_key));
        }
        lines.push(number.clone());
    }
    lines
}

fn is_current(vectors: &Vectors) -> bool {
    description(vectors) == description(&make(vectors.devices.clone()))
}

#[test]
fn the_browser_gets_what_is_described_here() {
    if env::var_os(UPDATE).is_some() && !(path(FILE).exists() && is_current(&read(FILE))) {
        let devices = if path(FILE).exists() {
            read(FILE).devices
        } else {
            let named = DEVICES.iter().zip(1..);
            named.map(|((account, device), at)| generate(account, device, at)).collect()
        };
        let made = serde_json::to_string_pretty(&make(devices)).expect("vectors are JSON");
        fs::write(path(FILE), made + "\n").expect("write the vector file");
    }
    let vectors = read(FILE);
    let made = make(vectors.devices.clone());
    for (found, expected) in description(&vectors).iter().zip(&description(&made)) {
        assert_eq!(found, expected, "{FILE} is stale: run this test with {UPDATE}=1");
    }
    assert!(is_current(&vectors), "{FILE} is stale: run this test with {UPDATE}=1");
    vectors.check_devices();
    vectors.check_values();
    vectors.check_wrapped_keys();
    vectors.check_delivery();
    vectors.check_negative(RECEIVER.0, RECEIVER.1);
    vectors.check_safety();
}
