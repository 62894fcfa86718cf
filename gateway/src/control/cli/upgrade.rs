//! `gateway upgrade`, for service managers and shells that need a command that returns.

use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;
use std::{fs, io};

use tokio::time::Instant;

use super::{complain, say};
use crate::control::config_source::ConfigSource;

/// Time for the new process to load the configuration, take over the sockets and serve.
const LONGEST: Duration = Duration::from_secs(90);
/// Interval of the checks on the new process.
const LOOK: Duration = Duration::from_millis(50);

pub(super) async fn upgrade(path: PathBuf) -> ExitCode {
    let config = match ConfigSource::File(path.clone()).load() {
        Ok(config) => config,
        Err(error) => return complain(&error.to_string()),
    };
    let Some(upgrade) = config.upgrade else {
        return complain(&format!(
            "{}: an upgrade requires `[upgrade]` with a `socket`",
            path.display()
        ));
    };
    let before = identity(&upgrade.socket);
    let mut child = match start(&path) {
        Ok(child) => child,
        Err(error) => return complain(&format!("cannot start the new process: {error}")),
    };
    let deadline = Instant::now() + LONGEST;
    loop {
        match child.try_wait() {
            Ok(None) => {}
            Ok(Some(status)) => {
                return complain(&format!(
                    "the new process exited ({status}); the previous process keeps running"
                ));
            }
            Err(error) => return complain(&format!("the new process {}: {error}", child.id())),
        }
        // Replacing the upgrade socket is the last step of the new process.
        let now = identity(&upgrade.socket);
        if now.is_some() && now != before {
            say(&format!("the process {} serves", child.id()));
            return ExitCode::SUCCESS;
        }
        if Instant::now() > deadline {
            // Fails only if the process has just exited.
            let _killed = child.kill();
            return complain(&format!(
                "the new process did not serve within {LONGEST:?} and was killed"
            ));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Starts this executable in its own process group, so that Ctrl-C in this terminal does not reach
/// it.
fn start(config: &Path) -> io::Result<Child> {
    Command::new(std::env::current_exe()?)
        .args(["run", "--take-over", "--config"])
        .arg(config)
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()
}

/// Device and inode of a file, to detect that it was replaced.
fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|file| (file.dev(), file.ino()))
}
