//! The page in a real browser over HTTPS, once with everything in one process and once with Redis
//! and two backends. Afterwards, the server's data and logs must not contain the private messages.

use std::path::Path;
use std::process::Command;

use e2e::gatehouse::Gatehouse;
use e2e::process::Process;
use e2e::split::Split;
use e2e::workspace;

/// The text of private messages in the specs (`ui/e2e`). It must be nowhere on the server.
const PRIVATE_WORDS: &str = "quince-marmalade";

#[test]
fn page_works_in_one_process() {
    let gatehouse = Gatehouse::start();
    run_specs(gatehouse.https_port, &gatehouse.ca());
    assert_absent("the data folder", &gatehouse.stored());
    assert_absent("the log", gatehouse.process.log().as_bytes());
}

#[test]
fn page_works_with_redis_and_two_backends() {
    let split = Split::start();
    run_specs(split.https_port, &split.ca());
    assert_absent("Redis", &split.redis.dump());
    assert_absent("the logs", split.logs().as_bytes());
}

fn run_specs(https_port: u16, ca: &Path) {
    let results = tempfile::TempDir::new().expect("create a temporary folder");
    let mut process = Process::start(
        "playwright",
        Command::new("npm")
            .args(["run", "--silent", "e2e", "--", "--output"])
            .arg(results.path())
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

fn assert_absent(place: &str, bytes: &[u8]) {
    let words = PRIVATE_WORDS.as_bytes();
    assert!(
        !bytes.windows(words.len()).any(|window| window == words),
        "{place} contains a private message"
    );
}
