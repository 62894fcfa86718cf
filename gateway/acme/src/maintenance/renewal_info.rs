//! Renewal information (RFC 9773): the authority's suggestion when to renew, queried once for all
//! replicas.

use std::time::{Duration, SystemTime};

use instant_acme::{CertificateIdentifier, Error};
use rustls_pki_types::Der;

use super::certificate::Maintained;
use crate::clock::from_unix;
use crate::failure::Failure;
use crate::records::{Renewal, Stored};
use crate::storage::Fence;
use crate::{account, lease, schedule};

/// Fits two requests of at most 30 s.
const DEADLINE: Duration = Duration::from_secs(60);

impl Maintained {
    /// When to query the authority, if the issuer is still configured.
    pub(super) fn query_at(&self) -> Option<SystemTime> {
        let current = self.current.as_ref()?;
        self.issuer(&current.stored)?;
        current.certificate.renewal_id.as_ref()?;
        let renewal = current.stored.renewal.as_ref();
        Some(renewal.map_or(SystemTime::UNIX_EPOCH, |renewal| from_unix(renewal.query)))
    }

    /// Queries the issuer. Returns when to check again.
    pub(super) async fn query_renewal(&mut self, soon: SystemTime) -> SystemTime {
        match self.try_query().await {
            // Still due when another replica is querying or ordering.
            Ok(()) => {
                let next = self.query_at().filter(|at| *at > self.now());
                next.unwrap_or(soon).min(self.due())
            }
            Err(failure) => {
                // The certificate is not affected: no error in its status.
                tracing::debug!(
                    names = %self.names,
                    error = %failure,
                    "cannot store when to renew"
                );
                soon
            }
        }
    }

    async fn try_query(&mut self) -> Result<(), Failure> {
        let shared = self.shared.clone();
        let ttl = shared.settings.lock_ttl;
        let Some(fence) = shared.records.lock(&self.lock(), ttl).await? else { return Ok(()) };
        let stop = self.stop.clone();
        let work = Box::pin(self.query_under_lease(&fence));
        let held = lease::hold(&shared.records, &fence, ttl, DEADLINE, work);
        let queried = lease::hold_until(&stop, held).await;
        self.unlock(&fence).await;
        queried.map(drop)
    }

    async fn query_under_lease(&mut self, fence: &Fence) -> Result<(), Failure> {
        self.load().await?;
        let now = self.now();
        let (Some(current), Some(id)) = (&self.current, self.renewal_id()) else { return Ok(()) };
        let Some(index) = self.issuer(&current.stored) else { return Ok(()) };
        if self.query_at().is_none_or(|at| at > now) {
            return Ok(());
        }
        let renewal = self.query(index, &id, current.stored.renewal.as_ref(), now).await;
        let stored = Stored { renewal: Some(renewal), ..current.stored.clone() };
        self.shared.records.put_certificate(&self.names, &stored, fence).await?;
        if let Some(current) = &mut self.current {
            current.stored = stored;
        }
        self.note_plan();
        Ok(())
    }

    async fn query(
        &self,
        index: usize,
        id: &CertificateIdentifier<'_>,
        previous: Option<&Renewal>,
        now: SystemTime,
    ) -> Renewal {
        let (authority, connection) = self.shared.authority(index);
        let (supported, failure) = match account::open(authority, connection, &self.shared.records)
            .await
        {
            Ok(account) => match account.renewal_info(id).await {
                Ok((info, retry_after)) => {
                    return schedule::plan(&info, retry_after, previous, now, rand::random());
                }
                Err(error) => {
                    let about = format!("requesting renewal information from {}", authority.host());
                    let supported = !matches!(error, Error::Unsupported(_));
                    (supported, Failure::acme(about, &error))
                }
            },
            Err(failure) => (true, failure),
        };
        tracing::debug!(names = %self.names, error = %failure, "no renewal information");
        schedule::unplanned(previous, supported, now)
    }

    /// The predecessor, if this authority issued it and returned renewal information about it.
    pub(super) fn replaces(&self, index: usize) -> Option<CertificateIdentifier<'static>> {
        let stored = &self.current.as_ref()?.stored;
        let known = self.issuer(stored) == Some(index)
            && stored.renewal.as_ref().is_some_and(|renewal| renewal.at.is_some());
        known.then(|| self.renewal_id())?
    }

    fn renewal_id(&self) -> Option<CertificateIdentifier<'static>> {
        let (issuer, serial) = self.current.as_ref()?.certificate.renewal_id.as_ref()?;
        let id = CertificateIdentifier::new(Der::from_slice(issuer), Der::from_slice(serial));
        Some(id.into_owned())
    }
}
