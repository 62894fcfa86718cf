//! Usernames: normalised by PRECIS (RFC 8265), compared by what they look like (UTS #39 skeleton).

use backend_protocol::limits::MAX_USERNAME;
use precis_core::profile::PrecisFastInvocation;
use precis_profiles::{UsernameCaseMapped, UsernameCasePreserved};

/// A username that may be claimed.
///
/// Shown as its owner writes it ([RFC 8265, section 3.4], case preserved); two usernames are the
/// same when they look the same: case mapped ([RFC 8265, section 3.3]), then the skeleton of [UTS
/// #39, section 4].
///
/// [RFC 8265, section 3.3]: https://www.rfc-editor.org/rfc/rfc8265#section-3.3
/// [RFC 8265, section 3.4]: https://www.rfc-editor.org/rfc/rfc8265#section-3.4
/// [UTS #39, section 4]: https://www.unicode.org/reports/tr39/#Confusable_Detection
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username {
    display: String,
    key: String,
}

/// A username was refused: what was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUsername {
    /// Nothing, or too much.
    #[error("a username has 1 to {MAX_USERNAME} characters")]
    Length,
    /// A character or a combination that PRECIS refuses.
    #[error("a username has letters and digits of any script and visible ASCII signs, no spaces")]
    Characters,
    /// A sign that means something in an address.
    #[error(
        "a username has none of the signs / \\ % ? #; letters and digits of any script, - _ and . are fine"
    )]
    Reserved,
    /// Nothing but dots, or one at an end.
    #[error(
        "a username has dots only between other characters, as in ada.l: not at its beginning or end"
    )]
    Dots,
}

/// Signs that browsers, proxies and file systems read as part of an address, not of a name.
const RESERVED: [char; 5] = ['/', '\\', '%', '?', '#'];

/// No normalisation rule makes a name more than four times shorter, so anything longer is refused
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
        // After normalisation: it makes ordinary signs of fullwidth ones.
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

    /// The same for all names that look the same. Opaque: for comparing only.
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
