//! One order: proves the names and fetches the certificate (RFC 8555 section 7.4).

use std::collections::HashMap;
use std::time::Duration;

use instant_acme::{
    Account, AuthorizationHandle, AuthorizationStatus, CertificateIdentifier, NewOrder, Order,
    OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use tokio::time::sleep;

use crate::challenge::ChallengeKind;
use crate::failure::{Failure, FailureKind};
use crate::names::NameSet;
use crate::settings::Authority;
use crate::solvers::{self, Challenges};
use crate::storage::{Fence, Item};

/// The inputs of an order.
pub(crate) struct Ordering<'a> {
    pub(crate) account: &'a Account,
    pub(crate) authority: &'a Authority,
    pub(crate) names: &'a NameSet,
    pub(crate) challenges: &'a Challenges,
    /// Preferred first.
    pub(crate) kinds: &'a [ChallengeKind],
    /// The certificate that this one replaces (RFC 9773 section 5).
    pub(crate) replaces: Option<CertificateIdentifier<'static>>,
    pub(crate) fence: &'a Fence,
}

/// An issued certificate, not checked.
pub(crate) struct Issued {
    /// PEM, leaf first.
    pub(crate) chain: String,
    /// PEM, generated for this certificate.
    pub(crate) key: String,
    /// The challenge that proved every name, if it was the same and in this order.
    pub(crate) proven: Option<ChallengeKind>,
}

/// By name: the challenges that failed, and the last failure.
type Failed = HashMap<String, (Vec<ChallengeKind>, Failure)>;

