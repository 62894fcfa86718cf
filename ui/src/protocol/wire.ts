// Generated from backend/protocol by `make generate`. Do not edit.

/**
 * Who owns things: one per person, made at the first visit.
 */
export type AccountId = string;

/**
 * One conversation with the assistant. A client may choose it; it is scoped to its owner.
 */
export type SessionId = string;

/**
 * One generation of an answer by the model.
 */
export type RunId = string;

/**
 * One message of an assistant session.
 */
export type MessageId = string;

/**
 * One browser profile with its own keys.
 */
export type DeviceId = string;

/**
 * Chosen by the client for each private message, so that a retry is recognised.
 */
export type ClientMessageId = string;

/**
 * One WebSocket connection, for presence.
 */
export type ConnectionId = string;

/**
 * A conversation between two people: both account ids in ascending order, joined by `.`.
 */
export type ConversationId = string;

/**
 * The stable types of problems.
 */
export type ProblemType = "bad-request" | "unauthenticated" | "device-removed" | "cross-origin" | "not-found" | "method-not-allowed" | "username-taken" | "run-active" | "limit-reached" | "run-expired" | "too-large" | "unsupported-media-type" | "invalid-value" | "idempotency-conflict" | "context-too-long" | "content-filtered" | "rate-limited" | "quota-exhausted" | "internal" | "upstream-unavailable" | "store-unavailable";

/**
 * `application/problem+json`: what went wrong, and what would mend it.
 */
export type Problem = { 
/**
 * Stable and machine readable.
 */
type: ProblemType, 
/**
 * The same in a few words.
 */
title: string, 
/**
 * The HTTP status, again.
 */
status: number, 
/**
 * What was expected and what came, for a person.
 */
detail?: string, 
/**
 * Seconds after which a retry makes sense.
 */
retry_after?: number, };

/**
 * One end-to-end encrypted message. Binary fields are base64url without padding (RFC 4648 section 5).
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
 * The sender device's signature over the whole envelope.
 */
signature: string, };

/**
 * The message key for one device.
 */
export type WrappedKey = { 
/**
 * Whose device can unwrap it.
 */
device: DeviceId, 
/**
 * The wrapped key.
 */
key: string, };

/**
 * `POST /api/chat`: ask the assistant.
 */
export type ChatRequest = { 
/**
 * The session to go on with; a new one is made when it is absent or unknown.
 */
session_id?: SessionId, 
/**
 * What is asked.
 */
message: string, 
/**
 * A model of `GET /api/models`; the session's or the default one when absent.
 */
model?: string, };

/**
 * The finished answer: the JSON answer of `POST /api/chat`, and the data of `run.completed`.
 */
export type ChatAnswer = { 
/**
 * The session it belongs to.
 */
session_id: SessionId, 
/**
 * The run that made it.
 */
run_id: RunId, 
/**
 * The assistant's message.
 */
message: Message, 
/**
 * What it cost.
 */
usage: Usage, };

/**
 * Tokens, as the provider counts them.
 */
export type Usage = { 
/**
 * Read by the model.
 */
prompt_tokens: number, 
/**
 * Written by the model.
 */
completion_tokens: number, };

/**
 * One message of an assistant session.
 */
export type Message = { 
/**
 * Its name.
 */
id: MessageId, 
/**
 * Who wrote it.
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
 * Who wrote a message.
 */
export type Role = "user" | "assistant";

/**
 * `GET /api/sessions`, newest first.
 */
export type SessionList = { 
/**
 * The account's own sessions.
 */
sessions: Array<Session>, };

/**
 * One session: `GET /api/sessions/{id}/info`, and an element of the list.
 */
export type Session = { 
/**
 * Its name.
 */
id: SessionId, 
/**
 * What it is about.
 */
title: string, 
/**
 * The model last used.
 */
model: string, 
/**
 * What the model is told first.
 */
system_prompt?: string, 
/**
 * Messages kept at present.
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
 * The run that is writing an answer right now.
 */
active_run?: RunId, };

/**
 * `PATCH /api/sessions/{id}`: absent fields stay.
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
 * The model from now on.
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
 * What the picker offers; the first one is the default.
 */
models: Array<Model>, };

/**
 * One model of the picker.
 */
export type Model = { 
/**
 * As the provider names it.
 */
id: string, 
/**
 * True for the built-in demo model, which only plays the part.
 */
demo: boolean, };

/**
 * `GET /api/me`, and the answer of `POST /api/me`.
 */
export type Me = { 
/**
 * The account of this browser.
 */
account_id: AccountId, 
/**
 * Its username, once claimed.
 */
username?: string, };

/**
 * `POST /api/me`: open an account where there is none, and claim a username when one is given.
 */
export type ClaimUsername = { 
/**
 * Letters of any script, normalised by PRECIS (RFC 8265); absent, the account's name stays as it is.
 */
username?: string, };

/**
 * `GET /api/users/{username}`: who has this name.
 */
