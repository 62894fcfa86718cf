//! The life of one connection, in one task: hello, then requests in and events out, until one side
//! closes.

mod state;
mod refusal;
mod hello;
mod requests;
mod inbox;
mod notices;
mod credential;
mod closing;

use std::future::{pending, poll_fn};
use std::sync::Arc;

use backend_protocol::id::{AccountId, ConnectionId};
use backend_protocol::live::{ClientFrame, close};
use backend_store::accounts::CredentialHash;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::drain::{self, Stage};
use crate::rate::Verdict;
use crate::roster::{Slot, Wake};
use crate::shared::Shared;
use crate::timers::{Timers, due};
use crate::transport::{Incoming, Outgoing, Transport, TransportError};
use crate::wire::{Step, Wire};
use closing::End;
use refusal::Refusal;
use state::{Connection, Live};

/// An event of a connection.
enum Event {
    Wire(Step),
    Wake(Wake),
    /// Presence or the lobby has notices.
    Notices,
    Stage,
    Timer,
}

/// Drives a connection to its end.
pub(crate) async fn run<T: Transport>(
    hub: Arc<Shared>,
    account: AccountId,
    credential: CredentialHash,
    transport: T,
) {
    let stage = hub.stage.subscribe();
    let mut wire = Wire::new(transport, hub.settings.queue_bytes);
    let _counted = hub.metrics.connection();
    match admit(&hub, &stage, &account) {
        Err(end) => closing::close(&hub, &mut wire, &end).await,
        Ok(slot) => {
            let timers = Timers::new(hub.settings.hello, hub.settings.ping);
            let (hub, id) = (Arc::clone(&hub), connection_id());
            let mut connection =
                Connection { hub, slot, credential, id, wire, timers, stage, live: None };
            let end = connection.serve().await;
            connection.finish(&end).await;
        }
    }
}

fn admit(hub: &Shared, stage: &watch::Receiver<Stage>, account: &AccountId) -> Result<Slot, End> {
    if *stage.borrow() != Stage::Serving {
        return Err(End::drained());
    }
    let full = || End::because(close::TOO_MANY, "this account has too many connections");
    hub.roster.admit(account, &hub.settings).ok_or_else(full)
}

fn connection_id() -> ConnectionId {
    let text = format!("{:032x}", rand::random::<u128>());
    ConnectionId::parse(text).expect("32 hexadecimal digits are an id")
}

impl<T: Transport> Connection<T> {
    async fn serve(&mut self) -> End {
        loop {
            let filling = Instant::now();
            if let Err(end) = self.fill().await {
                return end;
            }
            self.extend_deadlines(filling);
            let event = self.next().await;
            if let Some(at) = self.wire.take_ping() {
                self.timers.pong.get_or_insert(at + self.hub.settings.pong);
            }
            let handling = Instant::now();
            if let Err(end) = self.on(event).await {
                return end;
            }
            self.extend_deadlines(handling);
            // Not only on timer events: a busy connection must not starve its deadlines.
            let checking = Instant::now();
            if let Err(end) = self.on_time().await {
                return end;
            }
            self.extend_deadlines(checking);
        }
    }

    /// Extends the peer's deadlines by the time since `begun`, in which this task waited for the
    /// store and did not read what the peer sent.
    fn extend_deadlines(&mut self, begun: Instant) {
        let waited = begun.elapsed();
        self.timers.extend(waited);
        self.wire.extend(waited);
        if let Some(since) = self.live.as_deref_mut().and_then(|live| live.lagging.as_mut()) {
            *since += waited;
        }
    }

    /// Queues events and notices while there is room.
    async fn fill(&mut self) -> Result<(), End> {
        self.fill_events().await?;
        self.fill_notices();
        Ok(())
    }

    async fn next(&mut self) -> Event {
        let patience = self.hub.settings.write;
        let lagging = self.live.as_deref().and_then(Live::lagging_since);
        let deadlines = [self.wire.deadline(patience), lagging.map(|since| since + patience)];
        // A peer that does not read is not read from.
        let reading = self.wire.has_room();
        let Self { wire, timers, stage, live, .. } = self;
        tokio::select! {
            biased;
            changed = stage.changed() => {
                // The hub outlives its connections.
                if changed.is_err() { pending::<()>().await }
                Event::Stage
            }
            step = poll_fn(|cx| wire.poll(cx, reading)) => Event::Wire(step),
            event = live_event(live.as_deref_mut()) => event,
            () = timers.wait(deadlines) => Event::Timer,
        }
    }

    async fn on(&mut self, event: Event) -> Result<(), End> {
        match event {
            Event::Wire(Step::Moved) | Event::Notices | Event::Timer => Ok(()),
            Event::Wire(Step::Received(frame)) => self.on_frame(frame).await,
            Event::Wire(Step::Ended) => Err(End::Peer),
            Event::Wire(Step::Failed(TransportError::Malformed(what))) => Err(End::Malformed(what)),
            Event::Wire(Step::Failed(TransportError::Lost(_))) => Err(End::Lost),
            Event::Wake(wake) => self.on_wake(wake).await,
            Event::Stage => self.on_stage(),
        }
    }

