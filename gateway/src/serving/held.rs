//! Memory accounting of requests in progress, per client network: limits what the gateway buffers
//! for clients that request large responses and read slowly.
//!
//! [`Holdings::enter`] admits or rejects a request. The connection to the upstream reports to its
//! [`Holding`] the bytes read, the proxy reports the bytes forwarded and sent. The size of the next
//! read depends on these counts.

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

/// Memory of a request without its response: task, heads, entries in tables. Measured and rounded
/// up.
pub(crate) const REQUEST: u64 = 32 * 1024;
/// Size of one read from an upstream.
const PIECE: usize = 64 * 1024;
/// The same until [`PROVEN`] bytes of the response are sent to the client.
const PIECE_FIRST: usize = 16 * 1024;
/// The same for a client at its limit.
const PIECE_FULL: usize = 1024;
/// See [`PIECE_FIRST`].
const PROVEN: u64 = 64 * 1024;
/// Upper bound of bytes read and not seen by the proxy: Pingora queues up to ten pieces.
const UNSEEN_MAX: u64 = 10 * PIECE as u64;
/// Bytes between two chunks of a response: a size of eight digits and two line ends.
const FRAMING: u64 = 12;
/// Size of the send buffer of an h2 stream. It holds bytes within the client's flow-control window
/// that the client's socket does not accept. Bytes beyond the window are not read from the
/// upstream.
pub(crate) const SEND_BUFFER: usize = 32 * 1024;
/// Shards of the table, to reduce lock contention.
const SHARDS: usize = 16;

/// The accounts of all clients.
pub(crate) struct Holdings {
    hasher: RandomState,
    shards: [Mutex<HashMap<IpAddr, Arc<Account>>>; SHARDS],
    gauge: IntGauge,
}

/// The bytes that one client holds.
#[derive(Debug, Default)]
struct Account(AtomicU64);

/// The client is at its limit.
#[derive(Debug)]
pub(crate) struct Full;

/// The bytes that one request holds, counted until it is dropped.
pub(crate) struct Holding {
    all: Arc<Holdings>,
    account: Arc<Account>,
    client: IpAddr,
    most: u64,
    /// Bytes of the response that were read and have not reached the proxy. Approximate: includes
    /// chunk sizes.
    unseen: AtomicU64,
    /// Bytes of the response body that the proxy forwarded.
    seen: AtomicU64,
    /// Bytes of `seen` that were written to the client's connection.
    sent: AtomicU64,
    /// The total that is added to the client's account.
    counted: AtomicU64,
    /// Whether the client's connection buffers sent bytes, as h2 does.
    queued: bool,
    /// Whether the request is over.
    left: AtomicBool,
}

impl Holdings {
    pub(crate) fn new(gauge: IntGauge) -> Arc<Self> {
        let shards = std::array::from_fn(|_| Mutex::default());
        Arc::new(Self { hasher: RandomState::new(), shards, gauge })
    }

    /// Admits a request of a client that may hold `most` bytes. `queued`: the client's connection
    /// buffers sent bytes.
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
        self.shards.get(index).expect("the mask keeps the index below the number of shards")
    }
}

impl Holding {
    /// Maximum size of the next read from the upstream. Pingora queues up to ten such pieces for a
    /// client that does not read, so they are small for the first [`PROVEN`] bytes, and smallest
    /// when the client is at its limit.
    pub(crate) fn piece_max(&self) -> usize {
        if self.account.0.load(Relaxed) >= self.most {
            PIECE_FULL
        } else if self.sent.load(Relaxed) < PROVEN {
            PIECE_FIRST
        } else {
            PIECE
        }
    }

    /// Records bytes of the response that were read from the upstream.
    pub(crate) fn read(&self, bytes: usize) {
        self.unseen
            .store(self.unseen.load(Relaxed).saturating_add(bytes as u64).min(UNSEEN_MAX), Relaxed);
        self.count();
    }

    /// Records that the head of the response, of about this many bytes, reached the proxy.
    pub(crate) fn head(&self, bytes: usize) {
        self.saw(bytes as u64, 0);
    }

    /// Records that a piece of the response body reached the proxy. `sent` is the total of bytes
    /// sent from earlier pieces.
    pub(crate) fn piece(&self, bytes: usize, sent: usize) {
        self.sent.store(sent as u64, Relaxed);
        self.saw((bytes as u64).saturating_add(FRAMING), bytes as u64);
    }

    fn saw(&self, read: u64, body: u64) {
        self.unseen.store(self.unseen.load(Relaxed).saturating_sub(read), Relaxed);
        self.seen.store(self.seen.load(Relaxed).saturating_add(body), Relaxed);
        self.count();
    }

    /// Resets the count before a retry at another target.
    pub(crate) fn restart(&self) {
        self.unseen.store(0, Relaxed);
        self.count();
    }

    /// Ends the request: from now on only bytes buffered in the client's connection count.
    pub(crate) fn over(&self) {
        self.unseen.store(0, Relaxed);
        self.sent.store(self.seen.load(Relaxed), Relaxed);
        self.left.store(true, Relaxed);
        self.count();
    }

    /// Whether any bytes are counted.
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
        // A decrease wraps around, which subtracts.
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
        // Two references are the table's and this one. New ones are created only under the lock.
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
    fn bytes_are_limited_per_client_and_released_on_drop() {
        let holdings = holdings();
        let enter = |last| holdings.enter(client(last), 3 * REQUEST, false);
        let (one, two) = (enter(1).expect("room"), enter(1).expect("room"));
        one.read(1000);
        assert!(enter(1).is_err(), "1000 bytes too many");
        assert!(enter(2).is_ok(), "another client has its own limit");
        one.piece(1000, 0);
        assert!(enter(1).is_err(), "forwarded, not sent");
        one.piece(0, 1000);
        assert!(enter(1).is_ok());
        assert_eq!(holdings.gauge.get(), 2 * REQUEST as i64);
        drop((one, two));
        assert_eq!(holdings.gauge.get(), 0);
        assert!(holdings.shards.iter().all(|shard| shard.lock().expect("not poisoned").is_empty()));
    }

    #[test]
    fn reads_grow_when_the_client_reads_and_shrink_at_its_limit() {
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
    fn read_bytes_are_counted_up_to_the_size_of_pingoras_queue() {
        let holdings = holdings();
        let holding = holdings.enter(client(1), u64::MAX, false).expect("room");
        // Chunk extensions, for example, never reach the proxy.
        (0..100).for_each(|_| holding.read(PIECE));
        assert_eq!(holdings.gauge.get(), (REQUEST + UNSEEN_MAX) as i64);
        holding.restart();
        assert_eq!(holdings.gauge.get(), REQUEST as i64);
    }

    #[test]
    fn bytes_buffered_in_a_connection_count_after_the_request() {
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
