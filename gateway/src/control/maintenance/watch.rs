//! Watches the configuration file and the certificate files by their content.
//!
//! Watches directories, not files: editors rename over a file, and Kubernetes swaps a `..data`
//! symlink beside it. A reload happens only if the content behind a path changed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use crate::control::certificates;
use crate::control::config_source::ConfigSource;
use crate::control::handle::{Command, Handle};

/// Wait after an event, because editors and certificate tools write several files.
const SETTLE: Duration = Duration::from_millis(200);

/// Polling interval in addition to events: network file systems send none.
const POLL_INTERVAL: Duration = Duration::from_secs(15);

pub(super) async fn follow_files(handle: Handle, source: ConfigSource) {
    let (events, mut changed) = mpsc::channel(1);
    let mut watcher = Directories::new(events);
    let mut tried = None;
    loop {
        // Watch before comparing, so that a change in between is not missed.
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
                // The next comparison covers events from the wait.
                let _covered = changed.try_recv();
            }
            () = tokio::time::sleep(POLL_INTERVAL) => {}
        }
    }
}

/// SHA-256 of each file, in hexadecimal; a file that cannot be read has none.
type Content = BTreeMap<PathBuf, Option<String>>;

/// The current content of the files.
async fn content(files: Vec<PathBuf>) -> Content {
    let digest =
        |path: &PathBuf| std::fs::read(path).ok().map(|bytes| hex::encode(Sha256::digest(bytes)));
    let reading = tokio::task::spawn_blocking(move || {
        files.iter().map(|path| (path.clone(), digest(path))).collect()
    });
    reading.await.unwrap_or_default()
}

/// The content of the files in the active configuration.
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

/// Watches the directories of files; watches none if the machine does not support it.
struct Directories {
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
}

impl Directories {
    fn new(events: mpsc::Sender<()>) -> Self {
        let made = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if !event.is_ok_and(|event| event.kind.is_access()) {
                // Full: a notification is already pending.
                let _pending = events.try_send(());
            }
        });
        let watcher = made
            .map_err(|error| tracing::warn!(%error, "cannot watch files; polling them instead"))
            .ok();
        Self { watcher, watched: BTreeSet::new() }
    }

    fn watch(&mut self, files: &[PathBuf]) {
        let Some(watcher) = &mut self.watcher else { return };
        let wanted: BTreeSet<PathBuf> = files.iter().flat_map(|path| directories(path)).collect();
        for gone in self.watched.difference(&wanted) {
            // A removed directory is no longer watched anyway.
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

/// The directory of a path, and the directory of the file that the path resolves to.
fn directories(path: &Path) -> Vec<PathBuf> {
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let real = path.canonicalize().ok().and_then(|real| real.parent().map(Path::to_owned));
    [Some(parent), real].into_iter().flatten().collect()
}
