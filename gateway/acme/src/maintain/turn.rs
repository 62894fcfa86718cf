//! A turn at the authority: under the lock, at most one replica at a time.

use std::time::{Duration, SystemTime};

use instant_acme::{Account, CertificateIdentifier, Error};
use rustls_pki_types::Der;

use super::keeper::Keeper;
use crate::authority::Connection;
use crate::clock::{from_unix, unix};
use crate::order::Ordering;
use crate::storage::{Attempts, Fence, Stored};
use crate::{
    Authority, Certificate, ChallengeKind, Failure, FailureKind, Source, account, lease, schedule,
};

impl Keeper {
    /// Orders, unless another replica is at it, has done it, or failed a moment ago. Says when to
    /// look again.
    pub(super) async fn take_turn(&mut self, now: SystemTime, soon: SystemTime) -> SystemTime {
        match self.try_turn(now, soon).await {
            Ok(next) => next,
            Err(failure) => {
                self.note_failure(&failure, soon);
                soon
            }
        }
    }

    async fn try_turn(&mut self, now: SystemTime, soon: SystemTime) -> Result<SystemTime, Failure> {
        let shared = self.shared.clone();
        let waiting = self.waiting(now).await?;
        if let Some(until) = waiting {
            return Ok(until);
        }
        let _order = shared.orders.acquire().await;
        let Some(fence) = shared.records.lock(&self.lock(), shared.settings.lock_ttl).await? else {
            return Ok(soon);
        };
        let next = self.under_lock(&fence).await;
        self.let_go(&fence).await;
        next
    }

    /// Shows the last failure that storage knows of.
    pub(super) async fn recall(&mut self) -> Result<(), Failure> {
        let now = self.now();
        self.waiting(now).await.map(drop)
    }

    /// Until when failures, ours or another replica's, keep us from trying.
    async fn waiting(&mut self, now: SystemTime) -> Result<Option<SystemTime>, Failure> {
        let shared = self.shared.records.attempts(&self.names).await?;
        if shared.next >= self.attempts.next {
            self.attempts = shared;
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

    async fn under_lock(&mut self, fence: &Fence) -> Result<SystemTime, Failure> {
        // Whoever held the lock before us may have done it, or failed.
        self.load().await?;
        let (now, due) = (self.now(), self.due());
        if due > now {
            return Ok(due);
        }
        if let Some(until) = self.waiting(now).await? {
            return Ok(until);
        }

        let settings = &self.shared.settings;
        let index = schedule::authority(
            self.attempts.failures,
            settings.fallback_after,
            settings.authorities.len(),
        );
        let directory = settings.authorities.get(index).map_or("", Authority::host);
        tracing::info!(names = %self.names, authority = directory, "ordering a certificate");
        // The state of an order is large: on the heap, it costs nothing while nothing is ordered.
        let work = Box::pin(self.obtain(index, fence));
        let (ttl, deadline) = (settings.lock_ttl, settings.order_deadline);
        let held = lease::hold(&self.shared.records, fence, ttl, deadline, work);
        match lease::hold_until(&self.stop, held).await {
            Ok(None) => Ok(now),
            Ok(Some((stored, certificate))) => {
                tracing::info!(names = %self.names, serial = certificate.serial, "a certificate was issued");
                self.serve(stored, certificate, Source::Ordered);
                self.shared.records.put_attempts(&self.names, &self.attempts, fence).await?;
                Ok(self.now())
            }
            // Not the authority's fault: no reason to keep away from it.
            Err(failure)
                if matches!(failure.kind, FailureKind::LockLost | FailureKind::Storage) =>
            {
                Err(failure)
            }
            Err(failure) => self.failed(failure, index, fence).await,
        }
    }

    /// Notes a failure where every replica, and this one after a restart, will see it.
    async fn failed(
        &mut self,
        failure: Failure,
        index: usize,
        fence: &Fence,
    ) -> Result<SystemTime, Failure> {
        let (now, settings) = (self.now(), &self.shared.settings);
        let advised = failure.kind == FailureKind::RateLimited || failure.kind.is_passing();
        let connection = self.shared.connections.get(index).filter(|_| advised);
        let retry_after = connection.and_then(|connection| connection.take_advice(now));
        let others = settings.authorities.len() > 1;
        let limited = failure.kind == FailureKind::RateLimited;
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
        tracing::warn!(names = %self.names, kind = failure.kind.as_str(), error = %failure, failures, "no certificate");
        self.attempts = Attempts { failures, next: unix(next), error: Some(failure.clone()) };
        self.note_failure(&failure, next);
        self.shared.records.put_attempts(&self.names, &self.attempts, fence).await?;
        Ok(next)
    }

    /// Account, order, check, storage: only a certificate that passed everything comes out.
    async fn obtain(&self, index: usize, fence: &Fence) -> Result<(Stored, Certificate), Failure> {
        let (authority, connection) = self.authority(index)?;
        let records = &self.shared.records;
        let account = account::open(authority, connection, records).await?;
        let order = |account| self.order(account, index, fence);
        let issued = match Box::pin(order(account)).await {
            Err(failure) if failure.kind == FailureKind::AccountUnknown => {
                tracing::info!(
                    authority = authority.host(),
                    "the authority forgot the account: registering anew"
                );
                Box::pin(order(account::renew(authority, connection, records).await?)).await?
            }
            issued => issued?,
        };
        let stored = Stored { issued: unix(self.now()), ..issued };
        let certificate = self.check(&stored)?;
        records.put_certificate(&self.names, &stored, fence).await?;
        Ok((stored, certificate))
    }

    async fn order(
        &self,
        account: Account,
        index: usize,
        fence: &Fence,
    ) -> Result<Stored, Failure> {
        let (authority, _) = self.authority(index)?;
        let issued = Ordering {
            account: &account,
            authority,
            names: &self.names,
            challenges: &self.shared.challenges,
            kinds: &self.kinds(),
            replaces: self.replaces(index),
            fence,
        }
        .obtain()
        .await?;
        Ok(Stored {
            chain: issued.chain,
            key: issued.key,
            authority: authority.url.clone(),
            issued: 0,
            renewal: None,
            proven: issued.proven.or(self.proven()),
        })
    }

    /// The ways that are allowed, the one that worked last first: a way that fails costs an attempt
    /// at the authority.
    fn kinds(&self) -> Vec<ChallengeKind> {
        let mut kinds = self.shared.settings.challenges.clone();
        let worked = self.proven();
        kinds.sort_by_key(|kind| Some(*kind) != worked);
        kinds
    }

    fn proven(&self) -> Option<ChallengeKind> {
        self.current.as_ref().and_then(|current| current.stored.proven)
    }

    /// The predecessor, if this authority issued it and answers questions about it.
    fn replaces(&self, index: usize) -> Option<CertificateIdentifier<'static>> {
        let current = self.current.as_ref()?;
        let known = self.issuer(&current.stored) == Some(index)
            && current.stored.renewal.as_ref().is_some_and(|renewal| renewal.at.is_some());
        known.then(|| self.renewal_id())?
    }

    fn renewal_id(&self) -> Option<CertificateIdentifier<'static>> {
        let (issuer, serial) = self.current.as_ref()?.certificate.renewal_id.as_ref()?;
        Some(
            CertificateIdentifier::new(Der::from_slice(issuer), Der::from_slice(serial))
                .into_owned(),
        )
    }

