//! The page in real browsers over HTTPS: Chromium with everything in one process and with Redis and
//! two backends, and Firefox. Afterwards, the server's data and logs must not contain the private
//! messages in any encoding.

mod browser {
    pub(crate) mod search;
}

use std::path::Path;
use std::process::Command;

use e2e::client::Visitor;
use e2e::gatehouse::Gatehouse;
use e2e::process::{Process, eventually};
use e2e::split::Split;
use e2e::workspace;
use serde_json::json;

use crate::browser::search::Search;

/// The text of private messages in the specs (`ui/e2e`). It must be nowhere on the server.
const PRIVATE_WORDS: &str = "quince marmalade";
/// A question to the assistant, which the server stores in the clear. The search must find it in
/// the same bytes in which it must not find the private words.
const CONTROL_WORDS: &str = "cardamom biscuit";

/// Playwright runs all specs if none is named.
const ALL_SPECS: &[&str] = &[];
/// Specs (`ui/e2e`) whose outcome depends on the store and the number of backends.
const SPECS_OF_STORES: &[&str] = &["account", "assistant", "linking", "names", "people", "profile"];

/// A project of `ui/playwright.config.ts`.
#[derive(Clone, Copy)]
enum Browser {
    Chromium,
    Firefox,
}

#[tokio::test]
async fn page_works_in_one_process() {
    let gatehouse = Gatehouse::start();
    page_works(&gatehouse, Browser::Chromium).await;
}

#[tokio::test]
async fn page_works_in_firefox() {
    let gatehouse = Gatehouse::start();
    page_works(&gatehouse, Browser::Firefox).await;
}

#[tokio::test]
async fn page_works_with_redis_and_two_backends() {
    let split = Split::start();
    store_control(split.visitor()).await;
    run_specs(Browser::Chromium, SPECS_OF_STORES, split.https_port, &split.ca());
    assert_private("Redis", &split.redis.dump());
    assert_logs_private(split.visitor(), || split.logs()).await;
}

async fn page_works(gatehouse: &Gatehouse, browser: Browser) {
    store_control(gatehouse.visitor()).await;
    run_specs(browser, ALL_SPECS, gatehouse.https_port, &gatehouse.ca());
    assert_private("the data folder", &gatehouse.stored());
    assert_logs_private(gatehouse.visitor(), || gatehouse.process.log()).await;
}

fn run_specs(browser: Browser, specs: &[&str], https_port: u16, ca: &Path) {
    let results = tempfile::TempDir::new().expect("create a temporary folder");
    let project = match browser {
        Browser::Chromium => "chromium",
        Browser::Firefox => "firefox",
    };
    let mut process = Process::start(
        "playwright",
        Command::new("npm")
            .args(["run", "--silent", "e2e", "--", "--project", project, "--output"])
            .arg(results.path())
            .args(specs)
            .current_dir(workspace().join("ui"))
            .env("GATEHOUSE_URL", format!("https://localhost:{https_port}"))
            .env("GATEHOUSE_CA", ca)
            .env("GATEHOUSE_PRIVATE_WORDS", PRIVATE_WORDS)
            .env("CI", "true"),
    );
    let status = process.wait_within(std::time::Duration::from_secs(1000));
    let log = process.log();
    assert!(status.success(), "the specs failed:\n{log}");
    assert!(log.contains(" passed"), "no specs ran:\n{log}");
    assert!(
        !log.contains(" skipped") && !log.contains(" flaky"),
        "specs were skipped or needed a retry:\n{log}"
    );
}

/// Stores the control in the clear, in every printable encoding.
async fn store_control(mut visitor: Visitor) {
    let question = Search::new(CONTROL_WORDS).printable().join(" ");
    let events = visitor.chat(&json!({ "message": question })).await;
    assert_eq!(events.last().expect("a run has events").event, "run.completed");
}

fn assert_private(place: &str, bytes: &[u8]) {
    let control = Search::new(CONTROL_WORDS);
    assert_eq!(
        control.found_in(bytes).len(),
        control.printable().len(),
        "the search does not find every encoding of the control in {place}"
    );
    assert_absent(place, bytes);
}

/// The access log contains paths, so the control is a path in every encoding that a path can have.
async fn assert_logs_private(mut visitor: Visitor, logs: impl Fn() -> String) {
    let control = Search::new(CONTROL_WORDS);
    let mut sent = 0;
    for form in control.printable() {
        let is_segment = |byte: u8| byte.is_ascii_alphanumeric() || b"%+-_".contains(&byte);
        // The gateway decodes unreserved characters before it logs a path.
        if form.bytes().all(is_segment) && !form.starts_with("%63") {
            visitor.get(&format!("/api/control/{form}")).await;
            sent += 1;
        }
    }
    assert_eq!(sent, 10, "hexadecimal twice, URL-encoded twice, base64 and base64url three times");
    eventually("every encoding of the control in the logs", || {
        (control.found_in(logs().as_bytes()).len() == sent).then_some(())
    });
    assert_absent("the logs", logs().as_bytes());
}

fn assert_absent(place: &str, bytes: &[u8]) {
    let found = Search::new(PRIVATE_WORDS).found_in(bytes);
    assert!(found.is_empty(), "{place} contains a private message: {}", found.join(", "));
}
