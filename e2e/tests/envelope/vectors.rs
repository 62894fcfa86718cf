//! A vector file: its shape, and the checks of everything in it.

use std::fs;
use std::path::PathBuf;

use e2e::workspace;
use serde::Deserialize;
use serde::Serialize;

use crate::envelope::device::Device;
use crate::envelope::device::OwnDevice;
use crate::envelope::device::SUITE;
use crate::envelope::encoding::from_base64url;
use crate::envelope::header::Header;
use crate::envelope::header::recipients;
use crate::envelope::plaintext::Message;
use crate::envelope::receiving::Claimed;
use crate::envelope::receiving::Reason;
use crate::envelope::receiving::Receiver;
use crate::envelope::safety;
use crate::envelope::sealed::Envelope;
use crate::envelope::sealed::encrypt;

#[derive(Serialize, Deserialize)]
pub(crate) struct Vectors {
    pub(crate) suite: String,
    pub(crate) devices: Vec<DeviceVector>,
    pub(crate) envelopes: Vec<EnvelopeVector>,
    pub(crate) negative: Vec<NegativeVector>,
    pub(crate) safety: Vec<SafetyVector>,
}

/// Keys are base64url, the fingerprint is hexadecimal.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct DeviceVector {
    pub(crate) account: String,
    pub(crate) device: String,
    pub(crate) encryption_key: String,
    pub(crate) signing_key: String,
    pub(crate) encryption_private: String,
    pub(crate) signing_private: String,
    pub(crate) fingerprint: String,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DeviceName {
    pub(crate) account: String,
    pub(crate) device: String,
}

