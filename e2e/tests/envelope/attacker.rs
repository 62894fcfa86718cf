//! Envelopes that a malicious sender with valid keys can make, and that every receiver rejects.

use crate::envelope::device::fixed;
use crate::envelope::encoding::LARGEST;
use crate::envelope::encoding::Writer;
use crate::envelope::header::Header;
use crate::envelope::header::LogHead;
use crate::envelope::header::Read;
use crate::envelope::header::conversation;
use crate::envelope::header::in_order;
use crate::envelope::header::recipients;
use crate::envelope::plaintext::Content;
use crate::envelope::plaintext::Message;
use crate::envelope::plaintext::pad;
use crate::envelope::receiving::Claimed;
use crate::envelope::receiving::Reason;
use crate::envelope::sealed::Envelope;
use crate::envelope::sealed::Sealed;
use crate::envelope::sealed::commitment;
use crate::envelope::vectors::NegativeVector;
use crate::envelope::vectors::Vectors;

const PEOPLE: [&str; 2] = ["ana", "ana-b"];
/// The device that rejects the bad envelopes.
pub(crate) const RECEIVER: (&str, &str) = ("ana-b", "desk");
/// The device that sealed them.
const ATTACKER: (&str, &str) = ("ana", "～");

/// A malicious sender with valid keys.
pub(crate) struct Attacker<'a> {
    vectors: &'a Vectors,
    header: Header,
    plaintext: Vec<u8>,
}

impl<'a> Attacker<'a> {
    pub(crate) fn new(vectors: &'a Vectors) -> Self {
        let header = Header {
            conversation: conversation("ana", "ana-b"),
            sender: ATTACKER.0.to_owned(),
            device: ATTACKER.1.to_owned(),
            cid: "bad".to_owned(),
            counter: 1,
            previous: [0; 32],
            commitment: commitment(&fixed("bad key")),
            lifetime: 0,
            own_log: LogHead::default(),
            peer_log: LogHead::default(),
            read: Read::default(),
            recipients: recipients(&vectors.devices_of(&PEOPLE)),
        };
        let message = Message { written_at: 1, content: Content::Text("bad".to_owned()) };
        Self { vectors, header, plaintext: message.encode().expect("the message fits") }
    }

    fn sealed(&self, header: Vec<u8>, plaintext: &[u8]) -> Sealed {
        let own = self.vectors.find(ATTACKER.0, ATTACKER.1).own();
        let to = in_order(&self.vectors.devices_of(&PEOPLE));
        Sealed::seal(&own, &to, header, plaintext, &fixed("bad key"), fixed("bad nonce"))
    }

    fn header(&self, change: impl FnOnce(&mut Header)) -> Envelope {
        let mut header = self.header.clone();
        change(&mut header);
        self.sealed(header.encode(), &self.plaintext).encode()
    }

    fn body(&self, body: Writer) -> Envelope {
        self.plaintext(&pad(&body.finish()).expect("the body fits"))
    }

    fn plaintext(&self, plaintext: &[u8]) -> Envelope {
        self.sealed(self.header.encode(), plaintext).encode()
    }

    /// Changes an envelope and signs it again.
    fn signed(&self, change: impl FnOnce(&mut Sealed)) -> Envelope {
        let mut sealed = self.sealed(self.header.encode(), &self.plaintext);
        change(&mut sealed);
        sealed.signature = self.vectors.find(ATTACKER.0, ATTACKER.1).own().sign(&sealed.signed());
        sealed.encode()
    }

    /// The receiver's index among the recipients.
    fn target(&self) -> usize {
        let mut all = self.header.recipients.iter();
        let at = all.position(|to| (to.account.as_str(), to.device.as_str()) == RECEIVER);
        at.expect("the receiver is a recipient")
    }

    fn bad_headers(&self) -> Vec<(&'static str, Reason, Envelope)> {
        let target = self.target();
        let swapped = self.signed(|sealed| {
            let mut header = self.header.clone();
            header.recipients.swap(0, 1);
            sealed.header = header.encode();
            sealed.keys.swap(0, 1);
        });
        let twice = self.signed(|sealed| {
            let mut header = self.header.clone();
            header.recipients.insert(0, header.recipients[0].clone());
            sealed.header = header.encode();
            sealed.keys.insert(0, sealed.keys[0].clone());
        });
        let text = self.signed(|sealed| {
            let at = sealed.header.windows(3).position(|bytes| bytes == b"bad");
            sealed.header[at.expect("the cid is in the header")] = 0xff;
        });
        let unused = with_unused_bits(self.signed(|_| ()));
        let mut padded = self.signed(|_| ());
        padded.signature.push_str("==");
        vec![
            ("recipients in UTF-16 order", Reason::Malformed, swapped),
            ("a recipient twice", Reason::Malformed, twice),
            ("a header that is not UTF-8", Reason::Malformed, text),
            ("a counter of 2^53", Reason::Malformed, self.header(|it| it.counter = LARGEST + 1)),
            ("unused bits of base64url", Reason::Malformed, unused),
            ("padded base64url", Reason::Malformed, padded),
            ("counter 0", Reason::Malformed, self.header(|it| it.counter = 0)),
            (
                "a commitment to another message key",
                Reason::Undecryptable,
                self.header(|it| it.commitment = commitment(&fixed("other key"))),
            ),
            (
                "another fingerprint of the receiver",
                Reason::Undecryptable,
                self.header(|it| it.recipients[target].fingerprint[0] ^= 1),
            ),
        ]
    }

