//! Every mistake is reported with its line and what was expected; none hides another.

use std::path::Path;

use gateway_config::{Config, Problem};

const RIGHT: &str = r#"
[[listener]]
name = "https"
address = "127.0.0.1:8443"
protocol = "https"

[[certificate]]
name = "local"
source = "self-signed"

[[route]]
name = "api"
path_prefix = "/api"
upstream = "api"

[[upstream]]
name = "api"
targets = ["127.0.0.1:9000"]
"#;

fn problems(text: &str) -> Vec<Problem> {
    match Config::parse(text, "gateway.toml", Path::new("/etc/gatehouse")) {
        Ok(config) => panic!("accepted: {config:?}"),
        Err(problems) => problems.problems,
    }
}

/// Replaces a line of the right configuration and tells the one problem that this makes.
fn problem_of(line: &str, replacement: &str) -> (usize, String) {
    assert!(RIGHT.contains(line), "{line}");
    let text = RIGHT.replacen(line, replacement, 1);
    let found = problems(&text);
    let [problem] = found.as_slice() else { panic!("expected one problem: {found:#?}") };
    (problem.line, problem.reason.clone())
}

#[test]
fn the_right_one_is_accepted() {
    Config::parse(RIGHT, "gateway.toml", Path::new("")).unwrap();
}

