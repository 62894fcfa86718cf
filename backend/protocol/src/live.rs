//! Frames of `/ws`, subprotocol `gatehouse.v1`: one JSON object in each text frame.

use serde::{Deserialize, Serialize};

use crate::api::{PrivateMessage, User};
use crate::envelope::Envelope;
use crate::id::{AccountId, ClientMessageId, ConnectionId, ConversationId, DeviceId};

/// Client → server. Every frame has an `id` of the client's choice; its answer repeats it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct ClientFrame {
    /// Repeated in the answer.
    pub id: u64,
    /// What is asked.
    #[serde(rename = "do")]
    pub request: Request,
}

/// What a client can ask.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// First frame, within 10 s. Answered by `welcome`.
    Hello {
        /// A device registered with `PUT /api/devices/{device}`.
        device: DeviceId,
        /// The position of the last event that was taken in; absent for a fresh start.
        #[serde(default)]
        #[cfg_attr(test, ts(optional))]
        resume: Option<u64>,
    },
    /// A private message. Answered once it is written; a retry with the same `cid` gives the same
    /// answer.
    Send {
        /// The other person.
        to: AccountId,
        /// The client's name for the message.
        cid: ClientMessageId,
        /// What only the two people can read.
        envelope: Envelope,
    },
    /// Events up to this position are safe on this device.
    Received {
        /// An event position.
        upto: u64,
    },
    /// Messages up to this number were read.
    Read {
        /// Where.
        conversation: ConversationId,
        /// A message `seq`.
        upto: u64,
    },
    /// The person is typing.
    Typing {
        /// Where.
        conversation: ConversationId,
    },
    /// Presence of these people from now on; replaces an earlier list.
    Watch {
        /// At most 500.
        users: Vec<AccountId>,
    },
    /// Show me in the lobby and show me the lobby, or stop both.
    Lobby {
        /// In or out.
        on: bool,
    },
}

/// Server → client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(
    clippy::large_enum_variant,
    reason = "the large one is the usual one, and none is kept in numbers"
)]
pub enum ServerFrame {
    /// The answer to `hello`.
    Welcome {
        /// Repeats the request's.
        id: u64,
        /// This connection's name.
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
    /// The request was carried out, and is durable where that matters.
    Ok {
        /// Repeats the request's.
        id: u64,
        /// For `send`: where the message was written.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(optional))]
        sent: Option<Sent>,
    },
    /// The request was refused.
    Err {
        /// Repeats the request's.
        id: u64,
        /// Stable.
        code: ErrorCode,
        /// What was expected, for a person.
        message: String,
        /// True when the same request may succeed later.
        temporary: bool,
        /// Seconds after which a retry makes sense.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(optional))]
        retry_after: Option<u32>,
    },
    /// Durable, in order, at least once.
    Event {
        /// The inbox position: the resume token.
        position: u64,
        /// What happened.
        event: InboxEvent,
    },
    /// Ephemeral: may be dropped or merged.
    Notice {
        /// What is going on.
        notice: Notice,
    },
    /// The server closes next, with this code.
    Bye {
        /// As [`close`].
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
    /// Its number there.
    pub seq: u64,
    /// RFC 3339, UTC.
    pub at: String,
}

/// What this server accepts, told in `welcome`.
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
}

/// An entry of an account's durable inbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "kind", rename_all = "snake_case")]
#[expect(
    clippy::large_enum_variant,
    reason = "the large one is the usual one, and none is kept in numbers"
)]
pub enum InboxEvent {
    /// A private message, from the other person or from another device of one's own.
    Message(PrivateMessage),
    /// The other person's devices received, or the person read.
    Receipt {
        /// Where.
        conversation: ConversationId,
        /// Who received or read.
        account: AccountId,
        /// Which of the two.
        state: ReceiptState,
        /// A message `seq`.
        upto: u64,
    },
    /// Somebody's set of devices changed: fetch the keys again.
    KeyChange {
        /// Whose.
        account: AccountId,
    },
    /// A person has another username, or a first one: for its own devices and everyone it has a
    /// conversation with.
    Renamed {
        /// Whose.
        account: AccountId,
        /// The username from now on, as its owner writes it.
        username: String,
        /// The username until now; absent when there was none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(optional))]
        previous: Option<String>,
    },
}

/// How far a message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum ReceiptState {
    /// On a device.
    Received,
    /// Before a person's eyes.
    Read,
}

/// Something that is true now and not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Notice {
    /// Everyone in the lobby; replaces what was known.
    Lobby {
        /// In order of name.
        users: Vec<User>,
    },
    /// A person came to the lobby, left it, or has another name: by account, the latest one counts.
    LobbyChange {
        /// Who.
        user: User,
        /// In or out.
        present: bool,
    },
    /// A watched account came or went.
    Presence {
        /// Who.
        account: AccountId,
        /// Connected with at least one device.
        online: bool,
    },
    /// The other person is typing.
    Typing {
        /// Where.
        conversation: ConversationId,
        /// Who.
        account: AccountId,
    },
}

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// A value is not acceptable; the message says which.
    Invalid,
    /// `hello` must come first, and once.
    OutOfOrder,
    /// No such account or conversation.
    NotFound,
    /// The device is not registered for this account.
    UnknownDevice,
    /// The lobby needs a username.
    UsernameRequired,
    /// Too much at once.
    RateLimited,
    /// The store does not answer; try again.
    StoreUnavailable,
}

/// Close codes: 4000–4499 reconnect, 4500–4999 do not.
pub mod close {
    /// The server is draining: reconnect elsewhere.
    pub const DRAIN: u16 = 4000;
    /// The client reads too slowly: resume.
    pub const SLOW: u16 = 4008;
    /// The position is unknown: sync by pages.
    pub const POSITION_LOST: u16 = 4010;
    /// No pong.
    pub const NO_PONG: u16 = 4012;
    /// Too many frames.
    pub const RATE: u16 = 4013;
    /// The cookie was replaced by a new one: reconnect with that.
    pub const COOKIE_REPLACED: u16 = 4014;
    /// A frame that is not of this protocol.
    pub const BAD_FRAME: u16 = 4501;
    /// No `hello` in time.
    pub const NO_HELLO: u16 = 4502;
    /// The credential was revoked.
    pub const REVOKED: u16 = 4503;
    /// Too many connections of one account.
    pub const TOO_MANY: u16 = 4509;
}
