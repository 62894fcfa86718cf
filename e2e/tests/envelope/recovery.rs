//! Sections "Account identity" and "Recovery code" of `docs/E2E.md`.

use aws_lc_rs::aead::AES_256_GCM;
use aws_lc_rs::aead::Aad;
use aws_lc_rs::aead::LessSafeKey;
use aws_lc_rs::aead::NONCE_LEN;
use aws_lc_rs::aead::Nonce;
use aws_lc_rs::aead::UnboundKey;
use aws_lc_rs::hkdf::HKDF_SHA256;
use aws_lc_rs::hkdf::Salt;
use aws_lc_rs::signature::Ed25519KeyPair;
use aws_lc_rs::signature::KeyPair;
use serde::Deserialize;

use crate::envelope::device::sha256;
use crate::envelope::device_log::Key;
use crate::envelope::encoding::Writer;
use crate::envelope::encoding::from_base64url;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Characters of the 128 bits and two zero bits.
const DATA: usize = 26;
/// With the check characters.
const CHARACTERS: usize = 28;
const GROUP: usize = 4;

pub(crate) type Code = [u8; 16];

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "fault", rename_all = "kebab-case")]
pub(crate) enum CodeFault {
    TooShort { missing: usize },
    TooLong { extra: usize },
    Character { character: char, position: usize },
    Check,
}

/// Seven groups of four.
pub(crate) fn format(code: &Code) -> String {
    let bits = u128::from_be_bytes(*code);
    let mut text = Vec::new();
    for at in 0..DATA {
        // The last character has three bits of the code.
        let value = if at < DATA - 1 { bits >> (123 - 5 * at) } else { bits << 2 };
        text.push(char::from(ALPHABET[(value & 31) as usize]));
    }
    text.extend(check(code).chars());
    let groups: Vec<String> = text.chunks(GROUP).map(|group| group.iter().collect()).collect();
    groups.join("-")
}

pub(crate) fn parse(text: &str) -> Result<Code, CodeFault> {
    let typed: Vec<char> = text.chars().filter(|typed| !is_separator(*typed)).collect();
    let mut values = Vec::new();
    for (at, character) in typed.iter().enumerate() {
        let fault = CodeFault::Character { character: *character, position: at + 1 };
        values.push(value_of(*character).ok_or(fault)?);
    }
    if values.len() < CHARACTERS {
        return Err(CodeFault::TooShort { missing: CHARACTERS - values.len() });
    }
    if values.len() > CHARACTERS {
        return Err(CodeFault::TooLong { extra: values.len() - CHARACTERS });
    }
    let whole = values[..DATA - 1].iter().fold(0, |bits: u128, value| bits << 5 | value);
    let last = values[DATA - 1];
    let code = (whole << 3 | last >> 2).to_be_bytes();
    let checked: String =
        values[DATA..].iter().map(|value| char::from(ALPHABET[*value as usize])).collect();
    if last & 3 == 0 && checked == check(&code) { Ok(code) } else { Err(CodeFault::Check) }
}

fn is_separator(typed: char) -> bool {
    let hyphens = ['-', '\u{ad}', '\u{200b}', '\u{2212}', '\u{feff}'];
    typed.is_whitespace() || hyphens.contains(&typed) || ('\u{2010}'..='\u{2015}').contains(&typed)
}

fn value_of(typed: char) -> Option<u128> {
    let letter = match typed.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    ALPHABET.iter().position(|known| char::from(*known) == letter).map(|value| value as u128)
}

/// The first 10 bits of the hash, as two characters.
fn check(code: &Code) -> String {
    let hash = sha256(&Writer::default().text("gatehouse/recovery-code/1").raw(code).finish());
    let bits = u16::from_be_bytes([hash[0], hash[1]]);
    [bits >> 11, bits >> 6]
        .map(|value| char::from(ALPHABET[usize::from(value & 31)]))
        .iter()
        .collect()
}

/// HKDF-SHA256 (RFC 5869) of the code, without salt.
fn derive(code: &Code, purpose: &str) -> [u8; 32] {
    let info = Writer::default().text(purpose).finish();
    let secret = Salt::new(HKDF_SHA256, &[]).extract(code);
    let mut derived = [0; 32];
    let expanded = secret.expand(&[&info], HKDF_SHA256).and_then(|okm| {
        okm.fill(&mut derived)?;
        Ok(())
    });
    expanded.expect("HKDF expands to 32 bytes");
    derived
}

pub(crate) fn seal_key(code: &Code) -> [u8; 32] {
    derive(code, "gatehouse/recovery/1/seal")
}

/// What the server exchanges for the sealed identity.
pub(crate) fn token(code: &Code) -> [u8; 32] {
    derive(code, "gatehouse/recovery/1/open")
}

fn context(account: &str, identity_key: &Key) -> Vec<u8> {
    Writer::default().text("gatehouse/identity/1").text(account).raw(identity_key).finish()
}

fn key(code: &Code) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &seal_key(code)).expect("the key has 32 bytes"))
}

/// nonce ‖ ciphertext.
pub(crate) fn seal(
    code: &Code,
    account: &str,
    identity_key: &Key,
    pkcs8: &[u8],
    nonce: [u8; NONCE_LEN],
) -> Vec<u8> {
    let aad = Aad::from(context(account, identity_key));
    let mut bytes = pkcs8.to_vec();
    let sealing = Nonce::assume_unique_for_key(nonce);
    key(code).seal_in_place_append_tag(sealing, aad, &mut bytes).expect("AES-GCM seals");
    [&nonce[..], &bytes].concat()
}

/// The private key in PKCS #8. `None`: another code, account or identity key, or a changed seal.
pub(crate) fn restore(
    code: &Code,
    account: &str,
    identity_key: &Key,
    sealed: &str,
) -> Option<Vec<u8>> {
    let sealed = from_base64url(sealed)?;
    let (nonce, ciphertext) = sealed.split_at_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let aad = Aad::from(context(account, identity_key));
    let mut bytes = ciphertext.to_vec();
    let opened = key(code).open_in_place(nonce, aad, &mut bytes).ok()?;
    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(opened).ok()?;
    (pair.public_key().as_ref() == identity_key).then(|| opened.to_vec())
}
