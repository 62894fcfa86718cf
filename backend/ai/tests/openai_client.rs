//! OpenAI's own Python client works against the demo endpoint.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use backend_ai::demo::{Demo, DemoSettings};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Deadline for creating the environment and installing the client, once per target folder.
const INSTALL: Duration = Duration::from_secs(240);

#[tokio::test]
async fn the_official_python_client_works_against_the_demo_model() {
    let python = environment().await;
    let demo = Demo::new(DemoSettings { token_delay: Duration::ZERO, ..DemoSettings::default() });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/v1", listener.local_addr().expect("an address"));
    let stop = CancellationToken::new();
    let serving = tokio::spawn(demo.serve(listener, stop.clone().cancelled_owned()));

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openai_client.py");
    let run = Command::new(python)
        .arg(script)
        .arg(url)
        .env("NO_PROXY", "127.0.0.1")
        .kill_on_drop(true)
        .output();
    let output = timeout(Duration::from_secs(60), run)
        .await
        .expect("the client ends in time")
        .expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    stop.cancel();
    serving.await.expect("no panic").expect("it served");
}

/// A Python with the `openai` package, in the target folder.
async fn environment() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("openai-client");
    let python = folder.join("bin/python");
    if succeeds(Command::new(&python).args(["-c", "import openai"]), INSTALL).await {
        return python;
    }
    assert!(
        succeeds(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder), INSTALL)
            .await,
        "a venv"
    );
    let install =
        ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "openai>=2,<3"];
    assert!(
        succeeds(Command::new(&python).args(install), INSTALL).await,
        "pip installs the openai package"
    );
    python
}

async fn succeeds(command: &mut Command, deadline: Duration) -> bool {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true).status();
    matches!(timeout(deadline, status).await, Ok(Ok(status)) if status.success())
}
