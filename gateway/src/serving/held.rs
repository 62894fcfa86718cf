//! What requests in progress hold in memory, counted for each client address, so that clients that
//! request much and read little cannot make the gateway hold any amount of it.
//!
//! [`Holdings::enter`] admits a request or not. Its [`Holding`] learns from the connection to the
//! upstream what was read, and from the proxy what was passed on and what was sent; how much the
//! connection reads at once follows from that.

// Numbers here come from peers: arithmetic on them is checked or saturates.
#![warn(clippy::arithmetic_side_effects)]

mod outlet;

pub(crate) use outlet::Outlet;

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::IntGauge;

use crate::serving::network::client_network;

/// What a request takes besides its answer: its task, its heads, its place in tables. Measured, and
/// rounded up.
pub(crate) const REQUEST: u64 = 32 * 1024;
/// Bytes that are read from an upstream at once.
const PIECE: usize = 64 * 1024;
/// The same until the client has taken [`PROVEN`] bytes of the answer.
const PIECE_FIRST: usize = 16 * 1024;
/// The same for a client that holds all that it may.
const PIECE_FULL: usize = 1024;
/// See [`PIECE_FIRST`].
const PROVEN: u64 = 64 * 1024;
/// No more is ever read and not seen: Pingora has room for as many pieces.
const UNSEEN_MAX: u64 = 10 * PIECE as u64;
/// What stands between two chunks of an answer: a size of eight digits, and two line ends.
const FRAMING: u64 = 12;
/// Most bytes of one h2 stream that wait for the client's socket. What is in windows that the
/// client opened and did not read waits there; what it opened no window for is not taken from the
/// upstream.
pub(crate) const SEND_BUFFER: usize = 32 * 1024;
/// Shards, so that cores seldom wait for each other.
const SHARDS: usize = 16;

/// What every client holds.
pub(crate) struct Holdings {
    hasher: RandomState,
    shards: [Mutex<HashMap<IpAddr, Arc<Account>>>; SHARDS],
    gauge: IntGauge,
}

/// What one client holds.
#[derive(Debug, Default)]
struct Account(AtomicU64);

/// The client holds as much as it may.
#[derive(Debug)]
pub(crate) struct Full;

/// What one request holds, until it is dropped.
pub(crate) struct Holding {
    all: Arc<Holdings>,
    account: Arc<Account>,
    client: IpAddr,
    most: u64,
    /// Bytes of the upstream's answer that the proxy has not seen: read, and waiting to be
    /// filtered. About: chunk sizes are in it.
    unseen: AtomicU64,
    /// Bytes of the answer's body that the proxy has passed on.
    seen: AtomicU64,
    /// Bytes of those that the client's connection has taken.
    sent: AtomicU64,
    /// What is counted for all of it.
    counted: AtomicU64,
    /// Whether what was sent may wait within the client's connection, as in h2.
    queued: bool,
    left: AtomicBool,
}

impl Holdings {
    pub(crate) fn new(gauge: IntGauge) -> Arc<Self> {
        let shards = std::array::from_fn(|_| Mutex::default());
        Arc::new(Self { hasher: RandomState::new(), shards, gauge })
    }

    /// Admits a request of a client that may hold `most` bytes. `queued`: what is sent to it may
    /// wait within its connection.
    pub(crate) fn enter(
        self: &Arc<Self>,
        client: IpAddr,
        most: u64,
        queued: bool,
    ) -> Result<Arc<Holding>, Full> {
        let client = client_network(client);
        let account = {
            let mut accounts = self.shard(client).lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(accounts.entry(client).or_default())
        };
        let holding = Holding {
            all: Arc::clone(self),
            account,
            client,
            most,
            unseen: AtomicU64::new(0),
            seen: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            counted: AtomicU64::new(0),
            queued,
            left: AtomicBool::new(false),
        };
        if holding.account.0.load(Relaxed).saturating_add(REQUEST) > most {
            return Err(Full);
        }
        holding.count();
        Ok(Arc::new(holding))
    }

    fn shard(&self, client: IpAddr) -> &Mutex<HashMap<IpAddr, Arc<Account>>> {
        let index = (self.hasher.hash_one(client) as usize) & (SHARDS - 1);
        self.shards.get(index).expect("the index is below the number of shards, a power of two")
    }
}

impl Holding {
    /// Most bytes to read from the upstream at once. Pingora keeps up to ten such pieces for a
    /// client that does not take them, so they are small until the client has shown that it takes
    /// them, and smaller when it holds all that it may.
    pub(crate) fn piece_max(&self) -> usize {
        if self.account.0.load(Relaxed) >= self.most {
            PIECE_FULL
        } else if self.sent.load(Relaxed) < PROVEN {
            PIECE_FIRST
        } else {
            PIECE
        }
    }

    /// Bytes of the answer were read from the upstream.
    pub(crate) fn read(&self, bytes: usize) {
        self.unseen
            .store(self.unseen.load(Relaxed).saturating_add(bytes as u64).min(UNSEEN_MAX), Relaxed);
        self.count();
    }

