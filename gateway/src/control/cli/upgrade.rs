//! `gateway upgrade`: for service managers and shells, which want a command that returns.

use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;
use std::{fs, io};

use tokio::time::Instant;

use super::{complain, say};
use crate::control::config_source::ConfigSource;

/// How long the new process may take: it reads everything, asks, and serves.
const LONGEST: Duration = Duration::from_secs(90);
/// How often it is looked after.
const LOOK: Duration = Duration::from_millis(50);

pub(super) async fn upgrade(path: PathBuf) -> ExitCode {
    let config = match ConfigSource::File(path.clone()).load() {
        Ok(config) => config,
        Err(error) => return complain(&error.to_string()),
    };
    let Some(upgrade) = config.upgrade else {
        return complain(&format!(
            "{}: an upgrade needs `[upgrade]` with a `socket`",
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
                    "the new process ended ({status}); what ran before runs on"
                ));
            }
            Err(error) => return complain(&format!("the new process {}: {error}", child.id())),
        }
        // It puts its own socket there as the last step.
        let now = identity(&upgrade.socket);
        if now.is_some() && now != before {
            say(&format!("the process {} serves", child.id()));
            return ExitCode::SUCCESS;
        }
        if Instant::now() > deadline {
            // It fails only if the process has just ended.
            let _killed = child.kill();
            return complain(&format!(
                "the new process does not serve after {LONGEST:?} and was ended"
            ));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// This very program, which is the new one, in a process group of its own: Ctrl-C here is not meant
/// for it.
fn start(config: &Path) -> io::Result<Child> {
    Command::new(std::env::current_exe()?)
        .args(["run", "--take-over", "--config"])
        .arg(config)
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()
}

/// Which file is there, whatever its name.
fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|file| (file.dev(), file.ino()))
}
