//! The drain signal: connections watch it and end when a drain begins.

use std::sync::OnceLock;

use tokio::sync::watch;

/// What a drain does with connections that have no request in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// They end at once. A request that is on its way just then is lost: HTTP/1.1 cannot announce
    /// the end of an idle connection.
    Ends,
    /// They may send one more request; its answer announces the end. For a drain that is in no
    /// hurry.
    MayAsk,
}

/// Sent once, when the drain begins.
#[derive(Debug)]
pub(crate) struct DrainSignal {
    begun: watch::Sender<bool>,
    idle: OnceLock<Idle>,
}

impl DrainSignal {
    pub(crate) fn new() -> Self {
        Self { begun: watch::Sender::new(false), idle: OnceLock::new() }
    }

    /// Begins the drain. Of several calls the first decides about idle connections.
    pub(crate) fn begin(&self, idle: Idle) {
        self.idle.get_or_init(|| idle);
        self.begun.send_replace(true);
    }

    /// Turns true when the drain begins.
    pub(crate) fn subscribe(&self) -> watch::Receiver<bool> {
        self.begun.subscribe()
    }

    /// Returns when a drain begins that ends connections without a request in them; never in any
    /// other drain.
    pub(crate) async fn idle_ends(&self, begun: &mut watch::Receiver<bool>) {
        // An error means that the data plane is gone.
        let begun = begun.wait_for(|begun| *begun).await.is_ok();
        if begun && self.idle_may_ask() {
            std::future::pending().await
        }
    }

    /// Whether the drain that has begun lets idle connections send one more request.
    pub(crate) fn idle_may_ask(&self) -> bool {
        self.idle.get() == Some(&Idle::MayAsk)
    }
}
