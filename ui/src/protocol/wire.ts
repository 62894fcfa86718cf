// Generated from backend/protocol by `make generate`. Do not edit.

/**
 * An account: one per person, created by the first write.
 */
export type AccountId = string;

/**
 * A chat session with the assistant. A client may choose the id; it is scoped to its owner.
 */
export type SessionId = string;

/**
 * A run: one answer of the assistant in progress.
 */
export type RunId = string;

/**
 * A message of a chat session.
 */
export type MessageId = string;

/**
 * A device: one browser profile with its own keys.
 */
export type DeviceId = string;

/**
 * Chosen by the client for each private message, so that a retry is recognised.
 */
export type ClientMessageId = string;

/**
 * A WebSocket connection, for presence.
 */
export type ConnectionId = string;

/**
 * A conversation between two people: both account ids in ascending order, joined by `.`.
 */
export type ConversationId = string;

/**
 * The stable types of problems.
 */
export type ProblemType = "bad-request" | "unauthenticated" | "device-removed" | "cross-origin" | "not-found" | "method-not-allowed" | "conflict" | "username-taken" | "run-active" | "limit-reached" | "run-expired" | "too-large" | "unsupported-media-type" | "invalid-value" | "idempotency-conflict" | "context-too-long" | "content-filtered" | "rate-limited" | "quota-exhausted" | "internal" | "upstream-unavailable" | "store-unavailable";

/**
 * `application/problem+json`: what went wrong and how to fix it.
 */
export type Problem = { 
/**
 * Stable, machine-readable type.
 */
type: ProblemType, 
/**
 * Human-readable summary of the type.
 */
title: string, 
/**
 * The HTTP status.
 */
status: number, 
/**
 * Human-readable: what was expected and what was found.
 */
detail?: string, 
/**
 * Seconds after which a retry makes sense.
 */
retry_after?: number, };

/**
 * One end-to-end encrypted message. Binary fields are base64url without padding (RFC 4648 section
 * 5).
 */
export type Envelope = { 
/**
 * The cipher suite, such as `rsa-aes-1`.
 */
suite: string, 
/**
 * The canonical header: additional data of the AEAD, and signed.
 */
header: string, 
/**
 * The AEAD nonce.
 */
nonce: string, 
/**
 * The padded plaintext, encrypted once.
 */
ciphertext: string, 
/**
 * The message key, wrapped for every device of both people.
 */
keys: Array<WrappedKey>, 
/**
 * The sending device's signature over the whole envelope.
 */
signature: string, };

/**
 * The message key for one device.
 */
export type WrappedKey = { 
/**
 * The device that can unwrap it.
 */
device: DeviceId, 
/**
 * The wrapped key.
 */
key: string, };

/**
 * `POST /api/chat`: a message to the assistant.
 */
export type ChatRequest = { 
/**
 * The chat session to continue; a new one is created when it is absent or unknown.
 */
session_id?: SessionId, 
/**
 * The message.
 */
message: string, 
/**
 * A model of `GET /api/models`; when absent, the session's or the default one.
 */
model?: string, };

/**
 * The finished answer: the JSON response of `POST /api/chat`, and the data of `run.completed`.
 */
export type ChatAnswer = { 
/**
 * The chat session.
 */
session_id: SessionId, 
/**
 * The run that wrote it.
 */
run_id: RunId, 
/**
 * The assistant's message.
 */
message: Message, 
/**
 * Tokens used.
 */
usage: Usage, };

/**
 * Token counts as reported by the provider.
 */
export type Usage = { 
/**
 * Tokens read by the model.
 */
prompt_tokens: number, 
/**
 * Tokens written by the model.
 */
completion_tokens: number, };

/**
 * One message of a chat session.
 */
export type Message = { 
/**
 * The message's id.
 */
id: MessageId, 
/**
 * The author.
 */
role: Role, 
/**
 * Markdown, as written.
 */
content: string, 
/**
 * RFC 3339, UTC.
 */
created_at: string, };

/**
 * The author of a message.
 */
export type Role = "user" | "assistant";

/**
 * `GET /api/sessions`, newest first.
 */
export type SessionList = { 
/**
 * The account's chat sessions.
 */
sessions: Array<Session>, };

