//! The shapes on the wire, and the generated TypeScript.

mod document;

use std::fs;
use std::path::Path;

use serde_json::{from_value, json, to_value};
use ts_rs::{Config, TS};

use crate::api::{self, Message, Role, SessionPatch};
use crate::envelope::{Envelope, WrappedKey};
use crate::id::{AccountId, ConversationId, MAX_ID_LENGTH, SessionId};
use crate::identity;
use crate::limits::MAX_DEVICES;
use crate::linking;
use crate::live::{self, ClientFrame, Request};
use crate::problem::{Problem, ProblemType};
use crate::run::{self, RunEvent};

/// Set to rewrite the generated TypeScript instead of comparing it.
const UPDATE: &str = "UPDATE_GENERATED";

#[test]
fn the_typescript_of_the_ui_is_up_to_date() {
    let expected = typescript();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ui/src/protocol/wire.ts");
    if std::env::var_os(UPDATE).is_some() {
        fs::create_dir_all(path.parent().expect("a file has a folder"))
            .expect("the folder can be created");
        fs::write(&path, &expected).expect("the file can be written");
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "{} is stale: run `make generate`", path.display());
}

fn typescript() -> String {
    let head = "// Generated from backend/protocol by `make generate`. Do not edit.\n";
    head.to_owned() + &types_of_api() + &types_of_live() + &constants()
}

macro_rules! declare {
    ($($ty:ty),+ $(,)?) => {{
        let config = Config::new().with_large_int("number");
        let mut out = String::new();
        $(
            if let Some(docs) = <$ty as TS>::docs() { out.push('\n'); out.push_str(docs.trim_end()); }
            out.push_str(&format!("\nexport {}\n", <$ty as TS>::decl(&config)));
        )+
        out
    }};
}

fn types_of_api() -> String {
    declare![
        AccountId,
        SessionId,
        crate::id::RunId,
        crate::id::MessageId,
        crate::id::DeviceId,
        crate::id::ClientMessageId,
        crate::id::ConnectionId,
        ConversationId,
        ProblemType,
        Problem,
        Envelope,
        WrappedKey,
        api::ChatRequest,
        api::ChatAnswer,
        api::Usage,
        Message,
        Role,
        api::SessionList,
        api::Session,
        SessionPatch,
        api::History,
        api::ModelList,
        api::Model,
        api::Me,
        api::ClaimUsername,
        api::User,
        api::DeviceKeys,
        api::Device,
        api::DeviceList,
        identity::SignedEntry,
        identity::NewIdentity,
        identity::AppendEntry,
        identity::Recover,
        identity::Recovered,
        linking::Link,
        linking::RelayMessage,
        linking::RelayedMessages,
        linking::RelayedMessage,
        linking::LinkSide,
        linking::DeviceApproval,
        api::ConversationList,
        api::Conversation,
        api::ConversationPage,
        api::PrivateMessage,
    ]
}

fn types_of_live() -> String {
    declare![
        RunEvent,
        run::RunStarted,
        run::Delta,
        run::Title,
        ClientFrame,
        Request,
        live::ServerFrame,
        live::Sent,
        live::Limits,
        live::InboxEvent,
        live::ReceiptState,
        live::Notice,
        live::ErrorCode,
    ]
}

/// Limits and close codes shared by server and client.
fn constants() -> String {
    use crate::limits::{
        HELLO_SECONDS, LIFETIMES, LINK_SECONDS, MAX_CHAT_MESSAGE, MAX_CIPHERTEXT, MAX_DEVICES,
        MAX_FRAME, MAX_LINK_BYTES, MAX_LINK_MESSAGE, MAX_LINK_MESSAGES, MAX_LOG_ENTRIES, MAX_PAGE,
        MAX_REPLAY, MAX_USERNAME, MAX_WATCHED, PING_SECONDS, PONG_SECONDS, SUBPROTOCOL,
    };
    use crate::live::close;
    format!(
        "\n/** Sizes and counts shared by server and client. */\nexport const LIMITS = {{\n  maxFrame: {MAX_FRAME},\n  \
         maxCiphertext: {MAX_CIPHERTEXT},\n  maxDevices: {MAX_DEVICES},\n  \
         maxLogEntries: {MAX_LOG_ENTRIES},\n  maxLinkMessage: {MAX_LINK_MESSAGE},\n  \
         maxLinkMessages: {MAX_LINK_MESSAGES},\n  maxLinkBytes: {MAX_LINK_BYTES},\n  \
         linkSeconds: {LINK_SECONDS},\n  maxChatMessage: {MAX_CHAT_MESSAGE},\n  \
         maxUsername: {MAX_USERNAME},\n  maxWatched: {MAX_WATCHED},\n  maxReplay: {MAX_REPLAY},\n  \
         maxPage: {MAX_PAGE},\n  lifetimes: {LIFETIMES:?},\n  \
         helloSeconds: {HELLO_SECONDS},\n  pingSeconds: {PING_SECONDS},\n  \
         pongSeconds: {PONG_SECONDS},\n}} as const;\n\n/** The subprotocol of `/ws`. */\nexport const SUBPROTOCOL = \
         \"{SUBPROTOCOL}\";\n\n/** Close codes: 4000–4499 reconnect, 4500–4999 do not. */\nexport const CLOSE = {{\n  \
         drain: {},\n  slow: {},\n  positionLost: {},\n  noPong: {},\n  rate: {},\n  cookieReplaced: {},\n  \
         badFrame: {},\n  noHello: {},\n  revoked: {},\n  tooMany: {},\n}} as const;\n",
        close::DRAIN,
        close::SLOW,
        close::POSITION_LOST,
        close::NO_PONG,
        close::RATE,
        close::COOKIE_REPLACED,
        close::BAD_FRAME,
        close::NO_HELLO,
        close::REVOKED,
        close::TOO_MANY,
    )
}

