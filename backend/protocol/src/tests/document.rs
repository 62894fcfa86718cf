//! `docs/protocol.md` names everything on the wire of the private chat. The list comes from the
//! types: a new variant or field fails here until it is documented.

use std::collections::BTreeSet;

use ts_rs::{Config, TS};

use super::constants;
use crate::api;
use crate::envelope::{Envelope, WrappedKey};
use crate::identity;
use crate::linking;
use crate::live;
use crate::problem::{Problem, ProblemType};

const DOCUMENT: &str = include_str!("../../../../docs/protocol.md");
const LIVE: &str = include_str!("../live.rs");

/// The TypeScript of types, without comments.
macro_rules! declarations {
    ($($ty:ty),+ $(,)?) => {
        [$(without_comments(&<$ty as TS>::decl(&Config::new()))),+]
    };
}

fn without_comments(text: &str) -> String {
    let mut parts = text.split("/*");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(part.split_once("*/").expect("a comment ends").1);
    }
    out
}

/// The values of string types: variants and codes.
fn strings(declaration: &str) -> BTreeSet<&str> {
    let quoted = declaration.split('"').skip(1).step_by(2);
    quoted.filter(|name| !["type", "kind"].contains(name)).collect()
}

/// The names of fields.
fn fields(declaration: &str) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    for before in declaration.split(':') {
        let name = before.trim_end_matches('?').trim_end_matches('"');
        let start = name.rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let name = name.get(start.map_or(0, |at| at + 1)..).unwrap_or_default();
        // The first character of a type's name is upper case.
        if name.starts_with(|c: char| c.is_ascii_lowercase()) {
            found.insert(name);
        }
    }
    found
}

/// The first column of the table rows.
fn rows() -> BTreeSet<&'static str> {
    let rows = DOCUMENT.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    rows.flat_map(|cell| cell.split(", ")).collect()
}

#[test]
fn every_variant_and_code_has_a_row_in_the_document() {
    let rows = rows();
    let mut count = 0;
    for declaration in
        declarations![live::Request, live::InboxEvent, live::Notice, live::ErrorCode, ProblemType]
    {
        for name in strings(&declaration) {
            assert!(rows.contains(&*format!("`{name}`")), "no row for `{name}`");
            count += 1;
        }
    }
    assert!(count > 40, "found {count}");
}

#[test]
fn every_frame_of_the_server_is_in_an_example() {
    for declaration in declarations![live::ServerFrame, live::ReceiptState, linking::LinkSide] {
        let names = strings(&declaration);
        assert!(names.len() > 1, "{declaration}");
        for name in names {
            assert!(DOCUMENT.contains(&format!("\"{name}\"")), "no example with \"{name}\"");
            assert!(DOCUMENT.contains(&format!("`{name}`")), "no description of `{name}`");
        }
    }
}

#[test]
fn every_field_is_in_the_document() {
    let mut count = 0;
    for declaration in declarations![
        live::ClientFrame,
        live::Request,
        live::ServerFrame,
        live::Sent,
        live::Limits,
        live::InboxEvent,
        live::Notice,
        Envelope,
        WrappedKey,
        Problem,
        api::Me,
        api::ClaimUsername,
        api::User,
        api::DeviceKeys,
        api::Device,
        api::DeviceList,
        api::ConversationList,
        api::Conversation,
        api::ConversationPage,
        api::PrivateMessage,
        identity::SignedEntry,
        identity::NewIdentity,
        identity::AppendEntry,
        identity::Recover,
        identity::Recovered,
        linking::Link,
        linking::RelayMessage,
        linking::RelayedMessages,
        linking::RelayedMessage,
        linking::DeviceApproval,
    ] {
        for name in fields(&declaration) {
            let named = [format!("`{name}`"), format!("\"{name}\"")];
            assert!(named.iter().any(|name| DOCUMENT.contains(name)), "no field {name}");
            count += 1;
        }
    }
    assert!(count > 100, "found {count}");
}

#[test]
fn every_close_code_has_a_row_and_every_row_a_close_code() {
    let mut defined = BTreeSet::new();
    for line in LIVE.lines() {
        let line = line.trim();
        if line.starts_with("pub const ") && line.contains(": u16 = ") {
            let code = line.trim_end_matches(';').rsplit(' ').next().unwrap_or_default();
            defined.insert(code);
        }
    }
    assert!(defined.len() > 9, "{defined:?}");
    let is_code = |cell: &&str| cell.len() == 4 && cell.starts_with('4');
    let section = DOCUMENT.split_once("\n## Closing\n").expect("a section about closing").1;
    let section = section.split_once("\n## ").expect("a section after it").0;
    let rows = section.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    assert_eq!(rows.filter(is_code).collect::<BTreeSet<_>>(), defined);
}

#[test]
fn every_limit_is_in_the_document() {
    let constants = constants();
    let limits = constants.split_once("LIMITS = {").expect("limits").1;
    let limits = limits.split_once('}').expect("the end of the limits").0;
    let numbers = |text: &'static str| {
        let words = text.split(|c: char| !c.is_ascii_digit());
        words.filter_map(|word| word.parse::<u64>().ok()).collect::<BTreeSet<_>>()
    };
    let documented = numbers(DOCUMENT);
    let mut count = 0;
    for limit in limits.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty()) {
        let value = limit.parse().expect("a number");
        // Messages to the assistant are not part of this protocol.
        if value != crate::limits::MAX_CHAT_MESSAGE as u64 {
            assert!(documented.contains(&value), "no limit of {value} in docs/protocol.md");
        }
        count += 1;
    }
    assert!(count > 15, "found {count}");
}