/**
 * A chat session: `GET /api/sessions/{id}/info`, and an element of the list.
 */
export type Session = { 
/**
 * The session's id.
 */
id: SessionId, 
/**
 * The title.
 */
title: string, 
/**
 * The model used last.
 */
model: string, 
/**
 * The system prompt.
 */
system_prompt?: string, 
/**
 * Number of messages kept.
 */
message_count: number, 
/**
 * RFC 3339, UTC.
 */
created_at: string, 
/**
 * RFC 3339, UTC.
 */
updated_at: string, 
/**
 * The active run, while the assistant is answering.
 */
active_run?: RunId, };

/**
 * `PATCH /api/sessions/{id}`: absent fields stay unchanged.
 */
export type SessionPatch = { 
/**
 * A new title.
 */
title?: string, 
/**
 * A new system prompt; an empty one removes it.
 */
system_prompt?: string, 
/**
 * The model to use from now on.
 */
model?: string, };

/**
 * `GET /api/sessions/{id}/messages`, oldest first.
 */
export type History = { 
/**
 * The messages kept.
 */
messages: Array<Message>, };

/**
 * `GET /api/models`.
 */
export type ModelList = { 
/**
 * The models to choose from; the first one is the default.
 */
models: Array<Model>, };

/**
 * One model.
 */
export type Model = { 
/**
 * The provider's name for it.
 */
id: string, 
/**
 * True for the built-in demo model.
 */
demo: boolean, };

/**
 * `GET /api/me`, and the response of `POST /api/me`.
 */
export type Me = { 
/**
 * The account of this browser.
 */
account_id: AccountId, 
/**
 * The username, if claimed.
 */
username?: string, };

/**
 * `POST /api/me`: creates an account if there is none, and claims a username if one is given.
 */
export type ClaimUsername = { 
/**
 * Letters of any script, normalised by PRECIS (RFC 8265); when absent, the username stays
 * unchanged.
 */
username?: string, };

/**
 * `GET /api/users/{username}`: the account with this username.
 */
export type User = { 
/**
 * The account.
 */
account_id: AccountId, 
/**
 * The username as its owner writes it.
 */
username: string, };

/**
 * A device's public keys: `PUT /api/devices/{device}`.
 */
export type DeviceKeys = { 
/**
 * The cipher suite the keys are for.
 */
suite: string, 
/**
 * SubjectPublicKeyInfo (RFC 5280), base64url: messages are encrypted to it.
 */
encryption_key: string, 
/**
 * SubjectPublicKeyInfo (RFC 8410 for Ed25519), base64url: messages are verified with it.
 */
signing_key: string, 
/**
 * Counts the encryption keys of the device, from 1. The signing key never changes.
 */
generation: number, 
/**
 * When the encryption key was made: milliseconds since 1970, by the device's clock.
 */
created_at: number, 
/**
 * The signing key's signature over the keys statement, base64url. Byte layout:
 * `docs/E2E.md`.
 */
signature: string, };

/**
 * One device of an account.
 */
export type Device = { 
/**
 * The device's id.
 */
device: DeviceId, 
/**
 * RFC 3339, UTC: when the device was registered.
 */
registered_at: string, 
/**
 * The cipher suite the keys are for.
 */
suite: string, 
/**
 * SubjectPublicKeyInfo (RFC 5280), base64url: messages are encrypted to it.
 */
encryption_key: string, 
/**
 * SubjectPublicKeyInfo (RFC 8410 for Ed25519), base64url: messages are verified with it.
 */
signing_key: string, 
/**
 * Counts the encryption keys of the device, from 1. The signing key never changes.
 */
generation: number, 
/**
 * When the encryption key was made: milliseconds since 1970, by the device's clock.
 */
created_at: number, 
/**
 * The signing key's signature over the keys statement, base64url. Byte layout:
 * `docs/E2E.md`.
 */
signature: string, };

/**
 * `GET /api/accounts/{account}/devices`.
 */
export type DeviceList = { 
/**
 * The owner of the devices.
 */
account_id: AccountId, 
/**
 * The username, if claimed.
 */
username?: string, 
/**
 * Oldest first.
 */
devices: Array<Device>, 
/**
 * The account's identity key: 32 bytes (RFC 8032), base64url. Absent before the private
 * chat was set up.
 */
identity_key?: string, 
/**
 * The account's whole device log, from version 1.
 */
log: Array<SignedEntry>, };

