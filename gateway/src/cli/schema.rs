//! `gateway schema`.

use super::say;
use std::process::ExitCode;

pub(super) fn schema() -> ExitCode {
    say(&format!("{:#}", gateway_config::schema()));
    ExitCode::SUCCESS
}
