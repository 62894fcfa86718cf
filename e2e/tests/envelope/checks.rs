//! The checks of everything in a vector file.

use crate::envelope::device::Device;
use crate::envelope::device::SUITE;
use crate::envelope::encoding::from_base64url;
use crate::envelope::header::Header;
use crate::envelope::header::recipients;
use crate::envelope::plaintext::Message;
use crate::envelope::receiving::Reason;
use crate::envelope::receiving::Receiver;
use crate::envelope::safety;
use crate::envelope::sealed::commitment;
use crate::envelope::sealed::encrypt;
use crate::envelope::statement::statement;
use crate::envelope::vectors::SafetyVector;
use crate::envelope::vectors::Vectors;
use crate::envelope::vectors::bytes;
use crate::envelope::vectors::hash;

impl Vectors {
    pub(crate) fn check_devices(&self) {
        assert_eq!(self.suite, SUITE);
        assert!(self.devices.len() > 2, "a vector file has devices of two people");
        for vector in &self.devices {
            let (own, device) = (vector.own(), &vector.device);
            assert_eq!(hex::encode(own.fingerprint), vector.fingerprint, "{device}");
            let signed = statement(&own.public, vector.generation, vector.created_at);
            let signature = from_base64url(&vector.signature).expect("signature is base64url");
            assert!(own.public.verifies(&signed, &signature), "{device}: statement");
            let next = statement(&own.public, vector.generation + 1, vector.created_at);
            assert!(!own.public.verifies(&next, &signature), "{device}: another generation");
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
                previous: hash(&vector.previous),
                commitment: commitment(&vector.message_key()),
                lifetime: vector.lifetime,
                own_log: vector.own_log.log_head(),
                peer_log: vector.peer_log.log_head(),
                read: vector.read.read(),
                recipients: recipients(&devices),
            };
            assert_eq!(hex::encode(header.commitment), vector.commitment, "{name}: commitment");
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
            let (first, second) = (hash(&a.identity_key), hash(&b.identity_key));
            let found = safety::number((&a.account, &first), (&b.account, &second));
            assert_eq!(&found, number, "{} and {}", a.account, b.account);
            let found = safety::number((&b.account, &second), (&a.account, &first));
            assert_eq!(&found, number, "{} and {}", b.account, a.account);
        }
    }
}