#[test]
fn each_mistake_is_found_on_its_line() {
    let table = [
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
            "unknown key `zzz` in `route`; known are",
        ),
        (
            "protocol = \"https\"",
            "protocol = \"htps\"",
            5,
            "unknown variant `htps`, expected `https` or `http`",
        ),
        (
            "address = \"127.0.0.1:8443\"",
            "address = \"127.0.0.1\"",
            4,
            "\"127.0.0.1\": expected an address such as",
        ),
        (
            "address = \"127.0.0.1:8443\"",
            "address = \"localhost:99999\"",
            4,
            "`99999` is not a port",
        ),
        (
            "address = \"127.0.0.1:8443\"",
            "address = 8443",
            4,
            "expected a string in quotes, not the number 8443",
        ),
        ("address = \"127.0.0.1:8443\"", "", 2, "missing field `address`"),
        ("name = \"https\"", "name = \"a b\"", 3, "expected a name of 1 to 64"),
        (
            "upstream = \"api\"",
            "upstream = \"apis\"",
            14,
            "there is no upstream named `apis`; did you mean `api`?",
        ),
        (
            "upstream = \"api\"",
            "static = \"ui\"",
            14,
            "there is no site named `ui`; there is no `[[site]]`",
        ),
        (
            "upstream = \"api\"",
            "",
            11,
            "expected exactly one of `upstream`, `static`, `redirect` and `respond`",
        ),
        (
            "upstream = \"api\"",
            "respond = { status = 99 }",
            14,
            "expected a status code from 200 to 599",
        ),
        (
            "upstream = \"api\"",
            "redirect = { location = \"x\" }",
            14,
            "\"x\": expected an absolute path or a URL",
        ),
        ("upstream = \"api\"", "upstream = \"api\"\nmethods = [\"get\"]", 15, "expected GET, HEAD"),
        (
            "upstream = \"api\"",
            "upstream = \"api\"\nhosts = [\"a:1\"]",
            15,
            "expected a host without port",
        ),
        (
            "upstream = \"api\"",
            "upstream = \"api\"\nidle_timeout = \"10\"",
            15,
            "\"10\": expected a duration such as",
        ),
        (
            "upstream = \"api\"",
            "upstream = \"api\"\nbody_limit = \"1MB\"",
            15,
            "expected a size such as",
        ),
        (
            "upstream = \"api\"",
            "upstream = \"api\"\nrate_limit = { per_second = 0, burst = 1 }",
            15,
            "expected 0.001 to",
        ),
        (
            "path_prefix = \"/api\"",
            "path_prefix = \"api\"",
            13,
            "\"api\": expected a path from `/`",
        ),
        ("path_prefix = \"/api\"", "path_prefix = \"/a/../b\"", 13, "expected a path from `/`"),
        (
            "path_prefix = \"/api\"",
            "path_prefix = \"/a*\"",
            13,
            "\"/a*\": `*` has no meaning here, a prefix has",
        ),
        ("path_prefix = \"/api\"", "path_prefix = \"/a*\"", 13, "write `path_prefix = \"/a\"`"),
        (
            "path_prefix = \"/api\"",
            "path_prefix = \"/api/*\"",
            13,
            "write `path_prefix = \"/api\"`",
        ),
        ("path_prefix = \"/api\"", "path_prefix = \"/*\"", 13, "write `path_prefix = \"/\"`"),
        (
            "path_prefix = \"/api\"",
            "path = \"/api/*\"",
            13,
            "`path` is one path: for everything below it write `path_prefix",
        ),
        ("path_prefix = \"/api\"", "", 11, "expected exactly one of `path` and `path_prefix`"),
        ("targets = [\"127.0.0.1:9000\"]", "targets = []", 16, "`targets` is empty"),
        (
            "targets = [\"127.0.0.1:9000\"]",
            "targets = [\"127.0.0.1\"]",
            18,
            "expected `host:port`, `unix:/absolute/path`",
        ),
        ("targets = [\"127.0.0.1:9000\"]", "targets = [\"a:1\", \"a:1\"]", 18, "is there twice"),
        (
            "targets = [\"127.0.0.1:9000\"]",
            "targets = [\"a:1\"]\nbalance = \"rendezvous\"",
            16,
            "needs `hash_cookie`",
        ),
        (
            "source = \"self-signed\"",
            "source = \"files\"",
            7,
            "`source = \"files\"` needs `cert` and `key`",
        ),
        (
            "source = \"self-signed\"",
            "source = \"self-signed\"\nkey = \"x\"",
            10,
            "is for `source = \"files\"`",
        ),
        (
            "[[certificate]]\nname = \"local\"\nsource = \"self-signed\"",
            "",
            2,
            "needs a `[[certificate]]`",
        ),
        (
            "protocol = \"https\"",
            "protocol = \"http\"",
            2,
            "there is no https listener to redirect to",
        ),
        (
            "[[route]]",
            "[limits]\nheader_bytes = \"1GiB\"\n[[route]]",
            12,
            "expected 1KiB to 1MiB, got 1GiB",
        ),
        (
            "[[route]]",
            "[limits]\nsend_timeout = \"2h\"\n[[route]]",
            12,
            "expected 10ms to 1h, got 2h",
        ),
        (
            "[[route]]",
            "[limits]\nheld_bytes_per_address = 1000\n[[route]]",
            12,
            "expected 1MiB to ",
        ),
        (
            "[[route]]",
            "[admin]\naddress = \"localhost\"\n[[route]]",
            12,
            "expected an IP address and port",
        ),
        (
            "[[route]]",
            "[admin]\naddress = \"127.0.0.1:8443\"\n[[route]]",
            12,
            "a listener has the address 127.0.0.1:8443 already: give `[admin]` a port of its own",
        ),
        (
            "[[route]]",
            "[admin]\naddress = \"0.0.0.0:8443\"\n[[route]]",
            12,
            "a listener has the address 127.0.0.1:8443 already, which overlaps 0.0.0.0:8443",
        ),
        (
            "[[route]]",
            "[admin]\naddress = \"[::]:8443\"\n[[route]]",
            12,
            "which overlaps [::]:8443",
        ),
        (
            "[[route]]",
            "[admin]\naddress = \"127.0.0.1:9090\"\nhosts = [\"gateway:9090\"]\n[[route]]",
            13,
            "\"gateway:9090\": expected a host without port",
        ),
        ("[[route]]", "[trust]\nunderscores_in_headers = 1\n[[route]]", 12, "invalid type"),
        ("[[route]]", "[tls]\nrefuse_misdirected = \"no\"\n[[route]]", 12, "invalid type"),
        (
            "[[route]]",
            "[drain]\ndelay = 5\n[[route]]",
            12,
            "expected a string in quotes, not the number 5",
        ),
        ("[[route]]", "[tracing]\nsample = 1\n[[route]]", 11, "missing field `endpoint`"),
        (
            "[[route]]",
            "[tracing]\nendpoint = \"http://c\"\n[[route]]",
            12,
            "expected a URL with its path",
        ),
        (
            "[[route]]",
            "[tracing]\nendpoint = \"http://u:p@c/v1/traces\"\n[[route]]",
            12,
            "without password",
        ),
        (
            "[[route]]",
            "[tracing]\nendpoint = \"http://c/v1/traces\"\nsample = 1.5\n[[route]]",
            13,
            "expected 0 to 1, got 1.5",
        ),
        (
            "[[route]]",
            "[tracing]\nendpoint = \"http://c/v1/traces\"\nheaders_env = \"authorization=x\"\n[[route]]",
            13,
            "expected the name of an environment variable",
        ),
        ("[[route]]", "[upgrade]\n[[route]]", 11, "missing field `socket`"),
        (
            "[[route]]",
            concat!(
                "[upgrade]\nsocket = \"/run/",
                "0123456789012345678901234567890123456789012345678901234567890123456789",
                "/0123456789012345678901234567890123456789\"\n[[route]]"
            ),
            12,
            "expected a path of at most 100 octets, got 116",
        ),
        ("[[listener]]", "limits = 3\n[[listener]]", 2, "invalid type"),
        ("[[route]]", "[route]", 11, "expected a list: write `[[route]]`"),
        ("[[upstream]]", "[[upstream]", 16, ""),
    ];
    for (line, replacement, expected_line, expected) in table {
        let (found_line, reason) = problem_of(line, replacement);
        assert!(
            reason.contains(expected),
            "{replacement:?}\nexpected: {expected}\nfound:    {reason}"
        );
        assert_eq!(found_line, expected_line, "{replacement:?}: {reason}");
    }
}

