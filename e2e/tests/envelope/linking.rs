//! Section "Linking" of `docs/E2E.md`.

use aws_lc_rs::aead::AES_256_GCM;
use aws_lc_rs::aead::Aad;
use aws_lc_rs::aead::LessSafeKey;
use aws_lc_rs::aead::Nonce;
use aws_lc_rs::aead::UnboundKey;
use aws_lc_rs::rsa::OAEP_SHA256_MGF1SHA256;
use aws_lc_rs::rsa::OaepPrivateDecryptingKey;
use aws_lc_rs::rsa::PrivateDecryptingKey;
use aws_lc_rs::signature::ED25519;
use aws_lc_rs::signature::UnparsedPublicKey;
use serde::Deserialize;

use crate::envelope::device::Hash;
use crate::envelope::device::sha256;
use crate::envelope::device_log::Key;
use crate::envelope::encoding::Writer;
use crate::envelope::encoding::from_base64url;

/// The table of the document: the emoji of six bits, row by row.
const TABLE: &str = "
    🐘 elephant   🐢 turtle      🦋 butterfly   🐙 octopus
    🐧 penguin    🦉 owl         🐝 bee         🐌 snail
    🦀 crab       🐬 dolphin     🐫 camel       🦁 lion
    🐸 frog       🐍 snake       🌵 cactus      🌻 sunflower
    🍄 mushroom   🌲 tree        🍁 leaf        🌙 moon
    ⭐ star       🌈 rainbow     🔥 fire        🌋 volcano
    ⛄ snowman    ⚡ lightning   🍎 apple       🍌 banana
    🍇 grapes     🍉 melon       🥕 carrot      🍞 bread
    🍕 pizza      🎂 cake        🍩 doughnut    🥚 egg
    🔑 key        🔔 bell        ⚓ anchor      🎈 balloon
    📕 book       💡 lamp        🔨 hammer      🎩 hat
    👓 glasses    ☔ umbrella    ⏰ alarm       ⌛ hourglass
    🎁 gift       🔒 padlock     👑 crown       💎 diamond
    🎲 dice       🎸 guitar      🎺 trumpet     🥁 drum
    📷 camera     🚀 rocket      🚲 bicycle     🚂 train
    🏠 house      🤖 robot       👻 ghost       🏆 trophy
";

/// Emoji and name, for each value of six bits.
pub(crate) fn emoji() -> Vec<(&'static str, &'static str)> {
    let words: Vec<&str> = TABLE.split_whitespace().collect();
    words.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
}

pub(crate) fn fingerprint(device: &str, encryption_key: &[u8], signing_key: &Key) -> Hash {
    let named = Writer::default()
        .text("gatehouse/link-device/1")
        .text(device)
        .bytes(encryption_key)
        .raw(signing_key);
    sha256(&named.finish())
}

pub(crate) fn commitment(nonce: &[u8], fingerprint: &Hash) -> Hash {
    let committed = Writer::default().text("gatehouse/link-commitment/1");
    sha256(&committed.raw(nonce).raw(fingerprint).finish())
}

/// Whether the new device committed to this nonce and these keys.
pub(crate) fn is_revealed(expected: &Hash, nonce: &[u8], fingerprint: &Hash) -> bool {
    nonce.len() == 32 && commitment(nonce, fingerprint) == *expected
}

/// What both devices of a link must have seen.
pub(crate) struct Transcript {
    pub(crate) fingerprint: Hash,
    pub(crate) account: String,
    pub(crate) identity_key: Key,
    pub(crate) new_nonce: [u8; 32],
    pub(crate) old_nonce: [u8; 32],
}

impl Transcript {
    pub(crate) fn hash(&self) -> Hash {
        let seen = Writer::default()
            .text("gatehouse/link-sas/1")
            .raw(&self.fingerprint)
            .text(&self.account)
            .raw(&self.identity_key)
            .raw(&self.new_nonce)
            .raw(&self.old_nonce);
        sha256(&seen.finish())
    }

    /// The names of the six emoji.
    pub(crate) fn emoji(&self) -> Vec<&'static str> {
        let bits = self.hash()[..5].iter().fold(0, |bits: u64, byte| bits << 8 | u64::from(*byte));
        let table = emoji();
        let values = (0..6).map(|at| (bits >> (34 - 6 * at)) & 63);
        values.map(|value| table[value as usize].1).collect()
    }
}

/// A chunk of the history on the wire: every field is base64url.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SealedChunk {
    pub(crate) nonce: String,
    pub(crate) ciphertext: String,
    pub(crate) key: String,
    pub(crate) signature: String,
}

/// The place at which the new device expects a chunk.
pub(crate) struct Place<'a> {
    pub(crate) link: Hash,
    pub(crate) account: &'a str,
    pub(crate) index: u32,
    pub(crate) total: u32,
}

/// `None`: not sealed by the old device for this key and this place.
pub(crate) fn open(
    rsa: &[u8],
    signer: &Key,
    place: &Place<'_>,
    chunk: &SealedChunk,
) -> Option<Vec<u8>> {
    let nonce = from_base64url(&chunk.nonce)?;
    let mut ciphertext = from_base64url(&chunk.ciphertext)?;
    let wrapped = from_base64url(&chunk.key)?;
    let signature = from_base64url(&chunk.signature)?;
    let context = Writer::default()
        .text("gatehouse/link-history/1")
        .raw(&place.link)
        .text(place.account)
        .u32(place.index)
        .u32(place.total)
        .finish();
    let signed = Writer::default().raw(&context).bytes(&nonce).bytes(&ciphertext).bytes(&wrapped);
    UnparsedPublicKey::new(&ED25519, signer).verify(&signed.finish(), &signature).ok()?;

    let private = PrivateDecryptingKey::from_pkcs8(rsa).ok()?;
    let private = OaepPrivateDecryptingKey::new(private).ok()?;
    let mut opened = vec![0; private.min_output_size()];
    let key = private.decrypt(&OAEP_SHA256_MGF1SHA256, &wrapped, &mut opened, None).ok()?;
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).ok()?);
    let nonce = Nonce::try_assume_unique_for_key(&nonce).ok()?;
    let content = key.open_in_place(nonce, Aad::from(context), &mut ciphertext).ok()?;
    Some(content.to_vec())
}
