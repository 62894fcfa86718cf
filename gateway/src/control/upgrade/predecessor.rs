//! The successor's side of an upgrade: requests the sockets of the running gateway and reports when
//! it serves.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::geteuid;
use tokio::net::UnixStream;

use super::UpgradeError;
use super::socket::check_directory;
use super::wire::{Channel, Described, Message, PREPARATION, PROTOCOL};
use crate::control::bind::{Inherited, Part, Received};

/// Deadline of an answer: the running gateway may be reloading.
const ANSWER: Duration = Duration::from_secs(20);

/// The gateway that this process replaces.
pub(crate) struct Predecessor {
    channel: Channel,
    path: PathBuf,
    pid: i32,
}

impl Predecessor {
    /// Connects to the upgrade socket and requests the listening sockets; `None` if no process
    /// listens there.
    pub(crate) async fn connect(path: &Path) -> Result<Option<(Self, Inherited)>, UpgradeError> {
        check_directory(path)?;
        let failed = |error| UpgradeError::Socket { path: path.to_owned(), error };
        let Some(stream) = reach(path, ANSWER).await.map_err(failed)? else {
            tracing::info!(socket = %path.display(), "no gateway runs: starting without a predecessor");
            return Ok(None);
        };
        let mut channel = Channel::new(stream);
        let (uid, pid) = channel.peer().map_err(failed)?;
        if uid != geteuid().as_raw() && uid != 0 {
            return Err(UpgradeError::Stranger { path: path.to_owned(), uid });
        }
        let broken = |error: io::Error| UpgradeError::Broken(error.to_string());
        let ask =
            Message::Ask { protocol: PROTOCOL, version: env!("CARGO_PKG_VERSION").to_owned() };
        channel.send(&ask, ANSWER).await.map_err(broken)?;
        let (version, described) = match channel.receive(ANSWER).await.map_err(broken)? {
            Some(Message::Sockets { version, sockets }) => (version, sockets),
            Some(Message::Refused { reason }) => return Err(UpgradeError::Refused(reason)),
            Some(message) => {
                return Err(UpgradeError::Broken(format!("unexpected message {message:?}")));
            }
            None => return Err(UpgradeError::Broken("it closed the connection".to_owned())),
        };
        let descriptors =
            channel.receive_descriptors(described.len(), ANSWER).await.map_err(broken)?;
        let pid = pid.unwrap_or_default();
        tracing::info!(
            pid,
            version,
            sockets = descriptors.len(),
            "taking over from the running gateway"
        );
        let received = received(described, descriptors).map_err(UpgradeError::Broken)?;
        let inherited = Inherited::new(received).map_err(UpgradeError::Broken)?;
        Ok(Some((Self { channel, path: path.to_owned(), pid }, inherited)))
    }

    /// Reports that this process serves. On success it is the only one that accepts; on an error it
    /// must stop accepting.
    pub(crate) async fn announce(mut self) -> Result<(), UpgradeError> {
        // The predecessor may be gone, or may have sent a refusal.
        let sent = self.channel.send(&Message::Serving, ANSWER).await;
        match self.channel.receive(PREPARATION).await {
            Ok(Some(Message::HandedOver)) => tracing::info!(pid = self.pid, "taken over"),
            Ok(Some(Message::Refused { reason })) => return Err(UpgradeError::Refused(reason)),
            // If it is gone, it does not accept; if it is slow, it will read the message and stop
            // accepting.
            answer => tracing::warn!(
                pid = self.pid, socket = %self.path.display(), ?sent, ?answer,
                "the predecessor does not answer; serving without its confirmation"
            ),
        }
        Ok(())
    }

    /// Reports why this process will not serve.
    pub(crate) async fn abort(mut self, reason: &str) {
        // The running gateway keeps serving whether it receives this or not.
        let _sent = self.channel.send(&Message::Failed { reason: reason.to_owned() }, ANSWER).await;
    }
}

/// Pairs each descriptor with its description.
fn received(described: Vec<Described>, descriptors: Vec<OwnedFd>) -> Result<Vec<Received>, String> {
    if described.len() != descriptors.len() {
        let (described, came) = (described.len(), descriptors.len());
        return Err(format!("expected {described} sockets, received {came}"));
    }
    let mut all = Vec::new();
    for (Described { listener, configured }, descriptor) in described.into_iter().zip(descriptors) {
        let part = match &listener {
            Some(name) => {
                Part::Listener(name.parse().map_err(|reason| format!("{name:?}: {reason}"))?)
            }
            None => Part::Admin,
        };
        let configured =
            configured.parse().map_err(|reason| format!("{configured:?}: {reason}"))?;
        all.push(Received { part, configured, descriptor });
    }
    Ok(all)
}

/// Connects to an upgrade socket; `None` if no process listens there.
async fn reach(path: &Path, within: Duration) -> io::Result<Option<UnixStream>> {
    match tokio::time::timeout(within, UnixStream::connect(path)).await? {
        Ok(stream) => Ok(Some(stream)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