impl Ordering<'_> {
    /// Orders. A name whose challenge failed is tried with the next kind of challenge in a new
    /// order, because one failed challenge invalidates an order (RFC 8555 section 7.1.6).
    pub(crate) async fn obtain(&self) -> Result<Issued, Failure> {
        let mut failed = Failed::new();
        loop {
            let mut order = self.open().await?;
            let mut published = Vec::new();
            let proven = self.prove(&mut order, &mut failed, &mut published).await;
            let kind = one_kind(&published);
            for item in &published {
                self.challenges.withdraw(item, self.fence).await;
            }
            if proven? {
                return self.finish(order, kind).await;
            }
        }
    }

    async fn open(&self) -> Result<Order, Failure> {
        let identifiers = self.names.identifiers();
        let new = || match &self.authority.profile {
            Some(profile) => NewOrder::new(&identifiers).profile(profile),
            None => NewOrder::new(&identifiers),
        };
        if let Some(replaces) = &self.replaces {
            match self.account.new_order(&new().replaces(replaces.clone())).await {
                Ok(order) => return Ok(order),
                // An authority may reject the reference (already replaced, unknown): order without
                // it.
                Err(error) => {
                    tracing::debug!(
                        names = %self.names,
                        %error,
                        "ordering without a reference to the predecessor"
                    )
                }
            }
        }
        let ordered = self.account.new_order(&new()).await;
        ordered.map_err(|error| Failure::acme(self.doing("ordering"), &error))
    }

    /// Returns true when all names are proven, an error when no challenge is left to try.
    async fn prove(
        &self,
        order: &mut Order,
        failed: &mut Failed,
        published: &mut Vec<Item>,
    ) -> Result<bool, Failure> {
        let chosen = self.start_challenges(order, failed, published).await?;
        self.await_challenges(order, &chosen, failed).await
    }

    /// Publishes an answer for each name that is not proven, and starts its validation.
    async fn start_challenges(
        &self,
        order: &mut Order,
        failed: &Failed,
        published: &mut Vec<Item>,
    ) -> Result<HashMap<String, ChallengeKind>, Failure> {
        let mut chosen = HashMap::new();
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization
                .map_err(|error| Failure::acme(self.doing("reading the authorizations"), &error))?;
            if authorization.status == AuthorizationStatus::Valid {
                continue;
            }
            let identifier = authorization.identifier().identifier.clone();
            let name = authorization.identifier().to_string();
            let kind = self.choose(&authorization, &name, failed)?;
            let Some(mut challenge) = authorization.challenge(kind.acme()) else { continue };
            let item = solvers::item(kind, &identifier, &challenge.token);
            published.push(item.clone());
            let answer = challenge.key_authorization();
            self.challenges.publish(&item, answer.as_str(), self.fence).await?;
            let ready = challenge.set_ready().await;
            ready.map_err(|error| Failure::acme(self.about(&name, kind), &error))?;
            chosen.insert(name, kind);
        }
        Ok(chosen)
    }

    /// Waits for the outcome of every started challenge.
    async fn await_challenges(
        &self,
        order: &mut Order,
        chosen: &HashMap<String, ChallengeKind>,
        failed: &mut Failed,
    ) -> Result<bool, Failure> {
        let mut proven = true;
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization
                .map_err(|error| Failure::acme(self.doing("reading the authorizations"), &error))?;
            let name = authorization.identifier().to_string();
            let Some(kind) = chosen.get(&name) else { continue };
            if let Err(failure) = self.validated(&mut authorization, &name, *kind).await {
                if !failure.kind.is_validation() {
                    return Err(failure);
                }
                tracing::info!(%name, %kind, error = %failure, "an ACME challenge failed");
                proven = false;
                match failed.get_mut(&name) {
                    Some((kinds, last)) => {
                        kinds.push(*kind);
                        *last = failure;
                    }
                    None => {
                        failed.insert(name, (vec![*kind], failure));
                    }
                }
            }
        }
        Ok(proven)
    }

    /// The first kind that is allowed, offered by the authority, and has not failed.
    fn choose(
        &self,
        authorization: &AuthorizationHandle<'_>,
        name: &str,
        failed: &Failed,
    ) -> Result<ChallengeKind, Failure> {
        let spent = failed.get(name);
        let untried = |kind: &&ChallengeKind| spent.is_none_or(|(kinds, _)| !kinds.contains(kind));
        let offered = |kind: &&ChallengeKind| {
            authorization.challenges.iter().any(|c| c.r#type == kind.acme())
        };
        if let Some(kind) = self.kinds.iter().filter(untried).find(offered) {
            return Ok(*kind);
        }
        if let Some((_, last)) = spent {
            return Err(last.clone());
        }
        let text = format!("{} offers no usable challenge for {name}", self.authority.host());
        Err(Failure::new(FailureKind::NoChallenge, text))
    }

    /// Polls until the authority has validated one name.
    async fn validated(
        &self,
        authorization: &mut AuthorizationHandle<'_>,
        name: &str,
        kind: ChallengeKind,
    ) -> Result<(), Failure> {
        let about = self.about(name, kind);
        let mut delay = FIRST_POLL;
        loop {
            sleep(delay).await;
            delay = (delay * 3 / 2).min(LONGEST_POLL);
            let state =
                authorization.refresh().await.map_err(|error| Failure::acme(&about, &error))?;
            let status = match state.status {
                AuthorizationStatus::Valid => return Ok(()),
                AuthorizationStatus::Pending => continue,
                other => other,
            };
            let problem = state.challenges.iter().find_map(|challenge| challenge.error.as_ref());
            return Err(match problem {
                Some(problem) => Failure::problem(about, problem),
                None => Failure::new(FailureKind::Other, format_args!("{about}: {status:?}")),
            });
        }
    }

    async fn finish(
        &self,
        mut order: Order,
        proven: Option<ChallengeKind>,
    ) -> Result<Issued, Failure> {
        let retries = RetryPolicy::new().initial_delay(FIRST_POLL).backoff(1.5).timeout(DEADLINE);
        let about = self.doing("finalizing");
        match order.poll_ready(&retries).await {
            Ok(OrderStatus::Ready) => {}
            Ok(status) => {
                return Err(Failure::new(
                    FailureKind::Other,
                    format_args!("{about}: the order is {status:?}"),
                ));
            }
            Err(error) => return Err(Failure::acme(about, &error)),
        }
        let failed = |error: rcgen::Error| {
            Failure::new(FailureKind::Other, format_args!("creating the CSR: {error}"))
        };
        let key = KeyPair::generate().map_err(failed)?;
        let mut params = CertificateParams::new(self.names.as_slice().to_vec()).map_err(failed)?;
        params.distinguished_name = DistinguishedName::new();
        let request = params.serialize_request(&key).map_err(failed)?;
        order.finalize_csr(request.der()).await.map_err(|error| Failure::acme(&about, &error))?;
        let chain = order.poll_certificate(&retries).await;
        let chain = chain.map_err(|error| Failure::acme(&about, &error))?;
        Ok(Issued { chain, key: key.serialize_pem(), proven })
    }

    fn about(&self, name: &str, kind: ChallengeKind) -> String {
        format!("{name} by {kind} at {}", self.authority.host())
    }

    fn doing(&self, what: &str) -> String {
        format!("{what} {} at {}", self.names, self.authority.host())
    }
}

/// The kind of challenge that all published answers have in common.
fn one_kind(published: &[Item]) -> Option<ChallengeKind> {
    let kind = |item: &Item| match item {
        Item::Http01(_) => Some(ChallengeKind::Http01),
        Item::TlsAlpn01(_) => Some(ChallengeKind::TlsAlpn01),
        _ => None,
    };
    let first = published.first().and_then(kind)?;
    published.iter().all(|item| kind(item) == Some(first)).then_some(first)
}

const FIRST_POLL: Duration = Duration::from_millis(100);
const LONGEST_POLL: Duration = Duration::from_secs(5);
/// For the order to become ready, and for the certificate.
const DEADLINE: Duration = Duration::from_secs(90);
