//! Section "Envelope" of `docs/E2E.md`.

use aws_lc_rs::aead::AES_256_GCM;
use aws_lc_rs::aead::Aad;
use aws_lc_rs::aead::LessSafeKey;
use aws_lc_rs::aead::Nonce;
use aws_lc_rs::aead::UnboundKey;
use serde::Deserialize;
use serde::Serialize;

use crate::envelope::device::Device;
use crate::envelope::device::Hash;
use crate::envelope::device::OwnDevice;
use crate::envelope::device::SUITE;
use crate::envelope::device::sha256;
use crate::envelope::encoding::Writer;
use crate::envelope::encoding::from_base64url;
use crate::envelope::encoding::to_base64url;

/// The envelope on the wire. Binary fields are base64url.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Envelope {
    pub(crate) suite: String,
    pub(crate) header: String,
    pub(crate) nonce: String,
    pub(crate) ciphertext: String,
    pub(crate) keys: Vec<KeyField>,
    pub(crate) signature: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyField {
    pub(crate) device: String,
    pub(crate) key: String,
}

impl Envelope {
    /// `None`: another suite, or a field is not canonical base64url.
    pub(crate) fn decode(&self) -> Option<Sealed> {
        let mut keys = Vec::new();
        for KeyField { device, key } in &self.keys {
            keys.push(WrappedKey { device: device.clone(), key: from_base64url(key)? });
        }
        let sealed = Sealed {
            header: from_base64url(&self.header)?,
            nonce: from_base64url(&self.nonce)?,
            ciphertext: from_base64url(&self.ciphertext)?,
            keys,
            signature: from_base64url(&self.signature)?,
        };
        (self.suite == SUITE).then_some(sealed)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct WrappedKey {
    pub(crate) device: String,
    pub(crate) key: Vec<u8>,
}

/// The envelope in bytes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sealed {
    pub(crate) header: Vec<u8>,
    pub(crate) nonce: Vec<u8>,
    pub(crate) ciphertext: Vec<u8>,
    pub(crate) keys: Vec<WrappedKey>,
    pub(crate) signature: Vec<u8>,
}

impl Sealed {
    /// Seals any bytes under any header: tests need wrong ones too.
    pub(crate) fn seal(
        sender: &OwnDevice,
        recipients: &[Device],
        header: Vec<u8>,
        plaintext: &[u8],
        message_key: &[u8; 32],
        nonce: [u8; 12],
    ) -> Self {
        let ciphertext = encrypt(message_key, nonce, &header, plaintext);
        let mut keys = Vec::new();
        for recipient in recipients {
            let key = recipient.wrap(message_key);
            keys.push(WrappedKey { device: recipient.device.clone(), key });
        }
        let nonce = nonce.to_vec();
        let mut sealed = Self { header, nonce, ciphertext, keys, signature: Vec::new() };
        sealed.signature = sender.sign(&sealed.signed());
        sealed
    }

    /// What the signature covers.
    pub(crate) fn signed(&self) -> Vec<u8> {
        let mut signed = Writer::default()
            .text("gatehouse/envelope/2")
            .bytes(&self.header)
            .bytes(&self.nonce)
            .bytes(&self.ciphertext)
            .count(self.keys.len());
        for WrappedKey { device, key } in &self.keys {
            signed = signed.text(device).bytes(key);
        }
        signed.finish()
    }

    pub(crate) fn hash(&self) -> Hash {
        sha256(&self.signed())
    }

    /// `None`: the nonce has another length, or the tag does not match.
    pub(crate) fn decrypt(&self, message_key: &[u8; 32]) -> Option<Vec<u8>> {
        let nonce = Nonce::try_assume_unique_for_key(&self.nonce).ok()?;
        let mut bytes = self.ciphertext.clone();
        let aad = Aad::from(&self.header);
        let opened = content_key(message_key).open_in_place(nonce, aad, &mut bytes).ok()?;
        Some(opened.to_vec())
    }

    pub(crate) fn encode(&self) -> Envelope {
        let mut keys = Vec::new();
        for WrappedKey { device, key } in &self.keys {
            keys.push(KeyField { device: device.clone(), key: to_base64url(key) });
        }
        Envelope {
            suite: SUITE.to_owned(),
            header: to_base64url(&self.header),
            nonce: to_base64url(&self.nonce),
            ciphertext: to_base64url(&self.ciphertext),
            keys,
            signature: to_base64url(&self.signature),
        }
    }
}

/// What a header states about the message key.
pub(crate) fn commitment(message_key: &[u8; 32]) -> Hash {
    sha256(&Writer::default().text("gatehouse/message-key/1").raw(message_key).finish())
}

/// The ciphertext with its tag.
pub(crate) fn encrypt(key: &[u8; 32], nonce: [u8; 12], header: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let nonce = Nonce::assume_unique_for_key(nonce);
    let mut bytes = plaintext.to_vec();
    let sealing = content_key(key);
    sealing.seal_in_place_append_tag(nonce, Aad::from(header), &mut bytes).expect("AES-GCM seals");
    bytes
}

fn content_key(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("the key has 32 bytes"))
}
