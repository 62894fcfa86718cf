//! Valid usernames, and which are equal.

use backend_protocol::limits::MAX_USERNAME;
use proptest::prelude::*;

use super::{InvalidUsername, Username};

fn key(name: &str) -> String {
    Username::parse(name).unwrap().key().to_owned()
}

#[test]
fn a_name_is_displayed_as_written() {
    for name in ["Ada", "ada_1", "Zoë", "Łukasz", "李小龙", "Ελένη", "नमस्ते"]
    {
        assert_eq!(Username::parse(name).unwrap().display(), name);
    }
    assert_eq!(Username::parse("  Ada ").unwrap().display(), "Ada");
    assert_eq!(Username::parse("Zoe\u{308}").unwrap().display(), "Zo\u{eb}", "composed (NFC)");
}

#[test]
fn names_that_look_the_same_are_equal() {
    for (one, other) in [
        ("Ada", "aDA"),
        ("paypal", "p\u{430}yp\u{430}l"),
        ("paypal", "paypa1"),
        ("Zo\u{eb}", "Zoe\u{308}"),
        ("ada", "\u{ff41}\u{ff44}\u{ff41}"),
        ("modern", "rnodern"),
    ] {
        assert_eq!(key(one), key(other), "{one} {other}");
    }
    assert_ne!(key("ada"), key("adam"));
    assert_ne!(key("zoe"), key("zo\u{eb}"));
}

#[test]
fn an_error_says_what_was_expected() {
    let longest = "ä".repeat(MAX_USERNAME);
    assert!(Username::parse(&longest).is_ok());
    for bad in ["", "   ", &(longest + "x"), &"x".repeat(100_000)] {
        assert_eq!(Username::parse(bad), Err(InvalidUsername::Length));
    }
    for bad in [
        "two words",
        "tab\there",
        "nul\0",
        "zero\u{200b}width",
        "right\u{202e}left",
        "smile😀",
        "a\u{ad}b",
    ] {
        assert_eq!(Username::parse(bad), Err(InvalidUsername::Characters), "{bad:?}");
    }
    assert_eq!(InvalidUsername::Length.to_string(), "a username has 1 to 32 characters");
}

#[test]
fn a_name_can_be_part_of_a_url() {
    for bad in ["a/b", "a\\b", "50%", "who?", "#1", "/", "%2e", "\u{ff0f}x", "x\u{ff1f}"] {
        assert_eq!(Username::parse(bad), Err(InvalidUsername::Reserved), "{bad:?}");
    }
    for bad in [".", "..", "...", ".ada", "ada.", " ada. ", "\u{ff0e}ada"] {
        assert_eq!(Username::parse(bad), Err(InvalidUsername::Dots), "{bad:?}");
    }
    for good in ["ada.l", "a..b", "ada-l", "ada_l", "ada@home", "a+b", "a&b", "a;b"] {
        assert_eq!(Username::parse(good).unwrap().display(), good);
    }
    assert!(InvalidUsername::Reserved.to_string().contains("/ \\ % ? #"));
    assert!(InvalidUsername::Dots.to_string().contains("ada.l"));
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_rejected(text in "\\PC{0,40}|.{0,20}") {
        if let Ok(name) = Username::parse(&text) {
            prop_assert!((1..=MAX_USERNAME).contains(&name.display().chars().count()));
            prop_assert!(!name.key().is_empty());
            let again = Username::parse(name.display()).expect("a displayed name is valid");
            prop_assert_eq!(again.key(), name.key());
        }
    }
}
