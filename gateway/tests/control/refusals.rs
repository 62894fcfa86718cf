//! `gateway check` and the dry run of a reload report the same problems in the same words, and a
//! reload rejects the same configurations.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use crate::support::{FRONT, TestGateway, fixed_route, program, replace};

/// A text of the valid configuration, its replacement, and a part of the expected problem.
struct Case {
    from: &'static str,
    to: &'static str,
    reason: &'static str,
}

const fn case(from: &'static str, to: &'static str, reason: &'static str) -> Case {
    Case { from, to, reason }
}

const SELF_SIGNED: &str = "source = \"self-signed\"";
/// Marks the end of the configuration.
const END: &str = "# end";

const CASES: [Case; 25] = [
    // Problems of the text.
    case("protocol", "protcol", "did you mean `protocol`"),
    case("path = \"/word\"", "path_prefix = \"/word*\"", "write `path_prefix = \\\"/word\\\"`"),
    case(
        END,
        "[[listener]]\nname = \"two\"\naddress = \"127.0.0.1:9\"\nprotocol = \"http\"\n[[listener]]\nname = \"three\"\n\
               address = \"0.0.0.0:9\"\nprotocol = \"http\"",
        "0.0.0.0:9 overlaps with the listener address 127.0.0.1:9",
    ),
    // `FRONT` already has `[admin]`.
    case(
        "address = \"127.0.0.1:0\"",
        "address = \"127.0.0.1:9\"\n[[listener]]\nname = \"two\"\naddress = \"127.0.0.1:9\"\n\
          protocol = \"http\"",
        "use another port for `[admin]`",
    ),
    case(
        "address = \"127.0.0.1:0\"",
        "address = \"0.0.0.0:9\"\n[[listener]]\nname = \"two\"\naddress = \"localhost:9\"\n\
          protocol = \"http\"",
        "use another port for `[admin]`",
    ),
    // Sites.
    case(END, "[[site]]\nname = \"s\"\nroot = \"missing\"", "missing: No such file"),
    case(END, "[[site]]\nname = \"s\"\nroot = \"plain-file\"", "plain-file: Not a directory"),
    case(END, "[[site]]\nname = \"s\"\nroot = \"/proc/self\"", "pseudo file system"),
    case(END, "[[site]]\nname = \"s\"\nroot = \"/sys\"", "pseudo file system"),
    case(END, "[[site]]\nname = \"s\"\nroot = \"to-proc\"", "pseudo file system"),
    case(
        END,
        "[[site]]\nname = \"s\"\nroot = \"site\"\nspa_fallback = \"none.html\"",
        "there is no file `/none.html`",
    ),
    case(END, "[[site]]\nname = \"s\"\nroot = \"broken-link\"", "No such file"),
    // Certificates.
    case(SELF_SIGNED, "source = \"files\"\ncert = \"none.pem\"\nkey = \"none.key\"", "cert: "),
    case(
        SELF_SIGNED,
        "source = \"files\"\ncert = \"plain-file\"\nkey = \"plain-file\"",
        "expected PEM certificates, found none",
    ),
    case(
        SELF_SIGNED,
        "source = \"files\"\ncert = \"pipe\"\nkey = \"pipe\"",
        "is not a regular file",
    ),
    case(
        SELF_SIGNED,
        "source = \"files\"\ncert = \"/dev/zero\"\nkey = \"/dev/zero\"",
        "is not a regular file",
    ),
    case(
        SELF_SIGNED,
        "source = \"files\"\ncert = \"/proc/self/environ\"\nkey = \"x\"",
        "pseudo file system",
    ),
    case(SELF_SIGNED, "source = \"self-signed\"\ndirectory = \"plain-file/certs\"", "irectory"),
    case(
        SELF_SIGNED,
        "source = \"self-signed\"\ndirectory = \"/proc/certs\"",
        "pseudo file system",
    ),
    case(
        "protocol = \"https\"",
        "protocol = \"https\"\nclient_ca = \"none.pem\"",
        "key `client_ca`",
    ),
    case(
        END,
        "[[certificate]]\nname = \"a\"\nsource = \"acme\"\nnames = [\"a.example\"]\n[certificate_storage]\n\
               directory = \"/proc/acme\"",
        "`[certificate_storage]`: ",
    ),
    case(
        END,
        "[[certificate]]\nname = \"a\"\nsource = \"acme\"\nnames = [\"a.example\"]\nca_file = \"none.pem\"",
        "ca_file: ",
    ),
    // Other sections.
    case(
        END,
        "[tracing]\nendpoint = \"http://127.0.0.1:1/v1/traces\"\nheaders_file = \"none\"",
        "`[tracing]`: ",
    ),
    case(END, "[upgrade]\nsocket = \"open/upgrade.sock\"", "others may write into it"),
    case(END, "[upgrade]\nsocket = \"plain-file\"", "exists but is not a socket"),
];

