//! Maximum lengths of client-supplied values in logs and traces.

use std::borrow::Cow;

/// Maximum length of a method, in bytes.
pub(crate) const METHOD: usize = 32;
/// Maximum length of a host, in bytes: a DNS name has at most 253 (RFC 1035 section 2.3.4).
pub(crate) const HOST: usize = 256;
/// Maximum length of a path, in bytes.
pub(crate) const PATH: usize = 512;
/// Maximum length of a request id, in bytes.
pub(crate) const REQUEST_ID: usize = 64;

/// Marks truncated text.
const MARK: char = '\u{2026}';

/// Truncates text to `max` bytes, at a character boundary and with a mark at the end.
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
    fn long_text_is_truncated_at_a_character_with_a_mark() {
        assert_eq!(cut("12345678", 8), "12345678");
        assert_eq!(cut("123456789", 8), "12345\u{2026}");
        assert_eq!(cut("1234\u{e4}6789", 8), "1234\u{2026}");
        assert_eq!(cut("1234567890", 0), "\u{2026}");
    }
}