/**
 * One entry of a device log.
 */
export type SignedEntry = { 
/**
 * The canonical entry, base64url: at most 1 KiB before encoding.
 */
entry: string, 
/**
 * The signer's Ed25519 signature over the entry: 64 bytes (RFC 8032), base64url.
 */
signature: string, };

/**
 * `PUT /api/identity`: creates the account's identity, or replaces it with a new one. The
 * device log starts at version 1.
 */
export type NewIdentity = { 
/**
 * The public identity key: 32 bytes (RFC 8032), base64url.
 */
identity_key: string, 
/**
 * The private identity key, encrypted with a key from the recovery code, base64url: at
 * most 1 KiB before encoding.
 */
sealed: string, 
/**
 * SHA-256 of the recovery token, base64url.
 */
recovery: string, 
/**
 * The first entry of the device log.
 */
entry: SignedEntry, 
/**
 * The identity key to replace; absent when the account has none.
 */
replaces?: string, };

/**
 * `POST /api/devices/log`: appends one entry to the account's device log.
 */
export type AppendEntry = { 
/**
 * The entry's version: the length of the log, plus one.
 */
version: number, 
/**
 * The entry.
 */
entry: SignedEntry, };

/**
 * `POST /api/recovery`: opens an account with the token from its recovery code.
 */
export type Recover = { 
/**
 * The recovery token: 32 bytes, base64url.
 */
token: string, };

/**
 * The response of `POST /api/recovery`. Sets the cookie of the account.
 */
export type Recovered = { 
/**
 * The account.
 */
me: Me, 
/**
 * Its public identity key: 32 bytes (RFC 8032), base64url.
 */
identity_key: string, 
/**
 * The sealed private identity key, as it was stored.
 */
sealed: string, };

/**
 * The response of `POST /api/links`, made for the new device.
 */
export type Link = { 
/**
 * Eight digits that find the link.
 */
code: string, 
/**
 * The new device's secret for the link, sent as `Authorization: Bearer`.
 */
token: string, 
/**
 * Seconds until the link ends.
 */
expires_in: number, };

/**
 * `POST /api/links/{code}/messages`: a message to the other device.
 */
export type RelayMessage = { 
/**
 * Opaque to the server: at most 192 KiB.
 */
body: string, };

/**
 * `GET /api/links/{code}/messages?after={index}`.
 */
export type RelayedMessages = { 
/**
 * The messages after `after`, oldest first, of both devices.
 */
messages: Array<RelayedMessage>, 
/**
 * True when the account has approved the new device.
 */
approved: boolean, };

/**
 * A relayed message.
 */
export type RelayedMessage = { 
/**
 * Its number in the link, from 1, without gaps.
 */
index: number, 
/**
 * The device that sent it.
 */
from: LinkSide, 
/**
 * As it was sent.
 */
body: string, };

/**
 * A device of a link.
 */
export type LinkSide = "new" | "old";

/**
 * `POST /api/links/{code}/approval`: appends the approval to the account's device log and lets
 * the new device claim the link.
 */
export type DeviceApproval = { 
/**
 * The new device.
 */
device: DeviceId, 
/**
 * The entry's version: the length of the log, plus one.
 */
version: number, 
/**
 * The approval.
 */
entry: SignedEntry, };

/**
 * `GET /api/conversations`, latest first.
 */
export type ConversationList = { 
/**
 * The account's conversations.
 */
conversations: Array<Conversation>, };

/**
 * One conversation between two people.
 */
export type Conversation = { 
/**
 * The conversation's id.
 */
id: ConversationId, 
/**
 * The other person.
 */
peer: User, 
/**
 * The number of the last message.
 */
last_seq: number, 
/**
 * RFC 3339, UTC: time of the last message.
 */
updated_at: string, 
/**
 * The last message this account has read.
 */
read_upto: number, 
/**
 * The last message the other person's devices have received.
 */
peer_received_upto: number, 
/**
 * The last message the other person has read.
 */
peer_read_upto: number, };

