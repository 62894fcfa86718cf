//! The upgrade socket in the file system: created in a private directory under a temporary name,
//! then renamed into place.

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

/// Device and inode: identifies a file whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity(u64, u64);

/// An upgrade socket that listens under its temporary name. Dropping it removes the file.
pub(crate) struct BoundSocket {
    place: PathBuf,
    listener: UnixListener,
    made: Made,
}

/// A file that is removed on drop.
struct Made(PathBuf);

impl Drop for Made {
    fn drop(&mut self) {
        // It may have been renamed, or removed by an administrator.
        let _ = fs::remove_file(&self.0);
    }
}

impl BoundSocket {
    /// Creates it. Fails if a process listens at `place`, unless that process is being replaced.
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

    /// Renames the socket into place, replacing an old one. Returns its path and the file's
    /// identity.
    pub(crate) fn publish(self) -> (PathBuf, Option<Identity>, UnixListener) {
        let Self { place, listener, made } = self;
        let identity = identity(&made.0);
        if let Err(error) = fs::rename(&made.0, &place) {
            tracing::error!(socket = %place.display(), %error, "cannot publish the upgrade socket; this process cannot be upgraded");
        }
        (place, identity, listener)
    }
}

/// The identity of the file at this path.
pub(crate) fn identity(path: &Path) -> Option<Identity> {
    fs::symlink_metadata(path).ok().map(|file| Identity(file.dev(), file.ino()))
}

/// Checks the directory of the socket, and creates it with mode 0700 if it does not exist. Rejects
/// a directory of another user or one that others can write into: they could put their own socket
/// there and receive our listening sockets.
pub(crate) fn check_directory(place: &Path) -> Result<(), UpgradeError> {
    let directory = directory_of(place);
    let found = match fs::metadata(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            DirBuilder::new().mode(0o700).create(directory).and_then(|()| fs::metadata(directory))
        }
        found => found,
    };
    check_metadata(directory, &found.map_err(|error| unusable(directory, &error))?)
}

/// Checks, without creating anything, whether a start could put its socket there, even if a gateway
/// listens there now.
pub(crate) fn dry_run(place: &Path) -> Result<(), UpgradeError> {
    let directory = directory_of(place);
    match fs::metadata(directory) {
        Ok(found) => check_metadata(directory, &found)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // A start creates only the last directory.
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
    let reason = format!("cannot be created or used: {error}");
    UpgradeError::Directory { directory: directory.to_owned(), reason }
}

fn check_metadata(directory: &Path, found: &Metadata) -> Result<(), UpgradeError> {
    let refused =
        |reason: String| UpgradeError::Directory { directory: directory.to_owned(), reason };
    let (ours, mode) = (geteuid().as_raw(), found.mode());
    if !found.is_dir() {
        return Err(refused("is not a directory".to_owned()));
    }
    if found.uid() != ours && found.uid() != 0 {
        return Err(refused(format!(
            "belongs to user {}; expected the gateway's own user, {ours}, or root",
            found.uid()
        )));
    }
    if mode & WRITABLE_BY_OTHERS != 0 {
        return Err(refused(format!(
            "others may write into it (mode {:o}): `chmod go-w` it, or choose a directory that only the gateway uses",
            mode & 0o7777
        )));
    }
    files::could_write_into(directory).map_err(|error| unusable(directory, &error))
}

/// Whether a process listens there. A stale socket does not count.
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
        // EAGAIN: a process listens there and its queue is full.
        Ok(()) | Err(Errno::AGAIN) => Ok(true),
        Err(Errno::CONNREFUSED | Errno::NOENT) => Ok(false),
        Err(error) => Err(failed(error.into())),
    }
}

/// Whether a socket exists there; any other file is an error.
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
    async fn a_directory_that_others_can_write_into_is_rejected() {
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
    async fn a_missing_directory_is_created_with_private_permissions() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("run/upgrade.sock");
        let bound = BoundSocket::make(&place, false).unwrap();
        assert_eq!(fs::metadata(place.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
        let beside = directory.path().join("run/upgrade.sock.new");
        assert_eq!(fs::metadata(&beside).unwrap().mode() & 0o777, 0o600);
        drop(bound);
        assert!(!beside.exists(), "the unpublished socket is removed");
    }

    #[tokio::test]
    async fn a_live_socket_is_an_error_and_a_stale_one_is_replaced() {
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
