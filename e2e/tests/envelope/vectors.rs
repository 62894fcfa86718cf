//! The shape of a vector file.

use std::fs;
use std::path::PathBuf;

use e2e::workspace;
use serde::Deserialize;
use serde::Serialize;

use crate::envelope::device::Device;
use crate::envelope::device::Hash;
use crate::envelope::device::OwnDevice;
use crate::envelope::encoding::from_base64url;
use crate::envelope::header::LogHead;
use crate::envelope::header::Read;
use crate::envelope::plaintext::Content;
use crate::envelope::plaintext::Message;
use crate::envelope::receiving::Claimed;
use crate::envelope::receiving::Reason;
use crate::envelope::sealed::Envelope;

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
    pub(crate) generation: u64,
    pub(crate) created_at: u64,
    /// Of the statement about the keys.
    pub(crate) signature: String,
    pub(crate) encryption_private: String,
    pub(crate) signing_private: String,
    pub(crate) fingerprint: String,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DeviceName {
    pub(crate) account: String,
    pub(crate) device: String,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct LogHeadVector {
    pub(crate) version: u64,
    pub(crate) head: String,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ReadVector {
    pub(crate) device: String,
    pub(crate) counter: u64,
    pub(crate) hash: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    Text,
    Lifetime,
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
    pub(crate) commitment: String,
    pub(crate) lifetime: u32,
    pub(crate) own_log: LogHeadVector,
    pub(crate) peer_log: LogHeadVector,
    pub(crate) read: ReadVector,
    pub(crate) recipients: Vec<DeviceName>,
    pub(crate) kind: Kind,
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
    pub(crate) a: Side,
    pub(crate) b: Side,
    pub(crate) number: String,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Side {
    pub(crate) account: String,
    pub(crate) identity_key: String,
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

impl From<LogHead> for LogHeadVector {
    fn from(LogHead { version, head }: LogHead) -> Self {
        Self { version, head: hex::encode(head) }
    }
}

impl LogHeadVector {
    pub(crate) fn log_head(&self) -> LogHead {
        LogHead { version: self.version, head: hash(&self.head) }
    }
}

impl From<&Read> for ReadVector {
    fn from(Read { device, counter, hash }: &Read) -> Self {
        Self { device: device.clone(), counter: *counter, hash: hex::encode(hash) }
    }
}

impl ReadVector {
    pub(crate) fn read(&self) -> Read {
        Read { device: self.device.clone(), counter: self.counter, hash: hash(&self.hash) }
    }
}

impl EnvelopeVector {
    pub(crate) fn claimed(&self) -> Claimed {
        Claimed {
            conversation: self.conversation.clone(),
            sender: self.sender.clone(),
            device: self.device.clone(),
            cid: self.cid.clone(),
            lifetime: self.lifetime,
        }
    }

    pub(crate) fn message_key(&self) -> [u8; 32] {
        hash(&self.message_key)
    }

    pub(crate) fn message(&self) -> Message {
        let content = match self.kind {
            Kind::Text => Content::Text(self.text.clone()),
            Kind::Lifetime => Content::Lifetime,
        };
        Message { written_at: self.written_at, content }
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
}

pub(crate) fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text).expect("values are hexadecimal")
}

/// 32 bytes.
pub(crate) fn hash(text: &str) -> Hash {
    bytes(text).try_into().expect("a hash or a message key has 32 bytes")
}
