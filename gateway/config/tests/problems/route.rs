//! Problems of `[[route]]`.

use super::{check, problems_with};

#[test]
fn an_invalid_action_is_rejected() {
    check(&[
        (
            "upstream = \"api\"",
            "upstream = \"apis\"",
            14,
            "route.upstream: there is no upstream named `apis`; did you mean `api`?",
        ),
        (
            "upstream = \"api\"",
            "static = \"ui\"",
            14,
            "there is no site named `ui`; add a `[[site]]`",
        ),
        (
            "upstream = \"api\"",
            "",
            11,
            "expected exactly one of `upstream`, `static`, `redirect` and `respond`, found none",
        ),
        (
            "upstream = \"api\"",
            "upstream = \"api\"\nrespond = { status = 200 }",
            11,
            "`redirect` and `respond`, found `upstream` and `respond`",
        ),
        (
            "upstream = \"api\"",
            "respond = { status = 99 }",
            14,
            "route.respond.status: expected a status code from 200 to 599, found 99",
        ),
        (
            "upstream = \"api\"",
            "redirect = { location = \"x\" }",
            14,
            "route.redirect.location: expected an absolute path or a URL, found \"x\"",
        ),
    ]);
}

#[test]
fn an_invalid_condition_or_limit_is_rejected() {
    check(&[
        (
            "upstream = \"api\"",
            "upstream = \"api\"\nmethods = [\"get\"]",
            15,
            "route.methods: expected GET, HEAD",
        ),
        (
            "upstream = \"api\"",
            "upstream = \"api\"\nhosts = [\"a:1\"]",
            15,
            "route.hosts: expected a host without port",
        ),
        (
            "upstream = \"api\"",
            "upstream = \"api\"\nidle_timeout = \"10\"",
            15,
            "route.idle_timeout: expected a duration such as",
        ),
        (
            "upstream = \"api\"",
            "upstream = \"api\"\nbody_limit = \"1MB\"",
            15,
            "route.body_limit: expected a size such as",
        ),
        (
            "upstream = \"api\"",
            "upstream = \"api\"\nrate_limit = { per_second = 0, burst = 1 }",
            15,
            "route.rate_limit.per_second: expected 0.001 to",
        ),
    ]);
}

#[test]
fn an_invalid_path_is_rejected() {
    const PREFIX: &str = "path_prefix = \"/api\"";
    check(&[
        (PREFIX, "path_prefix = \"api\"", 13, "expected a path that starts with `/`"),
        (
            PREFIX,
            "path_prefix = \"/a/../b\"",
            13,
            "`?`, `#`, `%`, `\\` or spaces, found \"/a/../b\"",
        ),
        (PREFIX, "path_prefix = \"/a*\"", 13, "found `*` in \"/a*\", but a prefix matches"),
        (PREFIX, "path_prefix = \"/a*\"", 13, "write `path_prefix = \"/a\"`"),
        (PREFIX, "path_prefix = \"/api/*\"", 13, "write `path_prefix = \"/api\"`"),
        (PREFIX, "path_prefix = \"/*\"", 13, "write `path_prefix = \"/\"`"),
        (
            PREFIX,
            "path = \"/api/*\"",
            13,
            "`path` matches one path: to match everything below it, write `path_prefix",
        ),
        (PREFIX, "", 11, "expected exactly one of `path` and `path_prefix`, found neither"),
        (PREFIX, "path_prefix = \"/a\"\npath = \"/a\"", 11, "`path_prefix`, found both"),
    ]);
}

#[test]
fn two_routes_for_the_same_requests_are_rejected() {
    let found =
        problems_with("[[route]]\nname = \"other\"\npath_prefix = \"/api/\"\nupstream = \"api\"");
    let expected = "route `other` matches the same requests as route `api`";
    assert!(found[0].reason.contains(expected), "{found:?}");
}
