//! A strict parser of chunked request bodies: rejects lines that two parsers could read differently
//! before Pingora's parser reads them (RFC 9112 section 7.1).

/// Maximum bytes of chunk extensions in one body, all of which are ignored (RFC 9112 section 7.1.1
/// requires a limit).
const EXTENSIONS_MAX: usize = 4 * 1024;
/// Maximum bytes of trailer fields, which are read and dropped.
const TRAILERS_MAX: usize = 8 * 1024;
/// Hexadecimal digits of a 64-bit size.
const DIGITS_MAX: usize = 16;

/// The parser's state.
#[derive(Debug)]
pub(super) struct Chunks {
    state: State,
    extensions: usize,
    trailers: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Within the size of a chunk.
    Size { size: u64, digits: usize },
    /// After the semicolon that follows the size.
    Extension { size: u64 },
    /// After the CR of a size line.
    SizeEnd { size: u64 },
    /// Within the data of a chunk, with this many bytes left.
    Data(u64),
    /// After the data of a chunk.
    DataEnd,
    /// After the CR that follows the data of a chunk.
    DataEndLine,
    /// At the first byte of a trailer line.
    Trailer,
    /// Within the name of a trailer field.
    TrailerName,
    /// Within the value of a trailer field.
    TrailerValue,
    /// After the CR of a trailer line.
    TrailerEnd,
    /// After the CR of the empty line that ends the body.
    LastLine,
    /// After the body.
    Ended,
}

/// Why a chunked body is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ChunkError {
    /// Not `1*HEXDIG [ ";" extension ] CRLF`, or more than 64 bits.
    #[error("expected a chunk size in hexadecimal digits, found another byte")]
    Size,
    /// The data is longer than its size, or not followed by CRLF.
    #[error("expected CRLF after the data of a chunk, found another byte")]
    Data,
    /// More than [`EXTENSIONS_MAX`] bytes of extensions.
    #[error("the chunk extensions are longer than 4 KiB")]
    Extensions,
    /// Not `name: value CRLF`, or more than [`TRAILERS_MAX`] bytes.
    #[error("the trailer fields are malformed or longer than 8 KiB")]
    Trailers,
}

impl Chunks {
    /// A parser at the start of a body.
    pub(super) fn new() -> Self {
        Self { state: State::Size { size: 0, digits: 0 }, extensions: 0, trailers: 0 }
    }

    /// Parses more bytes. Returns the number of bytes up to the end of the body if it is in them.
    pub(super) fn follow(&mut self, bytes: &[u8]) -> Result<Option<usize>, ChunkError> {
        let mut rest = bytes;
        while self.state != State::Ended {
            if let State::Data(left) = self.state {
                let now = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                let Some(behind) = rest.get(now..) else { return Ok(None) };
                rest = behind;
                let left = left.saturating_sub(now as u64);
                self.state = if left == 0 { State::DataEnd } else { State::Data(left) };
            }
            let Some((byte, behind)) = rest.split_first() else { return Ok(None) };
            self.state = self.step(*byte)?;
            rest = behind;
        }
        Ok(Some(bytes.len().saturating_sub(rest.len())))
    }

