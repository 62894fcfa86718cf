//! Follows the configuration's file and the certificates' files by their content.
//!
//! Directories are watched, not files: editors rename over a file, and Kubernetes swaps a `..data`
//! symlink beside it. What counts is whether the bytes at the path changed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use crate::control::certificates;
use crate::control::config_source::ConfigSource;
use crate::control::handle::{Command, Handle};

/// Quiet time after an event: an editor or a certificate tool writes several files.
const SETTLE: Duration = Duration::from_millis(200);

/// Time between two checks without an event: network file systems send none.
const CHECK_ANYWAY: Duration = Duration::from_secs(15);

pub(super) async fn follow_files(handle: Handle, source: ConfigSource) {
    let (events, mut changed) = mpsc::channel(1);
    let mut watcher = Directories::new(events);
    let mut tried = None;
    loop {
        // Watched first, compared then: what changes in between is seen by one or the other.
        watcher.watch(&files(&handle, &source));
        let now = content(files(&handle, &source)).await;
        if now != in_effect(&handle, &source).await && tried.as_ref() != Some(&now) {
            tried = Some(now);
            handle.reload_and_log("files changed").await;
            continue;
        }
        tokio::select! {
            _ = changed.recv() => {
                tokio::time::sleep(SETTLE).await;
                // The next check sees what came while it waited.
                let _seen = changed.try_recv();
            }
            () = tokio::time::sleep(CHECK_ANYWAY) => {}
        }
    }
}

/// SHA-256 of each file, in hexadecimal; a file that cannot be read has none.
type Content = BTreeMap<PathBuf, Option<String>>;

/// The files as they are.
async fn content(files: Vec<PathBuf>) -> Content {
    let digest =
        |path: &PathBuf| std::fs::read(path).ok().map(|bytes| hex::encode(Sha256::digest(bytes)));
    let reading = tokio::task::spawn_blocking(move || {
        files.iter().map(|path| (path.clone(), digest(path))).collect()
    });
    reading.await.unwrap_or_default()
}

/// The files as they were when they took effect.
async fn in_effect(handle: &Handle, source: &ConfigSource) -> Content {
    let certificates = handle.command(Command::CertificateFiles).await.unwrap_or_default();
    let certificates = certificates.into_iter().map(|(path, hash)| (path, Some(hash)));
    let config = match source {
        ConfigSource::File(path) => Some((path.clone(), Some(handle.config().hash.clone()))),
        ConfigSource::Text { .. } => None,
    };
    certificates.chain(config).collect()
}

fn files(handle: &Handle, source: &ConfigSource) -> Vec<PathBuf> {
    let mut files = certificates::files(&handle.config());
    if let ConfigSource::File(path) = source {
        files.push(path.clone());
    }
    files
}

/// Watches the directories of files; none at all when the machine has no means for it.
struct Directories {
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
}

impl Directories {
    fn new(events: mpsc::Sender<()>) -> Self {
        let made = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if !event.is_ok_and(|event| event.kind.is_access()) {
                // Full: an event waits already.
                let _told = events.try_send(());
            }
        });
        let watcher = made
            .map_err(
                |error| tracing::warn!(%error, "cannot watch files; checking them periodically"),
            )
            .ok();
        Self { watcher, watched: BTreeSet::new() }
    }

    fn watch(&mut self, files: &[PathBuf]) {
        let Some(watcher) = &mut self.watcher else { return };
        let wanted: BTreeSet<PathBuf> = files.iter().flat_map(|path| directories(path)).collect();
        for gone in self.watched.difference(&wanted) {
            // A directory that was removed is no longer watched anyway.
            let _gone = watcher.unwatch(gone);
        }
        self.watched.retain(|directory| wanted.contains(directory));
        for new in wanted {
            if !self.watched.contains(&new) {
                match watcher.watch(&new, RecursiveMode::NonRecursive) {
                    Ok(()) => {
                        self.watched.insert(new);
                    }
                    Err(error) => {
                        tracing::debug!(directory = %new.display(), %error, "cannot watch")
                    }
                }
            }
        }
    }
}

/// The directory that a path names, and the one that it leads to.
fn directories(path: &Path) -> Vec<PathBuf> {
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let real = path.canonicalize().ok().and_then(|real| real.parent().map(Path::to_owned));
    [Some(parent), real].into_iter().flatten().collect()
}