/**
 * `GET /api/conversations/{id}/messages?before={seq}&limit={n}`, oldest first.
 */
export type ConversationPage = { 
/**
 * At most `limit` messages before `before`.
 */
messages: Array<PrivateMessage>, 
/**
 * True when older messages are kept.
 */
more: boolean, };

/**
 * A private message as relayed by the server.
 */
export type PrivateMessage = { 
/**
 * The conversation.
 */
conversation: ConversationId, 
/**
 * Its number in the conversation, from 1, without gaps.
 */
seq: number, 
/**
 * The sender's id for it.
 */
cid: ClientMessageId, 
/**
 * The sender, as authenticated by the server.
 */
sender: AccountId, 
/**
 * The sending device.
 */
device: DeviceId, 
/**
 * RFC 3339, UTC: time of writing on the server.
 */
at: string, 
/**
 * Seconds after `at` at which the server deletes the message; absent when it is kept until
 * the normal retention.
 */
lifetime?: number, 
/**
 * Encrypted for the devices of both people.
 */
envelope: Envelope, };

/**
 * One entry of a run's log. On the wire the tag is the SSE `event:` and the content its `data:`.
 */
export type RunEvent = { "event": "run.started", "data": RunStarted } | { "event": "text.delta", "data": Delta } | { "event": "reasoning.delta", "data": Delta } | { "event": "usage", "data": Usage } | { "event": "title", "data": Title } | { "event": "run.completed", "data": ChatAnswer } | { "event": "run.stopped", "data": ChatAnswer } | { "event": "run.failed", "data": Problem };

/**
 * Data of `run.started`.
 */
export type RunStarted = { 
/**
 * The run, to resume or stop it.
 */
run_id: RunId, 
/**
 * The chat session.
 */
session_id: SessionId, };

/**
 * Data of `text.delta` and `reasoning.delta`.
 */
export type Delta = { 
/**
 * Text to append.
 */
text: string, };

/**
 * Data of `title`.
 */
export type Title = { 
/**
 * The title of the chat session.
 */
title: string, };

/**
 * Client → server. Every frame has an `id` chosen by the client; the response repeats it.
 */
export type ClientFrame = { 
/**
 * Repeated in the response.
 */
id: number, 
/**
 * The request.
 */
do: Request, };

/**
 * Requests of a client.
 */
export type Request = { "type": "hello", 
/**
 * A device registered with `PUT /api/devices/{device}`.
 */
device: DeviceId, 
/**
 * The position of the last event processed; absent for a fresh start.
 */
resume?: number, } | { "type": "send", 
/**
 * The other person.
 */
to: AccountId, 
/**
 * The client's id for the message.
 */
cid: ClientMessageId, 
/**
 * Seconds after which the server deletes the message: 86400, 604800 or 2592000; when
 * absent or 0, it is kept until the normal retention.
 */
lifetime?: number, 
/**
 * Encrypted for the devices of both people.
 */
envelope: Envelope, } | { "type": "received", 
/**
 * An event position.
 */
upto: number, } | { "type": "read", 
/**
 * The conversation.
 */
conversation: ConversationId, 
/**
 * A message `seq`.
 */
upto: number, } | { "type": "typing", 
/**
 * The conversation.
 */
conversation: ConversationId, } | { "type": "watch", 
/**
 * At most 500.
 */
users: Array<AccountId>, } | { "type": "lobby", 
/**
 * True to enter, false to leave.
 */
on: boolean, };

/**
 * Server → client.
 */
export type ServerFrame = { "type": "welcome", 
/**
 * The id of the request.
 */
id: number, 
/**
 * This connection's id.
 */
connection: ConnectionId, 
/**
 * The account of the cookie.
 */
account: AccountId, 
/**
 * The position after which live events follow; replayed events come first.
 */
resume: number, 
/**
 * False when the gap could not be replayed: sync by pages.
 */
recovered: boolean, 
/**
 * What this server accepts.
 */
limits: Limits, } | { "type": "ok", 
/**
 * The id of the request.
 */
id: number, 
/**
 * For `send`: where the message was written.
 */
sent?: Sent, } | { "type": "err", 
/**
 * The id of the request.
 */
id: number, 
/**
 * Stable error code.
 */
code: ErrorCode, 
/**
 * Human-readable.
 */
message: string, 
/**
 * True when the same request may succeed later.
 */
temporary: boolean, 
/**
 * Seconds after which a retry makes sense.
 */
retry_after?: number, } | { "type": "event", 
/**
 * The inbox position: the resume token.
 */
position: number, 
/**
 * The event.
 */
event: InboxEvent, } | { "type": "notice", 
/**
 * The notice.
 */
notice: Notice, } | { "type": "bye", 
/**
 * The close code, see [`close`].
 */
code: number, 
/**
 * Milliseconds to wait before reconnecting.
 */
retry_after: number, };

