//! A certificate authority of this machine's own: made once, good for the local names only, and
//! what it issues.
//!
//! Its key stays in one directory. Name constraints (RFC 5280 section 4.2.1.10) keep it from
//! vouching for any other site, so that trusting it costs little.

mod authority;
mod leaf;
mod store;

use std::io;
use std::path::{Path, PathBuf};

use gateway_config::ServerName;

use crate::files;
use authority::Authority;
use store::Directory;

/// The file of the authority's certificate, below its directory.
pub const AUTHORITY_FILE: &str = "local-ca.pem";

/// Where an issued certificate and its key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Issued {
    /// The chain, leaf first.
    pub cert: PathBuf,
    /// The leaf's key.
    pub key: PathBuf,
    /// Whether the authority was made, or made anew, by this call: whoever trusted it must trust it
    /// again.
    pub new_authority: bool,
}

/// Why the local authority cannot issue.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LocalCaError {
    /// A file or the directory cannot be used.
    #[error("{}: {source}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A certificate cannot be made from these names.
    #[error("cannot make a certificate: {0}")]
    Made(#[from] rcgen::Error),
}

/// A certificate for these names from the authority in `directory`: the one that is there while
/// more than a third of its life is left, else a new one. Makes the authority when there is none,
/// or none that may vouch for the names.
pub(crate) fn issue(
    directory: &Path,
    stem: &str,
    names: &[ServerName],
) -> Result<Issued, LocalCaError> {
    let directory = Directory::open(directory)?;
    // Two processes that start at once in one directory make one authority.
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

/// Where certificate and key are that [`issue`] would give back; `None`: it would issue them. Fails
/// where [`issue`] would fail because of the directory, and makes nothing.
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

/// What [`issue`] would make, from an authority of the moment: chain and key as PEM, for a look at
/// what could be served.
pub(crate) fn dry_run(names: &[ServerName]) -> Result<(String, String), LocalCaError> {
    let (authority, _key) = Authority::generate(names, None)?;
    leaf::make(&authority, names)
}

/// Whether [`issue`] would issue anew. Makes nothing.
pub(crate) fn is_due(directory: &Path, stem: &str, names: &[ServerName]) -> bool {
    let look = || -> Result<bool, LocalCaError> {
        let directory = Directory::look(directory);
        let Some(authority) = Authority::load(&directory)? else { return Ok(true) };
        let pem = directory.read(&directory.files(stem).0)?;
        Ok(!pem.is_some_and(|pem| leaf::is_usable(&pem, &authority, names)))
    };
    // What cannot be read is for `issue` to report.
    look().unwrap_or(true)
}

#[cfg(test)]
mod tests;
