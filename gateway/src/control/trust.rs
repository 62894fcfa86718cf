//! Adds the local authority to the trust stores of this machine and its browsers, and removes it.

mod nss;
pub mod phone;
mod system;

use std::io;
use std::path::{Path, PathBuf};

/// The result for one trust store.
#[derive(Debug)]
pub struct Step {
    /// The trust store.
    pub store: String,
    /// What was changed, or why nothing was.
    pub outcome: Result<String, String>,
}

/// Makes the system and this user's browsers trust the authority in the file. Returns the result
/// for each trust store.
pub fn install(authority: &Path, home: &Path) -> io::Result<Vec<Step>> {
    let pem = std::fs::read_to_string(authority)?;
    let nickname = nickname(&pem)?;
    let mut steps = vec![system::install(&pem)];
    steps.extend(
        nss::databases(home).iter().map(|database| nss::install(database, authority, &nickname)),
    );
    Ok(steps)
}

/// Removes every Gatehouse authority from the trust stores.
pub fn remove(home: &Path) -> Vec<Step> {
    let mut steps = vec![system::remove()];
    steps.extend(nss::databases(home).iter().map(|database| nss::remove(database)));
    steps
}

/// The nickname of an authority in NSS databases, different for each authority.
const NICKNAME: &str = "Gatehouse local CA";

fn nickname(pem: &str) -> io::Result<String> {
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject;
    use sha2::{Digest, Sha256};
    let der = CertificateDer::from_pem_slice(pem.as_bytes());
    let der = der.map_err(|error| {
        io::Error::new(io::ErrorKind::InvalidData, format!("expected a PEM certificate: {error:?}"))
    })?;
    let digest: String = hex::encode(Sha256::digest(&der)).chars().take(8).collect();
    Ok(format!("{NICKNAME} {digest}"))
}

/// Runs a system program; an error contains its error output.
fn run(program: &str, arguments: &[&std::ffi::OsStr]) -> Result<String, String> {
    let output = std::process::Command::new(program).args(arguments).output();
    let output = output.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => format!("`{program}` is not installed"),
        _ => format!("`{program}`: {error}"),
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("`{program}`: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

fn step(store: &Path, outcome: Result<String, String>) -> Step {
    Step { store: store.display().to_string(), outcome }
}

/// Subdirectories of `parent`, to find browser profiles.
fn subdirectories(parent: PathBuf) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}
