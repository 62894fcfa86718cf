//! The phase of a gateway: starting → serving → draining or superseded → stopped, never back.

use tokio::sync::watch;

use crate::metrics::Metrics;

/// The phase of a gateway between start and end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not ready for requests yet.
    Starting,
    /// Accepting and ready.
    Serving,
    /// Draining: accepts for the delay, then finishes open requests and connections.
    Draining(Haste),
    /// A successor accepts on the same sockets; this process finishes open requests and
    /// connections.
    Superseded {
        /// How long what is open may take.
        haste: Haste,
        /// Whether the admin address still reports ready: its clients check the address, not this
        /// process.
        ready: bool,
    },
    /// Everything has ended.
    Stopped {
        /// Whether a successor is running.
        superseded: bool,
    },
}

/// How long what is open may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Haste {
    /// Up to the configured deadline.
    Deadline,
    /// No time: connections are closed immediately.
    Now,
}

impl Phase {
    /// Whether this process is ready for requests.
    pub fn is_ready(self) -> bool {
        matches!(self, Self::Serving | Self::Superseded { ready: true, .. })
    }

    /// Whether a drain was requested or another process has taken over.
    pub fn is_ending(self) -> bool {
        !matches!(self, Self::Starting | Self::Serving)
    }

    /// Whether another process has taken over.
    pub fn is_superseded(self) -> bool {
        matches!(self, Self::Superseded { .. } | Self::Stopped { superseded: true })
    }

    /// Whether open connections are to be closed immediately.
    pub fn is_cut(self) -> bool {
        self.haste() == Some(Haste::Now)
    }

    fn haste(self) -> Option<Haste> {
        match self {
            Self::Draining(haste) | Self::Superseded { haste, .. } => Some(haste),
            Self::Starting | Self::Serving | Self::Stopped { .. } => None,
        }
    }

    fn after(self, event: Event) -> Self {
        match (event, self) {
            (Event::Opened, Self::Starting) => Self::Serving,
            (Event::DrainRequested, Self::Starting | Self::Serving) => {
                Self::Draining(Haste::Deadline)
            }
            (Event::Superseded, Self::Starting | Self::Serving | Self::Draining(_)) => {
                let haste = self.haste().unwrap_or(Haste::Deadline);
                Self::Superseded { haste, ready: self.is_ready() }
            }
            (Event::AdminClosed, Self::Superseded { haste, .. }) => {
                Self::Superseded { haste, ready: false }
            }
            (Event::CutRequested, Self::Draining(_)) => Self::Draining(Haste::Now),
            (Event::CutRequested, Self::Superseded { ready, .. }) => {
                Self::Superseded { haste: Haste::Now, ready }
            }
            (Event::Stopped, phase) => Self::Stopped { superseded: phase.is_superseded() },
            (_, phase) => phase,
        }
    }
}

/// Events that change the phase; an event that does not fit the phase changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The listeners accept.
    Opened,
    DrainRequested,
    /// Another process has taken over.
    Superseded,
    /// The admin address of a superseded gateway is closed.
    AdminClosed,
    /// Open connections are to be closed immediately.
    CutRequested,
    Stopped,
}

/// The phase of a running gateway, shared by its parts.
pub(crate) struct Lifecycle {
    phase: watch::Sender<Phase>,
    metrics: Metrics,
}

impl Lifecycle {
    /// Creates it in the phase `Starting`.
    pub(crate) fn new(metrics: Metrics) -> Self {
        Self { phase: watch::Sender::new(Phase::Starting), metrics }
    }

    pub(crate) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Handles an event and updates the readiness and drain metrics.
    pub(crate) fn on(&self, event: Event) {
        self.phase.send_if_modified(|phase| {
            let before = std::mem::replace(phase, phase.after(event));
            if before.is_ready() != phase.is_ready() {
                self.metrics.ready(phase.is_ready());
            }
            if phase.is_ending() && !phase.is_ready() {
                self.metrics.draining();
            }
            before != *phase
        });
    }

    /// Returns when the phase matches.
    pub(crate) async fn reached(&self, wanted: impl FnMut(&Phase) -> bool) {
        // `self` holds the sender, so the channel is open.
        let mut phase = self.phase.subscribe();
        let _ = phase.wait_for(wanted).await;
    }

    /// Runs `work` until the phase matches; `None` if the phase matched first.
    pub(crate) async fn run_until<T>(
        &self,
        wanted: impl FnMut(&Phase) -> bool,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        tokio::select! {
            biased;
            () = self.reached(wanted) => None,
            done = work => Some(done),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(events: &[Event]) -> Phase {
        events.iter().fold(Phase::Starting, |phase, event| phase.after(*event))
    }

    #[test]
    fn a_drain_is_never_cancelled() {
        let drained = after(&[Event::DrainRequested, Event::Opened]);
        assert_eq!(drained, Phase::Draining(Haste::Deadline));
        let stopped = after(&[Event::Opened, Event::Stopped, Event::Opened, Event::DrainRequested]);
        assert_eq!(stopped, Phase::Stopped { superseded: false });
    }

    #[test]
    fn a_successor_can_take_over_during_the_drain_delay() {
        let ready = after(&[Event::Opened, Event::Superseded]);
        assert!(ready.is_superseded() && ready.is_ready(), "{ready:?}");
        let draining = after(&[Event::Opened, Event::DrainRequested, Event::Superseded]);
        assert!(draining.is_superseded() && !draining.is_ready(), "{draining:?}");
        let closed = ready.after(Event::AdminClosed);
        assert!(closed.is_superseded() && !closed.is_ready(), "{closed:?}");
    }

    #[test]
    fn a_cut_takes_effect_only_while_draining() {
        assert!(!after(&[Event::Opened, Event::CutRequested]).is_cut());
        assert!(after(&[Event::DrainRequested, Event::CutRequested]).is_cut());
        assert!(after(&[Event::DrainRequested, Event::CutRequested, Event::Superseded]).is_cut());
        assert!(after(&[Event::Superseded, Event::CutRequested, Event::AdminClosed]).is_cut());
    }
}
