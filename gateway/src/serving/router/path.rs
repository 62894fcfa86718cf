//! Path normalisation, so that routes are matched on exactly what the upstream receives (RFC 3986
//! section 6.2.2).

// These numbers come from clients: arithmetic on them is checked or saturating.
#![warn(clippy::arithmetic_side_effects)]

use std::borrow::Cow;

/// Why a path is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PathError {
    /// It does not start with a slash.
    #[error("the path must begin with a slash")]
    NotAbsolute,
    /// `.` or `..`, in any encoding.
    #[error("the path has a dot segment")]
    DotSegment,
    /// `%2F`, `\`, `%00` and similar, which other parsers may interpret as a separator or an end.
    #[error("the path contains an encoded separator or control character")]
    Hidden,
    /// `%` without two hexadecimal digits, or a byte that must be escaped.
    #[error("the path has an invalid byte or escape")]
    Escape,
}

/// Normalises a path: decodes unnecessary escapes and writes the others in upper case. Rejects
/// paths that could be interpreted in two ways.
pub(crate) fn normalise(path: &str) -> Result<Cow<'_, str>, PathError> {
    if !path.starts_with('/') {
        return Err(PathError::NotAbsolute);
    }
    let plain = |byte: u8| {
        byte.is_ascii_graphic() && !matches!(byte, b'%' | b'\\' | b'?' | b'#' | b'"' | b'<' | b'>')
    };
    let path =
        if path.bytes().all(plain) { Cow::Borrowed(path) } else { Cow::Owned(unescape(path)?) };
    if path.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err(PathError::DotSegment);
    }
    Ok(path)
}

fn unescape(path: &str) -> Result<String, PathError> {
    let mut clean = String::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let digit = |byte: Option<u8>| {
                    byte.and_then(|byte| char::from(byte).to_digit(16)).ok_or(PathError::Escape)
                };
                let value = (digit(bytes.next())? << 4) | digit(bytes.next())?;
                let decoded = u8::try_from(value).map_err(|_| PathError::Escape)?;
                match decoded {
                    b'/' | b'\\' | 0..=0x1f | 0x7f => return Err(PathError::Hidden),
                    b'-' | b'.' | b'_' | b'~' => clean.push(char::from(decoded)),
                    _ if decoded.is_ascii_alphanumeric() => clean.push(char::from(decoded)),
                    _ => clean.push_str(&format!("%{decoded:02X}")),
                }
            }
            b'\\' => return Err(PathError::Hidden),
            b'?' | b'#' => return Err(PathError::Escape),
            _ if byte.is_ascii_graphic() => clean.push(char::from(byte)),
            _ => return Err(PathError::Escape),
        }
    }
    Ok(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normalised_or_rejected() {
        for (path, expected) in [
            ("/", Ok("/")),
            ("/api/x.y", Ok("/api/x.y")),
            ("/%61pi", Ok("/api")),
            ("/a%c3%A9", Ok("/a%C3%A9")),
            ("/a%20b", Ok("/a%20b")),
            ("/..a/...", Ok("/..a/...")),
            ("a", Err(PathError::NotAbsolute)),
            ("", Err(PathError::NotAbsolute)),
            ("/..", Err(PathError::DotSegment)),
            ("/a/../b", Err(PathError::DotSegment)),
            ("/a/./b", Err(PathError::DotSegment)),
            ("/a/%2e%2E/b", Err(PathError::DotSegment)),
            ("/a/.%2e", Err(PathError::DotSegment)),
            ("/a%2fb", Err(PathError::Hidden)),
            ("/a%5Cb", Err(PathError::Hidden)),
            ("/a\\b", Err(PathError::Hidden)),
            ("/a%00", Err(PathError::Hidden)),
            ("/a%0d%0a", Err(PathError::Hidden)),
            ("/a%", Err(PathError::Escape)),
            ("/a%1", Err(PathError::Escape)),
            ("/a%zz", Err(PathError::Escape)),
            ("/é", Err(PathError::Escape)),
            ("/a b", Err(PathError::Escape)),
        ] {
            assert_eq!(normalise(path).as_deref(), expected.as_deref(), "{path:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn normalising_twice_changes_nothing(path in "/[a-c./%2eE5fF~ \\\\]{0,20}") {
            if let Ok(once) = normalise(&path) {
                let twice = normalise(&once);
                proptest::prop_assert_eq!(twice.as_deref(), Ok(&*once));
                proptest::prop_assert!(!once.split('/').any(|segment| segment == ".." || segment == "."));
            }
        }
    }
}
