//! The directory of the local authority: private files, written atomically.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::LocalCaError;

pub(super) struct Directory(PathBuf);

impl Directory {
    /// Opens the directory and creates it, accessible only to its owner, if necessary.
    pub(super) fn open(path: &Path) -> Result<Self, LocalCaError> {
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(at(path))?;
        Ok(Self(path.to_owned()))
    }

    /// Uses the directory without creating it.
    pub(super) fn look(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Paths of a certificate and its key.
    pub(super) fn files(&self, stem: &str) -> (PathBuf, PathBuf) {
        (self.path(&format!("{stem}.pem")), self.path(&format!("{stem}.key")))
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Waits for the write lock; dropping the file releases it.
    pub(super) fn lock(&self) -> Result<File, LocalCaError> {
        let path = self.path(".lock");
        let file =
            OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = file.map_err(at(&path))?;
        file.lock().map_err(at(&path))?;
        Ok(file)
    }

    /// Whether the lock file exists and is writable. Does not take the lock.
    pub(super) fn can_be_locked(&self) -> bool {
        OpenOptions::new().write(true).open(self.path(".lock")).is_ok()
    }

    /// The text of a file; `None` if it does not exist.
    pub(super) fn read(&self, path: &Path) -> Result<Option<String>, LocalCaError> {
        match fs::read_to_string(path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(at(path)(error)),
        }
    }

    /// Writes a file that everyone may read.
    pub(super) fn write(&self, path: &Path, text: &str) -> Result<(), LocalCaError> {
        replace(path, text, 0o644).map_err(at(path))
    }

    /// Writes a file that only its owner may read.
    pub(super) fn write_private(&self, path: &Path, text: &str) -> Result<(), LocalCaError> {
        replace(path, text, 0o600).map_err(at(path))
    }
}

fn replace(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let new = path.with_extension("new");
    // A file left by a crash could have a different mode.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().create_new(true).write(true).mode(mode).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> LocalCaError {
    let path = path.to_owned();
    move |source| LocalCaError::File { path, source }
}