    /// Asks the issuer when to renew (RFC 9773), once for all replicas. Says when to look again.
    pub(super) async fn ask_renewal(&mut self, soon: SystemTime) -> SystemTime {
        let asked = async {
            let shared = self.shared.clone();
            let Some(fence) = shared.records.lock(&self.lock(), shared.settings.lock_ttl).await?
            else {
                return Ok(());
            };
            let stop = self.stop.clone();
            let work = Box::pin(self.ask_under_lock(&fence));
            let held = lease::hold(&shared.records, &fence, shared.settings.lock_ttl, ASKING, work);
            let asked = lease::hold_until(&stop, held).await;
            self.let_go(&fence).await;
            asked.map(|_| ())
        };
        match asked.await {
            // Still to be asked: another replica is at it, or ordering.
            Ok(()) => self.asks_at().filter(|at| *at > self.now()).unwrap_or(soon).min(self.due()),
            Err(failure) => {
                // The certificate itself is in no danger: no error in its status.
                tracing::debug!(names = %self.names, error = %failure, "cannot note when to renew");
                soon
            }
        }
    }

    async fn ask_under_lock(&mut self, fence: &Fence) -> Result<(), Failure> {
        self.load().await?;
        let now = self.now();
        let (Some(current), Some(id)) = (&self.current, self.renewal_id()) else { return Ok(()) };
        let Some(index) = self.issuer(&current.stored) else { return Ok(()) };
        if self.asks_at().is_none_or(|at| at > now) {
            return Ok(());
        }
        let (authority, connection) = self.authority(index)?;
        let previous = current.stored.renewal.as_ref();
        let answer = match account::open(authority, connection, &self.shared.records).await {
            Ok(account) => account.renewal_info(&id).await.map_err(|error| {
                let supported = !matches!(error, Error::Unsupported(_));
                (
                    supported,
                    Failure::acme(
                        format_args!("asking {} when to renew", authority.host()),
                        &error,
                    ),
                )
            }),
            Err(failure) => Err((true, failure)),
        };
        let renewal = match answer {
            Ok((info, retry_after)) => {
                schedule::plan(&info, retry_after, previous, now, rand::random())
            }
            Err((supported, failure)) => {
                tracing::debug!(names = %self.names, error = %failure, "no renewal information");
                schedule::unplanned(previous, supported, now)
            }
        };
        let stored = Stored { renewal: Some(renewal), ..current.stored.clone() };
        self.shared.records.put_certificate(&self.names, &stored, fence).await?;
        if let Some(current) = &mut self.current {
            current.stored = stored;
        }
        self.note_plan();
        Ok(())
    }

    fn authority(&self, index: usize) -> Result<(&Authority, &Connection), Failure> {
        self.shared
            .settings
            .authorities
            .get(index)
            .zip(self.shared.connections.get(index))
            .ok_or_else(|| Failure::new(FailureKind::Other, "no authority is configured"))
    }
}

/// Two requests of at most 30 s fit.
const ASKING: Duration = Duration::from_secs(60);
