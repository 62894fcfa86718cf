//! Section "Plaintext" of `docs/E2E.md`: a message in the smallest size that holds it.

use crate::envelope::encoding::Reader;
use crate::envelope::encoding::Writer;

/// Sizes of plaintexts.
pub(crate) const SIZES: [usize; 7] = [256, 512, 1024, 2048, 4096, 8192, 16384];
/// Most bytes of a message.
pub(crate) const LONGEST: usize = 16366;

const VERSION: u8 = 2;
const TEXT: u8 = 1;
const LIFETIME: u8 = 2;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Message {
    pub(crate) written_at: u64,
    pub(crate) content: Content,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Content {
    Text(String),
    /// The lifetime in the header applies from now on.
    Lifetime,
}

impl Message {
    /// `None`: too long.
    pub(crate) fn encode(&self) -> Option<Vec<u8>> {
        let (kind, text) = match &self.content {
            Content::Text(text) => (TEXT, text.as_str()),
            Content::Lifetime => (LIFETIME, ""),
        };
        let head = Writer::default().u8(VERSION).u8(kind).u64(self.written_at);
        pad(&head.text(text).finish())
    }

    /// `None`: not exactly what `encode` makes.
    pub(crate) fn parse(plaintext: &[u8]) -> Option<Self> {
        let mut outer = Reader::new(plaintext);
        let body = outer.bytes()?;
        let zeros = outer.rest().iter().all(|byte| *byte == 0);
        if !zeros || size(body)? != plaintext.len() {
            return None;
        }
        let mut body = Reader::new(body);
        let (version, kind) = (body.u8()?, body.u8()?);
        let (written_at, text) = (body.u64()?, body.text()?);
        body.end()?;
        let content = match (version, kind) {
            (VERSION, TEXT) => Content::Text(text),
            (VERSION, LIFETIME) if text.is_empty() => Content::Lifetime,
            _ => return None,
        };
        Some(Self { written_at, content })
    }
}

/// `bytes(body)` and zeros. `None`: too long.
pub(crate) fn pad(body: &[u8]) -> Option<Vec<u8>> {
    let mut padded = Writer::default().bytes(body).finish();
    padded.resize(size(body)?, 0);
    Some(padded)
}

/// The smallest size that holds this body with its length.
fn size(body: &[u8]) -> Option<usize> {
    SIZES.into_iter().find(|size| body.len() + 4 <= *size)
}

#[test]
fn the_longest_message_fills_the_largest_size() {
    let message = |text| Message { written_at: 0, content: Content::Text(text) };
    let longest = message("x".repeat(LONGEST));
    let plaintext = longest.encode().expect("the longest message fits");
    assert_eq!(plaintext.len(), 16384);
    assert_eq!(Message::parse(&plaintext), Some(longest));
    assert_eq!(message("x".repeat(LONGEST + 1)).encode(), None);
}
