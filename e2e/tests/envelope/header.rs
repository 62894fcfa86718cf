//! Section "Header" of `docs/E2E.md`.

use crate::envelope::device::Device;
use crate::envelope::device::Hash;
use crate::envelope::device::SUITE;
use crate::envelope::encoding::Reader;
use crate::envelope::encoding::Writer;

const DOMAIN: &str = "gatehouse/header/2";

/// Lifetimes of a message in seconds. 0: it is kept.
pub(crate) const LIFETIMES: [u32; 4] = [0, 86_400, 604_800, 2_592_000];

/// The last entry of a device log. Version 0 with zeros: no log is known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct LogHead {
    pub(crate) version: u64,
    pub(crate) head: Hash,
}

/// The last envelope of the other person that the sender's device processed. All empty: none.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Read {
    pub(crate) device: String,
    pub(crate) counter: u64,
    pub(crate) hash: Hash,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Recipient {
    pub(crate) account: String,
    pub(crate) device: String,
    pub(crate) fingerprint: Hash,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Header {
    pub(crate) conversation: String,
    pub(crate) sender: String,
    pub(crate) device: String,
    pub(crate) cid: String,
    pub(crate) counter: u64,
    pub(crate) previous: Hash,
    pub(crate) commitment: Hash,
    pub(crate) lifetime: u32,
    pub(crate) own_log: LogHead,
    pub(crate) peer_log: LogHead,
    pub(crate) read: Read,
    pub(crate) recipients: Vec<Recipient>,
}

impl Header {
    /// The fields as they are, allowed or not.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut header = Writer::default()
            .text(DOMAIN)
            .text(SUITE)
            .text(&self.conversation)
            .text(&self.sender)
            .text(&self.device)
            .text(&self.cid)
            .u64(self.counter)
            .raw(&self.previous)
            .raw(&self.commitment)
            .u32(self.lifetime)
            .u64(self.own_log.version)
            .raw(&self.own_log.head)
            .u64(self.peer_log.version)
            .raw(&self.peer_log.head)
            .text(&self.read.device)
            .u64(self.read.counter)
            .raw(&self.read.hash)
            .count(self.recipients.len());
        for recipient in &self.recipients {
            header = header.text(&recipient.account).text(&recipient.device);
            header = header.raw(&recipient.fingerprint);
        }
        header.finish()
    }

    /// `None`: not what `encode` makes of allowed fields.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        if reader.text()? != DOMAIN || reader.text()? != SUITE {
            return None;
        }
        let mut header = Self {
            conversation: reader.text()?,
            sender: reader.text()?,
            device: reader.text()?,
            cid: reader.text()?,
            counter: reader.u64()?,
            previous: reader.array()?,
            commitment: reader.array()?,
            lifetime: reader.u32()?,
            own_log: LogHead { version: reader.u64()?, head: reader.array()? },
            peer_log: LogHead { version: reader.u64()?, head: reader.array()? },
            read: Read { device: reader.text()?, counter: reader.u64()?, hash: reader.array()? },
            recipients: Vec::new(),
        };
        for _ in 0..reader.u32()? {
            header.recipients.push(Recipient {
                account: reader.text()?,
                device: reader.text()?,
                fingerprint: reader.array()?,
            });
        }
        reader.end()?;
        header.is_allowed().then_some(header)
    }

    fn is_allowed(&self) -> bool {
        self.recipients.is_sorted_by(|one, next| name(one) < name(next))
            && self.counter > 0
            && LIFETIMES.contains(&self.lifetime)
            && self.own_log.is_allowed()
            && self.peer_log.is_allowed()
            && self.read.is_allowed()
    }
}

impl LogHead {
    fn is_allowed(&self) -> bool {
        (self.version == 0) == (self.head == [0; 32])
    }
}

impl Read {
    fn is_allowed(&self) -> bool {
        let none = self.device.is_empty();
        (self.counter == 0) == none && (self.hash == [0; 32]) == none
    }
}

/// What recipients are sorted by. Rust compares strings by their UTF-8 bytes.
fn name(recipient: &Recipient) -> (&str, &str) {
    (&recipient.account, &recipient.device)
}

/// The recipients of a message to these devices, in order of names.
pub(crate) fn recipients(devices: &[Device]) -> Vec<Recipient> {
    let mut all = Vec::new();
    for device in in_order(devices) {
        let fingerprint = device.fingerprint();
        all.push(Recipient { account: device.account, device: device.device, fingerprint });
    }
    all
}

/// These devices in order of names.
pub(crate) fn in_order(devices: &[Device]) -> Vec<Device> {
    let mut all = devices.to_vec();
    all.sort_by(|one, next| (&one.account, &one.device).cmp(&(&next.account, &next.device)));
    all
}

/// The name of the conversation of two accounts.
pub(crate) fn conversation(one: &str, other: &str) -> String {
    let (first, second) = if one < other { (one, other) } else { (other, one) };
    format!("{first}.{second}")
}
