//! Requests and responses of `/api`.

use serde::{Deserialize, Serialize};

use crate::envelope::Envelope;
use crate::id::{
    AccountId, ClientMessageId, ConversationId, DeviceId, MessageId, RunId, SessionId,
};
use crate::identity::SignedEntry;

macro_rules! wire {
    ($($(#[$meta:meta])* pub $kind:ident $name:ident $body:tt)+) => { $(
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[cfg_attr(test, derive(ts_rs::TS))]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        $(#[$meta])*
        pub $kind $name $body
    )+ };
}

pub(crate) use wire;

wire! {
    /// `POST /api/chat`: a message to the assistant.
    #[serde(deny_unknown_fields)]
    pub struct ChatRequest {
        /// The chat session to continue; a new one is created when it is absent or unknown.
        #[serde(default)] #[cfg_attr(test, ts(optional))]
        pub session_id: Option<SessionId>,
        /// The message.
        pub message: String,
        /// A model of `GET /api/models`; when absent, the session's or the default one.
        #[serde(default)] #[cfg_attr(test, ts(optional))]
        pub model: Option<String>,
    }

    /// The finished answer: the JSON response of `POST /api/chat`, and the data of `run.completed`.
    pub struct ChatAnswer {
        /// The chat session.
        pub session_id: SessionId,
        /// The run that wrote it.
        pub run_id: RunId,
        /// The assistant's message.
        pub message: Message,
        /// Tokens used.
        pub usage: Usage,
    }

    /// Token counts as reported by the provider.
    #[derive(Copy, Default, Eq)]
    pub struct Usage {
        /// Tokens read by the model.
        pub prompt_tokens: u64,
        /// Tokens written by the model.
        pub completion_tokens: u64,
    }

    /// One message of a chat session.
    #[derive(Eq)]
    pub struct Message {
        /// The message's id.
        pub id: MessageId,
        /// The author.
        pub role: Role,
        /// Markdown, as written.
        pub content: String,
        /// RFC 3339, UTC.
        pub created_at: String,
    }

    /// The author of a message.
    #[derive(Copy, Eq)]
    #[serde(rename_all = "snake_case")]
    pub enum Role {
        /// The person.
        User,
        /// The model.
        Assistant,
    }

    /// `GET /api/sessions`, newest first.
    pub struct SessionList {
        /// The account's chat sessions.
        pub sessions: Vec<Session>,
    }

    /// A chat session: `GET /api/sessions/{id}/info`, and an element of the list.
    #[derive(Eq)]
    pub struct Session {
        /// The session's id.
        pub id: SessionId,
        /// The title.
        pub title: String,
        /// The model used last.
        pub model: String,
        /// The system prompt.
        #[serde(default, skip_serializing_if = "Option::is_none")] #[cfg_attr(test, ts(optional))]
        pub system_prompt: Option<String>,
        /// Number of messages kept.
        pub message_count: u32,
        /// RFC 3339, UTC.
        pub created_at: String,
        /// RFC 3339, UTC.
        pub updated_at: String,
        /// The active run, while the assistant is answering.
        #[serde(default, skip_serializing_if = "Option::is_none")] #[cfg_attr(test, ts(optional))]
        pub active_run: Option<RunId>,
    }

    /// `PATCH /api/sessions/{id}`: absent fields stay unchanged.
    #[derive(Default)]
    #[serde(deny_unknown_fields)]
    pub struct SessionPatch {
        /// A new title.
        #[serde(default)] #[cfg_attr(test, ts(optional))]
        pub title: Option<String>,
        /// A new system prompt; an empty one removes it.
        #[serde(default)] #[cfg_attr(test, ts(optional))]
        pub system_prompt: Option<String>,
        /// The model to use from now on.
        #[serde(default)] #[cfg_attr(test, ts(optional))]
        pub model: Option<String>,
    }

    /// `GET /api/sessions/{id}/messages`, oldest first.
    pub struct History {
        /// The messages kept.
        pub messages: Vec<Message>,
    }

    /// `GET /api/models`.
    pub struct ModelList {
        /// The models to choose from; the first one is the default.
        pub models: Vec<Model>,
    }

    /// One model.
    #[derive(Eq)]
    pub struct Model {
        /// The provider's name for it.
        pub id: String,
        /// True for the built-in demo model.
        pub demo: bool,
    }

    /// `GET /api/me`, and the response of `POST /api/me`.
    #[derive(Eq)]
    pub struct Me {
        /// The account of this browser.
        pub account_id: AccountId,
        /// The username, if claimed.
        #[serde(default, skip_serializing_if = "Option::is_none")] #[cfg_attr(test, ts(optional))]
        pub username: Option<String>,
    }

    /// `POST /api/me`: creates an account if there is none, and claims a username if one is given.
    #[derive(Default)]
    #[serde(deny_unknown_fields)]
    pub struct ClaimUsername {
        /// Letters of any script, normalised by PRECIS (RFC 8265); when absent, the username stays
        /// unchanged.
        #[serde(default, skip_serializing_if = "Option::is_none")] #[cfg_attr(test, ts(optional))]
        pub username: Option<String>,
    }

    /// `GET /api/users/{username}`: the account with this username.
    #[derive(Eq)]
    pub struct User {
        /// The account.
        pub account_id: AccountId,
        /// The username as its owner writes it.
        pub username: String,
    }

    /// A device's public keys: `PUT /api/devices/{device}`.
    #[derive(Eq)]
    pub struct DeviceKeys {
        /// The cipher suite the keys are for.
        pub suite: String,
        /// SubjectPublicKeyInfo (RFC 5280), base64url: messages are encrypted to it.
        pub encryption_key: String,
        /// SubjectPublicKeyInfo (RFC 8410 for Ed25519), base64url: messages are verified with it.
        pub signing_key: String,
        /// Counts the encryption keys of the device, from 1. The signing key never changes.
        pub generation: u64,
        /// When the encryption key was made: milliseconds since 1970, by the device's clock.
        pub created_at: u64,
        /// The signing key's signature over the keys statement, base64url. Byte layout:
        /// `docs/E2E.md`.
        pub signature: String,
    }

    /// One device of an account.
    #[derive(Eq)]
    pub struct Device {
        /// The device's id.
        pub device: DeviceId,
        /// Its public keys.
        #[serde(flatten)]
        pub keys: DeviceKeys,
        /// RFC 3339, UTC: when the device was registered.
        pub registered_at: String,
    }

    /// `GET /api/accounts/{account}/devices`.
    pub struct DeviceList {
        /// The owner of the devices.
        pub account_id: AccountId,
        /// The username, if claimed.
        #[serde(default, skip_serializing_if = "Option::is_none")] #[cfg_attr(test, ts(optional))]
        pub username: Option<String>,
        /// Oldest first.
        pub devices: Vec<Device>,
        /// The account's identity key: 32 bytes (RFC 8032), base64url. Absent before the private
        /// chat was set up.
        #[serde(default, skip_serializing_if = "Option::is_none")] #[cfg_attr(test, ts(optional))]
        pub identity_key: Option<String>,
        /// The account's whole device log, from version 1.
        pub log: Vec<SignedEntry>,
    }

    /// `GET /api/conversations`, latest first.
    pub struct ConversationList {
        /// The account's conversations.
        pub conversations: Vec<Conversation>,
    }

    /// One conversation between two people.
    #[derive(Eq)]
    pub struct Conversation {
        /// The conversation's id.
        pub id: ConversationId,
        /// The other person.
        pub peer: User,
        /// The number of the last message.
        pub last_seq: u64,
        /// RFC 3339, UTC: time of the last message.
        pub updated_at: String,
        /// The last message this account has read.
        pub read_upto: u64,
        /// The last message the other person's devices have received.
        pub peer_received_upto: u64,
        /// The last message the other person has read.
        pub peer_read_upto: u64,
    }

    /// `GET /api/conversations/{id}/messages?before={seq}&limit={n}`, oldest first.
    pub struct ConversationPage {
        /// At most `limit` messages before `before`.
        pub messages: Vec<PrivateMessage>,
        /// True when older messages are kept.
        pub more: bool,
    }

    /// A private message as relayed by the server.
    #[derive(Eq)]
    pub struct PrivateMessage {
        /// The conversation.
        pub conversation: ConversationId,
        /// Its number in the conversation, from 1, without gaps.
        pub seq: u64,
        /// The sender's id for it.
        pub cid: ClientMessageId,
        /// The sender, as authenticated by the server.
        pub sender: AccountId,
        /// The sending device.
        pub device: DeviceId,
        /// RFC 3339, UTC: time of writing on the server.
        pub at: String,
        /// Seconds after `at` at which the server deletes the message; absent when it is kept until
        /// the normal retention.
        #[serde(default, skip_serializing_if = "Option::is_none")] #[cfg_attr(test, ts(optional))]
        pub lifetime: Option<u32>,
        /// Encrypted for the devices of both people.
        pub envelope: Envelope,
    }
}
