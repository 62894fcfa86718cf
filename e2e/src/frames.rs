//! HTTP/2 frame by frame (RFC 9113), with headers as plain HPACK literals (RFC 7541), to send what
//! no library sends.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::attack::Attacked;
use crate::attack::wire::{RESPONSE_TIMEOUT, Reading, Writing};

/// The connection preface (RFC 9113 section 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Frame types (RFC 9113 section 6).
#[expect(missing_docs, reason = "the names are those of the RFC")]
pub mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// The stream ends with this frame. On SETTINGS and PING: an acknowledgement.
pub const END_STREAM: u8 = 1;
/// No CONTINUATION follows.
pub const END_HEADERS: u8 = 4;
/// The payload starts with the length of its padding.
pub const PADDED: u8 = 8;
/// A complete request in one frame.
pub const WHOLE: u8 = END_STREAM | END_HEADERS;

/// Error codes (RFC 9113 section 7).
#[expect(missing_docs, reason = "the names are those of the RFC")]
pub mod code {
    pub const PROTOCOL: u32 = 1;
    pub const FLOW_CONTROL: u32 = 3;
    pub const STREAM_CLOSED: u32 = 5;
    pub const FRAME_SIZE: u32 = 6;
    pub const REFUSED_STREAM: u32 = 7;
    pub const COMPRESSION: u32 = 9;
    pub const ENHANCE_YOUR_CALM: u32 = 11;
}

/// Maximum payload without a setting of the peer, in bytes.
const LARGEST: usize = 16_384;

/// A received frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its type.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream; 0 is the connection.
    pub stream: u32,
    /// Its payload.
    pub payload: Vec<u8>,
}

/// The outcome of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An answer with this status.
    Status(u16),
    /// The stream was reset with this code.
    Reset(u32),
    /// GOAWAY with this code other than 0 ended the connection.
    GoAway(u32),
    /// The connection was closed without GOAWAY.
    Closed,
    /// Nothing was received within the timeout.
    Silence,
}

/// Encodes a frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("payloads are small").to_be_bytes();
    let head =
        [length.get(1..).unwrap_or_default(), &[kind, flags], &stream.to_be_bytes()].concat();
    [head.as_slice(), payload].concat()
}

/// Encodes a header block that ends its stream, in as many frames as needed.
pub fn headers(stream: u32, head: &[u8]) -> Vec<u8> {
    let pieces = head.chunks(LARGEST);
    let last = pieces.len().saturating_sub(1);
    let bytes = pieces.enumerate().map(|(index, piece)| match (index, index == last) {
        (0, ends) => frame(kind::HEADERS, if ends { WHOLE } else { END_STREAM }, stream, piece),
        (_, ends) => frame(kind::CONTINUATION, if ends { END_HEADERS } else { 0 }, stream, piece),
    });
    bytes.flatten().collect()
}

/// Encodes SETTINGS with these identifiers and values (RFC 9113 section 6.5.1).
pub fn settings(values: &[(u16, u32)]) -> Vec<u8> {
    let payload = values
        .iter()
        .flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()[..]].concat());
    frame(kind::SETTINGS, 0, 0, &payload.collect::<Vec<_>>())
}

/// Encodes a field as a literal without indexing (RFC 7541 section 6.2.2). It accepts any bytes.
pub fn field(name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Vec<u8> {
    [&[0][..], text(name.as_ref()).as_slice(), text(value.as_ref()).as_slice()].concat()
}

/// Encodes these fields in this order.
pub fn head(fields: &[(&str, &str)]) -> Vec<u8> {
    fields.iter().flat_map(|(name, value)| field(name, value)).collect()
}

/// Encodes the four pseudo-fields of a normal request to `localhost`.
pub fn request(method: &str, path: &str) -> Vec<u8> {
    head(&[(":method", method), (":scheme", "https"), (":authority", "localhost"), (":path", path)])
}

/// Encodes a string without Huffman coding; its length is an integer with a 7-bit prefix (RFC 7541
/// sections 5.1, 5.2).
fn text(bytes: &[u8]) -> Vec<u8> {
    let mut coded = Vec::new();
    let mut length = bytes.len();
    if length < 127 {
        coded.push(u8::try_from(length).expect("the length is below 127"));
    } else {
        coded.push(127);
        length -= 127;
        while length >= 128 {
            coded.push(u8::try_from(length % 128).expect("the value is below 128") | 128);
            length /= 128;
        }
        coded.push(u8::try_from(length).expect("the value is below 128"));
    }
    coded.extend_from_slice(bytes);
    coded
}

/// An open connection after preface and SETTINGS.
pub struct H2 {
    reading: Reading,
    writing: Writing,
}

impl H2 {
    /// Opens a connection. Its SETTINGS disable the peer's dynamic table and push.
    pub async fn open(attacked: &Attacked, more: &[(u16, u32)]) -> Self {
        Self::named(attacked, "localhost", more).await
    }

    /// Like `open`, with this server name in TLS.
    pub async fn named(attacked: &Attacked, name: &str, more: &[(u16, u32)]) -> Self {
        let (reading, writing) = attacked.tls(name, &[b"h2"]).await.split();
        let mut opened = Self { reading, writing };
        let first = [PREFACE, &settings(&[&[(1, 0), (2, 0)][..], more].concat())].concat();
        opened.send(&first).await.expect("send the preface");
        opened
    }

    /// Sends bytes. Fails if the peer stops reading.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let sending = async {
            self.writing.write_all(bytes).await?;
            self.writing.flush().await
        };
        timeout(RESPONSE_TIMEOUT, sending)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Reads the next frame; `None` at the end of the connection.
    pub async fn next(&mut self) -> Option<Frame> {
        next(&mut self.reading).await
    }

    /// Waits for the outcome of the request on this stream.
    pub async fn outcome(&mut self, stream: u32) -> Outcome {
        let waiting = async {
            while let Some(frame) = self.next().await {
                match frame.kind {
                    kind::HEADERS if frame.stream == stream => {
                        return Outcome::Status(status(&frame.payload));
                    }
                    kind::RST_STREAM if frame.stream == stream => {
                        return Outcome::Reset(number(&frame.payload, 0));
                    }
                    kind::GOAWAY if number(&frame.payload, 4) != 0 => {
                        return Outcome::GoAway(number(&frame.payload, 4));
                    }
                    _ => {}
                }
            }
            Outcome::Closed
        };
        timeout(RESPONSE_TIMEOUT, waiting).await.unwrap_or(Outcome::Silence)
    }

    /// Reads the body of the answer on this stream, after its headers; `None` if it is incomplete.
    pub async fn body(&mut self, stream: u32) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        let reading = async {
            loop {
                let frame = self.next().await?;
                if frame.kind == kind::DATA && frame.stream == stream {
                    body.extend_from_slice(&frame.payload);
                    if frame.flags & END_STREAM != 0 {
                        return Some(body);
                    }
                } else if frame.kind == kind::RST_STREAM && frame.stream == stream {
                    return None;
                }
            }
        };
        timeout(RESPONSE_TIMEOUT, reading).await.ok().flatten()
    }

    /// Splits the connection, to read and write concurrently.
    pub fn split(self) -> (Reading, Writing) {
        (self.reading, self.writing)
    }
}

