//! The upgrade socket in the file system: in a directory of ours alone, made beside its place and
//! then put there at once.

use std::fs::{self, DirBuilder, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use tokio::net::UnixListener;

use super::UpgradeError;
use crate::files;

/// Write permission for the group and for others.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// Which file it is, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity(u64, u64);

/// An upgrade socket that listens beside its place. Dropped, it is gone.
pub(crate) struct BoundSocket {
    place: PathBuf,
    listener: UnixListener,
    made: Made,
}

/// A file that is removed when this is dropped.
struct Made(PathBuf);

impl Drop for Made {
    fn drop(&mut self) {
        // It may have been put in its place, or removed by a person.
        let _ = fs::remove_file(&self.0);
    }
}

impl BoundSocket {
    /// Makes it. A live socket in its place is in the way, unless it is the one that is being taken
    /// over.
    pub(crate) fn make(place: &Path, takes_over: bool) -> Result<Self, UpgradeError> {
        check_directory(place)?;
        if !takes_over && is_live(place)? {
            return Err(UpgradeError::Taken(place.to_owned()));
        }
        let failed = |error| UpgradeError::Socket { path: place.to_owned(), error };
        let mut beside = place.as_os_str().to_owned();
        beside.push(".new");
        let beside = PathBuf::from(beside);
        match fs::remove_file(&beside) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        let listener = UnixListener::bind(&beside).map_err(failed)?;
        let made = Made(beside);
        fs::set_permissions(&made.0, Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(Self { place: place.to_owned(), listener, made })
    }

    /// Renames it to its place, which replaces what was there. Returns its path, and which file it
    /// is.
    pub(crate) fn publish(self) -> (PathBuf, Option<Identity>, UnixListener) {
        let Self { place, listener, made } = self;
        let identity = identity(&made.0);
        if let Err(error) = fs::rename(&made.0, &place) {
            tracing::error!(socket = %place.display(), %error, "no process can take over from this one");
        }
        (place, identity, listener)
    }
}

/// Which file is at this path now.
pub(crate) fn identity(path: &Path) -> Option<Identity> {
    fs::symlink_metadata(path).ok().map(|file| Identity(file.dev(), file.ino()))
}

/// A user who may write into the directory could put a socket of their own there and receive ours:
/// refuses a directory that is another user's or that others may write into. Makes it, for us
/// alone, if it is not there.
pub(crate) fn check_directory(place: &Path) -> Result<(), UpgradeError> {
    let directory = directory_of(place);
    let found = match fs::metadata(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            DirBuilder::new().mode(0o700).create(directory).and_then(|()| fs::metadata(directory))
        }
        found => found,
    };
    judge(directory, &found.map_err(|error| unusable(directory, &error))?)
}

/// Whether a start could put its socket there, as far as it shows without making anything, whether
/// or not a gateway listens there now.
pub(crate) fn dry_run(place: &Path) -> Result<(), UpgradeError> {
    let directory = directory_of(place);
    match fs::metadata(directory) {
        Ok(found) => judge(directory, &found)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // Only the last directory would be made.
            let above = fs::metadata(directory_of(directory)).map(drop);
            above
                .and_then(|()| files::could_write_into(directory))
                .map_err(|error| unusable(directory, &error))?;
        }
        Err(error) => return Err(unusable(directory, &error)),
    }
    is_socket(place).map(drop)
}

fn directory_of(place: &Path) -> &Path {
    match place.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

fn unusable(directory: &Path, error: &io::Error) -> UpgradeError {
    let reason = format!("cannot be created or read: {error}");
    UpgradeError::Directory { directory: directory.to_owned(), reason }
}

fn judge(directory: &Path, found: &Metadata) -> Result<(), UpgradeError> {
    let refused =
        |reason: String| UpgradeError::Directory { directory: directory.to_owned(), reason };
    let (ours, mode) = (geteuid().as_raw(), found.mode());
    if !found.is_dir() {
        return Err(refused("is no directory".to_owned()));
    }
    if found.uid() != ours && found.uid() != 0 {
        return Err(refused(format!(
            "belongs to the user {}; expected our own, {ours}, or root",
            found.uid()
        )));
    }
    if mode & WRITABLE_BY_OTHERS != 0 {
        return Err(refused(format!(
            "others may write into it (mode {:o}): `chmod go-w` it, or choose a directory of the gateway's own",
            mode & 0o7777
        )));
    }
    files::could_write_into(directory).map_err(|error| unusable(directory, &error))
}

/// Whether a process listens there. What a process left behind that is gone is not in the way.
fn is_live(place: &Path) -> Result<bool, UpgradeError> {
    if !is_socket(place)? {
        return Ok(false);
    }
    let failed = |error: io::Error| UpgradeError::Socket { path: place.to_owned(), error };
    let address = SocketAddrUnix::new(place).map_err(|error| failed(error.into()))?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let probe = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
        .map_err(|error| failed(error.into()))?;
    match connect(&probe, &address) {
        // EAGAIN: a process listens, and its queue is full.
        Ok(()) | Err(Errno::AGAIN) => Ok(true),
        Err(Errno::CONNREFUSED | Errno::NOENT) => Ok(false),
        Err(error) => Err(failed(error.into())),
    }
}

/// Whether a socket is there; anything else is in the way.
fn is_socket(place: &Path) -> Result<bool, UpgradeError> {
    match fs::symlink_metadata(place) {
        Ok(file) if file.file_type().is_socket() => Ok(true),
        Ok(_) => Err(UpgradeError::NotASocket(place.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(UpgradeError::Socket { path: place.to_owned(), error }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[tokio::test]
    async fn a_directory_that_others_may_write_into_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("upgrade.sock");
        for open in [0o720, 0o702, 0o777, 0o1777] {
            mode(directory.path(), open);
            let Err(error) = BoundSocket::make(&place, false) else {
                panic!("{open:o} is accepted")
            };
            assert!(error.to_string().contains(&format!("mode {open:o}")), "{error}");
        }
        mode(directory.path(), 0o755);
        BoundSocket::make(&place, false).unwrap();
    }

    #[tokio::test]
    async fn a_directory_that_is_not_there_is_made_for_us_alone() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("run/upgrade.sock");
        let prepared = BoundSocket::make(&place, false).unwrap();
        assert_eq!(fs::metadata(place.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
        let beside = directory.path().join("run/upgrade.sock.new");
        assert_eq!(fs::metadata(&beside).unwrap().mode() & 0o777, 0o600);
        drop(prepared);
        assert!(!beside.exists(), "what did not take its place is gone");
    }

    #[tokio::test]
    async fn a_live_socket_is_in_the_way_and_a_stale_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("upgrade.sock");
        let live = std::os::unix::net::UnixListener::bind(&place).unwrap();
        assert!(matches!(BoundSocket::make(&place, false), Err(UpgradeError::Taken(_))));
        BoundSocket::make(&place, true).unwrap();
        drop(live);
        assert!(place.exists());
        BoundSocket::make(&place, false).unwrap();
        fs::remove_file(&place).unwrap();
        fs::write(&place, "precious").unwrap();
        assert!(matches!(BoundSocket::make(&place, false), Err(UpgradeError::NotASocket(_))));
    }
}
