//! `gatehouse trust` and `untrust`: says line by line what was done.

use std::error::Error;
use std::path::{Path, PathBuf};

use gateway::local_ca::AUTHORITY_FILE;
use gateway::trust::{self, Step};

pub(crate) fn install(certs: &Path) -> Result<(), Box<dyn Error>> {
    let authority = certs.join(AUTHORITY_FILE);
    let steps = trust::install(&authority, &home()?)
        .map_err(|error| format!("{}: {error}; it is made at the first start of gatehouse", authority.display()))?;
    report(&steps)
}

pub(crate) fn remove() -> Result<(), Box<dyn Error>> {
    report(&trust::remove(&home()?))
}

fn home() -> Result<PathBuf, String> {
    std::env::home_dir().ok_or_else(|| "HOME is not set: whose browsers are meant?".to_owned())
}

#[expect(clippy::print_stdout, reason = "what was done is the output of these commands")]
fn report(steps: &[Step]) -> Result<(), Box<dyn Error>> {
    let mut failed = 0;
    for Step { store, outcome } in steps {
        match outcome {
            Ok(done) => println!("{store}: {done}"),
            Err(reason) => {
                failed += 1;
                println!("{store}: failed: {reason}");
            }
        }
    }
    if failed == 0 { Ok(()) } else { Err(format!("{failed} of {} steps failed", steps.len()).into()) }
}
