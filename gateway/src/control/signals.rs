//! Signals: SIGHUP reloads; SIGTERM and SIGINT drain.

use std::io;

use nix::sys::signal::{self, SigSet};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::control::handle::Handle;

/// The signals that a gateway handles. Without this, SIGHUP would end the process.
pub struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

/// The same signals, blocked until [`Signals::install`]: none is lost, and none ends the process.
#[must_use = "the signals stay blocked until they are installed"]
pub struct Held(SigSet);

impl Held {
    /// Blocks the signals. Call it first, while there is one thread: later threads inherit the
    /// mask.
    pub fn new() -> io::Result<Self> {
        let set: SigSet = [signal::SIGHUP, signal::SIGTERM, signal::SIGINT].into_iter().collect();
        set.thread_block()?;
        Ok(Self(set))
    }
}

impl Signals {
    /// Replaces the default actions and unblocks the signals. Call it on the thread that blocked
    /// them, which receives them from then on. Requires a Tokio runtime.
    pub fn install(held: Held) -> io::Result<Self> {
        let signals = Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        };
        held.0.thread_unblock()?;
        Ok(signals)
    }

    /// Handles signals: SIGHUP reloads; SIGTERM and SIGINT drain, and a second one of them ends the
    /// drain immediately. Never returns; drop it when the gateway has ended.
    pub async fn obey(mut self, gateway: Handle) -> ! {
        let mut requested = false;
        loop {
            tokio::select! {
                Some(()) = self.hangup.recv() => gateway.reload_and_log("SIGHUP").await,
                Some(()) = self.terminate.recv() => stop(&gateway, "SIGTERM", &mut requested),
                Some(()) = self.interrupt.recv() => stop(&gateway, "SIGINT", &mut requested),
                else => std::future::pending().await,
            }
        }
    }
}

fn stop(gateway: &Handle, signal: &str, requested: &mut bool) {
    let again = std::mem::replace(requested, true);
    // The first signal to a superseded process does not cut its drain: a service manager signals
    // all processes of the service, once.
    if again || (gateway.is_ending() && !gateway.is_superseded()) {
        tracing::warn!(signal, "closing all connections now");
        gateway.cut();
    } else if gateway.is_superseded() {
        tracing::info!(signal, "already stopping: another process has taken over");
    } else {
        tracing::info!(signal, "drain requested");
        gateway.request_drain();
    }
}
