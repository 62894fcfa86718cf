//! What Redis' persistence means for acknowledged writes, logged once at start.

use std::collections::HashMap;

use super::connection::Connection;

/// What is lost when the machine of Redis fails.
#[derive(Debug, PartialEq, Eq)]
enum Policy {
    /// Every write is synced before its reply.
    Always,
    /// The append-only file is synced every second.
    EverySecond,
    /// The operating system decides when the append-only file is synced.
    Unsynced,
    /// Only snapshots.
    Snapshots,
    /// Nothing is on a disk.
    Nothing,
    /// A value this program does not know.
    Unknown,
}

/// Logs the policy. Reading it may be forbidden, which is no error.
pub(super) async fn log(connection: &Connection) {
    let mut read = redis::cmd("CONFIG");
    read.arg("GET").arg("appendonly").arg("appendfsync").arg("save");
    let found = connection.command::<HashMap<String, String>>("CONFIG", &read).await;
    let Ok(found) = found.inspect_err(|error| {
        tracing::info!(
            %error,
            "the persistence of Redis is unknown: CONFIG GET failed; what a failure of its machine loses depends on its provider"
        );
    }) else {
        return;
    };
    let value = |name: &str| found.get(name).map(String::as_str);
    let (file, sync, save) = (value("appendonly"), value("appendfsync"), value("save"));
    match policy(file, sync, save) {
        Policy::Always => {
            tracing::info!("Redis syncs each write before it is acknowledged: appendfsync always")
        }
        Policy::EverySecond => tracing::warn!(
            "acknowledged messages of the last second can be lost when Redis' machine fails: appendfsync everysec"
        ),
        Policy::Unsynced => tracing::warn!(
            "acknowledged messages of the last half minute or more can be lost when Redis' machine fails: appendfsync no"
        ),
        Policy::Snapshots => tracing::warn!(
            save = save.unwrap_or_default(),
            "acknowledged messages since the last snapshot are lost when Redis or its machine fails: appendonly no"
        ),
        Policy::Nothing => tracing::warn!(
            "all messages are lost when Redis or its machine fails: appendonly no, and no snapshots"
        ),
        Policy::Unknown => tracing::info!(
            ?found,
            "the persistence of Redis is unknown; what a failure of its machine loses depends on it"
        ),
    }
}

fn policy(file: Option<&str>, sync: Option<&str>, save: Option<&str>) -> Policy {
    match (file, sync, save) {
        (Some("yes"), Some("always"), _) => Policy::Always,
        (Some("yes"), Some("everysec"), _) => Policy::EverySecond,
        (Some("yes"), Some("no"), _) => Policy::Unsynced,
        (Some("no"), _, Some("")) => Policy::Nothing,
        (Some("no"), _, Some(_)) => Policy::Snapshots,
        _ => Policy::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::{Policy, policy};

    #[test]
    fn the_settings_of_redis_say_what_is_lost() {
        for (file, sync, save, expected) in [
            ("yes", "always", "", Policy::Always),
            ("yes", "everysec", "3600 1", Policy::EverySecond),
            ("yes", "no", "3600 1", Policy::Unsynced),
            ("no", "everysec", "3600 1", Policy::Snapshots),
            ("no", "always", "", Policy::Nothing),
            ("yes", "sometimes", "", Policy::Unknown),
        ] {
            let found = policy(Some(file), Some(sync), Some(save));
            assert_eq!(found, expected, "{file} {sync} {save}");
        }
        assert_eq!(policy(None, None, None), Policy::Unknown);
    }
}
