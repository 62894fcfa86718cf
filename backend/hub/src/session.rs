//! The life of one connection, in one task: hello, then requests in and events out, until one side
//! closes.

mod credential;
mod farewell;
mod hello;
mod inbox;
mod notices;
mod refusal;
mod requests;

use std::future::{pending, poll_fn};
use std::sync::Arc;

use backend_protocol::id::{AccountId, ConnectionId, ConversationId, DeviceId};
use backend_protocol::live::{ClientFrame, ServerFrame, close};
use backend_store::accounts::CredentialHash;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::drain::{self, Stage};
use crate::hub::Shared;
use crate::lobby::LobbyView;
use crate::presence::Watching;
use crate::rate::Verdict;
use crate::roster::{Heard, Lines, Seat};
use crate::timers::{Timers, due};
use crate::transport::{Incoming, Outgoing, Transport, TransportError};
use crate::wire::{Step, Wire};
use farewell::End;
use refusal::Refusal;

/// One connection.
struct Session<T> {
    hub: Arc<Shared>,
    seat: Seat,
    /// What opened the account.
    credential: CredentialHash,
    connection: ConnectionId,
    wire: Wire<T>,
    timers: Timers,
    stage: watch::Receiver<Stage>,
    /// Set by `hello`; boxed to keep connections without `hello` small.
    live: Option<Box<Live>>,
}

/// State of a connection after `hello`.
struct Live {
    device: DeviceId,
    /// `None` while the broker is unavailable; polling continues.
    lines: Option<Lines>,
    /// The last inbox position queued for this peer.
    sent: u64,
    /// The inbox may hold more.
    behind: bool,
    /// The inbox was read to its end once; only then can the peer be too slow.
    caught_up: bool,
    /// Since when events wait because the queue is full.
    lagging: Option<Instant>,
    /// The people whose presence this connection watches.
    watching: Option<Watching>,
    lobby: Option<LobbyView>,
    /// Last conversation with a typing notice, and when it was sent; more within a moment are
    /// dropped.
    typing: Option<(ConversationId, Instant)>,
}

/// Wakes the connection's task.
enum Event {
    Wire(Step),
    Heard(Heard),
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
        Err(end) => farewell::close(&hub, &mut wire, &end).await,
        Ok(seat) => {
            let timers = Timers::new(hub.settings.hello, hub.settings.ping);
            let connection = connection_id();
            let mut session = Session {
                hub: Arc::clone(&hub),
                seat,
                credential,
                connection,
                wire,
                timers,
                stage,
                live: None,
            };
            let end = session.serve().await;
            session.part(&end).await;
        }
    }
}

fn admit(hub: &Shared, stage: &watch::Receiver<Stage>, account: &AccountId) -> Result<Seat, End> {
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

impl<T: Transport> Session<T> {
    async fn serve(&mut self) -> End {
        loop {
            if let Err(end) = self.fill().await {
                return end;
            }
            let event = self.next().await;
            if let Some(at) = self.wire.take_ping() {
                self.timers.pong.get_or_insert(at + self.hub.settings.pong);
            }
            if let Err(end) = self.on(event).await {
                return end;
            }
            // Not only on timer events: a busy connection must not starve its deadlines.
            if let Err(end) = self.on_time().await {
                return end;
            }
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
        let lagging =
            self.live.as_deref().filter(|live| live.caught_up).and_then(|live| live.lagging);
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
            Event::Heard(heard) => self.on_heard(heard).await,
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
        let verdict = self.seat.rate();
        if verdict == Verdict::Abuse {
            return Err(End::because(close::RATE, "too many frames"));
        }
        let Some(text) = text else { return Ok(()) };
        let ClientFrame { id, request } = serde_json::from_slice(&text).map_err(|error| {
            self.hub.metrics.frames_in.with_label_values(&["malformed"]).inc();
            End::because(close::BAD_FRAME, error.to_string())
        })?;
        self.hub.metrics.frames_in.with_label_values(&[requests::kind(&request)]).inc();
        match verdict {
            Verdict::Refuse(wait) => self.refuse(id, Refusal::rate_limited(wait)),
            Verdict::Pass | Verdict::Abuse => self.answer(id, request, text.len()).await,
        }
        Ok(())
    }

    async fn on_heard(&mut self, heard: Heard) -> Result<(), End> {
        let Some(live) = self.live.as_deref_mut() else { return Ok(()) };
        match heard {
            Heard::Inbox => live.behind = true,
            Heard::Notice(payload) => self.pass_on(&payload),
            Heard::Revoked => return self.check_credential().await,
            Heard::Silence => {
                live.lines = None;
                self.look_soon();
            }
        }
        Ok(())
    }

    fn on_stage(&mut self) -> Result<(), End> {
        match *self.stage.borrow_and_update() {
            Stage::Serving => {}
            Stage::Draining(window) => {
                self.timers.leave = Some(Instant::now() + drain::moment(window))
            }
            Stage::Aborting => return Err(End::Aborted),
        }
        Ok(())
    }

    async fn on_time(&mut self) -> Result<(), End> {
        let now = Instant::now();
        let settings = &self.hub.settings;
        let slow = |since: Option<Instant>| due(since.map(|since| since + settings.write), now);
        let lagging =
            self.live.as_deref().filter(|live| live.caught_up).and_then(|live| live.lagging);
        if due(self.wire.deadline(settings.write), now) || slow(lagging) {
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
        if due(self.timers.refresh, now) {
            self.refresh().await;
        }
        if due(self.timers.look, now) {
            self.look().await;
        }
        if due(self.timers.credential, now) {
            self.check_credential().await?;
        }
        Ok(())
    }

    fn push(&mut self, frame: &ServerFrame) {
        let kind = match frame {
            ServerFrame::Welcome { .. } => "welcome",
            ServerFrame::Ok { .. } => "ok",
            ServerFrame::Err { .. } => "err",
            ServerFrame::Event { .. } => "event",
            ServerFrame::Notice { .. } => "notice",
            ServerFrame::Bye { .. } => "bye",
        };
        self.hub.metrics.frames_out.with_label_values(&[kind]).inc();
        self.wire.push(text(frame));
    }
}

/// A frame as sent over the wire.
fn text(frame: &ServerFrame) -> Outgoing {
    Outgoing::Text(serde_json::to_string(frame).expect("frames are structs of strings and numbers"))
}

async fn live_event(live: Option<&mut Live>) -> Event {
    let Some(Live { lines, watching, lobby, .. }) = live else { return pending().await };
    tokio::select! {
        heard = async { match lines { Some(lines) => lines.next().await, None => pending().await } } => Event::Heard(heard),
        () = async { match watching { Some(watching) => watching.moved().await, None => pending().await } } => Event::Notices,
        () = async { match lobby { Some(lobby) => lobby.moved().await, None => pending().await } } => Event::Notices,
    }
}
