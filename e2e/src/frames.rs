//! HTTP/2 frame by frame (RFC 9113) with heads in plain HPACK literals (RFC 7541): whatever a
//! library refuses to send.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::attack::Attacked;
use crate::attack::wire::{PROMPT, Reading, Writing};

/// RFC 9113 section 3.4.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Types of frames (RFC 9113 section 6).
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

/// No more frames of the stream follow; on SETTINGS and PING: an acknowledgement.
pub const END_STREAM: u8 = 1;
/// No CONTINUATION follows.
pub const END_HEADERS: u8 = 4;
/// The payload begins with the length of its padding.
pub const PADDED: u8 = 8;
/// A whole request in one frame.
pub const WHOLE: u8 = END_STREAM | END_HEADERS;

/// Codes of errors (RFC 9113 section 7).
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

/// Bytes of the largest payload that is allowed without asking.
const LARGEST: usize = 16_384;

/// A frame that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its type.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream; 0: the connection.
    pub stream: u32,
    /// What it carries.
    pub payload: Vec<u8>,
}

/// What a request came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An answer with this status.
    Status(u16),
    /// The stream was reset with this code.
    Reset(u32),
    /// GOAWAY with this code other than 0 ended the connection.
    GoAway(u32),
    /// The connection ended without a word.
    Closed,
    /// Nothing came in time.
    Silence,
}

/// The bytes of a frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("payloads are small").to_be_bytes();
    let head =
        [length.get(1..).unwrap_or_default(), &[kind, flags], &stream.to_be_bytes()].concat();
    [head.as_slice(), payload].concat()
}

/// The bytes of a head that ends its stream, in as many frames as it takes.
pub fn headers(stream: u32, head: &[u8]) -> Vec<u8> {
    let pieces = head.chunks(LARGEST);
    let last = pieces.len().saturating_sub(1);
    let bytes = pieces.enumerate().map(|(index, piece)| match (index, index == last) {
        (0, ends) => frame(kind::HEADERS, if ends { WHOLE } else { END_STREAM }, stream, piece),
        (_, ends) => frame(kind::CONTINUATION, if ends { END_HEADERS } else { 0 }, stream, piece),
    });
    bytes.flatten().collect()
}

/// SETTINGS with these identifiers and values (RFC 9113 section 6.5.1).
pub fn settings(values: &[(u16, u32)]) -> Vec<u8> {
    let payload = values
        .iter()
        .flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()[..]].concat());
    frame(kind::SETTINGS, 0, 0, &payload.collect::<Vec<_>>())
}

/// A field as a literal that enters no table (RFC 7541 section 6.2.2); any bytes may be in it.
pub fn field(name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Vec<u8> {
    [&[0][..], text(name.as_ref()).as_slice(), text(value.as_ref()).as_slice()].concat()
}

/// A head of these fields, in this order.
pub fn head(fields: &[(&str, &str)]) -> Vec<u8> {
    fields.iter().flat_map(|(name, value)| field(name, value)).collect()
}

/// A head with the four pseudo-fields of an ordinary request to `localhost`.
pub fn request(method: &str, path: &str) -> Vec<u8> {
    head(&[(":method", method), (":scheme", "https"), (":authority", "localhost"), (":path", path)])
}

/// A string without Huffman coding: its length as an integer with a prefix of seven bits (RFC 7541
/// sections 5.1, 5.2).
fn text(bytes: &[u8]) -> Vec<u8> {
    let mut coded = Vec::new();
    let mut length = bytes.len();
    if length < 127 {
        coded.push(u8::try_from(length).expect("it is below 127"));
    } else {
        coded.push(127);
        length -= 127;
        while length >= 128 {
            coded.push(u8::try_from(length % 128).expect("it is below 128") | 128);
            length /= 128;
        }
        coded.push(u8::try_from(length).expect("it is below 128"));
    }
    coded.extend_from_slice(bytes);
    coded
}

/// An open connection that has sent its preface and SETTINGS.
pub struct H2 {
    reading: Reading,
    writing: Writing,
}

impl H2 {
    /// Opens one; its SETTINGS turn the peer's table of fields off, and push.
    pub async fn open(attacked: &Attacked, more: &[(u16, u32)]) -> Self {
        Self::named(attacked, "localhost", more).await
    }

    /// The same, asking for this name in TLS.
    pub async fn named(attacked: &Attacked, name: &str, more: &[(u16, u32)]) -> Self {
        let (reading, writing) = attacked.tls(name, &[b"h2"]).await.split();
        let mut opened = Self { reading, writing };
        let first = [PREFACE, &settings(&[&[(1, 0), (2, 0)][..], more].concat())].concat();
        opened.send(&first).await.expect("a new connection takes a preface");
        opened
    }

    /// Sends bytes; an error when the peer takes no more.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let sending = async {
            self.writing.write_all(bytes).await?;
            self.writing.flush().await
        };
        timeout(PROMPT, sending).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// The next frame; `None`: the connection has ended.
    pub async fn next(&mut self) -> Option<Frame> {
        next(&mut self.reading).await
    }

    /// What the request on this stream comes to.
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
        timeout(PROMPT, waiting).await.unwrap_or(Outcome::Silence)
    }

    /// The body of the answer on this stream, of which the head has been read; `None`: it breaks
    /// off.
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
        timeout(PROMPT, reading).await.ok().flatten()
    }

    /// Both directions apart.
    pub fn split(self) -> (Reading, Writing) {
        (self.reading, self.writing)
    }
}

/// The next frame; `None`: the connection has ended.
pub async fn next(reading: &mut Reading) -> Option<Frame> {
    let mut head = [0; 9];
    reading.read_exact(&mut head).await.ok()?;
    let [a, b, c, kind, flags, stream @ ..] = head;
    let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
    reading.read_exact(&mut payload).await.ok()?;
    Some(Frame { kind, flags, stream: u32::from_be_bytes(stream), payload })
}

/// Four bytes of a payload as a number.
pub fn number(payload: &[u8], at: usize) -> u32 {
    payload
        .get(at..at + 4)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(u32::MAX, u32::from_be_bytes)
}

/// The status that begins a head (RFC 7541 sections 6.1 and 6.2, appendices A and B); 0: it does
/// not.
pub fn status(head: &[u8]) -> u16 {
    let mut head = head;
    // A change of the table's size may come before.
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

/// Digits are the codes 00000 to 00010 and 011001 to 011111 (RFC 7541 appendix B).
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
    fn a_status_is_read_in_every_coding() {
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
    fn long_strings_have_long_lengths() {
        assert_eq!(text(b"ab"), b"\x02ab");
        assert_eq!(text(&[b'a'; 127]).get(..3), Some(&[127, 0, b'a'][..]));
        assert_eq!(text(&[b'a'; 1337]).get(..3), Some(&[127, 0xba, 0x09][..]));
    }
}
