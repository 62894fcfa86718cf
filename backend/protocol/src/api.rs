//! Requests and answers of `/api`.

use serde::{Deserialize, Serialize};

use crate::envelope::Envelope;
use crate::id::{
    AccountId, ClientMessageId, ConversationId, DeviceId, MessageId, RunId, SessionId,
};

macro_rules! wire {
    ($($(#[$meta:meta])* pub $kind:ident $name:ident $body:tt)+) => { $(
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[cfg_attr(test, derive(ts_rs::TS))]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        $(#[$meta])*
        pub $kind $name $body
    )+ };
}

wire! {
    /// `POST /api/chat`: ask the assistant.
    #[serde(deny_unknown_fields)]
    pub struct ChatRequest {
        /// The session to go on with; a new one is made when it is absent or unknown.
        #[serde(default)] #[cfg_attr(test, ts(optional))]
        pub session_id: Option<SessionId>,
        /// What is asked.
        pub message: String,
        /// A model of `GET /api/models`; the session's or the default one when absent.
        #[serde(default)] #[cfg_attr(test, ts(optional))]
        pub model: Option<String>,
    }

    /// The finished answer: the JSON answer of `POST /api/chat`, and the data of `run.completed`.
    pub struct ChatAnswer {
        /// The session it belongs to.
        pub session_id: SessionId,
        /// The run that made it.
        pub run_id: RunId,
        /// The assistant's message.
        pub message: Message,
        /// What it cost.
        pub usage: Usage,
    }

    /// Tokens, as the provider counts them.
    #[derive(Copy, Default, Eq)]
    pub struct Usage {
        /// Read by the model.
        pub prompt_tokens: u64,
        /// Written by the model.
        pub completion_tokens: u64,
    }

    /// One message of an assistant session.
    #[derive(Eq)]
    pub struct Message {
        /// Its name.
        pub id: MessageId,
        /// Who wrote it.
        pub role: Role,
        /// Markdown, as written.
        pub content: String,
        /// RFC 3339, UTC.
        pub created_at: String,
    }

    /// Who wrote a message.
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
        /// The account's own sessions.
        pub sessions: Vec<Session>,
    }

    /// One session: `GET /api/sessions/{id}/info`, and an element of the list.
    #[derive(Eq)]
    pub struct Session {
        /// Its name.
        pub id: SessionId,
        /// What it is about.
        pub title: String,
        /// The model last used.
        pub model: String,
        /// What the model is told first.
        #[serde(default, skip_serializing_if = "Option::is_none")] #[cfg_attr(test, ts(optional))]
        pub system_prompt: Option<String>,
        /// Messages kept at present.
        pub message_count: u32,
        /// RFC 3339, UTC.
        pub created_at: String,
        /// RFC 3339, UTC.
        pub updated_at: String,
        /// The run that is writing an answer right now.
        #[serde(default, skip_serializing_if = "Option::is_none")] #[cfg_attr(test, ts(optional))]
        pub active_run: Option<RunId>,
    }

    /// `PATCH /api/sessions/{id}`: absent fields stay.
    #[derive(Default)]
    #[serde(deny_unknown_fields)]
    pub struct SessionPatch {
        /// A new title.
        #[serde(default)] #[cfg_attr(test, ts(optional))]
        pub title: Option<String>,
        /// A new system prompt; an empty one removes it.
        #[serde(default)] #[cfg_attr(test, ts(optional))]
        pub system_prompt: Option<String>,
        /// The model from now on.
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
        /// What the picker offers; the first one is the default.
        pub models: Vec<Model>,
    }

    /// One model of the picker.
    #[derive(Eq)]
    pub struct Model {
        /// As the provider names it.
        pub id: String,
        /// True for the built-in demo model, which only plays the part.
        pub demo: bool,
    }

    /// `GET /api/me`, and the answer of `POST /api/me`.
    #[derive(Eq)]
    pub struct Me {
        /// The account of this browser.
        pub account_id: AccountId,
        /// Its username, once claimed.
        #[serde(default, skip_serializing_if = "Option::is_none")] #[cfg_attr(test, ts(optional))]
        pub username: Option<String>,
    }

    /// `POST /api/me`: open an account where there is none, and claim a username when one is given.
    #[derive(Default)]
    #[serde(deny_unknown_fields)]
    pub struct ClaimUsername {
        /// Letters of any script, normalised by PRECIS (RFC 8265); absent, the account's name stays
        /// as it is.
        #[serde(default, skip_serializing_if = "Option::is_none")] #[cfg_attr(test, ts(optional))]
        pub username: Option<String>,
    }

    /// `GET /api/users/{username}`: who has this name.
    #[derive(Eq)]
    pub struct User {
        /// The account behind the name.
        pub account_id: AccountId,
        /// The name as its owner writes it.
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
    }

    /// One device of an account.
    #[derive(Eq)]
    pub struct Device {
        /// Its name.
        pub device: DeviceId,
        /// Its public keys.
        #[serde(flatten)]
        pub keys: DeviceKeys,
        /// RFC 3339, UTC.
        pub created_at: String,
    }

    /// `GET /api/accounts/{account}/devices`.
    pub struct DeviceList {
        /// Whose devices these are.
        pub account_id: AccountId,
        /// The username, once claimed.
        #[serde(default, skip_serializing_if = "Option::is_none")] #[cfg_attr(test, ts(optional))]
        pub username: Option<String>,
        /// Oldest first.
        pub devices: Vec<Device>,
    }

    /// `GET /api/conversations`, latest first.
    pub struct ConversationList {
        /// The account's conversations.
        pub conversations: Vec<Conversation>,
    }

    /// One conversation between two people.
    #[derive(Eq)]
    pub struct Conversation {
        /// Its name.
        pub id: ConversationId,
        /// The other person.
        pub peer: User,
        /// The number of the last message.
        pub last_seq: u64,
        /// RFC 3339, UTC: when the last message came.
        pub updated_at: String,
        /// Up to where this account has read.
        pub read_upto: u64,
        /// Up to where the other person's devices have received.
        pub peer_received_upto: u64,
        /// Up to where the other person has read.
        pub peer_read_upto: u64,
    }

    /// `GET /api/conversations/{id}/messages?before={seq}&limit={n}`, oldest first.
    pub struct ConversationPage {
        /// At most `limit` messages before `before`.
        pub messages: Vec<PrivateMessage>,
        /// True when older ones are kept.
        pub more: bool,
    }

    /// One relayed private message.
    #[derive(Eq)]
    pub struct PrivateMessage {
        /// Where it belongs.
        pub conversation: ConversationId,
        /// Its number in the conversation, from 1, without gaps.
        pub seq: u64,
        /// The sender's own name for it.
        pub cid: ClientMessageId,
        /// Who sent it, as the server knows the connection.
        pub sender: AccountId,
        /// From which device.
        pub device: DeviceId,
        /// RFC 3339, UTC: when the server wrote it.
        pub at: String,
        /// What only the two people can read.
        pub envelope: Envelope,
    }
}
