//! Sizes and counts shared by server and client. Bytes unless the name says otherwise.

/// One WebSocket frame, in either direction.
pub const MAX_FRAME: usize = 64 * 1024;
/// The base64url ciphertext of one envelope.
pub const MAX_CIPHERTEXT: usize = 40 * 1024;
/// Devices of one account; each adds one wrapped key to every envelope.
pub const MAX_DEVICES: usize = 8;
/// Entries of one account's device log.
pub const MAX_LOG_ENTRIES: usize = 1024;
/// One entry of a device log, before base64url.
pub const MAX_LOG_ENTRY: usize = 1024;
/// The sealed private identity key, before base64url.
pub const MAX_SEALED_IDENTITY: usize = 1024;
/// The body of one message of a link.
pub const MAX_LINK_MESSAGE: usize = 192 * 1024;
/// Messages of one link.
pub const MAX_LINK_MESSAGES: usize = 64;
/// The bodies of all messages of one link.
pub const MAX_LINK_BYTES: usize = 4 * 1024 * 1024;
/// Seconds for which a link exists.
pub const LINK_SECONDS: u32 = 10 * 60;
/// The largest integer that every JSON number holds exactly: 2^53 - 1 (RFC 8259 section 6).
pub const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;
/// One message to the assistant.
pub const MAX_CHAT_MESSAGE: usize = 32 * 1024;
/// The body of an `/api` request.
pub const MAX_BODY: usize = 256 * 1024;
/// A chat session's title, in characters.
pub const MAX_TITLE: usize = 120;
/// A chat session's system prompt.
pub const MAX_SYSTEM_PROMPT: usize = 8 * 1024;
/// A username, in characters after normalisation.
pub const MAX_USERNAME: usize = 32;
/// Accounts one connection may watch for presence.
pub const MAX_WATCHED: usize = 500;
/// Inbox events replayed on resume; with more, the client syncs by pages.
pub const MAX_REPLAY: usize = 500;
/// Messages in one page of a conversation or a log.
pub const MAX_PAGE: usize = 100;
/// Lifetimes of a disappearing message, in seconds: a day, a week, 30 days.
pub const LIFETIMES: [u32; 3] = [86_400, 604_800, 2_592_000];
/// Seconds within which a new connection must send `hello`.
pub const HELLO_SECONDS: u64 = 10;
/// Seconds between two pings of the server.
pub const PING_SECONDS: u64 = 25;
/// Seconds within which a ping must be answered.
pub const PONG_SECONDS: u64 = 10;
/// Seconds after which presence of a connection expires unless renewed.
pub const PRESENCE_SECONDS: u64 = 60;
/// The subprotocol of `/ws`.
pub const SUBPROTOCOL: &str = "gatehouse.v1";
/// The cookie that carries an account's credential.
pub const COOKIE: &str = "__Host-gatehouse";
