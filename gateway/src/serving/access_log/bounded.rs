//! How long what a client chose may be in a log or a trace.

use std::borrow::Cow;

/// Longest method, in bytes.
pub(crate) const METHOD: usize = 32;
/// Longest host, in bytes: a name of the DNS has 253 (RFC 1035 section 2.3.4).
pub(crate) const HOST: usize = 256;
/// Longest path, in bytes.
pub(crate) const PATH: usize = 512;
/// Longest request id, in bytes.
pub(crate) const REQUEST_ID: usize = 64;

/// Stands for what was cut off.
const MARK: char = '\u{2026}';

/// The text within `max` bytes: what is longer ends in a mark, and never within a character.
pub(crate) fn cut(text: &str, max: usize) -> Cow<'_, str> {
    if text.len() <= max {
        return text.into();
    }
    let (kept, _) = text.split_at(text.floor_char_boundary(max.saturating_sub(MARK.len_utf8())));
    format!("{kept}{MARK}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_end_in_a_mark_and_at_a_character() {
        assert_eq!(cut("12345678", 8), "12345678");
        assert_eq!(cut("123456789", 8), "12345\u{2026}");
        assert_eq!(cut("1234\u{e4}6789", 8), "1234\u{2026}");
        assert_eq!(cut("1234567890", 0), "\u{2026}");
    }
}
