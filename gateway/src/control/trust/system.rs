//! The system trust store of Debian, Ubuntu and their derivatives.

use std::path::Path;
use std::{fs, io};

use super::{Step, run, step};

const FILE: &str = "/usr/local/share/ca-certificates/gatehouse-local-ca.crt";
const PERMISSION: &str =
    "requires root: run the command with sudo, or trust the authority only in your browser";

pub(super) fn install(pem: &str) -> Step {
    let written = fs::write(FILE, pem).map_err(|error| explain(&error));
    step(
        Path::new(FILE),
        written
            .and_then(|()| update())
            .map(|()| "installed with update-ca-certificates".to_owned()),
    )
}

pub(super) fn remove() -> Step {
    let removed = match fs::remove_file(FILE) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok("not installed".to_owned()),
        Err(error) => Err(explain(&error)),
        Ok(()) => update().map(|()| "removed with update-ca-certificates".to_owned()),
    };
    step(Path::new(FILE), removed)
}

fn update() -> Result<(), String> {
    // Without `--fresh`, a removed certificate leaves a dangling symlink.
    run("update-ca-certificates", &["--fresh".as_ref()]).map(|_| ())
}

fn explain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => PERMISSION.to_owned(),
        io::ErrorKind::NotFound => "the package `ca-certificates` is not installed".to_owned(),
        _ => error.to_string(),
    }
}