    /// The head of the answer came to the proxy, in about this many bytes.
    pub(crate) fn head(&self, bytes: usize) {
        self.saw(bytes as u64, 0);
    }

    /// A piece of the answer's body came to the proxy; this many bytes of all pieces before were
    /// sent.
    pub(crate) fn piece(&self, bytes: usize, sent: usize) {
        self.sent.store(sent as u64, Relaxed);
        self.saw((bytes as u64).saturating_add(FRAMING), bytes as u64);
    }

    fn saw(&self, read: u64, body: u64) {
        self.unseen.store(self.unseen.load(Relaxed).saturating_sub(read), Relaxed);
        self.seen.store(self.seen.load(Relaxed).saturating_add(body), Relaxed);
        self.count();
    }

    /// The request begins once more, at another target.
    pub(crate) fn restart(&self) {
        self.unseen.store(0, Relaxed);
        self.count();
    }

    /// The request is over; all that may be left of it waits in its connection.
    pub(crate) fn over(&self) {
        self.unseen.store(0, Relaxed);
        self.sent.store(self.seen.load(Relaxed), Relaxed);
        self.left.store(true, Relaxed);
        self.count();
    }

    /// Whether anything is counted for it.
    fn holds(&self) -> bool {
        self.counted.load(Relaxed) > 0
    }

    fn count(&self) {
        let (seen, sent) = (self.seen.load(Relaxed), self.sent.load(Relaxed));
        let queue = if self.queued { sent.min(SEND_BUFFER as u64) } else { 0 };
        let request = if self.left.load(Relaxed) { 0 } else { REQUEST };
        let now = [self.unseen.load(Relaxed), seen.saturating_sub(sent), queue, request]
            .into_iter()
            .fold(0, u64::saturating_add);
        self.set(now);
    }

    fn set(&self, now: u64) {
        let before = self.counted.swap(now, Relaxed);
        // Wraps when it gets less, and comes out right.
        self.account.0.fetch_add(now.wrapping_sub(before), Relaxed);
        self.all.gauge.add(
            i64::try_from(now)
                .unwrap_or(i64::MAX)
                .saturating_sub(i64::try_from(before).unwrap_or(i64::MAX)),
        );
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.set(0);
        let mut accounts =
            self.all.shard(self.client).lock().unwrap_or_else(PoisonError::into_inner);
        // The table's and this one: accounts are taken from the table under its lock only.
        if Arc::strong_count(&self.account) <= 2 {
            accounts.remove(&self.client);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holdings() -> Arc<Holdings> {
        Holdings::new(IntGauge::new("held_bytes", "held").expect("a valid name"))
    }

    fn client(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn a_client_has_so_many_bytes_and_gets_them_back() {
        let holdings = holdings();
        let enter = |last| holdings.enter(client(last), 3 * REQUEST, false);
        let (one, two) = (enter(1).expect("room"), enter(1).expect("room"));
        one.read(1000);
        assert!(enter(1).is_err(), "1000 bytes too many");
        assert!(enter(2).is_ok(), "another client has its own");
        one.piece(1000, 0);
        assert!(enter(1).is_err(), "passed on, and not sent");
        one.piece(0, 1000);
        assert!(enter(1).is_ok());
        assert_eq!(holdings.gauge.get(), 2 * REQUEST as i64);
        drop((one, two));
        assert_eq!(holdings.gauge.get(), 0);
        assert!(holdings.shards.iter().all(|shard| shard.lock().expect("not poisoned").is_empty()));
    }

    #[test]
    fn pieces_grow_when_the_client_takes_them_and_shrink_when_it_holds_too_much() {
        let holdings = holdings();
        let holding = holdings.enter(client(1), 4 * REQUEST, false).expect("room");
        assert_eq!(holding.piece_max(), PIECE_FIRST);
        holding.read(2 * PIECE);
        assert_eq!(holding.piece_max(), PIECE_FULL);
        holding.piece(2 * PIECE, 0);
        assert_eq!(holding.piece_max(), PIECE_FULL);
        holding.piece(0, 2 * PIECE);
        assert_eq!(holding.piece_max(), PIECE);
    }

    #[test]
    fn what_is_read_is_never_counted_for_more_than_pingora_has_room_for() {
        let holdings = holdings();
        let holding = holdings.enter(client(1), u64::MAX, false).expect("room");
        // Chunk extensions, say: read, and never seen.
        (0..100).for_each(|_| holding.read(PIECE));
        assert_eq!(holdings.gauge.get(), (REQUEST + UNSEEN_MAX) as i64);
        holding.restart();
        assert_eq!(holdings.gauge.get(), REQUEST as i64);
    }

    #[test]
    fn what_waits_in_a_connection_is_counted_after_the_request() {
        let holdings = holdings();
        let holding = holdings.enter(client(1), 4 * REQUEST, true).expect("room");
        holding.read(1000);
        holding.piece(1000, 0);
        holding.over();
        assert_eq!(holdings.gauge.get(), 1000);
        drop(holding);
        assert_eq!(holdings.gauge.get(), 0);
    }
}
