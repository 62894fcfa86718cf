//! Unknown keys, missing keys, and values of the wrong TOML type.

use super::check;

#[test]
fn an_unknown_key_is_rejected_with_a_suggestion() {
    check(&[
        (
            "path_prefix = \"/api\"",
            "path_prefx = \"/api\"\npath = \"/api\"",
            13,
            "unknown key `path_prefx` in `route`; did you mean `path_prefix`?",
        ),
        ("[[listener]]", "[[listner]]", 2, "unknown key `listner`; did you mean `listener`?"),
        (
            "targets = ",
            "target = ",
            18,
            "unknown key `target` in `upstream`; did you mean `targets`?",
        ),
        (
            "[[route]]",
            "[[rout]]\nname = \"x\"\n[[route]]",
            11,
            "unknown key `rout`; did you mean `route`?",
        ),
        (
            "name = \"api\"\npath",
            "name = \"api\"\nzzz = 1\npath",
            13,
            "unknown key `zzz` in `route`; known keys: ",
        ),
    ]);
}

#[test]
fn a_missing_key_is_rejected() {
    check(&[
        ("address = \"127.0.0.1:8443\"", "", 2, "listener: required key `address` is missing"),
        ("[[route]]", "[tracing]\nsample = 1\n[[route]]", 11, "key `endpoint` is missing"),
        ("[[route]]", "[upgrade]\n[[route]]", 11, "upgrade: required key `socket` is missing"),
    ]);
}

#[test]
fn a_value_of_the_wrong_type_is_rejected() {
    check(&[
        (
            "protocol = \"https\"",
            "protocol = \"htps\"",
            5,
            "listener.protocol: expected `https` or `http`, found `htps`",
        ),
        (
            "address = \"127.0.0.1:8443\"",
            "address = 8443",
            4,
            "expected a string in quotes, found the number 8443",
        ),
        (
            "[[route]]",
            "[trust]\nunderscores_in_headers = 1\n[[route]]",
            12,
            "trust.underscores_in_headers: expected a boolean, found integer `1`",
        ),
        (
            "[[route]]",
            "[tls]\nrefuse_misdirected = \"no\"\n[[route]]",
            12,
            "expected a boolean, found string \"no\"",
        ),
        (
            "[[route]]",
            "[drain]\ndelay = 5\n[[route]]",
            12,
            "drain.delay: expected a string in quotes, found the number 5",
        ),
        (
            "[[route]]",
            "[limits]\nheader_fields = \"9\"\n[[route]]",
            12,
            "expected an integer without quotes, found the string \"9\"",
        ),
        ("[[listener]]", "limits = 3\n[[listener]]", 2, "expected a table, found integer `3`"),
        ("[[route]]", "[route]", 11, "expected a list of tables: write `[[route]]`"),
        ("[[upstream]]", "[[upstream]", 16, ""),
    ]);
}
