//! Storage in a directory of one machine: private files, replaced atomically.

mod files;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::interface::{CHALLENGE_LIFETIME, Fence, Item, Lock, Storage, StorageError};
use files::Guard;

/// A directory that only its owner can read (0700, files 0600), shared by the processes of one
/// machine.
#[derive(Clone, Debug)]
pub struct DirectoryStorage {
    root: Arc<Path>,
}

impl DirectoryStorage {
    /// Opens `root`, creates it when it is missing, and removes files that a crash left incomplete.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, StorageError> {
        let root = root.into();
        for folder in ["certificates", "attempts", "accounts", "challenges", "tickets", "locks"] {
            let path = root.join(folder);
            files::private_directory(&path)
                .map_err(|error| StorageError::unavailable("create", path.display(), error))?;
            files::sweep(&path, ".tmp", INCOMPLETE);
        }
        Ok(Self { root: root.into() })
    }

    /// For reading only: creates nothing. The directory may be missing.
    pub fn read_only(root: impl Into<PathBuf>) -> Result<Self, StorageError> {
        let root = root.into();
        match std::fs::metadata(&root) {
            Ok(found) if !found.is_dir() => {
                Err(StorageError::unavailable("use", root.display(), "not a directory"))
            }
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(StorageError::unavailable("use", root.display(), error))
            }
            _ => Ok(Self { root: root.into() }),
        }
    }

    /// Runs on a thread that may block.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StorageError> {
        let root = Arc::clone(&self.root);
        tokio::task::spawn_blocking(move || work(&root)).await.unwrap_or_else(|error| {
            Err(StorageError::unavailable("use", "the certificate directory", error))
        })
    }
}

#[async_trait]
impl Storage for DirectoryStorage {
    async fn read(&self, item: &Item) -> Result<Option<Vec<u8>>, StorageError> {
        let item = item.clone();
        self.blocking(move |root| {
            let path = path_of(root, &item);
            files::read(&path)
                .map_err(|error| StorageError::unavailable("read", path.display(), error))
        })
        .await
    }

    async fn write(&self, item: &Item, value: &[u8], fence: &Fence) -> Result<(), StorageError> {
        let (item, value, fence) = (item.clone(), value.to_vec(), fence.clone());
        self.blocking(move |root| {
            let _guard = fenced(root, &fence)?;
            if item.is_challenge() {
                files::sweep(&root.join("challenges"), ".json", CHALLENGE_LIFETIME);
            }
            let path = path_of(root, &item);
            files::replace(&path, &value)
                .map_err(|error| StorageError::unavailable("write", path.display(), error))
        })
        .await
    }

    async fn remove(&self, item: &Item, fence: &Fence) -> Result<(), StorageError> {
        let (item, fence) = (item.clone(), fence.clone());
        self.blocking(move |root| {
            let _guard = fenced(root, &fence)?;
            let path = path_of(root, &item);
            files::remove(&path)
                .map_err(|error| StorageError::unavailable("remove", path.display(), error))
        })
        .await
    }

    async fn lock(&self, lock: &Lock, ttl: Duration) -> Result<Option<Fence>, StorageError> {
        let lock = lock.clone();
        self.blocking(move |root| {
            let guard = guard(root, &lock)?;
            let held = held(root, &lock)?;
            if held.until > millis() {
                return Ok(None);
            }
            let token = held.token.saturating_add(1);
            put_held(
                root,
                &lock,
                &guard,
                &Held { token, until: millis().saturating_add(in_millis(ttl)) },
            )?;
            Ok(Some(Fence { lock, token }))
        })
        .await
    }

    async fn extend(&self, fence: &Fence, ttl: Duration) -> Result<(), StorageError> {
        let fence = fence.clone();
        self.blocking(move |root| {
            let guard = fenced(root, &fence)?;
            let until = millis().saturating_add(in_millis(ttl));
            put_held(root, &fence.lock, &guard, &Held { token: fence.token, until })
        })
        .await
    }

    async fn unlock(&self, fence: &Fence) -> Result<(), StorageError> {
        let fence = fence.clone();
        self.blocking(move |root| match fenced(root, &fence) {
            Ok(guard) => {
                put_held(root, &fence.lock, &guard, &Held { token: fence.token, until: 0 })
            }
            Err(StorageError::Fenced { .. }) => Ok(()),
            Err(error) => Err(error),
        })
        .await
    }
}

/// Incomplete files older than this belong to no running process.
const INCOMPLETE: Duration = Duration::from_secs(3600);

/// The state of a lock: the last token issued, and its expiry in milliseconds since 1970 by the
/// clock that all processes share.
#[derive(Default, Serialize, Deserialize)]
struct Held {
    token: u64,
    until: u64,
}

fn held(root: &Path, lock: &Lock) -> Result<Held, StorageError> {
    let path = root.join(format!("{lock}.json"));
    let bytes = files::read(&path)
        .map_err(|error| StorageError::unavailable("read", path.display(), error))?;
    let parse = |bytes: Vec<u8>| {
        serde_json::from_slice(&bytes).map_err(|error| StorageError::Malformed {
            place: path.display().to_string(),
            reason: error.to_string(),
        })
    };
    bytes.map_or_else(|| Ok(Held::default()), parse)
}

/// Requires the guard.
fn put_held(root: &Path, lock: &Lock, _guard: &Guard, held: &Held) -> Result<(), StorageError> {
    let path = root.join(format!("{lock}.json"));
    let text = format!(r#"{{"token":{},"until":{}}}"#, held.token, held.until);
    files::replace(&path, text.as_bytes())
        .map_err(|error| StorageError::unavailable("write", path.display(), error))
}

fn guard(root: &Path, lock: &Lock) -> Result<Guard, StorageError> {
    let path = root.join(format!("{lock}.guard"));
    Guard::take(&path).map_err(|error| StorageError::unavailable("lock", path.display(), error))
}

/// While the guard exists, no other process can take the lock: check and write are one step.
fn fenced(root: &Path, fence: &Fence) -> Result<Guard, StorageError> {
    let guard = guard(root, &fence.lock)?;
    match held(root, &fence.lock)?.token == fence.token {
        true => Ok(guard),
        false => Err(StorageError::fenced(&fence.lock)),
    }
}

fn path_of(root: &Path, item: &Item) -> PathBuf {
    root.join(format!("{item}.json"))
}

fn millis() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, in_millis)
}

fn in_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
