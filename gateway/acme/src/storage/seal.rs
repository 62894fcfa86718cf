//! Seals values with AES-256-GCM under a key derived from the operator's secret by HKDF (RFC 5869).

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf;

use super::interface::{LEAST_SECRET, StorageError};

/// Seals and opens. Every replica with the same secret opens what another sealed.
pub(super) struct Seal(RandomizedNonceKey);

impl Seal {
    pub(super) fn new(secret: &[u8]) -> Result<Self, StorageError> {
        if secret.len() < LEAST_SECRET {
            return Err(StorageError::ShortSecret { got: secret.len() });
        }
        let rejected = |_: Unspecified| {
            let reason = "the cryptographic library rejected the key";
            StorageError::unavailable("seal", "values", reason)
        };
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"gatehouse certificate storage");
        let extracted = salt.extract(secret);
        let okm = extracted.expand(&[b"seal 1"], hkdf::HKDF_SHA256).map_err(rejected)?;
        let mut key = [0u8; 32];
        okm.fill(&mut key).map_err(rejected)?;
        RandomizedNonceKey::new(&AES_256_GCM, &key).map(Self).map_err(rejected)
    }

    /// `version ‖ nonce ‖ ciphertext ‖ tag`. The key of the value is authenticated, so that values
    /// cannot be swapped.
    pub(super) fn seal(&self, place: &str, plain: &[u8]) -> Result<Vec<u8>, StorageError> {
        let mut text = plain.to_vec();
        let nonce =
            self.0.seal_in_place_append_tag(Aad::from(place.as_bytes()), &mut text).map_err(
                |_| StorageError::unavailable("seal", place, "the cryptographic library failed"),
            )?;
        let mut sealed = Vec::with_capacity(1 + NONCE_LEN + text.len());
        sealed.push(VERSION);
        sealed.extend_from_slice(nonce.as_ref());
        sealed.append(&mut text);
        Ok(sealed)
    }

    pub(super) fn open(&self, place: &str, sealed: &[u8]) -> Result<Vec<u8>, StorageError> {
        let wrong = || StorageError::Sealed { place: place.to_owned() };
        let (version, rest) = sealed.split_first().ok_or_else(wrong)?;
        let (nonce, text) = rest.split_first_chunk::<NONCE_LEN>().ok_or_else(wrong)?;
        if *version != VERSION {
            return Err(wrong());
        }
        let mut text = text.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = self
            .0
            .open_in_place(nonce, Aad::from(place.as_bytes()), &mut text)
            .map_err(|_| wrong())?
            .len();
        text.truncate(plain);
        Ok(text)
    }
}

const VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

    #[test]
    fn another_replica_with_the_same_secret_opens_the_value() {
        let sealed = Seal::new(SECRET).unwrap().seal("a", b"key").unwrap();
        assert!(!sealed.windows(3).any(|window| window == b"key"));
        assert_eq!(Seal::new(SECRET).unwrap().open("a", &sealed).unwrap(), b"key");
    }

    #[test]
    fn a_value_that_was_moved_changed_or_truncated_does_not_open() {
        let seal = Seal::new(SECRET).unwrap();
        let mut sealed = seal.seal("a", b"key").unwrap();
        assert!(matches!(seal.open("b", &sealed), Err(StorageError::Sealed { .. })));
        assert!((0..sealed.len()).all(|length| seal.open("a", &sealed[..length]).is_err()));
        *sealed.last_mut().unwrap() ^= 1;
        assert!(seal.open("a", &sealed).is_err());
    }

    #[test]
    fn a_short_secret_is_rejected() {
        assert!(matches!(Seal::new(b"hunter2"), Err(StorageError::ShortSecret { got: 7 })));
    }
}