/// Reads the next frame; `None` at the end of the connection.
pub async fn next(reading: &mut Reading) -> Option<Frame> {
    let mut head = [0; 9];
    reading.read_exact(&mut head).await.ok()?;
    let [a, b, c, kind, flags, stream @ ..] = head;
    let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
    reading.read_exact(&mut payload).await.ok()?;
    Some(Frame { kind, flags, stream: u32::from_be_bytes(stream), payload })
}

/// Decodes four bytes of a payload as a number.
pub fn number(payload: &[u8], at: usize) -> u32 {
    payload
        .get(at..at + 4)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(u32::MAX, u32::from_be_bytes)
}

/// Decodes the status at the start of a header block (RFC 7541 sections 6.1 and 6.2, appendices A
/// and B); 0 if there is none.
pub fn status(head: &[u8]) -> u16 {
    let mut head = head;
    // A table size update may precede it.
    while let [0x20..=0x3f, rest @ ..] = head {
        head = rest;
    }
    match head {
        [indexed @ 0x88..=0x8e, ..] => [200, 204, 206, 304, 400, 404, 500]
            .get(usize::from(indexed - 0x88))
            .copied()
            .unwrap_or(0),
        [0x48 | 0x08 | 0x18, length, rest @ ..] => {
            let coded = rest.get(..usize::from(length & 0x7f)).unwrap_or_default();
            let digits = if length & 0x80 == 0 { coded.to_vec() } else { huffman_digits(coded) };
            std::str::from_utf8(&digits).ok().and_then(|digits| digits.parse().ok()).unwrap_or(0)
        }
        _ => 0,
    }
}

/// Decodes digits: the codes 00000 to 00010 and 011001 to 011111 (RFC 7541 appendix B).
fn huffman_digits(coded: &[u8]) -> Vec<u8> {
    let mut bits =
        coded.iter().flat_map(|byte| (0..8).rev().map(move |bit| u8::from(byte >> bit & 1 == 1)));
    let mut digits = Vec::new();
    loop {
        let mut take = |count| (0..count).try_fold(0, |value, _| Some(value << 1 | bits.next()?));
        let Some(five) = take(5) else { return digits };
        digits.push(match five {
            0..=2 => b'0' + five,
            12..=15 => match take(1) {
                Some(last) => b'0' + ((five << 1 | last) - 0b01_0110),
                None => return digits,
            },
            _ => return digits,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_is_decoded_in_every_coding() {
        for (head, expected) in [
            (&[0x88][..], 200),
            (&[0x20, 0x8d], 404),
            (&[0x3f, 0x8c], 400),
            (b"\x48\x03431", 431),
            (b"\x08\x03421", 421),
            // RFC 7541 appendix C.6.1: 302 is 6402.
            (&[0x48, 0x82, 0x64, 0x02], 302),
            (&[0x00], 0),
        ] {
            assert_eq!(status(head), expected, "{head:?}");
        }
    }

    #[test]
    fn long_strings_have_multibyte_lengths() {
        assert_eq!(text(b"ab"), b"\x02ab");
        assert_eq!(text(&[b'a'; 127]).get(..3), Some(&[127, 0, b'a'][..]));
        assert_eq!(text(&[b'a'; 1337]).get(..3), Some(&[127, 0xba, 0x09][..]));
    }
}