    /// The state after one more byte outside chunk data.
    fn step(&mut self, byte: u8) -> Result<State, ChunkError> {
        match (self.state, byte) {
            (State::Size { size, digits }, b'\r') if digits > 0 => Ok(State::SizeEnd { size }),
            (State::Size { size, digits }, b';') if digits > 0 => Ok(State::Extension { size }),
            (State::Size { size, digits: digits @ 0..DIGITS_MAX }, byte) => {
                let digit = char::from(byte).to_digit(16).ok_or(ChunkError::Size)?;
                let size = size.checked_mul(16).and_then(|size| size.checked_add(digit.into()));
                Ok(State::Size {
                    size: size.ok_or(ChunkError::Size)?,
                    digits: digits.saturating_add(1),
                })
            }
            (State::Extension { size }, b'\r') => Ok(State::SizeEnd { size }),
            (State::Extension { size }, byte) if is_text(byte) => {
                self.extensions = self.extensions.saturating_add(1);
                if self.extensions > EXTENSIONS_MAX {
                    Err(ChunkError::Extensions)
                } else {
                    Ok(State::Extension { size })
                }
            }
            (State::SizeEnd { size: 0 }, b'\n') => Ok(State::Trailer),
            (State::SizeEnd { size }, b'\n') => Ok(State::Data(size)),
            (State::Size { .. } | State::Extension { .. } | State::SizeEnd { .. }, _) => {
                Err(ChunkError::Size)
            }
            (State::DataEnd, b'\r') => Ok(State::DataEndLine),
            (State::DataEndLine, b'\n') => Ok(State::Size { size: 0, digits: 0 }),
            (State::Data(_) | State::DataEnd | State::DataEndLine, _) => Err(ChunkError::Data),
            (State::Trailer, b'\r') => Ok(State::LastLine),
            (State::LastLine, b'\n') => Ok(State::Ended),
            (state, byte) => {
                self.trailers = self.trailers.saturating_add(1);
                let next = match (state, byte) {
                    (State::Trailer | State::TrailerName, byte)
                        if crate::serving::head::is_token(byte) =>
                    {
                        State::TrailerName
                    }
                    (State::TrailerName, b':') => State::TrailerValue,
                    (State::TrailerValue, b'\r') => State::TrailerEnd,
                    (State::TrailerValue, byte) if is_text(byte) => State::TrailerValue,
                    (State::TrailerEnd, b'\n') => State::Trailer,
                    _ => return Err(ChunkError::Trailers),
                };
                if self.trailers > TRAILERS_MAX { Err(ChunkError::Trailers) } else { Ok(next) }
            }
        }
    }
}

/// A byte of an extension or field value: no control characters except tab (RFC 9110 section 5.5).
fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= 0x20 && byte != 0x7f)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &[u8]) -> Result<Option<usize>, ChunkError> {
        Chunks::new().follow(text)
    }

    #[test]
    fn bytes_after_the_end_of_the_body_are_not_parsed() {
        for (text, end) in [
            ("0\r\n\r\n", 5),
            ("3\r\nabc\r\n0\r\n\r\nGET", 13),
            ("A;x=\"y;z\"\r\n0123456789\r\n000\r\nA: b\r\nC:\r\n\r\n\0", 40),
            ("ffffffffffffffff\r\nabc", 0),
            ("3\r\nab", 0),
        ] {
            assert_eq!(whole(text.as_bytes()), Ok((end > 0).then_some(end)), "{text:?}");
        }
    }

    #[test]
    fn malformed_sizes_data_and_trailers_are_rejected() {
        for text in [
            "\r\n", ";a\r\n", "+1", "-1", " 1", "1 ", "1\t", "0x1", "1\n", "1;a\n", "1\ra", "g",
            "1_0", "1;\0",
        ] {
            assert_eq!(whole(text.as_bytes()), Err(ChunkError::Size), "{text:?}");
        }
        assert_eq!(whole(b"10000000000000000"), Err(ChunkError::Size), "65 bits");
        for text in ["1\r\nab", "1\r\na\n", "1\r\na\rb"] {
            assert_eq!(whole(text.as_bytes()), Err(ChunkError::Data), "{text:?}");
        }
        for text in [
            "0\r\n\n",
            "0\r\nab\r\n",
            "0\r\n: b",
            "0\r\na :",
            "0\r\na: b\n",
            "0\r\na: b\r\r",
            "0\r\n\r\r",
        ] {
            assert_eq!(whole(text.as_bytes()), Err(ChunkError::Trailers), "{text:?}");
        }
        let extensions = format!("1;{}\r\na\r\n", "x".repeat(1000)).repeat(5);
        assert_eq!(whole(extensions.as_bytes()), Err(ChunkError::Extensions));
        let trailers = format!("0\r\n{}", "a: b\r\n".repeat(2000));
        assert_eq!(whole(trailers.as_bytes()), Err(ChunkError::Trailers));
    }

    proptest::proptest! {
        #[test]
        fn split_input_parses_like_whole_input(text in "[0-2a;:\r\n ]{0,40}", at in 0_usize..40) {
            let (one, two) = text.as_bytes().split_at(at.min(text.len()));
            let mut chunks = Chunks::new();
            let pieces = match chunks.follow(one) {
                Ok(None) => chunks.follow(two).map(|end| end.map(|end| end.saturating_add(one.len()))),
                decided => decided,
            };
            proptest::prop_assert_eq!(pieces, whole(text.as_bytes()));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = whole(&bytes);
        }
    }
}
