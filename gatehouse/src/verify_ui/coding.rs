//! Content encodings (RFC 9110 section 8.4.1), decoded within a limit.

use std::io::{self, Read};

/// One encoding of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Coding {
    /// None.
    Identity,
    Brotli,
    Gzip,
    Zstd,
}

/// Largest window of zstd in HTTP (RFC 9659): 8 MiB.
const ZSTD_WINDOW_LOG: u32 = 23;

impl Coding {
    /// Each is requested alone, so that a site has to answer in it or without an encoding.
    pub(super) const ALL: [Self; 4] = [Self::Identity, Self::Brotli, Self::Gzip, Self::Zstd];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// Decodes at most `limit` bytes; with more, the result is cut off.
    pub(super) fn decode(self, bytes: &[u8], limit: u64) -> io::Result<Vec<u8>> {
        match self {
            Self::Identity => read(bytes, limit),
            Self::Brotli => read(brotli_decompressor::Decompressor::new(bytes, 4096), limit),
            Self::Gzip => read(flate2::read::MultiGzDecoder::new(bytes), limit),
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::new(bytes)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                read(decoder, limit)
            }
        }
    }
}

fn read(from: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut decoded = Vec::new();
    from.take(limit).read_to_end(&mut decoded)?;
    Ok(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1 MiB of zeros as gzip.
    fn bomb() -> Vec<u8> {
        let mut encoder =
            flate2::read::GzEncoder::new(io::repeat(0).take(1 << 20), flate2::Compression::best());
        let mut bytes = Vec::new();
        encoder.read_to_end(&mut bytes).expect("memory does not fail");
        bytes
    }

    #[test]
    fn decoding_stops_at_the_limit() {
        let bomb = bomb();
        assert!(bomb.len() < 2000);
        assert_eq!(Coding::Gzip.decode(&bomb, 1000).expect("valid").len(), 1000);
        assert_eq!(Coding::Gzip.decode(&bomb, 1 << 30).expect("valid").len(), 1 << 20);
        assert_eq!(Coding::Identity.decode(b"text", 3).expect("valid"), b"tex");
    }

    #[test]
    fn damaged_bytes_are_an_error() {
        for coding in [Coding::Brotli, Coding::Gzip, Coding::Zstd] {
            assert!(coding.decode(b"not compressed at all", 1000).is_err(), "{coding:?}");
        }
        let mut tail = bomb();
        tail.extend(b"<script>");
        assert!(Coding::Gzip.decode(&tail, 1 << 30).is_err());
        let mut cut = bomb();
        cut.truncate(cut.len() - 4);
        assert!(Coding::Gzip.decode(&cut, 1 << 30).is_err());
    }
}
