//! Sections "Primitives" and "Devices" of `docs/E2E.md`: the key pairs of a device and its
//! fingerprint.

use aws_lc_rs::digest::SHA256;
use aws_lc_rs::digest::digest;
use aws_lc_rs::rsa::OAEP_SHA256_MGF1SHA256;
use aws_lc_rs::rsa::OaepPrivateDecryptingKey;
use aws_lc_rs::rsa::OaepPublicEncryptingKey;
use aws_lc_rs::rsa::PrivateDecryptingKey;
use aws_lc_rs::rsa::PublicEncryptingKey;
use aws_lc_rs::signature::ED25519;
use aws_lc_rs::signature::Ed25519KeyPair;
use aws_lc_rs::signature::KeyPair;
use aws_lc_rs::signature::UnparsedPublicKey;

use crate::envelope::encoding::Writer;

pub(crate) const SUITE: &str = "rsa-aes-1";

/// Modulus of the encryption key, in bits.
const MODULUS: usize = 3072;
/// The public exponent 65537 at the end of a `RSAPublicKey`, as DER.
const EXPONENT: &[u8] = &[2, 3, 1, 0, 1];
/// `SubjectPublicKeyInfo` of Ed25519 in front of the 32 bytes of the key (RFC 8410 section 4).
const ED25519_INFO: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0];

pub(crate) type Hash = [u8; 32];

pub(crate) fn sha256(bytes: &[u8]) -> Hash {
    digest(&SHA256, bytes).as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// Fixed bytes for the keys and nonces of tests.
pub(crate) fn fixed<const N: usize>(purpose: &str) -> [u8; N] {
    sha256(purpose.as_bytes())[..N].try_into().expect("SHA-256 has enough bytes")
}

/// The name and public keys of a device.
#[derive(Clone)]
pub(crate) struct Device {
    pub(crate) account: String,
    pub(crate) device: String,
    /// `SubjectPublicKeyInfo` in DER.
    pub(crate) encryption_key: Vec<u8>,
    /// `SubjectPublicKeyInfo` in DER.
    pub(crate) signing_key: Vec<u8>,
}

impl Device {
    /// `None`: a key is not of this suite.
    pub(crate) fn new(account: &str, device: &str, rsa: &[u8], ed25519: &[u8]) -> Option<Self> {
        let encryption = PublicEncryptingKey::from_der(rsa).ok()?;
        let fits = encryption.key_size_bits() == MODULUS && rsa.ends_with(EXPONENT);
        let raw = ed25519.strip_prefix(ED25519_INFO)?;
        (fits && raw.len() == 32).then(|| Self {
            account: account.to_owned(),
            device: device.to_owned(),
            encryption_key: rsa.to_vec(),
            signing_key: ed25519.to_vec(),
        })
    }

    pub(crate) fn fingerprint(&self) -> Hash {
        let named = Writer::default()
            .text("gatehouse/device/1")
            .text(SUITE)
            .text(&self.account)
            .text(&self.device)
            .bytes(&self.encryption_key)
            .bytes(&self.signing_key);
        sha256(&named.finish())
    }

    pub(crate) fn wrap(&self, message_key: &[u8]) -> Vec<u8> {
        let key = PublicEncryptingKey::from_der(&self.encryption_key).expect("checked in `new`");
        let key = OaepPublicEncryptingKey::new(key).expect("an RSA key works for OAEP");
        let mut wrapped = vec![0; key.ciphertext_size()];
        key.encrypt(&OAEP_SHA256_MGF1SHA256, message_key, &mut wrapped, None)
            .expect("32 bytes fit");
        wrapped
    }

    pub(crate) fn verifies(&self, signed: &[u8], signature: &[u8]) -> bool {
        let raw = &self.signing_key[ED25519_INFO.len()..];
        UnparsedPublicKey::new(&ED25519, raw).verify(signed, signature).is_ok()
    }
}

/// A device with its private keys.
pub(crate) struct OwnDevice {
    pub(crate) public: Device,
    pub(crate) fingerprint: Hash,
    decryption: OaepPrivateDecryptingKey,
    signing: Ed25519KeyPair,
}

impl OwnDevice {
    /// From PKCS #8. `None`: the private keys do not belong to the public ones.
    pub(crate) fn new(public: Device, rsa: &[u8], ed25519: &[u8]) -> Option<Self> {
        let decryption = PrivateDecryptingKey::from_pkcs8(rsa).ok()?;
        let decryption = OaepPrivateDecryptingKey::new(decryption).ok()?;
        let signing = Ed25519KeyPair::from_pkcs8_maybe_unchecked(ed25519).ok()?;
        let matches = public.signing_key.ends_with(signing.public_key().as_ref());
        let fingerprint = public.fingerprint();
        let own = Self { public, fingerprint, decryption, signing };
        let probe = own.public.wrap(&[7; 32]);
        (matches && own.unwrap_key(&probe) == Some([7; 32])).then_some(own)
    }

    pub(crate) fn sign(&self, signed: &[u8]) -> Vec<u8> {
        self.signing.sign(signed).as_ref().to_vec()
    }

    /// `None`: the wrapped key does not open to 32 bytes.
    pub(crate) fn unwrap_key(&self, wrapped: &[u8]) -> Option<[u8; 32]> {
        let mut opened = vec![0; self.decryption.min_output_size()];
        let algorithm = &OAEP_SHA256_MGF1SHA256;
        let opened = self.decryption.decrypt(algorithm, wrapped, &mut opened, None).ok()?;
        (*opened).try_into().ok()
    }
}

/// `SubjectPublicKeyInfo` of a raw Ed25519 key.
pub(crate) fn ed25519_info(raw: &[u8]) -> Vec<u8> {
    [ED25519_INFO, raw].concat()
}
