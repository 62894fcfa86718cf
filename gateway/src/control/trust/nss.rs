//! NSS databases: this user's database for Chromium, and one per Firefox profile.

use std::ffi::{OsStr, OsString};
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::{NICKNAME, Step, run, step, subdirectories};

/// The databases of this user, always including Chromium's, which is created on demand.
pub(super) fn databases(home: &Path) -> Vec<PathBuf> {
    let firefox = [
        ".mozilla/firefox",
        "snap/firefox/common/.mozilla/firefox",
        ".var/app/org.mozilla.firefox/.mozilla/firefox",
    ];
    let profiles = firefox.iter().flat_map(|below| subdirectories(home.join(below)));
    let with_database = profiles.filter(|profile| profile.join("cert9.db").exists());
    let snap = home.join("snap/chromium/current/.pki/nssdb");
    let chromium = [Some(home.join(".pki/nssdb")), snap.join("cert9.db").exists().then_some(snap)];
    chromium.into_iter().flatten().chain(with_database).collect()
}

pub(super) fn install(database: &Path, authority: &Path, nickname: &str) -> Step {
    let outcome = create(database).and_then(|()| {
        // `C,,`: trusted to issue server certificates only.
        let arguments = ["-A", "-t", "C,,", "-n", nickname, "-i"].map(OsStr::new);
        certutil(database, &[&arguments[..], &[authority.as_os_str()]].concat())
    });
    step(database, outcome.map(|_| format!("added as \"{nickname}\"")))
}

pub(super) fn remove(database: &Path) -> Step {
    if !database.join("cert9.db").exists() {
        return step(database, Ok("not installed".to_owned()));
    }
    let removed = certutil(database, &["-L".as_ref()]).and_then(|list| {
        let ours: Vec<String> = list.lines().filter_map(nickname_of).collect();
        for nickname in &ours {
            certutil(database, &["-D", "-n", nickname].map(OsStr::new))?;
        }
        Ok(if ours.is_empty() {
            "not installed".to_owned()
        } else {
            format!("removed \"{}\"", ours.join("\", \""))
        })
    });
    step(database, removed)
}

/// A line of `certutil -L` consists of nickname, spaces, and trust flags.
fn nickname_of(line: &str) -> Option<String> {
    let (nickname, _flags) = line.trim_end().rsplit_once(' ')?;
    nickname.starts_with(NICKNAME).then(|| nickname.trim_end().to_owned())
}

fn create(database: &Path) -> Result<(), String> {
    if database.join("cert9.db").exists() {
        return Ok(());
    }
    let made = DirBuilder::new().recursive(true).mode(0o700).create(database);
    made.map_err(|error| format!("{}: {error}", database.display()))?;
    certutil(database, &["-N", "--empty-password"].map(OsStr::new)).map(|_| ())
}

fn certutil(database: &Path, arguments: &[&OsStr]) -> Result<String, String> {
    let mut location = OsString::from("sql:");
    location.push(database);
    let all = [&[OsStr::new("-d"), &location], arguments].concat();
    run("certutil", &all).map_err(|error| {
        error.replace("is not installed", "is not installed: install libnss3-tools")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::local_ca;

    #[test]
    fn the_chromium_database_is_created_and_the_authority_added_and_removed() {
        let home = tempfile::tempdir().unwrap();
        let certs = home.path().join("certs");
        local_ca::issue(&certs, "leaf", &["localhost".parse().unwrap()]).unwrap();
        let authority = certs.join(local_ca::AUTHORITY_FILE);
        let databases = databases(home.path());
        let [database] = databases.as_slice() else { panic!("{databases:?}") };

        let installed = install(database, &authority, &format!("{NICKNAME} 0123abcd"));
        assert_eq!(installed.outcome, Ok(format!("added as \"{NICKNAME} 0123abcd\"")));
        let list = certutil(database, &["-L".as_ref()]).unwrap();
        assert!(
            list.lines().any(|line| line.starts_with(NICKNAME) && line.trim_end().ends_with("C,,")),
            "{list}"
        );

        assert_eq!(remove(database).outcome, Ok(format!("removed \"{NICKNAME} 0123abcd\"")));
        assert_eq!(remove(database).outcome, Ok("not installed".to_owned()));
    }

    #[test]
    fn firefox_profiles_are_found_by_their_database() {
        let home = tempfile::tempdir().unwrap();
        let profile = |name: &str| home.path().join(".mozilla/firefox").join(name);
        std::fs::create_dir_all(profile("abc.default")).unwrap();
        std::fs::create_dir_all(profile("Crash Reports")).unwrap();
        std::fs::write(profile("abc.default").join("cert9.db"), "").unwrap();
        assert_eq!(
            databases(home.path()),
            [home.path().join(".pki/nssdb"), profile("abc.default")]
        );
    }
}
