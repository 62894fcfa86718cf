//! Ordering a certificate under the lease, so that at most one replica orders at a time.

use std::time::SystemTime;

use instant_acme::Account;

use super::certificate::Maintained;
use crate::certificate::Certificate;
use crate::challenge::ChallengeKind;
use crate::clock::{from_unix, unix};
use crate::failure::{Failure, FailureKind};
use crate::order::Ordering;
use crate::records::{Attempts, Stored};
use crate::settings::Authority;
use crate::status::Source;
use crate::storage::Fence;
use crate::{account, lease, schedule};

impl Maintained {
    /// Orders, unless another replica is ordering, has ordered, or failed recently. Returns when to
    /// check again.
    pub(super) async fn order(&mut self, now: SystemTime, soon: SystemTime) -> SystemTime {
        match self.try_order(now, soon).await {
            Ok(next) => next,
            Err(failure) => {
                self.note_failure(&failure, soon);
                soon
            }
        }
    }

    async fn try_order(
        &mut self,
        now: SystemTime,
        soon: SystemTime,
    ) -> Result<SystemTime, Failure> {
        let shared = self.shared.clone();
        if let Some(until) = self.backoff(now).await? {
            return Ok(until);
        }
        let _permit = shared.orders.acquire().await;
        let Some(fence) = shared.records.lock(&self.lock(), shared.settings.lock_ttl).await? else {
            return Ok(soon);
        };
        let next = self.order_under_lease(&fence).await;
        self.unlock(&fence).await;
        next
    }

    /// Shows the last failure that storage holds.
    pub(super) async fn recall(&mut self) -> Result<(), Failure> {
        let now = self.now();
        self.backoff(now).await.map(drop)
    }

    /// The end of the backoff after failures of this or another replica, while it lasts.
    async fn backoff(&mut self, now: SystemTime) -> Result<Option<SystemTime>, Failure> {
        let stored = self.shared.records.attempts(&self.names).await?;
        if stored.next >= self.attempts.next {
            self.attempts = stored;
        }
        let next = from_unix(self.attempts.next);
        if next <= now {
            return Ok(None);
        }
        if let Some(failure) = &self.attempts.error {
            self.note_failure(failure, next);
        }
        Ok(Some(next))
    }

    async fn order_under_lease(&mut self, fence: &Fence) -> Result<SystemTime, Failure> {
        // The previous holder may have ordered, or failed.
        self.load().await?;
        let (now, due) = (self.now(), self.due());
        if due > now {
            return Ok(due);
        }
        if let Some(until) = self.backoff(now).await? {
            return Ok(until);
        }

        let settings = &self.shared.settings;
        let (failures, authorities) = (self.attempts.failures, settings.authorities.len());
        let index = schedule::authority(failures, settings.fallback_after, authorities);
        let directory = self.shared.authority(index).0.host();
        tracing::info!(names = %self.names, authority = directory, "ordering a certificate");
        // The state of an order is large: boxed, it takes no memory while nothing is ordered.
        let work = Box::pin(self.obtain(index, fence));
        let (ttl, deadline) = (settings.lock_ttl, settings.order_deadline);
        let held = lease::hold(&self.shared.records, fence, ttl, deadline, work);
        match lease::hold_until(&self.stop, held).await {
            Ok(None) => Ok(now),
            Ok(Some((stored, certificate))) => {
                tracing::info!(
                    names = %self.names,
                    serial = certificate.serial,
                    "a certificate was issued"
                );
                self.serve(stored, certificate, Source::Ordered);
                self.shared.records.put_attempts(&self.names, &self.attempts, fence).await?;
                Ok(self.now())
            }
            // Not the authority's fault, so no backoff.
            Err(failure)
                if matches!(failure.kind, FailureKind::LockLost | FailureKind::Storage) =>
            {
                Err(failure)
            }
            Err(failure) => self.record_failure(failure, index, fence).await,
        }
    }

    /// Stores a failure where every replica, and this one after a restart, finds it.
    async fn record_failure(
        &mut self,
        failure: Failure,
        index: usize,
        fence: &Fence,
    ) -> Result<SystemTime, Failure> {
        let (now, settings) = (self.now(), &self.shared.settings);
        let limited = failure.kind == FailureKind::RateLimited;
        let retry_after = match limited || failure.kind.is_passing() {
            true => self.shared.authority(index).1.take_advice(now),
            false => None,
        };
        let others = settings.authorities.len() > 1;
        let failures = schedule::failures_after(
            self.attempts.failures,
            settings.fallback_after,
            limited && others,
        );
        let mut next = now + settings.backoff.delay(failures, failure.kind, rand::random());
        let failure = failure.until(retry_after);
        if let Some(at) = retry_after.filter(|_| !others) {
            next = next.max(at);
        }
        tracing::warn!(
            names = %self.names,
            kind = failure.kind.as_str(),
            error = %failure,
            failures,
            "cannot obtain a certificate"
        );
        self.attempts = Attempts { failures, next: unix(next), error: Some(failure.clone()) };
        self.note_failure(&failure, next);
        self.shared.records.put_attempts(&self.names, &self.attempts, fence).await?;
        Ok(next)
    }

    /// Account, order, check, storage. Returns only a certificate that passed every check.
    async fn obtain(&self, index: usize, fence: &Fence) -> Result<(Stored, Certificate), Failure> {
        let (authority, connection) = self.shared.authority(index);
        let records = &self.shared.records;
        let account = account::open(authority, connection, records).await?;
        let issued = match Box::pin(self.issue(account, index, fence)).await {
            Err(failure) if failure.kind == FailureKind::AccountUnknown => {
                tracing::info!(
                    authority = authority.host(),
                    "the authority no longer has the account: registering again"
                );
                let account = account::renew(authority, connection, records).await?;
                Box::pin(self.issue(account, index, fence)).await?
            }
            issued => issued?,
        };
        let stored = Stored { issued: unix(self.now()), ..issued };
        let certificate = self.check(&stored)?;
        records.put_certificate(&self.names, &stored, fence).await?;
        Ok((stored, certificate))
    }

    async fn issue(
        &self,
        account: Account,
        index: usize,
        fence: &Fence,
    ) -> Result<Stored, Failure> {
        let authority: &Authority = self.shared.authority(index).0;
        let ordering = Ordering {
            account: &account,
            authority,
            names: &self.names,
            challenges: &self.shared.challenges,
            kinds: &self.kinds(),
            replaces: self.replaces(index),
            fence,
        };
        let issued = ordering.obtain().await?;
        Ok(Stored {
            chain: issued.chain,
            key: issued.key,
            authority: authority.url.clone(),
            issued: 0,
            renewal: None,
            proven: issued.proven.or(self.proven()),
        })
    }

    /// The allowed challenges, with the one that succeeded last first: a failed challenge costs an
    /// attempt at the authority.
    fn kinds(&self) -> Vec<ChallengeKind> {
        let mut kinds = self.shared.settings.challenges.clone();
        let succeeded = self.proven();
        kinds.sort_by_key(|kind| Some(*kind) != succeeded);
        kinds
    }

    fn proven(&self) -> Option<ChallengeKind> {
        self.current.as_ref().and_then(|current| current.stored.proven)
    }
}
