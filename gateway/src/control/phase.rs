//! The phase of a gateway: starting → serving → draining or superseded → stopped, never back.

use tokio::sync::watch;

use crate::metrics::Metrics;

/// Where a gateway stands between its start and its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing should be sent here yet.
    Starting,
    /// It accepts, and requests should be sent here.
    Serving,
    /// A drain was requested: it accepts for the delay, then finishes what is open.
    Draining(Haste),
    /// Another process accepts on the same sockets; this one finishes what is open.
    Superseded {
        /// How long what is open may take.
        haste: Haste,
        /// Whether the admin address still reports ready: its clients mean the address, not this
        /// process.
        ready: bool,
    },
    /// Nothing is left of it.
    Stopped {
        /// Whether another process goes on.
        superseded: bool,
    },
}

/// How long what is open may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Haste {
    /// Up to the configured deadline.
    Deadline,
    /// No time: it is cut.
    Now,
}

impl Phase {
    /// Whether requests should be sent here.
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

    /// Whether what is open is to be cut.
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

/// What changes the phase; what comes too late or too early changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The listeners accept.
    Opened,
    DrainRequested,
    /// Another process has taken over.
    Superseded,
    /// The admin address of a superseded gateway is closed.
    AdminClosed,
    /// What is open is to end at once.
    CutRequested,
    Stopped,
}

/// The phase of a running gateway, as all of its parts see it.
pub(crate) struct Lifecycle {
    phase: watch::Sender<Phase>,
    metrics: Metrics,
}

impl Lifecycle {
    /// That of a gateway that starts.
    pub(crate) fn new(metrics: Metrics) -> Self {
        Self { phase: watch::Sender::new(Phase::Starting), metrics }
    }

    pub(crate) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Moves on, and counts what it means for requests.
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

    /// Returns when the phase is one of these.
    pub(crate) async fn reached(&self, wanted: impl FnMut(&Phase) -> bool) {
        // The sender is here, so it is not gone.
        let mut phase = self.phase.subscribe();
        let _ = phase.wait_for(wanted).await;
    }

    /// Runs this until the phase is one of these; `None` if that came first.
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
    fn a_drain_is_never_taken_back() {
        let drained = after(&[Event::DrainRequested, Event::Opened]);
        assert_eq!(drained, Phase::Draining(Haste::Deadline));
        let stopped = after(&[Event::Opened, Event::Stopped, Event::Opened, Event::DrainRequested]);
        assert_eq!(stopped, Phase::Stopped { superseded: false });
    }

    #[test]
    fn another_process_may_take_over_while_the_drain_waits() {
        let ready = after(&[Event::Opened, Event::Superseded]);
        assert!(ready.is_superseded() && ready.is_ready(), "{ready:?}");
        let draining = after(&[Event::Opened, Event::DrainRequested, Event::Superseded]);
        assert!(draining.is_superseded() && !draining.is_ready(), "{draining:?}");
        let closed = ready.after(Event::AdminClosed);
        assert!(closed.is_superseded() && !closed.is_ready(), "{closed:?}");
    }

    #[test]
    fn only_what_ends_is_cut() {
        assert!(!after(&[Event::Opened, Event::CutRequested]).is_cut());
        assert!(after(&[Event::DrainRequested, Event::CutRequested]).is_cut());
        assert!(after(&[Event::DrainRequested, Event::CutRequested, Event::Superseded]).is_cut());
        assert!(after(&[Event::Superseded, Event::CutRequested, Event::AdminClosed]).is_cut());
    }
}