#[test]
fn ids_are_letters_digits_dash_and_underscore() {
    assert!(SessionId::parse("My_session-1").is_ok());
    for bad in ["", "a b", "ä", "a/b", &"x".repeat(65)] {
        let refused = SessionId::parse(bad).expect_err("the id is invalid");
        assert_eq!(refused.to_string(), "session_id must be 1 to 64 letters, digits, `-` or `_`");
    }
}

#[test]
fn a_conversation_is_the_same_for_both_members() {
    let (ada, bob) = (AccountId::parse("ada").unwrap(), AccountId::parse("bob").unwrap());
    let id = ConversationId::between(&bob, &ada);
    assert_eq!(id, ConversationId::between(&ada, &bob));
    assert_eq!(id.as_str(), "ada.bob");
    assert_eq!(id.members(), [ada.clone(), bob.clone()]);
    assert_eq!(id.peer_of(&ada), Some(bob));
    assert_eq!(id.peer_of(&AccountId::parse("eve").unwrap()), None);
    assert_eq!(ConversationId::parse("ada.bob").unwrap(), id);
    for bad in ["bob.ada", "ada", "ada.", ".bob", "a.b.c"] {
        assert!(ConversationId::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn run_events_carry_their_name_and_data() {
    let delta = RunEvent::Text(run::Delta { text: "Hi".into() });
    assert_eq!(to_value(&delta).unwrap(), json!({"event": "text.delta", "data": {"text": "Hi"}}));
    assert_eq!(delta.name(), "text.delta");
    assert!(!delta.is_last());
    assert!(RunEvent::Failed(Problem::new(ProblemType::UpstreamUnavailable)).is_last());
}

#[test]
fn a_problem_names_its_type_title_and_status() {
    let problem =
        Problem::new(ProblemType::StoreUnavailable).detail("Redis is unavailable").retry_after(2);
    assert_eq!(
        to_value(problem).unwrap(),
        json!({"type": "store-unavailable", "title": "The store is unavailable", "status": 503,
               "detail": "Redis is unavailable", "retry_after": 2})
    );
}

#[test]
fn client_frames_are_strict() {
    let hello: ClientFrame =
        from_value(json!({"id": 1, "do": {"type": "hello", "device": "d1"}})).unwrap();
    assert!(matches!(hello.request, Request::Hello { resume: None, .. }));
    assert!(
        from_value::<ClientFrame>(
            json!({"id": 1, "do": {"type": "hello", "device": "d1", "x": 1}})
        )
        .is_err()
    );
    assert!(from_value::<ClientFrame>(json!({"id": 1, "do": {"type": "sing"}})).is_err());
}

#[test]
fn messages_and_patches_have_the_documented_shape() {
    let message = Message {
        id: crate::id::MessageId::parse("m1").unwrap(),
        role: Role::User,
        content: "Hello".into(),
        created_at: "2026-01-01T00:00:00Z".into(),
    };
    assert_eq!(
        to_value(message).unwrap(),
        json!({"id": "m1", "role": "user", "content": "Hello", "created_at": "2026-01-01T00:00:00Z"})
    );
    assert_eq!(from_value::<SessionPatch>(json!({})).unwrap(), SessionPatch::default());
    assert!(from_value::<SessionPatch>(json!({"colour": "red"})).is_err());
}

#[test]
fn an_envelope_is_checked_for_shape_and_size() {
    let good = Envelope {
        suite: "rsa-aes-1".into(),
        header: "aGVhZA".into(),
        nonce: "bm9uY2U".into(),
        ciphertext: "Y2lwaGVy".into(),
        keys: vec![WrappedKey {
            device: crate::id::DeviceId::parse("d1").unwrap(),
            key: "a2V5".into(),
        }],
        signature: "c2ln".into(),
    };
    assert_eq!(good.check(), Ok(()));
    let with = |change: fn(&mut Envelope)| {
        let mut envelope = good.clone();
        change(&mut envelope);
        envelope.check().expect_err("the envelope is malformed")
    };
    assert!(with(|e| e.keys.clear()).starts_with("keys"));
    assert!(with(|e| e.ciphertext = "a=".into()).starts_with("ciphertext"));
    assert!(with(|e| e.ciphertext = "a".repeat(50_000)).starts_with("ciphertext"));
    assert!(with(|e| e.signature = String::new()).starts_with("signature"));
}

/// The fields of section "Header" of `docs/E2E.md`, each as long as it can be.
#[test]
fn the_largest_header_is_accepted() {
    let text = |length: usize| 4 + length;
    let id = text(MAX_ID_LENGTH);
    let (u32, u64, hash) = (4, 8, 32);
    let suite = text("gatehouse/header/2".len()) + text("rsa-aes-1".len());
    let place = text(2 * MAX_ID_LENGTH + 1) + 3 * id + u64 + hash;
    let statements = hash + u32 + 2 * (u64 + hash) + (id + u64 + hash);
    let recipients = u32 + 2 * MAX_DEVICES * (2 * id + hash);
    let bytes = suite + place + statements + recipients;
    assert_eq!(bytes, 3328);
    let key = WrappedKey { device: "d".parse().expect("a device id"), key: "AAAA".into() };
    let envelope = Envelope {
        suite: "rsa-aes-1".into(),
        header: "A".repeat((bytes * 4).div_ceil(3)),
        nonce: "AAAA".into(),
        ciphertext: "AAAA".into(),
        keys: vec![key; 2 * MAX_DEVICES],
        signature: "AAAA".into(),
    };
    assert_eq!(envelope.check(), Ok(()));
}