    /// What the sender states about itself.
    fn bad_statements(&self) -> Vec<(&'static str, Reason, Envelope)> {
        let hash = [7; 32];
        let log = |version, head| LogHead { version, head };
        let own = |version, head| self.header(|it| it.own_log = log(version, head));
        let peer = |version, head| self.header(|it| it.peer_log = log(version, head));
        let read = |device: &str, counter, hash| {
            self.header(|it| it.read = Read { device: device.to_owned(), counter, hash })
        };
        let version_1 = self.signed(|sealed| {
            let label = sealed.header.windows(2).position(|bytes| bytes == b"/2");
            sealed.header[label.expect("the label is in the header") + 1] = b'1';
        });
        let envelopes = [
            ("a header of version 1", version_1),
            ("a lifetime of one second", self.header(|it| it.lifetime = 1)),
            ("a lifetime of 2^32 - 1 seconds", self.header(|it| it.lifetime = u32::MAX)),
            ("a log version of 2^53", own(LARGEST + 1, hash)),
            ("the own log at version 0 with a head", own(0, hash)),
            ("the own log at version 1 without a head", own(1, [0; 32])),
            ("the other log at version 0 with a head", peer(0, hash)),
            ("the other log at version 1 without a head", peer(1, [0; 32])),
            ("a counter read from no device", read("", 1, [0; 32])),
            ("a hash read from no device", read("", 0, hash)),
            ("an envelope read from no device", read("", 1, hash)),
            ("a read device without an envelope", read("desk", 0, [0; 32])),
            ("a read device with counter 0", read("desk", 0, hash)),
            ("a read device without a hash", read("desk", 1, [0; 32])),
            ("a read counter of 2^53", read("desk", LARGEST + 1, hash)),
        ];
        let envelopes = envelopes.into_iter();
        envelopes.map(|(name, envelope)| (name, Reason::Malformed, envelope)).collect()
    }

    fn bad_contents(&self) -> Vec<(&'static str, Reason, Envelope)> {
        let target = self.target();
        let head = |version, kind, at| Writer::default().u8(version).u8(kind).u64(at);
        let mut padding = self.plaintext.clone();
        *padding.last_mut().expect("a plaintext is not empty") = 1;
        let larger = [&self.plaintext[..], &[0; 256]].concat();
        let beyond = [&[0, 0, 1, 0][..], &self.plaintext[4..]].concat();
        let other = self.signed(|sealed| {
            sealed.keys[target].key = sealed.keys[target + 1].key.clone();
        });
        let short = self.signed(|sealed| {
            let public = self.vectors.find(RECEIVER.0, RECEIVER.1).public();
            sealed.keys[target].key = public.wrap(&[0; 16]);
        });
        let header = self.signed(|sealed| {
            let header = Header { counter: 2, ..self.header.clone() };
            sealed.header = header.encode();
        });
        let envelopes = [
            ("non-zero padding", self.plaintext(&padding)),
            ("a size that is not the smallest", self.plaintext(&larger)),
            ("a size that is none", self.plaintext(&self.plaintext[..255])),
            ("a body longer than the plaintext", self.plaintext(&beyond)),
            ("an empty plaintext", self.plaintext(&[])),
            ("a content of version 1", self.body(head(1, 1, 1).text("bad"))),
            ("a content of version 3", self.body(head(3, 1, 1).text("bad"))),
            ("a content of kind 0", self.body(head(2, 0, 1).text("bad"))),
            ("a content of kind 3", self.body(head(2, 3, 1).text("bad"))),
            ("a change of the lifetime with a text", self.body(head(2, 2, 1).text("bad"))),
            ("a time of 2^53", self.body(head(2, 1, LARGEST + 1).text("bad"))),
            ("a text that is not UTF-8", self.body(head(2, 1, 1).bytes(&[0xc0, 0x80]))),
            ("a surrogate in UTF-8", self.body(head(2, 1, 1).bytes(&[0xed, 0xa0, 0x80]))),
            ("bytes after the text", self.body(head(2, 1, 1).text("bad").u8(0))),
            ("the wrapped key of another device", other),
            ("a message key of 16 bytes", short),
            ("the header of another message, signed", header),
        ];
        let envelopes = envelopes.into_iter();
        envelopes.map(|(name, envelope)| (name, Reason::Undecryptable, envelope)).collect()
    }

    pub(crate) fn negative(&self) -> Vec<NegativeVector> {
        let claimed = Claimed {
            conversation: self.header.conversation.clone(),
            sender: self.header.sender.clone(),
            device: self.header.device.clone(),
            cid: self.header.cid.clone(),
            lifetime: self.header.lifetime,
        };
        let mut all = Vec::new();
        let bad = [self.bad_headers(), self.bad_statements(), self.bad_contents()];
        for (name, reason, envelope) in bad.concat() {
            let claimed = claimed.clone();
            all.push(NegativeVector { name: name.to_owned(), envelope, claimed, reason });
        }
        all
    }
}

/// The 64 bytes of a signature leave four unused bits.
fn with_unused_bits(mut envelope: Envelope) -> Envelope {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = envelope.signature.pop().expect("a signature is not empty");
    let at = alphabet.iter().position(|letter| char::from(*letter) == last);
    let at = at.expect("a signature is base64url");
    envelope.signature.push(char::from(alphabet[at + 1]));
    envelope
}
