//! Ids. An id is a name, not a secret: access is checked separately.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An invalid id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidId {
    /// The kind of id, as named in the API: `session_id`, `cid` …
    pub kind: &'static str,
}

impl fmt::Display for InvalidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} must be 1 to 64 letters, digits, `-` or `_`", self.kind)
    }
}

impl std::error::Error for InvalidId {}

/// The longest id, in characters.
pub const MAX_ID_LENGTH: usize = 64;

fn is_valid(text: &str) -> bool {
    (1..=MAX_ID_LENGTH).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// The OpenAPI schema of a type that is a string on the wire.
#[cfg(feature = "openapi")]
macro_rules! openapi_string {
    ($name:ident, $pattern:literal) => {
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .pattern(Some($pattern))
                    .into()
            }
        }

        impl utoipa::ToSchema for $name {}
    };
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(test, derive(ts_rs::TS))]
        #[serde(try_from = "String", into = "String")]
        #[cfg_attr(test, ts(type = "string"))]
        pub struct $name(String);

        impl $name {
            /// Parses an id: 1 to 64 letters, digits, `-` or `_`.
            pub fn parse(text: impl Into<String>) -> Result<Self, InvalidId> {
                let text = text.into();
                if is_valid(&text) { Ok(Self(text)) } else { Err(InvalidId { kind: $kind }) }
            }

            /// The id as sent on the wire.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::parse(text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::parse(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        #[cfg(feature = "openapi")]
        openapi_string!($name, "^[A-Za-z0-9_-]{1,64}$");
    };
}

id!(
    /// An account: one per person, created by the first write.
    AccountId,
    "account_id"
);
id!(
    /// A chat session with the assistant. A client may choose the id; it is scoped to its owner.
    SessionId,
    "session_id"
);
id!(
    /// A run: one answer of the assistant in progress.
    RunId,
    "run_id"
);
id!(
    /// A message of a chat session.
    MessageId,
    "message_id"
);
id!(
    /// A device: one browser profile with its own keys.
    DeviceId,
    "device"
);
id!(
    /// Chosen by the client for each private message, so that a retry is recognised.
    ClientMessageId,
    "cid"
);
id!(
    /// A WebSocket connection, for presence.
    ConnectionId,
    "connection"
);

/// A conversation between two people: both account ids in ascending order, joined by `.`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(test, ts(type = "string"))]
pub struct ConversationId {
    text: String,
    split: usize,
}

#[cfg(feature = "openapi")]
openapi_string!(ConversationId, r"^[A-Za-z0-9_-]{1,64}\.[A-Za-z0-9_-]{1,64}$");

impl ConversationId {
    /// The conversation of these two accounts, independent of their order.
    pub fn between(a: &AccountId, b: &AccountId) -> Self {
        let (low, high) = if a <= b { (a, b) } else { (b, a) };
        Self { text: format!("{low}.{high}"), split: low.as_str().len() }
    }

    /// Parses `low.high`, both account ids in ascending order.
    pub fn parse(text: impl Into<String>) -> Result<Self, InvalidId> {
        let text = text.into();
        let invalid = InvalidId { kind: "conversation" };
        let (low, high) = text.split_once('.').ok_or(invalid.clone())?;
        if !is_valid(low) || !is_valid(high) || low > high {
            return Err(invalid);
        }
        let split = low.len();
        Ok(Self { text, split })
    }

    /// As sent on the wire.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Both members, in ascending order; the same account twice for notes to oneself.
    pub fn members(&self) -> [AccountId; 2] {
        let (low, high) = self.text.split_at(self.split);
        [AccountId(low.to_owned()), AccountId(high.trim_start_matches('.').to_owned())]
    }

    /// The other member; `None` when `me` is not a member.
    pub fn peer_of(&self, me: &AccountId) -> Option<AccountId> {
        let [low, high] = self.members();
        if low == *me {
            Some(high)
        } else if high == *me {
            Some(low)
        } else {
            None
        }
    }
}

impl TryFrom<String> for ConversationId {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        Self::parse(text)
    }
}

impl From<ConversationId> for String {
    fn from(id: ConversationId) -> String {
        id.text
    }
}

impl fmt::Display for ConversationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