/// Everything outside `envelope` that is binary is hexadecimal.
#[derive(Serialize, Deserialize)]
pub(crate) struct EnvelopeVector {
    pub(crate) name: String,
    pub(crate) conversation: String,
    pub(crate) sender: String,
    pub(crate) device: String,
    pub(crate) cid: String,
    pub(crate) counter: u64,
    pub(crate) previous: String,
    pub(crate) recipients: Vec<DeviceName>,
    pub(crate) written_at: u64,
    pub(crate) text: String,
    pub(crate) message_key: String,
    pub(crate) nonce: String,
    pub(crate) header: String,
    pub(crate) plaintext: String,
    pub(crate) envelope: Envelope,
    pub(crate) hash: String,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct NegativeVector {
    pub(crate) name: String,
    pub(crate) envelope: Envelope,
    pub(crate) claimed: Claimed,
    pub(crate) reason: Reason,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct SafetyVector {
    pub(crate) a: Person,
    pub(crate) b: Person,
    pub(crate) number: String,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Person {
    pub(crate) account: String,
    pub(crate) devices: Vec<String>,
}

/// The path of a vector file.
pub(crate) fn path(name: &str) -> PathBuf {
    workspace().join("ui/src/crypto/vectors").join(name)
}

pub(crate) fn read(name: &str) -> Vectors {
    let path = path(name);
    let text = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

impl DeviceVector {
    pub(crate) fn public(&self) -> Device {
        let rsa = from_base64url(&self.encryption_key).expect("encryption_key is base64url");
        let ed25519 = from_base64url(&self.signing_key).expect("signing_key is base64url");
        let device = Device::new(&self.account, &self.device, &rsa, &ed25519);
        device.expect("the keys are of this suite")
    }

    pub(crate) fn own(&self) -> OwnDevice {
        let rsa = from_base64url(&self.encryption_private).expect("private keys are base64url");
        let ed25519 = from_base64url(&self.signing_private).expect("private keys are base64url");
        let own = OwnDevice::new(self.public(), &rsa, &ed25519);
        own.expect("the private keys belong to the public keys")
    }
}

impl EnvelopeVector {
    pub(crate) fn claimed(&self) -> Claimed {
        Claimed {
            conversation: self.conversation.clone(),
            sender: self.sender.clone(),
            device: self.device.clone(),
            cid: self.cid.clone(),
        }
    }

    pub(crate) fn message_key(&self) -> [u8; 32] {
        bytes(&self.message_key).try_into().expect("a message key has 32 bytes")
    }

    pub(crate) fn message(&self) -> Message {
        Message { written_at: self.written_at, text: self.text.clone() }
    }
}

impl Vectors {
    pub(crate) fn find(&self, account: &str, device: &str) -> &DeviceVector {
        let mut all = self.devices.iter();
        let found = all.find(|known| known.account == account && known.device == device);
        found.unwrap_or_else(|| panic!("the file has no device {device} of {account}"))
    }

    pub(crate) fn public(&self) -> Vec<Device> {
        self.devices.iter().map(DeviceVector::public).collect()
    }

    pub(crate) fn devices_of(&self, accounts: &[&str]) -> Vec<Device> {
        let mut all = self.public();
        all.retain(|device| accounts.contains(&device.account.as_str()));
        all
    }

    fn person(&self, person: &Person) -> Vec<Device> {
        let devices = person.devices.iter();
        devices.map(|device| self.find(&person.account, device).public()).collect()
    }

    pub(crate) fn check_devices(&self) {
        assert_eq!(self.suite, SUITE);
        assert!(self.devices.len() > 2, "a vector file has devices of two people");
        for vector in &self.devices {
            let own = vector.own();
            assert_eq!(hex::encode(own.fingerprint), vector.fingerprint, "{}", vector.device);
        }
    }

    /// Reproduces every intermediate value of every envelope from its inputs.
    pub(crate) fn check_values(&self) {
        for vector in &self.envelopes {
            let name = &vector.name;
            let sealed = vector.envelope.decode().expect("the envelope is canonical");
            let named = vector.recipients.iter();
            let devices: Vec<Device> =
                named.map(|name| self.find(&name.account, &name.device).public()).collect();
            let header = Header {
                conversation: vector.conversation.clone(),
                sender: vector.sender.clone(),
                device: vector.device.clone(),
                cid: vector.cid.clone(),
                counter: vector.counter,
                previous: bytes(&vector.previous).try_into().expect("a hash has 32 bytes"),
                recipients: recipients(&devices),
            };
            assert_eq!(hex::encode(header.encode()), vector.header, "{name}: header");
            assert_eq!(hex::encode(&sealed.header), vector.header, "{name}: envelope.header");
            assert_eq!(Header::parse(&sealed.header), Some(header), "{name}: parsed header");

            let message = vector.message();
            let plaintext = message.encode().expect("the message fits");
            assert_eq!(hex::encode(&plaintext), vector.plaintext, "{name}: plaintext");
            assert_eq!(Message::parse(&plaintext), Some(message), "{name}: parsed plaintext");

            assert_eq!(hex::encode(&sealed.nonce), vector.nonce, "{name}: nonce");
            let nonce = sealed.nonce.clone().try_into().expect("a nonce has 12 bytes");
            let ciphertext = encrypt(&vector.message_key(), nonce, &sealed.header, &plaintext);
            assert!(ciphertext == sealed.ciphertext, "{name}: ciphertext");

            let sender = self.find(&vector.sender, &vector.device).own();
            assert_eq!(sender.sign(&sealed.signed()), sealed.signature, "{name}: signature");
            assert_eq!(hex::encode(sealed.hash()), vector.hash, "{name}: hash");
            assert_eq!(sealed.encode(), vector.envelope, "{name}: base64url");
        }
    }

    /// Every recipient receives every envelope, in the order of the file.
    pub(crate) fn check_delivery(&self) {
        let pinned = self.public();
        for device in &self.devices {
            let own = device.own();
            let mut receiver = Receiver::new(&own, &pinned);
            for vector in &self.envelopes {
                let at = format!("{} on {}", vector.name, device.device);
                let received = receiver.receive(&vector.envelope, &vector.claimed());
                let received = received.unwrap_or_else(|reason| panic!("{at}: {reason:?}"));
                let mine = vector.recipients.iter().position(|name| {
                    name.account == device.account && name.device == device.device
                });
                assert_eq!(received.message, mine.map(|_| vector.message()), "{at}");
                assert_eq!(received.notices, [], "{at}");
                let again = receiver.receive(&vector.envelope, &vector.claimed());
                assert_eq!(again, Err(Reason::Replay), "{at}, twice");
            }
        }
    }

    /// Every wrapped key opens to the message key.
    pub(crate) fn check_wrapped_keys(&self) {
        for vector in &self.envelopes {
            let header = Header::parse(&bytes(&vector.header)).expect("the header is canonical");
            let sealed = vector.envelope.decode().expect("the envelope is canonical");
            assert_eq!(header.recipients.len(), sealed.keys.len(), "{}", vector.name);
            for (recipient, wrapped) in header.recipients.iter().zip(&sealed.keys) {
                let own = self.find(&recipient.account, &recipient.device).own();
                let opened = own.unwrap_key(&wrapped.key);
                assert_eq!(opened, Some(vector.message_key()), "{}", vector.name);
            }
        }
    }

    /// Every envelope that must be rejected is rejected with its reason by this receiver.
    pub(crate) fn check_negative(&self, account: &str, device: &str) {
        let own = self.find(account, device).own();
        let pinned = self.public();
        for vector in &self.negative {
            let mut receiver = Receiver::new(&own, &pinned);
            let received = receiver.receive(&vector.envelope, &vector.claimed);
            assert_eq!(received, Err(vector.reason), "{}", vector.name);
        }
    }

    pub(crate) fn check_safety(&self) {
        for SafetyVector { a, b, number } in &self.safety {
            let (first, second) = (self.person(a), self.person(b));
            let found = safety::number((&a.account, &first), (&b.account, &second));
            assert_eq!(&found, number, "{} and {}", a.account, b.account);
            let found = safety::number((&b.account, &second), (&a.account, &first));
            assert_eq!(&found, number, "{} and {}", b.account, a.account);
        }
    }
}

pub(crate) fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text).expect("values are hexadecimal")
}
