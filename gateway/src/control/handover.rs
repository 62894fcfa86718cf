//! The running gateway's side of an upgrade: hands its sockets to a successor and steps back once
//! that one serves.

use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use nix::unistd::geteuid;
use tokio::net::UnixListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::control::background::Background;
use crate::control::bind::Part;
use crate::control::handle::{Command, Handle, Handover, HandoverError};
use crate::control::phase::Event;
use crate::control::upgrade::{
    BoundSocket, Channel, Described, Identity, Message, PREPARATION, PROTOCOL, identity,
};
use crate::metrics::UpgradeResult;

/// Conversations at once; all but one are refused, which takes a moment.
const CONVERSATIONS: usize = 8;
/// Deadline of a message that the other side has only to send.
const MESSAGE: Duration = Duration::from_secs(5);
/// Pause when accepting fails for want of descriptors.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// The upgrade socket of a gateway that serves.
pub(crate) struct Offer {
    path: PathBuf,
    identity: Option<Identity>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Offer {
    /// Publishes a socket and listens on it.
    pub(crate) fn open(socket: BoundSocket, gateway: &Handle, background: &Background) -> Self {
        let (path, identity, listener) = socket.publish();
        let stop = CancellationToken::new();
        let work = listen(listener, gateway.clone(), background.clone());
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            stopped.run_until_cancelled(work).await;
        });
        Self { path, identity, stop, task }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Stops listening. The file goes too, unless it is another's: a successor has put its own
    /// socket there.
    pub(crate) async fn close(self, superseded: bool) {
        self.stop.cancel();
        // Only ever cancelled.
        let _ended = self.task.await;
        if !superseded && self.identity.is_some() && identity(&self.path) == self.identity {
            let _ = fs::remove_file(&self.path);
        }
    }
}

async fn listen(listener: UnixListener, gateway: Handle, background: Background) {
    let room = Arc::new(Semaphore::new(CONVERSATIONS));
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let Ok(permit) = Arc::clone(&room).try_acquire_owned() else { continue };
                let conversation = converse(Channel::new(stream), gateway.clone());
                // Not ended with this socket: a reload that moves it must not end a take-over that
                // is under way.
                let end = background.end.clone();
                background.tasks.spawn(async move {
                    let _permit = permit;
                    end.run_until_cancelled(conversation).await;
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept at the upgrade socket");
                tokio::time::sleep(EXHAUSTED_PAUSE).await;
            }
        }
    }
}

/// Why a successor got nothing, or did not go on with what it got.
enum Ended {
    /// It sent nothing: only a probe whether a gateway listens.
    Nothing,
    /// It was refused, in these words.
    Refused(String),
    /// It got the sockets and does not serve.
    Failed(String),
}

async fn converse(mut channel: Channel, gateway: Handle) {
    let pid = channel.peer().ok().and_then(|(_, pid)| pid).unwrap_or_default();
    match hand_over(&mut channel, pid, &gateway).await {
        Ok(()) => {}
        Err(Ended::Nothing) => tracing::debug!(pid, "the upgrade socket was probed"),
        Err(Ended::Refused(reason)) => {
            tracing::warn!(pid, reason, "a process may not take over");
            gateway.metrics().upgrade(UpgradeResult::Refused);
            // It may be gone.
            let _said = channel.send(&Message::Refused { reason }, MESSAGE).await;
        }
        Err(Ended::Failed(reason)) => {
            tracing::error!(
                pid,
                reason,
                "a process began to take over and did not; this one serves on"
            );
            gateway.metrics().upgrade(UpgradeResult::Failed);
            let reason = "too late, or not understood: the gateway before serves on".to_owned();
            let _said = channel.send(&Message::Refused { reason }, MESSAGE).await;
        }
    }
}

async fn hand_over(channel: &mut Channel, pid: i32, gateway: &Handle) -> Result<(), Ended> {
    let (uid, ours) = (channel.peer().map_err(|_| Ended::Nothing)?.0, geteuid().as_raw());
    if uid != ours && uid != 0 {
        return Err(Ended::Refused(format!(
            "expected a process of user {ours} or root, found one of user {uid}"
        )));
    }
    let version = match channel.receive(MESSAGE).await {
        Ok(Some(Message::Ask { protocol: PROTOCOL, version })) => version,
        Ok(Some(Message::Ask { protocol, version })) => {
            return Err(Ended::Refused(format!(
                "version {version} hands over by protocol {protocol}, this one by {PROTOCOL}"
            )));
        }
        Ok(Some(_)) => return Err(Ended::Refused("expected the message `ask` first".to_owned())),
        Ok(None) | Err(_) => return Err(Ended::Nothing),
    };
    if gateway.is_superseded() {
        return Err(Ended::Refused("another process has taken over from this one".to_owned()));
    }
    if gateway.is_ending() {
        return Err(Ended::Refused("it is stopping; start without it".to_owned()));
    }
    let failed =
        |what: &'static str| move |error: io::Error| Ended::Failed(format!("{what}: {error}"));
    let give_failed = failed("handing the sockets over");
    // A reload that runs ends first, so that what is given is what it made.
    let handover = match gateway.command(Command::HandOver).await {
        Some(Ok(handover)) => handover,
        Some(Err(HandoverError::Busy)) => {
            return Err(Ended::Refused("another process is taking over just now".to_owned()));
        }
        Some(Err(HandoverError::Sockets(error))) => return Err(give_failed(error)),
        None => return Err(Ended::Refused("it is stopping; start without it".to_owned())),
    };
    give(channel, &handover).await.map_err(give_failed)?;
    tracing::info!(pid, version, "a process takes over: it has the listening sockets");
    match channel.receive(PREPARATION).await {
        Ok(Some(Message::Serving)) => {}
        Ok(Some(Message::Failed { reason })) => return Err(Ended::Failed(reason)),
        Ok(Some(message)) => return Err(Ended::Failed(format!("it sent {message:?}"))),
        Ok(None) => return Err(Ended::Failed("it ended without a word".to_owned())),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            return Err(Ended::Failed(format!("it was silent for {PREPARATION:?}")));
        }
        Err(error) => return Err(Ended::Failed(error.to_string())),
    }
    // Sent before anything changes here: a successor that is gone changes nothing.
    channel.send(&Message::HandedOver, MESSAGE).await.map_err(failed("confirming the handover"))?;
    tracing::info!(
        pid,
        version,
        "handed over: the new process accepts from now on, this one finishes what it has"
    );
    gateway.metrics().upgrade(UpgradeResult::HandedOver);
    gateway.lifecycle().on(Event::Superseded);
    Ok(())
}

async fn give(channel: &mut Channel, handover: &Handover) -> io::Result<()> {
    let sockets = &handover.sockets;
    let described = |(part, configured, _): &(Part, gateway_config::ListenAddress, _)| Described {
        listener: match part {
            Part::Listener(name) => Some(name.to_string()),
            Part::Admin => None,
        },
        configured: configured.to_string(),
    };
    let version = env!("CARGO_PKG_VERSION").to_owned();
    channel
        .send(
            &Message::Sockets { version, sockets: sockets.iter().map(described).collect() },
            MESSAGE,
        )
        .await?;
    let descriptors: Vec<_> = sockets.iter().map(|(_, _, socket)| socket.as_fd()).collect();
    channel.send_descriptors(&descriptors, MESSAGE).await
}
