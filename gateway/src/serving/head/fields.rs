//! The field lines of a head, and what they say about framing and WebSockets.

use base64::Engine as _;
use http::Method;

use super::{Framing, HeadError, Upgrade};

/// Iterates over `name: value` lines until the empty line. Only for text that [`Fields::read`]
/// accepted.
pub(crate) struct Fields<'t>(&'t [u8]);

/// Information from the fields, all of which are well-formed.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) count: usize,
    pub(super) hosts: usize,
    pub(super) length: Option<u64>,
    pub(super) chunked: bool,
    upgrade_websocket: bool,
    connection_upgrade: bool,
    key_ok: Option<bool>,
    version_ok: Option<bool>,
    /// A handshake field that must occur once is repeated (RFC 6455 sections 11.3.1 and 11.3.5).
    repeated: bool,
}

impl<'t> Fields<'t> {
    /// `text`: the field lines, including the empty line.
    pub(crate) fn new(text: &'t [u8]) -> Self {
        Self(text)
    }

    fn next_line(&mut self) -> Option<&'t [u8]> {
        let end = self.0.iter().position(|byte| *byte == b'\r')?;
        let (line, rest) = self.0.split_at_checked(end)?;
        self.0 = rest.get(2..)?;
        (!line.is_empty()).then_some(line)
    }

    /// Validates every line and records those about framing and WebSockets.
    pub(super) fn read(mut self, max: usize) -> Result<Said, HeadError> {
        let mut said = Said::default();
        while let Some(line) = self.next_line() {
            let (name, value) = split(line).ok_or(HeadError::Field)?;
            // RFC 9112 sections 5.1 and 5.2: no space before the colon, no folding, no control
            // characters.
            let name_ok = !name.is_empty() && name.iter().all(|byte| is_token(*byte));
            if !name_ok
                || value.iter().any(|byte| (*byte < 0x20 && *byte != b'\t') || *byte == 0x7f)
            {
                return Err(HeadError::Field);
            }
            said.count = said.count.saturating_add(1);
            if said.count > max {
                return Err(HeadError::TooLarge);
            }
            said.note(name, value)?;
        }
        Ok(said)
    }
}

impl<'t> Iterator for Fields<'t> {
    type Item = (&'t [u8], &'t [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        split(self.next_line()?)
    }
}

impl Said {
    fn note(&mut self, name: &[u8], value: &[u8]) -> Result<(), HeadError> {
        // The length excludes most names before any comparison.
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => self.hosts = self.hosts.saturating_add(1),
            6 if name.eq_ignore_ascii_case(b"expect")
                && !value.eq_ignore_ascii_case(b"100-continue") =>
            {
                return Err(HeadError::Expectation);
            }
            7 if name.eq_ignore_ascii_case(b"upgrade") => {
                self.upgrade_websocket |=
                    tokens(value).any(|token| token.eq_ignore_ascii_case(b"websocket"));
            }
            10 if name.eq_ignore_ascii_case(b"connection") => {
                self.connection_upgrade |=
                    tokens(value).any(|token| token.eq_ignore_ascii_case(b"upgrade"));
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                // RFC 9110 section 8.6 allows merging equal repetitions; only attackers send them.
                if self.length.is_some()
                    || value.is_empty()
                    || !value.iter().all(u8::is_ascii_digit)
                {
                    return Err(HeadError::Framing);
                }
                let digits = std::str::from_utf8(value).map_err(|_| HeadError::Framing)?;
                self.length = Some(digits.parse().map_err(|_| HeadError::Framing)?);
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(if self.chunked {
                        HeadError::Framing
                    } else {
                        HeadError::TransferCoding
                    });
                }
                self.chunked = true;
            }
            17 if name.eq_ignore_ascii_case(b"sec-websocket-key") => {
                // RFC 6455 section 4.1: 16 bytes in base64.
                let ok = base64::engine::general_purpose::STANDARD
                    .decode(value)
                    .is_ok_and(|key| key.len() == 16);
                self.repeated |= self.key_ok.replace(ok).is_some();
            }
            21 if name.eq_ignore_ascii_case(b"sec-websocket-version") => {
                self.repeated |= self.version_ok.replace(value == b"13").is_some();
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn upgrade(&self, method: &Method, framing: Framing) -> Upgrade {
        if !(self.upgrade_websocket && self.connection_upgrade) {
            return Upgrade::None;
        }
        match (self.key_ok, self.version_ok) {
            _ if self.repeated => Upgrade::Malformed,
            (_, Some(false)) => Upgrade::WrongVersion,
            (Some(true), Some(true)) if *method == Method::GET && framing == Framing::Length(0) => {
                Upgrade::WebSocket
            }
            _ => Upgrade::Malformed,
        }
    }
}

/// `tchar` of RFC 9110 section 5.6.2.
pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = line.split_at_checked(colon)?;
    Some((name, value.get(1..)?.trim_ascii()))
}

fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}
