//! The predecessor's side of an upgrade: sends its sockets to a successor and stops accepting once
//! the successor serves.

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

/// Maximum concurrent connections to the upgrade socket; all but one are refused, which takes a
/// moment.
const CONNECTIONS_MAX: usize = 8;
/// Deadline for one handover message that needs no preparation.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause after accepting failed, for example for lack of file descriptors.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// The upgrade socket of a running gateway.
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

    /// Stops listening. Removes the file unless a successor has put its own socket there.
    pub(crate) async fn close(self, superseded: bool) {
        self.stop.cancel();
        // The task only ends by cancellation.
        let _ended = self.task.await;
        if !superseded && self.identity.is_some() && identity(&self.path) == self.identity {
            let _ = fs::remove_file(&self.path);
        }
    }
}

async fn listen(listener: UnixListener, gateway: Handle, background: Background) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let Ok(permit) = Arc::clone(&slots).try_acquire_owned() else { continue };
                let work = serve_successor(Channel::new(stream), gateway.clone());
                // Independent of this socket: a reload that moves it must not interrupt an upgrade.
                let end = background.end.clone();
                background.tasks.spawn(async move {
                    let _permit = permit;
                    end.run_until_cancelled(work).await;
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept at the upgrade socket");
                tokio::time::sleep(EXHAUSTED_PAUSE).await;
            }
        }
    }
}

/// Why an upgrade did not happen.
enum Ended {
    /// The peer sent no message: it only checked whether a gateway listens.
    Nothing,
    /// The successor was refused for this reason.
    Refused(String),
    /// The successor got the sockets but does not serve.
    Failed(String),
}

async fn serve_successor(mut channel: Channel, gateway: Handle) {
    let pid = channel.peer().ok().and_then(|(_, pid)| pid).unwrap_or_default();
    match hand_over(&mut channel, pid, &gateway).await {
        Ok(()) => {}
        Err(Ended::Nothing) => {
            tracing::debug!(pid, "connection to the upgrade socket without a request")
        }
        Err(Ended::Refused(reason)) => {
            tracing::warn!(pid, reason, "refused an upgrade");
            gateway.metrics().upgrade(UpgradeResult::Refused);
            // The peer may be gone.
            let _sent = channel.send(&Message::Refused { reason }, MESSAGE_TIMEOUT).await;
        }
        Err(Ended::Failed(reason)) => {
            tracing::error!(pid, reason, "upgrade failed; this process keeps serving");
            gateway.metrics().upgrade(UpgradeResult::Failed);
            let reason = "the handover failed; the predecessor keeps serving".to_owned();
            let _sent = channel.send(&Message::Refused { reason }, MESSAGE_TIMEOUT).await;
        }
    }
}

async fn hand_over(channel: &mut Channel, pid: i32, gateway: &Handle) -> Result<(), Ended> {
    let version = receive_request(channel, gateway).await?;
    let failed =
        |what: &'static str| move |error: io::Error| Ended::Failed(format!("{what}: {error}"));
    let send_failed = failed("cannot send the sockets");
    // The control task finishes a running reload first, so the sockets are those of its
    // configuration.
    let handover = match gateway.command(Command::HandOver).await {
        Some(Ok(handover)) => handover,
        Some(Err(HandoverError::Busy)) => {
            return Err(Ended::Refused("another upgrade is in progress".to_owned()));
        }
        Some(Err(HandoverError::Sockets(error))) => return Err(send_failed(error)),
        None => return Err(stopping()),
    };
    send_sockets(channel, &handover).await.map_err(send_failed)?;
    tracing::info!(pid, version, "sent the listening sockets to a successor");
    receive_serving(channel).await?;
    // Sent before anything changes here: if it cannot be sent, the successor is gone.
    channel
        .send(&Message::HandedOver, MESSAGE_TIMEOUT)
        .await
        .map_err(failed("cannot send `handed over`"))?;
    tracing::info!(
        pid,
        version,
        "handed over: the successor accepts new connections, this process finishes the open ones"
    );
    gateway.metrics().upgrade(UpgradeResult::HandedOver);
    gateway.lifecycle().on(Event::Superseded);
    Ok(())
}

/// The successor's version, if it may take over now.
async fn receive_request(channel: &mut Channel, gateway: &Handle) -> Result<String, Ended> {
    let (uid, ours) = (channel.peer().map_err(|_| Ended::Nothing)?.0, geteuid().as_raw());
    if uid != ours && uid != 0 {
        return Err(Ended::Refused(format!(
            "the successor runs as user {uid}; expected {ours} or root"
        )));
    }
    let version = match channel.receive(MESSAGE_TIMEOUT).await {
        Ok(Some(Message::Ask { protocol: PROTOCOL, version })) => version,
        Ok(Some(Message::Ask { protocol, version })) => {
            return Err(Ended::Refused(format!(
                "version {version} uses upgrade protocol {protocol}; expected {PROTOCOL}"
            )));
        }
        Ok(Some(_)) => return Err(Ended::Refused("expected an `ask` message first".to_owned())),
        Ok(None) | Err(_) => return Err(Ended::Nothing),
    };
    if gateway.is_superseded() {
        return Err(Ended::Refused("another process has already taken over".to_owned()));
    }
    if gateway.is_ending() {
        return Err(stopping());
    }
    Ok(version)
}

fn stopping() -> Ended {
    Ended::Refused("it is stopping; start again when it has stopped".to_owned())
}

/// Waits until the successor serves.
async fn receive_serving(channel: &mut Channel) -> Result<(), Ended> {
    let reason = match channel.receive(PREPARATION).await {
        Ok(Some(Message::Serving)) => return Ok(()),
        Ok(Some(Message::Failed { reason })) => reason,
        Ok(Some(message)) => format!("unexpected message {message:?}"),
        Ok(None) => "the successor closed the connection before it served".to_owned(),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            format!("the successor sent nothing for {PREPARATION:?}")
        }
        Err(error) => error.to_string(),
    };
    Err(Ended::Failed(reason))
}

async fn send_sockets(channel: &mut Channel, handover: &Handover) -> io::Result<()> {
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
            MESSAGE_TIMEOUT,
        )
        .await?;
    let descriptors: Vec<_> = sockets.iter().map(|(_, _, socket)| socket.as_fd()).collect();
    channel.send_descriptors(&descriptors, MESSAGE_TIMEOUT).await
}
