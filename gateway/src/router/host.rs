//! The host that a request is for, taken from `Host` or `:authority`.

use http::uri::Authority;

/// A host in lower case, without port and without the root's closing dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    name: String,
    authority: String,
}

impl Host {
    /// Parses `host [ ":" port ]` (RFC 9110 section 7.2); user information is refused.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.is_empty() || text.len() > 260 || text.contains('@') {
            return None;
        }
        let authority: Authority = text.parse().ok()?;
        let host = authority.host();
        // The parser takes anything behind the colon, nothing included, and it would be passed on as it is.
        let port = text.strip_prefix(host)?;
        if !port.is_empty() && !is_port(port.strip_prefix(':')?) {
            return None;
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        let literal = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let name = match literal {
            Some(inner) => format!("[{}]", inner.parse::<std::net::Ipv6Addr>().ok()?),
            None if host.bytes().all(plain) => host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase(),
            None => return None,
        };
        (!name.is_empty()).then(|| Self { name, authority: text.to_ascii_lowercase() })
    }

    /// The name alone.
    pub(crate) fn as_str(&self) -> &str {
        &self.name
    }

    /// The name and, when one was given, the port: what an `Origin` of the same site ends with.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_compared_without_case_port_and_closing_dot() {
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
            ("[::1", None),
            ("a,b", None),
        ] {
            assert_eq!(Host::parse(text).as_ref().map(Host::as_str), expected, "{text:?}");
        }
    }
}