/**
 * Where a message was written.
 */
export type Sent = { 
/**
 * The conversation.
 */
conversation: ConversationId, 
/**
 * Its number in the conversation.
 */
seq: number, 
/**
 * RFC 3339, UTC.
 */
at: string, };

/**
 * Limits of this server, sent in `welcome`.
 */
export type Limits = { 
/**
 * Bytes of one frame.
 */
max_frame: number, 
/**
 * Devices of one account.
 */
max_devices: number, 
/**
 * Accounts in `watch`.
 */
max_watched: number, 
/**
 * Seconds between two pings of the server.
 */
ping_seconds: number, 
/**
 * Seconds after which a device replaces its encryption key.
 */
key_rotation_seconds: number, 
/**
 * Seconds for which private messages are kept.
 */
retention_seconds: number, };

/**
 * An entry of an account's durable inbox.
 */
export type InboxEvent = { "kind": "message" } & PrivateMessage | { "kind": "receipt", 
/**
 * The conversation.
 */
conversation: ConversationId, 
/**
 * The account that received or read.
 */
account: AccountId, 
/**
 * Received or read.
 */
state: ReceiptState, 
/**
 * A message `seq`.
 */
upto: number, } | { "kind": "key_change", 
/**
 * The account.
 */
account: AccountId, } | { "kind": "renamed", 
/**
 * The account.
 */
account: AccountId, 
/**
 * The new username, as its owner writes it.
 */
username: string, 
/**
 * The previous username; absent when there was none.
 */
previous?: string, };

/**
 * State of a delivered message.
 */
export type ReceiptState = "received" | "read";

/**
 * Ephemeral state, never stored.
 */
export type Notice = { "kind": "lobby", 
/**
 * In order of name.
 */
users: Array<User>, } | { "kind": "lobby_change", 
/**
 * The person.
 */
user: User, 
/**
 * True when in the lobby.
 */
present: boolean, } | { "kind": "presence", 
/**
 * The account.
 */
account: AccountId, 
/**
 * Connected with at least one device.
 */
online: boolean, } | { "kind": "typing", 
/**
 * The conversation.
 */
conversation: ConversationId, 
/**
 * The account.
 */
account: AccountId, };

/**
 * Why a request was rejected.
 */
export type ErrorCode = "invalid" | "out-of-order" | "not-found" | "unknown-device" | "cid-reused" | "username-required" | "rate-limited" | "store-unavailable";

/** Sizes and counts shared by server and client. */
export const LIMITS = {
  maxFrame: 65536,
  maxCiphertext: 40960,
  maxDevices: 8,
  maxLogEntries: 1024,
  maxLinkMessage: 196608,
  maxLinkMessages: 64,
  maxLinkBytes: 4194304,
  linkSeconds: 600,
  maxChatMessage: 32768,
  maxUsername: 32,
  maxWatched: 500,
  maxReplay: 500,
  maxPage: 100,
  lifetimes: [86400, 604800, 2592000],
  helloSeconds: 10,
  pingSeconds: 25,
  pongSeconds: 10,
} as const;

/** The subprotocol of `/ws`. */
export const SUBPROTOCOL = "gatehouse.v1";

/** Close codes: 4000–4499 reconnect, 4500–4999 do not. */
export const CLOSE = {
  drain: 4000,
  slow: 4008,
  positionLost: 4010,
  noPong: 4012,
  rate: 4013,
  cookieReplaced: 4014,
  badFrame: 4501,
  noHello: 4502,
  revoked: 4503,
  tooMany: 4509,
} as const;
