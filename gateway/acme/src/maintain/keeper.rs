//! One certificate: what is stored, what is served, what comes next.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio_util::sync::CancellationToken;

use super::Shared;
use crate::check::{self, Pem};
use crate::clock::from_unix;
use crate::storage::{Attempts, Fence, Lock, Stored};
use crate::{Certificate, Failure, FailureKind, NameSet, Source, schedule};

/// Keeps one certificate.
pub(super) struct Keeper {
    pub(super) shared: Arc<Shared>,
    pub(super) names: NameSet,
    pub(super) current: Option<Current>,
    /// Our own memory of attempts, in case storage forgets or cannot be written.
    pub(super) attempts: Attempts,
    /// Ends the work; locks are let go first.
    pub(super) stop: CancellationToken,
    /// What a stored certificate was refused for: logged once.
    refused: Option<Failure>,
}

/// What is served, and what it was made from.
pub(super) struct Current {
    pub(super) stored: Stored,
    pub(super) certificate: Arc<Certificate>,
}

impl Keeper {
    pub(super) fn new(shared: Arc<Shared>, names: NameSet, stop: CancellationToken) -> Self {
        Self { shared, names, current: None, attempts: Attempts::default(), stop, refused: None }
    }

    pub(super) async fn run(mut self) {
        let mut prompted = self.shared.prompt.0.subscribe();
        let clock = Arc::clone(&self.shared.clock);
        let stop = self.stop.clone();
        while !stop.is_cancelled() {
            // A step is never cut off, as it may hold a lock: what takes long in it looks at `stop`
            // itself.
            let wake = self.step().await;
            tokio::select! {
                () = stop.cancelled() => break,
                () = clock.sleep_until(wake) => {}
                _ = prompted.changed() => {}
            }
        }
    }

    /// One look at storage and at the clock; says when to look again.
    async fn step(&mut self) -> SystemTime {
        let now = self.now();
        let poll = now + self.shared.settings.poll;
        match self.load().await {
            Ok(()) => self.note_storage_is_back(),
            Err(failure) => {
                self.note_failure(&failure, poll);
                return poll;
            }
        }
        let soon = now + self.shared.settings.poll.min(SOON);
        let due = self.due();
        let next = if due <= now {
            self.take_turn(now, soon).await
        } else if self.asks_at().is_some_and(|at| at <= now) {
            self.ask_renewal(soon).await
        } else {
            self.asks_at().map_or(due, |at| at.min(due))
        };
        next.min(poll)
    }

    /// Takes over what storage holds, if it is new and good. What is served stays otherwise.
    pub(super) async fn load(&mut self) -> Result<(), Failure> {
        let Some(stored) = self.shared.records.certificate(&self.names).await? else {
            return self.put_back().await;
        };
        match &mut self.current {
            Some(current) if current.stored.chain == stored.chain => {
                current.stored = stored;
                self.note_plan();
                Ok(())
            }
            _ => match self.check(&stored) {
                Ok(certificate) => {
                    self.serve(stored, certificate, Source::Stored);
                    Ok(())
                }
                // Unusable is like missing: a new one will be ordered.
                Err(failure) => {
                    if self.refused.as_ref() != Some(&failure) {
                        tracing::warn!(names = %self.names, error = %failure, "a stored certificate cannot be served");
                        self.refused = Some(failure);
                    }
                    Ok(())
                }
            },
        }
    }

    /// Storage lost what we still serve: give it back, so that nobody orders for nothing.
    async fn put_back(&mut self) -> Result<(), Failure> {
        let Some(current) = &self.current else { return Ok(()) };
        let records = &self.shared.records;
        let lock = self.lock();
        if let Some(fence) = records.lock(&lock, self.shared.settings.lock_ttl).await? {
            let put = match records.certificate(&self.names).await? {
                None => records.put_certificate(&self.names, &current.stored, &fence).await,
                Some(_) => Ok(()),
            };
            records.unlock(&fence).await?;
            put?;
        }
        Ok(())
    }

