//! Section "Device log" of `docs/E2E.md`: entries, and the rules V1 to V6.

use std::collections::BTreeMap;

use aws_lc_rs::signature::ED25519;
use aws_lc_rs::signature::UnparsedPublicKey;
use serde::Deserialize;

use crate::envelope::device::Hash;
use crate::envelope::device::SUITE;
use crate::envelope::device::sha256;
use crate::envelope::encoding::Reader;
use crate::envelope::encoding::Writer;
use crate::envelope::encoding::from_base64url;

const DOMAIN: &str = "gatehouse/device-log/1";

/// An Ed25519 public key.
pub(crate) type Key = [u8; 32];

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Operation {
    Approve = 1,
    Remove = 2,
}

/// An entry on the wire: both fields are base64url.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignedEntry {
    pub(crate) entry: String,
    pub(crate) signature: String,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) account: String,
    pub(crate) version: u64,
    pub(crate) previous: Hash,
    pub(crate) identity_key: Key,
    pub(crate) operation: Operation,
    pub(crate) device: String,
    pub(crate) signing_key: Key,
    pub(crate) time: u64,
    /// A device, or "" for the identity key.
    pub(crate) signer: String,
}

impl Entry {
    pub(crate) fn encode(&self) -> Vec<u8> {
        Writer::default()
            .text(DOMAIN)
            .text(SUITE)
            .text(&self.account)
            .u64(self.version)
            .raw(&self.previous)
            .raw(&self.identity_key)
            .u8(self.operation as u8)
            .text(&self.device)
            .raw(&self.signing_key)
            .u64(self.time)
            .text(&self.signer)
            .finish()
    }

    /// `None`: not canonical, or the device has no name.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let known = reader.text()? == DOMAIN && reader.text()? == SUITE;
        let entry = Self {
            account: reader.text()?,
            version: reader.u64()?,
            previous: reader.array()?,
            identity_key: reader.array()?,
            operation: match reader.u8()? {
                1 => Operation::Approve,
                2 => Operation::Remove,
                _ => return None,
            },
            device: reader.text()?,
            signing_key: reader.array()?,
            time: reader.u64()?,
            signer: reader.text()?,
        };
        reader.end()?;
        (known && !entry.device.is_empty()).then_some(entry)
    }
}

/// Why an entry does not continue a log.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Fault {
    Encoding,
    Account,
    Order,
    First,
    Signer,
    Signature,
    Reused,
    NotApproved,
    /// There is no entry.
    Empty,
}

/// What a receiver finds in a list, when it has stored a log.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Received {
    Valid,
    Older,
    Fork,
    Invalid,
    IdentityChanged,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Logged {
    pub(crate) signing_key: Key,
    pub(crate) approved_in: u64,
    pub(crate) removed_in: Option<u64>,
}

/// A log that was replayed from version 1.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    pub(crate) account: String,
    pub(crate) identity_key: Key,
    pub(crate) entries: Vec<SignedEntry>,
    pub(crate) hashes: Vec<Hash>,
    pub(crate) devices: BTreeMap<String, Logged>,
}

impl Log {
    /// The version of the first entry that is rejected, and why.
    pub(crate) fn read(
        account: &str,
        identity_key: Key,
        entries: &[SignedEntry],
    ) -> Result<Self, (usize, Fault)> {
        let mut log = Self {
            account: account.to_owned(),
            identity_key,
            entries: Vec::new(),
            hashes: Vec::new(),
            devices: BTreeMap::new(),
        };
        for signed in entries {
            log.append(signed).map_err(|fault| (log.entries.len() + 1, fault))?;
        }
        if log.entries.is_empty() { Err((0, Fault::Empty)) } else { Ok(log) }
    }

    pub(crate) fn receive(&self, identity_key: Key, entries: &[SignedEntry]) -> Received {
        if identity_key != self.identity_key {
            return Received::IdentityChanged;
        }
        let mut both = entries.iter().zip(&self.entries);
        let same = both.all(|(received, stored)| received.entry == stored.entry);
        let valid = Self::read(&self.account, identity_key, entries).is_ok();
        match (same, valid) {
            (true, _) if entries.len() < self.entries.len() => Received::Older,
            (true, true) => Received::Valid,
            (false, true) => Received::Fork,
            (_, false) => Received::Invalid,
        }
    }

    fn append(&mut self, signed: &SignedEntry) -> Result<(), Fault> {
        let bytes = from_base64url(&signed.entry).ok_or(Fault::Encoding)?;
        let signature = from_base64url(&signed.signature).ok_or(Fault::Encoding)?;
        let entry = Entry::parse(&bytes).ok_or(Fault::Encoding)?;
        self.check_place(&entry)?;
        let signer = self.signer(&entry).ok_or(Fault::Signer)?;
        let signer = UnparsedPublicKey::new(&ED25519, signer);
        signer.verify(&bytes, &signature).map_err(|_| Fault::Signature)?;
        self.apply(&entry)?;
        self.entries.push(signed.clone());
        self.hashes.push(sha256(&bytes));
        Ok(())
    }

    /// V1 and V2.
    fn check_place(&self, entry: &Entry) -> Result<(), Fault> {
        if entry.account != self.account || entry.identity_key != self.identity_key {
            return Err(Fault::Account);
        }
        let previous = self.hashes.last().copied().unwrap_or_default();
        let version = self.entries.len() as u64 + 1;
        if entry.version != version || entry.previous != previous {
            return Err(Fault::Order);
        }
        let begins = entry.operation == Operation::Approve && entry.signer.is_empty();
        if version == 1 && !begins { Err(Fault::First) } else { Ok(()) }
    }

    /// V3: the identity key, or a device that is approved now.
    fn signer(&self, entry: &Entry) -> Option<Key> {
        if entry.signer.is_empty() {
            return Some(self.identity_key);
        }
        let device = self.devices.get(&entry.signer)?;
        device.removed_in.is_none().then_some(device.signing_key)
    }

    /// V4 and V5.
    fn apply(&mut self, entry: &Entry) -> Result<(), Fault> {
        let Entry { version, signing_key, .. } = *entry;
        match entry.operation {
            Operation::Approve => {
                let mut keys = self.devices.values().map(|device| device.signing_key);
                let used = signing_key == self.identity_key || keys.any(|key| key == signing_key);
                if used || self.devices.contains_key(&entry.device) {
                    return Err(Fault::Reused);
                }
                let logged = Logged { signing_key, approved_in: version, removed_in: None };
                self.devices.insert(entry.device.clone(), logged);
            }
            Operation::Remove => {
                let device = self.devices.get_mut(&entry.device).ok_or(Fault::NotApproved)?;
                if device.removed_in.is_some() || device.signing_key != signing_key {
                    return Err(Fault::NotApproved);
                }
                device.removed_in = Some(version);
            }
        }
        Ok(())
    }
}
