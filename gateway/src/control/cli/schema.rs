//! `gateway schema`.

use std::process::ExitCode;

use super::say;

pub(super) fn schema() -> ExitCode {
    say(&format!("{:#}", gateway_config::schema()));
    ExitCode::SUCCESS
}
