//! Problems of `[[upstream]]`.

use super::{check, problems_with};

#[test]
fn an_invalid_upstream_is_rejected() {
    const TARGETS: &str = "targets = [\"127.0.0.1:9000\"]";
    check(&[
        (TARGETS, "targets = []", 16, "expected at least one target in `targets`, found none"),
        (
            TARGETS,
            "targets = [\"127.0.0.1\"]",
            18,
            "upstream.targets: expected `host:port`, `unix:/absolute/path`",
        ),
        (TARGETS, "targets = [\"a:1\", \"a:1\"]", 18, "this value is already in the list"),
        (
            TARGETS,
            "targets = [\"a:1\"]\nbalance = \"rendezvous\"",
            16,
            "`balance = \"rendezvous\"` requires `hash_cookie`",
        ),
    ]);
}

#[test]
fn two_upstreams_with_one_name_are_rejected() {
    let found = problems_with("[[upstream]]\nname = \"api\"\ntargets = [\"a:1\"]");
    assert!(found[0].reason.contains("another upstream is named `api`"), "{found:?}");
}
