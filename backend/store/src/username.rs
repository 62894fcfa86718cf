//! Usernames: normalised by PRECIS (RFC 8265), compared by their looks (UTS #39 skeleton).

use backend_protocol::limits::MAX_USERNAME;
use precis_core::profile::PrecisFastInvocation;
use precis_profiles::{UsernameCaseMapped, UsernameCasePreserved};

/// A valid username.
///
/// Shown as its owner writes it ([RFC 8265, section 3.4], case preserved). Two usernames are equal
/// when they look the same: case mapped ([RFC 8265, section 3.3]), then the skeleton of [UTS #39,
/// section 4].
///
/// [RFC 8265, section 3.3]: https://www.rfc-editor.org/rfc/rfc8265#section-3.3
/// [RFC 8265, section 3.4]: https://www.rfc-editor.org/rfc/rfc8265#section-3.4
/// [UTS #39, section 4]: https://www.unicode.org/reports/tr39/#Confusable_Detection
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username {
    display: String,
    key: String,
}

/// Why a username is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUsername {
    /// Empty or too long.
    #[error("a username has 1 to {MAX_USERNAME} characters")]
    Length,
    /// A character or a combination that PRECIS disallows.
    #[error(
        "a username may have letters and digits of any script and visible ASCII characters, but no spaces"
    )]
    Characters,
    /// A character with a meaning in URLs.
    #[error(
        "a username may not have any of / \\ % ? #; letters and digits of any script, - _ and . are allowed"
    )]
    Reserved,
    /// Only dots, or a dot at either end.
    #[error(
        "a username may have dots only between other characters, as in ada.l: not at its start or end"
    )]
    Dots,
}

/// Characters that browsers, proxies and file systems interpret in URLs and paths.
const RESERVED: [char; 5] = ['/', '\\', '%', '?', '#'];

/// Normalisation never makes a name more than four times shorter, so longer texts are rejected
/// unread.
const MAX_BYTES: usize = MAX_USERNAME * 4 * 4;

impl Username {
    /// Parses what a person typed.
    pub fn parse(text: &str) -> Result<Self, InvalidUsername> {
        let text = text.trim();
        if text.is_empty() || text.len() > MAX_BYTES {
            return Err(InvalidUsername::Length);
        }
        let display = UsernameCasePreserved::enforce(text)
            .map_err(|_| InvalidUsername::Characters)?
            .into_owned();
        let mapped = UsernameCaseMapped::enforce(text).map_err(|_| InvalidUsername::Characters)?;
        if display.chars().count() > MAX_USERNAME || mapped.chars().count() > MAX_USERNAME {
            return Err(InvalidUsername::Length);
        }
        // After normalisation, which replaces fullwidth characters by ordinary ones.
        if [&*display, &*mapped].iter().any(|name| name.contains(RESERVED)) {
            return Err(InvalidUsername::Reserved);
        }
        if [&*display, &*mapped].iter().any(|name| name.starts_with('.') || name.ends_with('.')) {
            return Err(InvalidUsername::Dots);
        }
        let key: String = unicode_security::skeleton(&mapped).collect();
        if key.is_empty() { Err(InvalidUsername::Characters) } else { Ok(Self { display, key }) }
    }

    /// As its owner writes it.
    pub fn display(&self) -> &str {
        &self.display
    }

    /// Equal for all names that look the same. Opaque: for comparisons only.
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl std::str::FromStr for Username {
    type Err = InvalidUsername;
    fn from_str(text: &str) -> Result<Self, InvalidUsername> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests;
