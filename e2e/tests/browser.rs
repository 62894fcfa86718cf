//! The page in a real browser over HTTPS, once with everything in one process and once with Redis
//! and two backends; and that nothing the server keeps or logs holds what people wrote to each
//! other.

use std::path::Path;
use std::process::Command;

use e2e::gatehouse::Gatehouse;
use e2e::process::Process;
use e2e::split::Split;
use e2e::workspace;

/// What the specs let people say to each other in private (`ui/e2e`): it must be nowhere on the
/// server.
const PRIVATE_WORDS: &str = "quince-marmalade";

#[test]
fn the_page_works_with_everything_in_one_process() {
    let gatehouse = Gatehouse::start();
    run_specs(gatehouse.https_port, &gatehouse.ca());
    assert_absent("the data folder", &gatehouse.kept());
    assert_absent("the log", gatehouse.process.log().as_bytes());
}

#[test]
fn the_page_works_with_redis_and_two_backends() {
    let split = Split::start();
    run_specs(split.https_port, &split.ca());
    assert_absent("Redis", &split.redis.dump());
    assert_absent("the logs", split.logs().as_bytes());
}

fn run_specs(https_port: u16, ca: &Path) {
    let results = tempfile::TempDir::new().expect("a temporary folder can be made");
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
    assert!(log.contains(" passed"), "specs were run:\n{log}");
    assert!(
        !log.contains(" skipped") && !log.contains(" flaky"),
        "none was skipped or passed only by a retry:\n{log}"
    );
}

fn assert_absent(place: &str, bytes: &[u8]) {
    let words = PRIVATE_WORDS.as_bytes();
    assert!(
        !bytes.windows(words.len()).any(|window| window == words),
        "{place} holds what was said in private"
    );
}