    async fn on_frame(&mut self, frame: Incoming) -> Result<(), End> {
        // Any frame proves that the peer is alive.
        self.timers.pong = None;
        let (kind, text) = match frame {
            Incoming::Text(text) => ("text", Some(text)),
            Incoming::Binary => ("binary", None),
            Incoming::Ping => ("ping", None),
            Incoming::Pong => ("pong", None),
            Incoming::Close => return Err(End::Peer),
        };
        if kind != "text" {
            self.hub.metrics.frames_in.with_label_values(&[kind]).inc();
        }
        if kind == "binary" {
            return Err(End::because(close::BAD_FRAME, "binary frames are not used"));
        }
        let wait = match self.slot.rate() {
            Verdict::Pass => None,
            Verdict::Refuse(wait) => Some(wait),
            Verdict::Abuse => return Err(End::because(close::RATE, "too many frames")),
        };
        let Some(text) = text else { return Ok(()) };
        let ClientFrame { id, request } = serde_json::from_slice(&text).map_err(|error| {
            self.hub.metrics.frames_in.with_label_values(&["malformed"]).inc();
            End::because(close::BAD_FRAME, error.to_string())
        })?;
        self.hub.metrics.frames_in.with_label_values(&[requests::kind(&request)]).inc();
        match wait {
            Some(wait) => self.refuse(id, Refusal::rate_limited(wait)),
            None => self.answer(id, request, text.len()).await,
        }
        Ok(())
    }

    async fn on_wake(&mut self, wake: Wake) -> Result<(), End> {
        let Some(live) = self.live.as_deref_mut() else { return Ok(()) };
        match wake {
            Wake::Inbox => live.behind = true,
            Wake::Notice(payload) => self.pass_on(&payload),
            Wake::Revoked => return self.check_credential().await,
            Wake::Closed => {
                live.subscriptions = None;
                self.poll_inbox_soon();
            }
        }
        Ok(())
    }

    fn on_stage(&mut self) -> Result<(), End> {
        match *self.stage.borrow_and_update() {
            Stage::Serving => {}
            Stage::Draining(window) => {
                self.timers.leave = Some(Instant::now() + drain::leave_delay(window))
            }
            Stage::Aborting => return Err(End::Aborted),
        }
        Ok(())
    }

    async fn on_time(&mut self) -> Result<(), End> {
        let now = Instant::now();
        let settings = &self.hub.settings;
        let lagging = self.live.as_deref().and_then(Live::lagging_since);
        if due(self.wire.deadline(settings.write), now)
            || due(lagging.map(|since| since + settings.write), now)
        {
            return Err(End::because(close::SLOW, "frames are read too slowly"));
        }
        if due(self.timers.hello, now) {
            return Err(End::because(close::NO_HELLO, "no hello came in time"));
        }
        if due(self.timers.pong, now) {
            return Err(End::because(close::NO_PONG, "a ping was not answered in time"));
        }
        if due(self.timers.leave, now) {
            return Err(End::drained());
        }
        if self.timers.ping <= now {
            self.timers.ping = now + settings.ping;
            self.hub.metrics.frames_out.with_label_values(&["ping"]).inc();
            self.wire.push(Outgoing::Ping);
        }
        self.work(now).await
    }

    /// Does the background work that has been due for the longest. One call at a time: while the
    /// store hangs, requests are read in between.
    async fn work(&mut self, now: Instant) -> Result<(), End> {
        let Timers { refresh, poll, credential, .. } = self.timers;
        let waiting = [refresh, poll, credential].into_iter().flatten();
        let Some(oldest) = waiting.min().filter(|at| *at <= now) else { return Ok(()) };
        if refresh == Some(oldest) {
            self.refresh().await;
        } else if poll == Some(oldest) {
            self.poll_inbox().await;
        } else {
            self.check_credential().await?;
        }
        Ok(())
    }
}

async fn live_event(live: Option<&mut Live>) -> Event {
    let Some(Live { subscriptions, watching, lobby, .. }) = live else { return pending().await };
    let wake = async {
        match subscriptions {
            Some(subscriptions) => subscriptions.next().await,
            None => pending().await,
        }
    };
    let presence = async {
        match watching {
            Some(watching) => watching.changed().await,
            None => pending().await,
        }
    };
    let lobby = async {
        match lobby {
            Some(lobby) => lobby.changed().await,
            None => pending().await,
        }
    };
    tokio::select! {
        wake = wake => Event::Wake(wake),
        () = presence => Event::Notices,
        () = lobby => Event::Notices,
    }
}
