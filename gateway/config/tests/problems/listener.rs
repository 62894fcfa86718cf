//! Problems of `[[listener]]`.

use std::path::Path;

use gateway_config::Config;

use super::{VALID, check, problems_with};

#[test]
fn an_invalid_listener_is_rejected() {
    check(&[
        (
            "address = \"127.0.0.1:8443\"",
            "address = \"127.0.0.1\"",
            4,
            "listener.address: expected an address such as",
        ),
        (
            "address = \"127.0.0.1:8443\"",
            "address = \"localhost:99999\"",
            4,
            "expected a port from 0 to 65535, found \"localhost:99999\"",
        ),
        ("name = \"https\"", "name = \"a b\"", 3, "listener.name: expected a name of 1 to 64"),
        (
            "[[certificate]]\nname = \"local\"\nsource = \"self-signed\"",
            "",
            2,
            "`protocol = \"https\"` requires a `[[certificate]]`, found none",
        ),
        (
            "protocol = \"https\"",
            "protocol = \"http\"",
            2,
            "found no https listener to redirect to",
        ),
    ]);
}

#[test]
fn two_listeners_with_overlapping_addresses_are_rejected() {
    let same = problems_with(
        "[[listener]]\nname = \"two\"\naddress = \"localhost:8443\"\nprotocol = \"https\"",
    );
    let reason = &same[0].reason;
    assert!(reason.contains("overlaps with the listener address 127.0.0.1:8443"), "{same:?}");
    let any = problems_with(
        "[[listener]]\nname = \"two\"\naddress = \"0.0.0.0:8443\"\nprotocol = \"https\"",
    );
    let expected = "listener.address: 0.0.0.0:8443 overlaps with the listener address \
                    127.0.0.1:8443: use another address or port";
    assert_eq!(any[0].reason, expected);
}

#[test]
fn listeners_are_accepted_if_their_addresses_do_not_overlap() {
    let accepts = |address: &str| {
        let text = format!(
            "{VALID}\n[[listener]]\nname = \"two\"\naddress = \"{address}\"\nprotocol = \"https\""
        );
        Config::parse(&text, "gateway.toml", Path::new("")).is_ok()
    };
    for address in ["127.0.0.1:8444", "127.0.0.2:8443", "[::1]:8443", "127.0.0.1:0"] {
        assert!(accepts(address), "{address} is rejected");
    }
    for address in ["127.0.0.1:8443", "localhost:8443", "0.0.0.0:8443", "[::]:8443"] {
        assert!(!accepts(address), "{address} is accepted");
    }
}
