//! Section "Receiving an envelope" of `docs/E2E.md`: the checks in their order.

use std::collections::HashMap;

use serde::Deserialize;
use serde::Serialize;

use crate::envelope::device::Device;
use crate::envelope::device::Hash;
use crate::envelope::device::OwnDevice;
use crate::envelope::header::Header;
use crate::envelope::plaintext::Message;
use crate::envelope::sealed::Envelope;
use crate::envelope::sealed::Sealed;
use crate::envelope::sealed::commitment;

/// Why an envelope is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Reason {
    Malformed,
    Misdirected,
    Forged,
    UnknownDevice,
    Replay,
    Undecryptable,
}

/// What is shown with a message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Notice {
    /// Number of messages that never arrived.
    Missing(u64),
    /// The message does not continue the previous one.
    Discontinuous,
    /// The message was also encrypted for an unknown device.
    UnknownRecipient,
}

/// What the server states with an envelope.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Claimed {
    pub(crate) conversation: String,
    pub(crate) sender: String,
    pub(crate) device: String,
    pub(crate) cid: String,
    /// Seconds.
    pub(crate) lifetime: u32,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Received {
    /// `None`: this device is not a recipient.
    pub(crate) message: Option<Message>,
    pub(crate) notices: Vec<Notice>,
}

/// Counter and hash of the last envelope.
#[derive(Clone, Copy, Default)]
struct Last {
    counter: u64,
    hash: Hash,
}

pub(crate) struct Receiver<'a> {
    own: &'a OwnDevice,
    /// Earlier generations of the own device that are still kept.
    retired: &'a [OwnDevice],
    /// The pinned devices of both people.
    pinned: &'a [Device],
    /// By conversation, sender and device.
    chains: HashMap<(String, String, String), Last>,
}

impl<'a> Receiver<'a> {
    pub(crate) fn new(own: &'a OwnDevice, pinned: &'a [Device]) -> Self {
        Self { own, retired: &[], pinned, chains: HashMap::new() }
    }

    pub(crate) fn with_retired(self, retired: &'a [OwnDevice]) -> Self {
        Self { retired, ..self }
    }

    pub(crate) fn receive(
        &mut self,
        envelope: &Envelope,
        claimed: &Claimed,
    ) -> Result<Received, Reason> {
        let sender = self.sender(claimed)?;
        let sealed = envelope.decode().ok_or(Reason::Malformed)?;
        self.receive_from(sender, &sealed, claimed)
    }

    pub(crate) fn receive_sealed(
        &mut self,
        sealed: &Sealed,
        claimed: &Claimed,
    ) -> Result<Received, Reason> {
        self.receive_from(self.sender(claimed)?, sealed, claimed)
    }

    fn receive_from(
        &mut self,
        sender: &Device,
        sealed: &Sealed,
        claimed: &Claimed,
    ) -> Result<Received, Reason> {
        let header = parse(sealed).ok_or(Reason::Malformed)?;
        let stated = [&claimed.conversation, &claimed.sender, &claimed.device, &claimed.cid];
        let signed = [&header.conversation, &header.sender, &header.device, &header.cid];
        if stated != signed || claimed.lifetime != header.lifetime {
            return Err(Reason::Misdirected);
        }
        if !sender.verifies(&sealed.signed(), &sealed.signature) {
            return Err(Reason::Forged);
        }
        let mut notices = self.follow(sealed, &header)?;
        let message = self.open(sealed, &header)?;
        for recipient in &header.recipients {
            let known = self.find(&recipient.account, &recipient.device);
            if known.is_none_or(|device| device.fingerprint() != recipient.fingerprint) {
                notices.push(Notice::UnknownRecipient);
                break;
            }
        }
        Ok(Received { message, notices })
    }

    fn sender(&self, claimed: &Claimed) -> Result<&'a Device, Reason> {
        self.find(&claimed.sender, &claimed.device).ok_or(Reason::UnknownDevice)
    }

    fn find(&self, account: &str, device: &str) -> Option<&'a Device> {
        self.pinned.iter().find(|known| known.account == account && known.device == device)
    }

    /// Checks the chain and advances it.
    fn follow(&mut self, sealed: &Sealed, header: &Header) -> Result<Vec<Notice>, Reason> {
        let chain = (header.conversation.clone(), header.sender.clone(), header.device.clone());
        let last = self.chains.entry(chain).or_default();
        if header.counter <= last.counter {
            return Err(Reason::Replay);
        }
        let missing = header.counter - last.counter - 1;
        let mut notices = Vec::new();
        if missing > 0 {
            notices.push(Notice::Missing(missing));
        } else if header.previous != last.hash {
            notices.push(Notice::Discontinuous);
        }
        *last = Last { counter: header.counter, hash: sealed.hash() };
        Ok(notices)
    }

    fn open(&self, sealed: &Sealed, header: &Header) -> Result<Option<Message>, Reason> {
        let public = &self.own.public;
        let mine = header.recipients.iter().position(|recipient| {
            recipient.account == public.account && recipient.device == public.device
        });
        let Some(mine) = mine else { return Ok(None) };
        let fingerprint = header.recipients[mine].fingerprint;
        let mut kept = self.retired.iter().chain([self.own]);
        let kept = kept.find(|own| own.fingerprint == fingerprint);
        let message_key = kept.and_then(|own| own.unwrap_key(&sealed.keys[mine].key));
        let message_key = message_key.filter(|key| commitment(key) == header.commitment);
        let plaintext = message_key.and_then(|key| sealed.decrypt(&key));
        let message = plaintext.and_then(|plaintext| Message::parse(&plaintext));
        message.map(Some).ok_or(Reason::Undecryptable)
    }
}

/// `None`: the header is not canonical, or nonce or wrapped keys do not fit.
fn parse(sealed: &Sealed) -> Option<Header> {
    let header = Header::parse(&sealed.header)?;
    let recipients = header.recipients.iter().map(|recipient| &recipient.device);
    let fits = sealed.nonce.len() == 12 && recipients.eq(sealed.keys.iter().map(|key| &key.device));
    fits.then_some(header)
}
