//! Rejected requests in the log: per client and reason, the first of an interval is logged and the
//! others are counted, so that a client cannot fill the disk with rejected requests.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

/// Time between a line and the number of rejections that followed it.
pub(super) const INTERVAL: Duration = Duration::from_secs(10);
/// Maximum number of open intervals, in addition to [`Key::Others`].
const MOST: usize = 1024;

/// What is counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// One client and one reason; reasons are string literals.
    Client(IpAddr, &'static str),
    /// All clients that do not fit into the table.
    Others(&'static str),
}

/// Counts rejections that are not logged individually.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct More {
    pub(super) key: Key,
    pub(super) count: u64,
}

/// Open intervals.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    table: Mutex<Table>,
    /// The task that logs the numbers when intervals end.
    sweeper: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Table {
    counts: HashMap<Key, u64>,
    /// Keys, sorted by the end of their intervals.
    ends: VecDeque<(Instant, Key)>,
}

impl Refusals {
    /// Counts a rejection; returns whether it is the first of its interval, which is logged.
    pub(super) fn note(&self, client: IpAddr, reason: &'static str, now: Instant) -> bool {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let key = Key::Client(client, reason);
        let room = table.counts.len() < MOST || table.counts.contains_key(&key);
        let key = if room { key } else { Key::Others(reason) };
        if let Some(count) = table.counts.get_mut(&key) {
            *count = count.saturating_add(1);
            return false;
        }
        table.counts.insert(key, 0);
        table.ends.push_back((now.checked_add(INTERVAL).unwrap_or(now), key));
        true
    }

    /// Ends intervals that are over; `None` ends all.
    pub(super) fn ended(&self, now: Option<Instant>) -> Vec<More> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ended = Vec::new();
        while let Some((end, key)) = table.ends.front().copied()
            && now.is_none_or(|now| end <= now)
        {
            table.ends.pop_front();
            if let Some(count @ 1..) = table.counts.remove(&key) {
                ended.push(More { key, count });
            }
        }
        ended
    }

    /// When the next interval ends.
    pub(super) fn next_end(&self) -> Option<Instant> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner).ends.front().map(|(end, _)| *end)
    }

    /// Starts the task unless it is running; it ends when there are no intervals, or with `self`.
    pub(super) fn swept_by<F: Future<Output = ()> + Send + 'static>(
        &self,
        sweep: impl FnOnce() -> F,
    ) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let mut sweeper = self.sweeper.lock().unwrap_or_else(PoisonError::into_inner);
        if sweeper.as_ref().is_none_or(JoinHandle::is_finished) {
            *sweeper = Some(runtime.spawn(sweep()));
        }
    }
}

impl Drop for Refusals {
    fn drop(&mut self) {
        if let Some(sweeper) = self.sweeper.get_mut().unwrap_or_else(PoisonError::into_inner) {
            sweeper.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    #[test]
    fn the_first_rejection_of_an_interval_is_logged_and_the_others_are_counted() {
        let (refusals, start) = (Refusals::default(), Instant::now());
        let note = |number, reason| refusals.note(client(number), reason, start);
        assert_eq!([note(1, "head"), note(1, "head"), note(1, "head")], [true, false, false]);
        assert_eq!([note(1, "target"), note(2, "head")], [true, true]);
        assert_eq!(refusals.ended(Some(start + INTERVAL / 2)), []);
        assert_eq!(refusals.next_end(), Some(start + INTERVAL));
        let more = More { key: Key::Client(client(1), "head"), count: 2 };
        assert_eq!(refusals.ended(Some(start + INTERVAL)), [more]);
        assert_eq!((refusals.next_end(), note(1, "head")), (None, true));
    }

    #[test]
    fn the_table_is_bounded_and_no_rejection_is_lost() {
        let (refusals, start) = (Refusals::default(), Instant::now());
        let logged =
            (0..100_000).filter(|number| refusals.note(client(*number), "head", start)).count();
        assert_eq!(logged, MOST + 1);
        assert!(refusals.table.lock().expect("not poisoned").counts.len() <= MOST + 1);
        let counted: u64 = refusals.ended(None).iter().map(|more| more.count).sum();
        assert_eq!(counted + logged as u64, 100_000);
    }
}
