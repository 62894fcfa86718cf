//! The signals of a gateway: SIGHUP reloads; SIGTERM and SIGINT drain.

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

/// The same signals, blocked: none is lost, and none ends the process before [`Signals::install`].
#[must_use = "the signals are blocked until they are installed"]
pub struct Held(SigSet);

impl Held {
    /// Blocks the signals. Call it first, while there is one thread: others inherit the mask.
    pub fn new() -> io::Result<Self> {
        let set: SigSet = [signal::SIGHUP, signal::SIGTERM, signal::SIGINT].into_iter().collect();
        set.thread_block()?;
        Ok(Self(set))
    }
}

impl Signals {
    /// Handles the signals in place of their default actions. On the thread that blocked them,
    /// which receives them from then on. Needs a Tokio runtime.
    pub fn install(held: Held) -> io::Result<Self> {
        let signals = Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        };
        held.0.thread_unblock()?;
        Ok(signals)
    }

    /// SIGHUP reloads; SIGTERM and SIGINT drain, a second one of them ends the drain at once.
    /// Never returns; drop it when the gateway has ended.
    pub async fn obey(mut self, gateway: Handle) -> ! {
        let mut before = false;
        loop {
            tokio::select! {
                Some(()) = self.hangup.recv() => gateway.reload_and_log("SIGHUP").await,
                Some(()) = self.terminate.recv() => stop(&gateway, "SIGTERM", &mut before),
                Some(()) = self.interrupt.recv() => stop(&gateway, "SIGINT", &mut before),
                else => std::future::pending().await,
            }
        }
    }
}

fn stop(gateway: &Handle, signal: &str, before: &mut bool) {
    let again = std::mem::replace(before, true);
    // The first signal to a superseded process does not cut: a service manager sends it to all
    // processes of the service.
    if again || (gateway.is_ending() && !gateway.is_superseded()) {
        tracing::warn!(signal, "stopping now");
        gateway.cut();
    } else if gateway.is_superseded() {
        tracing::info!(signal, "asked to stop: stopping already, another process has taken over");
    } else {
        tracing::info!(signal, "asked to stop");
        gateway.request_drain();
    }
}
