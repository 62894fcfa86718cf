//! The signals of a gateway: SIGHUP reloads; SIGTERM and SIGINT drain.

use std::io;

use nix::sys::signal::{self, SigSet};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::control::handle::Handle;

/// The signals that a gateway obeys. Without this, SIGHUP would end the process.
pub struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

/// The same signals, waiting to be taken over: none of them is lost, nor ends the process
/// meanwhile.
#[must_use = "they wait until they are taken over"]
pub struct Held(SigSet);

impl Held {
    /// Lets the signals wait. To be called first, while there is one thread: others inherit it.
    pub fn new() -> io::Result<Self> {
        let set: SigSet = [signal::SIGHUP, signal::SIGTERM, signal::SIGINT].into_iter().collect();
        set.thread_block()?;
        Ok(Self(set))
    }
}

impl Signals {
    /// Takes the signals over from their default actions; on the thread that has let them wait,
    /// which is the one that gets them from then on. Needs a Tokio runtime.
    pub fn install(held: Held) -> io::Result<Self> {
        let signals = Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        };
        held.0.thread_unblock()?;
        Ok(signals)
    }

    /// Obeys: SIGHUP reloads; SIGTERM and SIGINT drain, a second one of them ends the drain at
    /// once. Never returns; drop it when the gateway has ended.
    pub async fn obey(mut self, gateway: Handle) -> ! {
        let mut told = false;
        loop {
            tokio::select! {
                Some(()) = self.hangup.recv() => gateway.reload_and_log("SIGHUP").await,
                Some(()) = self.terminate.recv() => stop(&gateway, "SIGTERM", &mut told),
                Some(()) = self.interrupt.recv() => stop(&gateway, "SIGINT", &mut told),
                else => std::future::pending().await,
            }
        }
    }
}

fn stop(gateway: &Handle, signal: &str, told: &mut bool) {
    let again = std::mem::replace(told, true);
    // Nobody has told a process to stop that another one has taken over from: a service manager
    // tells them all, once.
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