#[test]
fn all_mistakes_are_reported_at_once_in_the_order_of_lines() {
    let text = RIGHT
        .replacen("\"127.0.0.1:8443\"", "\"nowhere\"", 1)
        .replacen("path_prefix", "path_prefix_", 1)
        .replacen("upstream = \"api\"", "upstream = \"apx\"", 1)
        .replacen("127.0.0.1:9000", "9000", 1);
    let lines: Vec<_> = problems(&text).into_iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [4, 11, 13, 14, 18]);
}

#[test]
fn a_problem_names_file_line_and_column() {
    let text = RIGHT.replacen("protocol", "protcol", 1);
    let shown = Config::parse(&text, "gateway.toml", Path::new("")).unwrap_err().to_string();
    assert_eq!(
        shown,
        "gateway.toml:5:1: unknown key `protcol` in `listener`; did you mean `protocol`?"
    );
}

#[test]
fn two_parts_of_one_name_two_routes_for_one_request_and_two_listeners_on_one_address_are_refused() {
    let twice = |section: &str| format!("{RIGHT}\n{section}");
    let named = problems(&twice("[[upstream]]\nname = \"api\"\ntargets = [\"a:1\"]"));
    assert!(named[0].reason.contains("two upstreams named `api`"), "{named:?}");
    let routed = problems(&twice(
        "[[route]]\nname = \"other\"\npath_prefix = \"/api/\"\nupstream = \"api\"",
    ));
    assert!(
        routed[0].reason.contains("route `other` matches the same requests as `api`"),
        "{routed:?}"
    );
    let bound = problems(&twice(
        "[[listener]]\nname = \"two\"\naddress = \"localhost:8443\"\nprotocol = \"https\"",
    ));
    assert!(bound[0].reason.contains("another listener has the address"), "{bound:?}");
    let any = problems(&twice(
        "[[listener]]\nname = \"two\"\naddress = \"0.0.0.0:8443\"\nprotocol = \"https\"",
    ));
    assert!(
        any[0].reason.contains("127.0.0.1:8443 already, which overlaps 0.0.0.0:8443"),
        "{any:?}"
    );
}

#[test]
fn addresses_that_can_be_listened_on_together_are_accepted() {
    let also = |address: &str| {
        let text = format!(
            "{RIGHT}\n[[listener]]\nname = \"two\"\naddress = \"{address}\"\nprotocol = \"https\""
        );
        Config::parse(&text, "gateway.toml", Path::new("")).is_ok()
    };
    for address in ["127.0.0.1:8444", "127.0.0.2:8443", "[::1]:8443", "127.0.0.1:0"] {
        assert!(also(address), "{address}");
    }
    for address in ["127.0.0.1:8443", "localhost:8443", "0.0.0.0:8443", "[::]:8443"] {
        assert!(!also(address), "{address}");
    }
}

#[test]
fn an_empty_text_says_what_is_required() {
    let reasons: Vec<_> = problems("").into_iter().map(|problem| problem.reason).collect();
    assert_eq!(reasons, ["expected at least one `[[listener]]`"]);
}
