//! The host of a request, from `Host` or `:authority`.

use std::net::Ipv6Addr;

/// A host in lower case, without port and without trailing dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    authority: String,
    /// Length of the name in bytes.
    name: usize,
}

impl Host {
    /// Parses `host [ ":" port ]` (RFC 9110 section 7.2); user information is rejected.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.len() > 260 {
            return None;
        }
        // The port follows the last colon, unless that colon is inside the brackets of an IPv6
        // address.
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (text, None),
        };
        if !port.is_none_or(is_port) {
            return None;
        }
        let literal = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let (authority, len) = match literal {
            Some(inner) => {
                let host = format!("[{}]", inner.parse::<Ipv6Addr>().ok()?);
                let len = host.len();
                (port.map_or_else(|| host.clone(), |port| format!("{host}:{port}")), len)
            }
            None if host.bytes().all(is_plain) => {
                (text.to_ascii_lowercase(), host.strip_suffix('.').unwrap_or(host).len())
            }
            None => return None,
        };
        (len > 0).then_some(Self { authority, name: len })
    }

    /// The name alone.
    pub(crate) fn as_str(&self) -> &str {
        self.authority.get(..self.name).unwrap_or_default()
    }

    /// The name with the port, if there is one: the end of a same-origin `Origin`.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_compared_without_case_port_and_trailing_dot() {
        for (text, expected) in [
            ("Chat.Example.org", Some("chat.example.org")),
            ("chat.example.org.:8443", Some("chat.example.org")),
            ("[::1]:443", Some("[::1]")),
            ("127.0.0.1", Some("127.0.0.1")),
            ("", None),
            (".", None),
            ("a:b", None),
            ("a:", None),
            ("a:99999", None),
            ("a:0", None),
            ("a:+1", None),
            ("user@a", None),
            ("a/b", None),
            ("a b", None),
            ("a%2fb", None),
            ("[0::1]:443", Some("[::1]")),
            ("[::1]", Some("[::1]")),
            ("[::1", None),
            ("[::1]x:443", None),
            ("[::1]:", None),
            ("::1", None),
            ("a:1:2", None),
            ("a,b", None),
        ] {
            assert_eq!(Host::parse(text).as_ref().map(Host::as_str), expected, "{text:?}");
        }
    }
}
