//! Section "Header" of `docs/E2E.md`.

use crate::envelope::device::Device;
use crate::envelope::device::Hash;
use crate::envelope::device::SUITE;
use crate::envelope::encoding::Reader;
use crate::envelope::encoding::Writer;

const DOMAIN: &str = "gatehouse/header/1";

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
    pub(crate) recipients: Vec<Recipient>,
}

impl Header {
    /// The fields as they are, in order or not.
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
            .count(self.recipients.len());
        for recipient in &self.recipients {
            header = header.text(&recipient.account).text(&recipient.device);
            header = header.raw(&recipient.fingerprint);
        }
        header.finish()
    }

    /// `None`: not what `encode` makes of recipients in order of names and a counter from 1.
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
        let ordered = header.recipients.is_sorted_by(|one, next| name(one) < name(next));
        (ordered && header.counter > 0).then_some(header)
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
