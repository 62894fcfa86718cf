//! The new gateway's side: asks the running one for its sockets, and tells it when it serves.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::geteuid;

use super::offer::{PREPARATION, reach};
use super::wire::{Channel, PROTOCOL, Word};
use super::{Inherited, UpgradeError, check_directory};

/// Deadline of an answer: the running gateway may be in the middle of a reload.
const ANSWER: Duration = Duration::from_secs(20);

/// The gateway that is being taken over.
pub(crate) struct Predecessor {
    channel: Channel,
    path: PathBuf,
    pid: i32,
}

impl Predecessor {
    /// Asks whoever is at the socket for its listening sockets; none when nobody is.
    pub(crate) async fn meet(path: &Path) -> Result<Option<(Self, Inherited)>, UpgradeError> {
        check_directory(path)?;
        let failed = |error| UpgradeError::Socket { path: path.to_owned(), error };
        let Some(stream) = reach(path, ANSWER).await.map_err(failed)? else {
            tracing::info!(socket = %path.display(), "no gateway runs that could be taken over: starting ordinarily");
            return Ok(None);
        };
        let mut channel = Channel::new(stream);
        let (uid, pid) = channel.peer().map_err(failed)?;
        if uid != geteuid().as_raw() && uid != 0 {
            return Err(UpgradeError::Stranger { path: path.to_owned(), uid });
        }
        let broken = |error: io::Error| UpgradeError::Broken(error.to_string());
        let ask = Word::Ask { protocol: PROTOCOL, version: env!("CARGO_PKG_VERSION").to_owned() };
        channel.say(&ask, ANSWER).await.map_err(broken)?;
        let (version, described) = match channel.hear(ANSWER).await.map_err(broken)? {
            Some(Word::Sockets { version, sockets }) => (version, sockets),
            Some(Word::Refused { reason }) => return Err(UpgradeError::Refused(reason)),
            Some(word) => return Err(UpgradeError::Broken(format!("it said {word:?}"))),
            None => return Err(UpgradeError::Broken("it ended the conversation".to_owned())),
        };
        let descriptors = channel.take(described.len(), ANSWER).await.map_err(broken)?;
        let pid = pid.unwrap_or_default();
        tracing::info!(
            pid,
            version,
            sockets = descriptors.len(),
            "taking over from the running gateway"
        );
        let inherited = Inherited::new(described, descriptors).map_err(UpgradeError::Broken)?;
        Ok(Some((Self { channel, path: path.to_owned(), pid }, inherited)))
    }

    /// Tells that this process serves. Afterwards it is the only one that accepts; on an error it
    /// must not.
    pub(crate) async fn announce(mut self) -> Result<(), UpgradeError> {
        // It may be gone, and may have said why before.
        let said = self.channel.say(&Word::Serving, ANSWER).await;
        match self.channel.hear(PREPARATION).await {
            Ok(Some(Word::HandedOver)) => tracing::info!(pid = self.pid, "taken over"),
            Ok(Some(Word::Refused { reason })) => return Err(UpgradeError::Refused(reason)),
            // It cannot go on accepting if it is gone; and if it is only slow, it will read what
            // was said and stop then.
            answer => tracing::warn!(
                pid = self.pid, socket = %self.path.display(), ?said, ?answer,
                "the gateway before does not answer; serving in its place"
            ),
        }
        Ok(())
    }

    /// Tells why this process will not serve.
    pub(crate) async fn give_up(mut self, reason: &str) {
        // Whether it is heard or not, the running gateway serves on.
        let _said = self.channel.say(&Word::Failed { reason: reason.to_owned() }, ANSWER).await;
    }
}