export type User = { 
/**
 * The account behind the name.
 */
account_id: AccountId, 
/**
 * The name as its owner writes it.
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
signing_key: string, };

/**
 * One device of an account.
 */
export type Device = { 
/**
 * Its name.
 */
device: DeviceId, 
/**
 * RFC 3339, UTC.
 */
created_at: string, 
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
signing_key: string, };

/**
 * `GET /api/accounts/{account}/devices`.
 */
export type DeviceList = { 
/**
 * Whose devices these are.
 */
account_id: AccountId, 
/**
 * The username, once claimed.
 */
username?: string, 
/**
 * Oldest first.
 */
devices: Array<Device>, };

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
 * Its name.
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
 * RFC 3339, UTC: when the last message came.
 */
updated_at: string, 
/**
 * Up to where this account has read.
 */
read_upto: number, 
/**
 * Up to where the other person's devices have received.
 */
peer_received_upto: number, 
/**
 * Up to where the other person has read.
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
 * True when older ones are kept.
 */
more: boolean, };

/**
 * One relayed private message.
 */
export type PrivateMessage = { 
/**
 * Where it belongs.
 */
conversation: ConversationId, 
/**
 * Its number in the conversation, from 1, without gaps.
 */
seq: number, 
/**
 * The sender's own name for it.
 */
cid: ClientMessageId, 
/**
 * Who sent it, as the server knows the connection.
 */
sender: AccountId, 
/**
 * From which device.
 */
device: DeviceId, 
/**
 * RFC 3339, UTC: when the server wrote it.
 */
at: string, 
/**
 * What only the two people can read.
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
 * To resume or stop it.
 */
run_id: RunId, 
/**
 * Where it belongs.
 */
session_id: SessionId, };

/**
 * Data of `text.delta` and `reasoning.delta`.
 */
export type Delta = { 
/**
 * To be appended.
 */
text: string, };

/**
 * Data of `title`.
 */
export type Title = { 
/**
 * What the session is about.
 */
title: string, };

/**
 * Client → server. Every frame has an `id` of the client's choice; its answer repeats it.
 */
export type ClientFrame = { 
/**
 * Repeated in the answer.
 */
id: number, 
/**
 * What is asked.
 */
do: Request, };

/**
 * What a client can ask.
 */
export type Request = { "type": "hello", 
/**
 * A device registered with `PUT /api/devices/{device}`.
 */
device: DeviceId, 
/**
 * The position of the last event that was taken in; absent for a fresh start.
 */
resume?: number, } | { "type": "send", 
/**
 * The other person.
 */
to: AccountId, 
/**
 * The client's name for the message.
 */
cid: ClientMessageId, 
/**
 * What only the two people can read.
 */
envelope: Envelope, } | { "type": "received", 
/**
 * An event position.
 */
upto: number, } | { "type": "read", 
/**
 * Where.
 */
conversation: ConversationId, 
/**
 * A message `seq`.
 */
upto: number, } | { "type": "typing", 
/**
 * Where.
 */
conversation: ConversationId, } | { "type": "watch", 
/**
 * At most 500.
 */
users: Array<AccountId>, } | { "type": "lobby", 
/**
 * In or out.
 */
on: boolean, };

/**
 * Server → client.
 */
export type ServerFrame = { "type": "welcome", 
/**
 * Repeats the request's.
 */
id: number, 
/**
 * This connection's name.
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
 * Repeats the request's.
 */
id: number, 
/**
 * For `send`: where the message was written.
 */
sent?: Sent, } | { "type": "err", 
/**
 * Repeats the request's.
 */
id: number, 
/**
 * Stable.
 */
code: ErrorCode, 
/**
 * What was expected, for a person.
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
 * What happened.
 */
event: InboxEvent, } | { "type": "notice", 
/**
 * What is going on.
 */
notice: Notice, } | { "type": "bye", 
/**
 * As [`close`].
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
 * Its number there.
 */
seq: number, 
/**
 * RFC 3339, UTC.
 */
at: string, };

/**
 * What this server accepts, told in `welcome`.
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
ping_seconds: number, };

/**
 * An entry of an account's durable inbox.
 */
export type InboxEvent = { "kind": "message" } & PrivateMessage | { "kind": "receipt", 
/**
 * Where.
 */
conversation: ConversationId, 
/**
 * Who received or read.
 */
account: AccountId, 
/**
 * Which of the two.
 */
state: ReceiptState, 
/**
 * A message `seq`.
 */
upto: number, } | { "kind": "key_change", 
/**
 * Whose.
 */
account: AccountId, } | { "kind": "renamed", 
/**
 * Whose.
 */
account: AccountId, 
/**
 * The username from now on, as its owner writes it.
 */
username: string, 
/**
 * The username until now; absent when there was none.
 */
previous?: string, };

/**
 * How far a message has come.
 */
export type ReceiptState = "received" | "read";

/**
 * Something that is true now and not kept.
 */
export type Notice = { "kind": "lobby", 
/**
 * In order of name.
 */
users: Array<User>, } | { "kind": "lobby_change", 
/**
 * Who.
 */
user: User, 
/**
 * In or out.
 */
present: boolean, } | { "kind": "presence", 
/**
 * Who.
 */
account: AccountId, 
/**
 * Connected with at least one device.
 */
online: boolean, } | { "kind": "typing", 
/**
 * Where.
 */
conversation: ConversationId, 
/**
 * Who.
 */
account: AccountId, };

/**
 * Why a request was refused.
 */
export type ErrorCode = "invalid" | "out-of-order" | "not-found" | "unknown-device" | "username-required" | "rate-limited" | "store-unavailable";

/** Sizes and counts that both ends agree on. */
export const LIMITS = {
  maxFrame: 65536,
  maxCiphertext: 40960,
  maxDevices: 8,
  maxChatMessage: 32768,
  maxUsername: 32,
  maxWatched: 500,
  maxReplay: 500,
  maxPage: 100,
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
