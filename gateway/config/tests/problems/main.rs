//! Every problem is reported with its position, what was expected and what was found; no problem
//! hides another.

mod certificate;
mod keys;
mod listener;
mod operation;
mod route;
mod upstream;

use std::path::Path;

use gateway_config::{Config, Problem};

const VALID: &str = r#"
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

/// A text of [`VALID`], its replacement, and the line and a part of the reason of the one problem
/// that the replacement causes.
type Case = (&'static str, &'static str, usize, &'static str);

fn problems(text: &str) -> Vec<Problem> {
    match Config::parse(text, "gateway.toml", Path::new("/etc/gatehouse")) {
        Ok(config) => panic!("the configuration is accepted: {config:?}"),
        Err(problems) => problems.problems,
    }
}

fn check(cases: &[Case]) {
    for (text, replacement, line, expected) in cases {
        assert!(VALID.contains(text), "not part of the valid configuration: {text}");
        let found = problems(&VALID.replacen(text, replacement, 1));
        let [problem] = found.as_slice() else {
            panic!("{replacement:?}: expected one problem, found {found:#?}")
        };
        let reason = &problem.reason;
        assert!(
            reason.contains(expected),
            "{replacement:?}\nexpected: {expected}\nfound:    {reason}"
        );
        assert_eq!(problem.line, *line, "{replacement:?}: {reason}");
    }
}

/// Problems of the valid configuration with a section added.
fn problems_with(section: &str) -> Vec<Problem> {
    problems(&format!("{VALID}\n{section}"))
}

#[test]
fn the_valid_configuration_is_accepted() {
    Config::parse(VALID, "gateway.toml", Path::new("")).unwrap();
}

#[test]
fn all_problems_are_reported_at_once_in_the_order_of_lines() {
    let text = VALID
        .replacen("\"127.0.0.1:8443\"", "\"nowhere\"", 1)
        .replacen("path_prefix", "path_prefix_", 1)
        .replacen("upstream = \"api\"", "upstream = \"apx\"", 1)
        .replacen("127.0.0.1:9000", "9000", 1);
    let lines: Vec<_> = problems(&text).into_iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [4, 11, 13, 14, 18]);
}

#[test]
fn a_problem_shows_file_line_column_and_key() {
    let shown =
        |text: &str| Config::parse(text, "gateway.toml", Path::new("")).unwrap_err().to_string();
    assert_eq!(
        shown(&VALID.replacen("protocol", "protcol", 1)),
        "gateway.toml:5:1: unknown key `protcol` in `listener`; did you mean `protocol`?"
    );
    assert_eq!(
        shown(&VALID.replacen("127.0.0.1:8443", "8443", 1)),
        "gateway.toml:4:11: listener.address: expected an address such as `[::]:443`, \
         `127.0.0.1:8443` or `localhost:8443`, found \"8443\""
    );
    let nested = format!("{VALID}\n[upstream.health_check]\ninterval = \"1\"\n");
    assert_eq!(
        shown(&nested),
        "gateway.toml:21:12: upstream.health_check.interval: expected a duration such as `500ms`, \
         `10s`, `2m`, `1h` or `7d`, found \"1\""
    );
}

#[test]
fn an_empty_file_reports_the_required_section() {
    let reasons: Vec<_> = problems("").into_iter().map(|problem| problem.reason).collect();
    assert_eq!(reasons, ["expected at least one `[[listener]]`, found none"]);
}
