//! The state of one certificate: what is stored, what is served, and its status.

use std::sync::Arc;
use std::time::SystemTime;

use tokio_util::sync::CancellationToken;

use super::shared::Shared;
use crate::certificate::Certificate;
use crate::check::{self, Pem};
use crate::clock::from_unix;
use crate::failure::{Failure, FailureKind};
use crate::names::NameSet;
use crate::records::{Attempts, Stored};
use crate::schedule;
use crate::settings::Authority;
use crate::status::Source;
use crate::storage::{Fence, Lock};

/// One certificate under maintenance.
pub(super) struct Maintained {
    pub(super) shared: Arc<Shared>,
    pub(super) names: NameSet,
    pub(super) current: Option<Current>,
    /// Attempts of this process, in case storage loses them or cannot be written.
    pub(super) attempts: Attempts,
    /// Ends the work after locks are released.
    pub(super) stop: CancellationToken,
    /// Why a stored certificate was rejected: logged once.
    rejected: Option<Failure>,
}

/// The served certificate and its record.
pub(super) struct Current {
    pub(super) stored: Stored,
    pub(super) certificate: Arc<Certificate>,
}

impl Maintained {
    pub(super) fn new(shared: Arc<Shared>, names: NameSet, stop: CancellationToken) -> Self {
        Self { shared, names, current: None, attempts: Attempts::default(), stop, rejected: None }
    }

    /// Serves the stored certificate when it is new and valid. Otherwise the served one stays.
    pub(super) async fn load(&mut self) -> Result<(), Failure> {
        let Some(stored) = self.shared.records.certificate(&self.names).await? else {
            return self.restore().await;
        };
        if let Some(current) = &mut self.current
            && current.stored.chain == stored.chain
        {
            current.stored = stored;
            self.note_plan();
            return Ok(());
        }
        match self.check(&stored) {
            Ok(certificate) => self.serve(stored, certificate, Source::Stored),
            // An invalid certificate counts as missing: a new one is ordered.
            Err(failure) if self.rejected.as_ref() != Some(&failure) => {
                tracing::warn!(
                    names = %self.names,
                    error = %failure,
                    "cannot serve a stored certificate"
                );
                self.rejected = Some(failure);
            }
            Err(_) => {}
        }
        Ok(())
    }

    /// Writes the served certificate back to a storage that lost it, so that no replica orders
    /// another one.
    async fn restore(&mut self) -> Result<(), Failure> {
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
        let authorities = &self.shared.settings.authorities;
        let issuer = self.issuer(&stored).and_then(|index| authorities.get(index));
        let host = issuer.map_or(stored.authority.as_str(), Authority::host).to_owned();
        self.shared.board.update(&self.names, |status| {
            status.source = source;
            status.authority = Some(host);
            status.not_after = Some(certificate.not_after);
            status.last_error = None;
            status.failures = 0;
            status.next_attempt = None;
        });
        self.attempts = Attempts::default();
        self.rejected = None;
        self.current = Some(Current { stored, certificate });
        self.note_plan();
    }

    pub(super) fn note_plan(&self) {
        let due = self.due();
        self.shared.board.update(&self.names, |status| status.renew_at = Some(due));
    }

    /// Shows a failure in the status.
    pub(super) fn note_failure(&self, failure: &Failure, next: SystemTime) {
        let failures = self.attempts.failures;
        self.shared.board.update(&self.names, |status| {
            status.last_error = Some(failure.clone());
            status.failures = failures;
            status.next_attempt = Some(next);
        });
    }

    /// Clears a failure of storage from the status. A failure of an authority stays until a
    /// certificate is issued.
    pub(super) fn note_storage_is_back(&self) {
        let (attempts, next) = (&self.attempts, from_unix(self.attempts.next));
        self.shared.board.update(&self.names, |status| {
            let of_storage = |failure: &Failure| {
                matches!(failure.kind, FailureKind::Storage | FailureKind::LockLost)
            };
            if status.last_error.as_ref().is_some_and(of_storage) {
                status.last_error.clone_from(&attempts.error);
                status.next_attempt = attempts.error.as_ref().map(|_| next);
            }
        });
    }

    /// When to order: immediately while there is nothing to serve.
    pub(super) fn due(&self) -> SystemTime {
        self.current.as_ref().map_or(SystemTime::UNIX_EPOCH, |current| {
            schedule::renew_at(&current.certificate, &current.stored)
        })
    }

    /// The index of its issuer among the configured authorities.
    pub(super) fn issuer(&self, stored: &Stored) -> Option<usize> {
        self.shared.position(&stored.authority)
    }

    pub(super) fn lock(&self) -> Lock {
        Lock::Order(self.names.id())
    }

    /// Best effort: a lock that stays expires.
    pub(super) async fn unlock(&self, fence: &Fence) {
        if let Err(error) = self.shared.records.unlock(fence).await {
            tracing::debug!(
                names = %self.names,
                %error,
                "cannot release the ordering lock: it stays until it expires"
            );
        }
    }

    pub(super) fn now(&self) -> SystemTime {
        self.shared.clock.now()
    }
}