    pub(super) fn check(&self, stored: &Stored) -> Result<Certificate, Failure> {
        let chain = Pem { origin: "the chain", text: stored.chain.as_bytes() };
        let key = Pem { origin: "the private key", text: stored.key.as_bytes() };
        Ok(check::pem(chain, key, self.names.as_slice(), self.now())?)
    }

    pub(super) fn serve(&mut self, stored: Stored, certificate: Certificate, source: Source) {
        let certificate = Arc::new(certificate);
        self.shared.published.send_modify(|published| {
            let mut new = (**published).clone();
            new.insert(&self.names, &certificate);
            *published = Arc::new(new);
        });
        let authority = self
            .shared
            .settings
            .authorities
            .iter()
            .find(|authority| authority.url == stored.authority);
        let host = authority
            .map_or_else(|| stored.authority.clone(), |authority| authority.host().to_owned());
        self.shared.board.update(&self.names, |status| {
            status.source = source;
            status.authority = Some(host);
            status.not_after = Some(certificate.not_after);
            status.last_error = None;
            status.failures = 0;
            status.next_attempt = None;
        });
        self.attempts = Attempts::default();
        self.refused = None;
        self.current = Some(Current { stored, certificate });
        self.note_plan();
    }

    pub(super) fn note_plan(&self) {
        let due = self.due();
        self.shared.board.update(&self.names, |status| status.renew_at = Some(due));
    }

    /// Shows a failure; nothing else happens because of it.
    pub(super) fn note_failure(&self, failure: &Failure, next: SystemTime) {
        let failures = self.attempts.failures;
        self.shared.board.update(&self.names, |status| {
            status.last_error = Some(failure.clone());
            status.failures = failures;
            status.next_attempt = Some(next);
        });
    }

    /// A failure of storage is over when storage answers; those of an authority stay until a
    /// certificate comes.
    fn note_storage_is_back(&self) {
        let (attempts, next) = (&self.attempts, from_unix(self.attempts.next));
        self.shared.board.update(&self.names, |status| {
            let ours = |failure: &Failure| {
                matches!(failure.kind, FailureKind::Storage | FailureKind::LockLost)
            };
            if status.last_error.as_ref().is_some_and(ours) {
                status.last_error.clone_from(&attempts.error);
                status.next_attempt = attempts.error.as_ref().map(|_| next);
            }
        });
    }

    /// When to order: at once while there is nothing to serve.
    pub(super) fn due(&self) -> SystemTime {
        self.current.as_ref().map_or(SystemTime::UNIX_EPOCH, |current| {
            schedule::renew_at(&current.certificate, &current.stored)
        })
    }

    /// When to ask for renewal information, if its issuer is still among our authorities.
    pub(super) fn asks_at(&self) -> Option<SystemTime> {
        let current = self.current.as_ref()?;
        self.issuer(&current.stored)?;
        current.certificate.renewal_id.as_ref()?;
        Some(
            current
                .stored
                .renewal
                .as_ref()
                .map_or(SystemTime::UNIX_EPOCH, |renewal| from_unix(renewal.ask)),
        )
    }

    /// Its issuer's place among our authorities.
    pub(super) fn issuer(&self, stored: &Stored) -> Option<usize> {
        self.shared
            .settings
            .authorities
            .iter()
            .position(|authority| authority.url == stored.authority)
    }

    pub(super) fn lock(&self) -> Lock {
        Lock::Order(self.names.id())
    }

    pub(super) fn now(&self) -> SystemTime {
        self.shared.clock.now()
    }

    /// Best effort: a lock that stays runs out by itself.
    pub(super) async fn let_go(&self, fence: &Fence) {
        if let Err(error) = self.shared.records.unlock(fence).await {
            tracing::debug!(names = %self.names, %error, "the ordering lock stays until it runs out");
        }
    }
}

/// How soon to look again while another replica orders.
const SOON: Duration = Duration::from_secs(2);
