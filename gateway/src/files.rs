//! Files and directories named in the configuration: bounded reads, and checks without side
//! effects.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::sys::statfs::{self, FsType, fstatfs};
use nix::unistd::{AccessFlags, access};

/// Maximum size of a file with certificates or a key.
pub(crate) const PEM_MOST: u64 = 4 << 20;

/// Reads a regular file of at most `most` bytes. Pipes and devices are rejected because they can
/// block or be endless, pseudo files (`/proc`, `/sys`) because no operator writes them.
pub(crate) fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    // Without this flag, opening a pipe waits for a writer.
    let flags = nix::fcntl::OFlag::O_NONBLOCK.bits();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "is not a regular file"));
    }
    reject_kernel_files(&file)?;
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("has more than {most} bytes"),
        ));
    }
    Ok(bytes)
}

/// Rejects files and directories of pseudo file systems.
pub(crate) fn reject_kernel_files(file: &File) -> io::Result<()> {
    const KERNELS: [FsType; 8] = [
        statfs::PROC_SUPER_MAGIC,
        statfs::SYSFS_MAGIC,
        statfs::CGROUP_SUPER_MAGIC,
        statfs::CGROUP2_SUPER_MAGIC,
        statfs::DEBUGFS_MAGIC,
        statfs::TRACEFS_MAGIC,
        statfs::SECURITYFS_MAGIC,
        statfs::DEVPTS_SUPER_MAGIC,
    ];
    if KERNELS.contains(&fstatfs(file)?.filesystem_type()) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "is in a pseudo file system such as /proc",
        ));
    }
    Ok(())
}

/// Whether a directory is writable or could be created with its missing ancestors; creates nothing.
pub(crate) fn could_write_into(directory: &Path) -> io::Result<()> {
    // An empty path means the current directory.
    let above =
        directory.ancestors().map(|path| if path == Path::new("") { Path::new(".") } else { path });
    for nearest in above {
        match fs::metadata(nearest) {
            Ok(found) if found.is_dir() => {
                reject_kernel_files(&File::open(nearest)?)?;
                return Ok(access(nearest, AccessFlags::W_OK | AccessFlags::X_OK)?);
            }
            Ok(_) => {
                return Err(io::Error::new(io::ErrorKind::NotADirectory, "is not a directory"));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use nix::sys::stat::Mode;

    use super::*;

    #[test]
    fn only_regular_files_within_the_bound_are_read() {
        let directory = tempfile::tempdir().expect("a directory");
        let at = |name: &str| directory.path().join(name);
        fs::write(at("file"), "12345").expect("written");
        nix::unistd::mkfifo(&at("pipe"), Mode::S_IRWXU).expect("created");
        assert_eq!(read(&at("file"), 5).expect("it is small enough"), b"12345");
        for (path, most, reason) in [
            (at("file"), 4, "more than 4 bytes"),
            (at("pipe"), 5, "not a regular file"),
            (at(""), 5, "not a regular file"),
            ("/dev/zero".into(), 5, "not a regular file"),
            ("/proc/self/environ".into(), 1 << 20, "pseudo file system"),
            (at("none"), 5, "No such file"),
        ] {
            let error = read(&path, most).expect_err("it is rejected").to_string();
            assert!(error.contains(reason), "{}: {error}", path.display());
        }
    }

    #[test]
    fn only_directories_that_could_be_created_are_accepted() {
        let directory = tempfile::tempdir().expect("a directory");
        let at = |name: &str| directory.path().join(name);
        fs::write(at("file"), "").expect("written");
        could_write_into(&at("a/b/c")).expect("it could be created");
        could_write_into(directory.path()).expect("it exists");
        for (path, reason) in
            [(at("file/a"), ""), (at("file"), "directory"), ("/proc/certs/a".into(), "pseudo file")]
        {
            let error = could_write_into(&path).expect_err("it is rejected").to_string();
            assert!(error.contains(reason), "{}: {error}", path.display());
        }
        assert!(!at("a").exists(), "a directory was created");
    }
}
