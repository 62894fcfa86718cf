//! Frames of `/ws`, subprotocol `gatehouse.v1`: one JSON object in each text frame.

use serde::{Deserialize, Serialize};

use crate::api::{PrivateMessage, User};
use crate::envelope::Envelope;
use crate::id::{AccountId, ClientMessageId, ConnectionId, ConversationId, DeviceId};

/// Client → server. Every frame has an `id` chosen by the client; the response repeats it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct ClientFrame {
    /// Repeated in the response.
    pub id: u64,
    /// The request.
    #[serde(rename = "do")]
    pub request: Request,
}

/// Requests of a client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// First frame, within 10 s. Answered by `welcome`.
    Hello {
        /// A device registered with `PUT /api/devices/{device}`.
        device: DeviceId,
        /// The position of the last event processed; absent for a fresh start.
        #[serde(default)]
        #[cfg_attr(test, ts(optional))]
        resume: Option<u64>,
    },
    /// Sends a private message. Answered once it is written; a retry with the same `cid` and
    /// envelope gets the same response.
    Send {
        /// The other person.
        to: AccountId,
        /// The client's id for the message.
        cid: ClientMessageId,
        /// Seconds after which the server deletes the message: 86400, 604800 or 2592000; when
        /// absent or 0, it is kept until the normal retention.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(optional))]
        lifetime: Option<u32>,
        /// Encrypted for the devices of both people.
        envelope: Envelope,
    },
    /// Events up to this position are stored on this device.
    Received {
        /// An event position.
        upto: u64,
    },
    /// Messages up to this number were read.
    Read {
        /// The conversation.
        conversation: ConversationId,
        /// A message `seq`.
        upto: u64,
    },
    /// The person is typing.
    Typing {
        /// The conversation.
        conversation: ConversationId,
    },
    /// Watches the presence of these accounts; replaces an earlier list.
    Watch {
        /// At most 500.
        users: Vec<AccountId>,
    },
    /// Enters the lobby and watches it, or stops both.
    Lobby {
        /// True to enter, false to leave.
        on: bool,
    },
}

/// Server → client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(
    clippy::large_enum_variant,
    reason = "the large variant is the common one, and frames are not stored"
)]
pub enum ServerFrame {
    /// The response to `hello`.
    Welcome {
        /// The id of the request.
        id: u64,
        /// This connection's id.
        connection: ConnectionId,
        /// The account of the cookie.
        account: AccountId,
        /// The position after which live events follow; replayed events come first.
        resume: u64,
        /// False when the gap could not be replayed: sync by pages.
        recovered: bool,
        /// What this server accepts.
        limits: Limits,
    },
    /// The request succeeded; its effect is durable where that matters.
    Ok {
        /// The id of the request.
        id: u64,
        /// For `send`: where the message was written.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(optional))]
        sent: Option<Sent>,
    },
    /// The request was rejected.
    Err {
        /// The id of the request.
        id: u64,
        /// Stable error code.
        code: ErrorCode,
        /// Human-readable.
        message: String,
        /// True when the same request may succeed later.
        temporary: bool,
        /// Seconds after which a retry makes sense.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(optional))]
        retry_after: Option<u32>,
    },
    /// A durable event: in order, at least once.
    Event {
        /// The inbox position: the resume token.
        position: u64,
        /// The event.
        event: InboxEvent,
    },
    /// An ephemeral notice: may be dropped or merged.
    Notice {
        /// The notice.
        notice: Notice,
    },
    /// Sent before the server closes the connection.
    Bye {
        /// The close code, see [`close`].
        code: u16,
        /// Milliseconds to wait before reconnecting.
        retry_after: u32,
    },
}

/// Where a message was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Sent {
    /// The conversation.
    pub conversation: ConversationId,
    /// Its number in the conversation.
    pub seq: u64,
    /// RFC 3339, UTC.
    pub at: String,
}

/// Limits of this server, sent in `welcome`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Limits {
    /// Bytes of one frame.
    pub max_frame: u32,
    /// Devices of one account.
    pub max_devices: u32,
    /// Accounts in `watch`.
    pub max_watched: u32,
    /// Seconds between two pings of the server.
    pub ping_seconds: u32,
    /// Seconds after which a device replaces its encryption key.
    pub key_rotation_seconds: u32,
    /// Seconds for which private messages are kept.
    pub retention_seconds: u32,
}

/// An entry of an account's durable inbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "kind", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "the large variant is the common one")]
pub enum InboxEvent {
    /// A private message, from the other person or from another device of the same account.
    Message(PrivateMessage),
    /// The other person's devices received messages, or the person read them.
    Receipt {
        /// The conversation.
        conversation: ConversationId,
        /// The account that received or read.
        account: AccountId,
        /// Received or read.
        state: ReceiptState,
        /// A message `seq`.
        upto: u64,
    },
    /// An account's identity, device log or device keys changed: fetch them again.
    KeyChange {
        /// The account.
        account: AccountId,
    },
    /// An account has a new username. Sent to its own devices and to everyone with whom it has a
    /// conversation.
    Renamed {
        /// The account.
        account: AccountId,
        /// The new username, as its owner writes it.
        username: String,
        /// The previous username; absent when there was none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(optional))]
        previous: Option<String>,
    },
}

/// State of a delivered message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum ReceiptState {
    /// Stored on a device.
    Received,
    /// Read by the person.
    Read,
}

/// Ephemeral state, never stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Notice {
    /// Everyone in the lobby; replaces earlier state.
    Lobby {
        /// In order of name.
        users: Vec<User>,
    },
    /// A person entered the lobby, left it, or was renamed. Per account, the latest notice counts.
    LobbyChange {
        /// The person.
        user: User,
        /// True when in the lobby.
        present: bool,
    },
    /// A watched account came online or went offline.
    Presence {
        /// The account.
        account: AccountId,
        /// Connected with at least one device.
        online: bool,
    },
    /// The other person is typing.
    Typing {
        /// The conversation.
        conversation: ConversationId,
        /// The account.
        account: AccountId,
    },
}

/// Why a request was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// A value is invalid; the message names it.
    Invalid,
    /// `hello` must come first, and only once.
    OutOfOrder,
    /// No such account or conversation.
    NotFound,
    /// The device is not registered for this account.
    UnknownDevice,
    /// Another envelope was sent with this `cid`.
    CidReused,
    /// The lobby needs a username.
    UsernameRequired,
    /// Too many requests.
    RateLimited,
    /// The store is unavailable; try again.
    StoreUnavailable,
}

/// Close codes: 4000–4499 reconnect, 4500–4999 do not.
pub mod close {
    /// The server is draining: reconnect elsewhere.
    pub const DRAIN: u16 = 4000;
    /// The client reads too slowly: resume.
    pub const SLOW: u16 = 4008;
    /// The resume position is not available: sync by pages.
    pub const POSITION_LOST: u16 = 4010;
    /// No pong in time.
    pub const NO_PONG: u16 = 4012;
    /// Too many frames.
    pub const RATE: u16 = 4013;
    /// The cookie was replaced: reconnect with the new one.
    pub const COOKIE_REPLACED: u16 = 4014;
    /// A frame that violates the protocol.
    pub const BAD_FRAME: u16 = 4501;
    /// No `hello` in time.
    pub const NO_HELLO: u16 = 4502;
    /// The credential was revoked.
    pub const REVOKED: u16 = 4503;
    /// Too many connections of one account.
    pub const TOO_MANY: u16 = 4509;
}
