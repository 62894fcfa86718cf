//! The local certificate authority and the certificates it issues.
//!
//! Its key stays in one directory. Name constraints (RFC 5280 section 4.2.1.10) restrict it to the
//! local names, so that trusting it is a small risk.

mod authority;
mod leaf;
mod store;

use std::io;
use std::path::{Path, PathBuf};

use gateway_config::ServerName;

use crate::files;
use authority::Authority;
use store::Directory;

/// File name of the authority's certificate.
pub const AUTHORITY_FILE: &str = "local-ca.pem";

/// Files of an issued certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Issued {
    /// Certificate chain, leaf first.
    pub cert: PathBuf,
    /// Private key of the leaf.
    pub key: PathBuf,
    /// Whether this call created or replaced the authority, which clients must then trust again.
    pub new_authority: bool,
}

/// Why the local authority cannot issue.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LocalCaError {
    /// A file or directory cannot be used.
    #[error("{}: {source}", path.display())]
    File {
        /// The path.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The certificate cannot be generated.
    #[error("cannot create a certificate: {0}")]
    Made(#[from] rcgen::Error),
}

/// Returns a certificate for these names from the authority in `directory`: the existing one while
/// more than a third of its lifetime is left, else a new one. Creates or replaces the authority if
/// there is none that permits the names.
pub(crate) fn issue(
    directory: &Path,
    stem: &str,
    names: &[ServerName],
) -> Result<Issued, LocalCaError> {
    let directory = Directory::open(directory)?;
    // Processes that start at the same time in one directory must share one authority.
    let _lock = directory.lock()?;
    let (authority, new_authority) = match Authority::load(&directory)? {
        Some(authority) if authority.permits(names) => (authority, false),
        old => (Authority::make(&directory, names, old.as_ref())?, true),
    };
    let (cert, key) = directory.files(stem);
    let usable = directory.read(&cert)?.is_some_and(|pem| leaf::is_usable(&pem, &authority, names));
    if !usable || directory.read(&key)?.is_none() {
        let (chain, private) = leaf::make(&authority, names)?;
        directory.write_private(&key, &private)?;
        directory.write(&cert, &chain)?;
    }
    Ok(Issued { cert, key, new_authority })
}

/// The files that [`issue`] would return unchanged; `None` if it would issue a certificate. Returns
/// the errors that [`issue`] would return for the directory. Creates nothing.
pub(crate) fn usable_files(
    directory: &Path,
    stem: &str,
    names: &[ServerName],
) -> Result<Option<(PathBuf, PathBuf)>, LocalCaError> {
    let place = Directory::look(directory);
    let due = is_due(directory, stem, names);
    if due || !place.can_be_locked() {
        let failed = |source| LocalCaError::File { path: directory.to_owned(), source };
        files::could_write_into(directory).map_err(failed)?;
    }
    Ok((!due).then(|| place.files(stem)))
}

/// Generates, with a temporary authority, what [`issue`] would create: chain and key as PEM, for a
/// dry run.
pub(crate) fn dry_run(names: &[ServerName]) -> Result<(String, String), LocalCaError> {
    let (authority, _key) = Authority::generate(names, None)?;
    leaf::make(&authority, names)
}

/// Whether [`issue`] would issue a new certificate. Creates nothing.
pub(crate) fn is_due(directory: &Path, stem: &str, names: &[ServerName]) -> bool {
    let look = || -> Result<bool, LocalCaError> {
        let directory = Directory::look(directory);
        let Some(authority) = Authority::load(&directory)? else { return Ok(true) };
        let pem = directory.read(&directory.files(stem).0)?;
        Ok(!pem.is_some_and(|pem| leaf::is_usable(&pem, &authority, names)))
    };
    // Read errors are reported by `issue`.
    look().unwrap_or(true)
}

#[cfg(test)]
mod tests;
