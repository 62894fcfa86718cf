//! End-to-end encrypted envelopes, which the server relays and cannot read. Byte layout:
//! `docs/E2E.md`.

use serde::{Deserialize, Serialize};

use crate::id::DeviceId;
use crate::limits::{MAX_CIPHERTEXT, MAX_DEVICES};

/// The base64url header: several times the largest one of suite `rsa-aes-1`.
const MAX_HEADER: usize = 8 * 1024;

/// One end-to-end encrypted message. Binary fields are base64url without padding (RFC 4648 section
/// 5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    /// The cipher suite, such as `rsa-aes-1`.
    pub suite: String,
    /// The canonical header: additional data of the AEAD, and signed.
    pub header: String,
    /// The AEAD nonce.
    pub nonce: String,
    /// The padded plaintext, encrypted once.
    pub ciphertext: String,
    /// The message key, wrapped for every device of both people.
    pub keys: Vec<WrappedKey>,
    /// The sending device's signature over the whole envelope.
    pub signature: String,
}

/// The message key for one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct WrappedKey {
    /// The device that can unwrap it.
    pub device: DeviceId,
    /// The wrapped key.
    pub key: String,
}

impl Envelope {
    /// Checks the shape and the bounded sizes, never the content. The error names the field and
    /// what was expected.
    pub fn check(&self) -> Result<(), &'static str> {
        let base64url = |text: &str, max: usize| {
            !text.is_empty()
                && text.len() <= max
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        if self.suite.is_empty() || self.suite.len() > 32 || !self.suite.is_ascii() {
            return Err("suite must be the name of a cipher suite, such as `rsa-aes-1`");
        }
        if !base64url(&self.header, MAX_HEADER) {
            return Err("header must be base64url, at most 8 KiB");
        }
        if !base64url(&self.nonce, 64) {
            return Err("nonce must be base64url, at most 64 characters");
        }
        if !base64url(&self.ciphertext, MAX_CIPHERTEXT) {
            return Err("ciphertext must be base64url, at most 40 KiB");
        }
        if !base64url(&self.signature, 1024) {
            return Err("signature must be base64url, at most 1 KiB");
        }
        if self.keys.is_empty() || self.keys.len() > 2 * MAX_DEVICES {
            return Err("keys must hold one wrapped key for each device of both people, 1 to 16");
        }
        if !self.keys.iter().all(|wrapped| base64url(&wrapped.key, 2048)) {
            return Err("keys[].key must be base64url, at most 2 KiB");
        }
        Ok(())
    }
}