/// Creates the files that the cases refer to.
fn create_files(directory: &Path) {
    let at = |name: &str| directory.join(name);
    fs::write(at("plain-file"), "text").unwrap();
    fs::create_dir(at("site")).unwrap();
    fs::write(at("site/index.html"), "page").unwrap();
    symlink("/proc/self", at("to-proc")).unwrap();
    symlink("nowhere", at("broken-link")).unwrap();
    nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    fs::create_dir(at("open")).unwrap();
    fs::set_permissions(at("open"), fs::Permissions::from_mode(0o777)).unwrap();
}

fn valid() -> String {
    format!("{FRONT}{}\n{END}\n", fixed_route("x"))
}

/// The errors of `gateway check`; empty if it accepts the configuration.
async fn check(gateway: &TestGateway) -> String {
    let config = gateway.path("gateway.toml");
    let mut check = program(Path::new("/"), &["check", "--config", config.to_str().unwrap()]);
    let output = crate::support::within(crate::support::SOON, check.output()).await.unwrap();
    assert_eq!(output.status.success(), output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// The errors of a reload or, with a query, of its dry run.
async fn reload(gateway: &TestGateway, query: &str) -> String {
    let url = format!("http://{}/reload{query}", gateway.admin().await);
    let answer = reqwest::Client::new().post(url).send().await.unwrap();
    let accepted = answer.status() == 200;
    let report: serde_json::Value = answer.json().await.unwrap();
    let faults = report["faults"].as_array().cloned().unwrap_or_default();
    assert_eq!(accepted, faults.is_empty(), "{report}");
    let text = |fault: &serde_json::Value| {
        let place = ["file", "line", "column"]
            .map(|key| fault[key].to_string().trim_matches('"').to_owned())
            .join(":");
        let place = if fault["file"].is_null() { String::new() } else { format!("{place}: ") };
        format!("{place}{}\n", fault["reason"].as_str().unwrap())
    };
    faults.iter().map(text).collect()
}

#[tokio::test]
async fn check_and_dry_run_report_the_same_problems() {
    let gateway = TestGateway::start(&valid()).await;
    create_files(gateway.directory.path());
    let before: Vec<_> = listing(gateway.directory.path());
    for Case { from, to, reason } in CASES {
        let text = valid();
        assert!(text.contains(from), "{from}");
        replace(&gateway.path("gateway.toml"), &text.replacen(from, to, 1));
        let (checked, dry_run) = (check(&gateway).await, reload(&gateway, "?dry_run=true").await);
        assert_eq!(checked, dry_run, "{to}");
        let expected = reason.replace("\\\"", "\"");
        assert!(checked.contains(&expected), "{to}\nexpected: {expected}\nfound:    {checked}");
        assert_eq!(listing(gateway.directory.path()), before, "a file was created: {to}");
        assert_ne!(reload(&gateway, "").await, "", "a reload accepts what check rejects: {to}");
    }
    for further in
        ["", "[[site]]\nname = \"s\"\nroot = \"site\"", "[upgrade]\nsocket = \"site/upgrade.sock\""]
    {
        replace(&gateway.path("gateway.toml"), &format!("{}{further}\n", valid()));
        assert_eq!(
            (check(&gateway).await, reload(&gateway, "?dry_run=true").await),
            Default::default(),
            "{further}"
        );
        assert_eq!(listing(gateway.directory.path()), before, "a file was created: {further}");
        assert_eq!(reload(&gateway, "").await, "", "{further}");
        replace(&gateway.path("gateway.toml"), &valid());
        assert_eq!(reload(&gateway, "").await, "");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_dry_run_issues_no_certificate_and_lists_the_new_ones() {
    let gateway = TestGateway::start(&valid()).await;
    let before = listing(&gateway.path("certs"));
    let more =
        "[[certificate]]\nname = \"more\"\nsource = \"self-signed\"\nnames = [\"more.example\"]\n";
    gateway.write_config(&format!("{}{more}", valid()));
    let url = format!("http://{}/reload?dry_run=true", gateway.admin().await);
    let report: serde_json::Value =
        reqwest::Client::new().post(url).send().await.unwrap().json().await.unwrap();
    assert_eq!(
        report["certificates"],
        serde_json::json!({ "added": ["more"], "removed": [], "changed": [] }),
        "{report}"
    );
    assert_eq!(listing(&gateway.path("certs")), before);
    gateway.stop().await;
}

fn listing(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path().display().to_string())
        .collect();
    names.sort_unstable();
    names
}
