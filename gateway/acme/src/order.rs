//! One order: names proven, certificate fetched (RFC 8555 section 7.4).

use std::collections::HashMap;
use std::time::Duration;

use instant_acme::{
    Account, AuthorizationHandle, AuthorizationStatus, CertificateIdentifier, NewOrder, Order,
    OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use tokio::time::sleep;

use crate::storage::{Fence, Item};
use crate::{Authority, ChallengeKind, Challenges, Failure, FailureKind, NameSet};

/// What an order needs.
pub(crate) struct Ordering<'a> {
    pub(crate) account: &'a Account,
    pub(crate) authority: &'a Authority,
    pub(crate) names: &'a NameSet,
    pub(crate) challenges: &'a Challenges,
    /// Preferred first.
    pub(crate) kinds: &'a [ChallengeKind],
    /// The certificate this one takes the place of (RFC 9773 section 5).
    pub(crate) replaces: Option<CertificateIdentifier<'static>>,
    pub(crate) fence: &'a Fence,
}

/// What came of it, unchecked.
pub(crate) struct Issued {
    /// PEM, leaf first.
    pub(crate) chain: String,
    /// PEM, made for this certificate only.
    pub(crate) key: String,
    /// How all names were proven, if in the same way and not from an earlier order.
    pub(crate) proven: Option<ChallengeKind>,
}

/// By name: the kinds that failed and why the last one did.
type Failed = HashMap<String, (Vec<ChallengeKind>, Failure)>;

impl Ordering<'_> {
    /// Orders. A name that cannot be proven in one way is tried in the next, each time with a fresh
    /// order, because one failed proof ends an order (RFC 8555 section 7.1.6).
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
                // An authority may refuse the reference (already replaced, unknown); the order
                // stands without it.
                Err(error) => {
                    tracing::debug!(names = %self.names, %error, "ordering without naming the predecessor")
                }
            }
        }
        self.account
            .new_order(&new())
            .await
            .map_err(|error| Failure::acme(self.doing("ordering"), &error))
    }

    /// Whether all names are proven; an error when nothing is left to try.
    async fn prove(
        &self,
        order: &mut Order,
        failed: &mut Failed,
        published: &mut Vec<Item>,
    ) -> Result<bool, Failure> {
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
            let item = kind.item(&identifier, &challenge.token);
            published.push(item.clone());
            self.challenges
                .publish(&item, challenge.key_authorization().as_str(), self.fence)
                .await?;
            challenge.set_ready().await.map_err(|error| {
                Failure::acme(format_args!("{name} by {kind} at {}", self.authority.host()), &error)
            })?;
            chosen.insert(name, kind);
        }

        let mut proven = true;
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization
                .map_err(|error| Failure::acme(self.doing("reading the authorizations"), &error))?;
            let name = authorization.identifier().to_string();
            let Some(kind) = chosen.get(&name) else { continue };
            if let Err(failure) = self.verdict(&mut authorization, &name, *kind).await {
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

    /// The first kind that is allowed here, offered there, and not known to fail.
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
        self.kinds.iter().filter(untried).find(offered).copied().ok_or_else(|| match spent {
            Some((_, last)) => last.clone(),
            None => {
                let host = self.authority.host();
                Failure::new(
                    FailureKind::NoChallenge,
                    format_args!("{host} offers no usable challenge for {name}"),
                )
            }
        })
    }

    /// Waits until the authority has made up its mind about one name.
    async fn verdict(
        &self,
        authorization: &mut AuthorizationHandle<'_>,
        name: &str,
        kind: ChallengeKind,
    ) -> Result<(), Failure> {
        let about = || format!("{name} by {kind} at {}", self.authority.host());
        let mut delay = FIRST_LOOK;
        loop {
            sleep(delay).await;
            delay = (delay * 3 / 2).min(LONGEST_LOOK);
            let state =
                authorization.refresh().await.map_err(|error| Failure::acme(about(), &error))?;
            match state.status {
                AuthorizationStatus::Valid => return Ok(()),
                AuthorizationStatus::Pending => {}
                other => {
                    let told =
                        state.challenges.iter().find_map(|challenge| challenge.error.as_ref());
                    return Err(match told {
                        Some(problem) => Failure::problem(about(), problem),
                        None => {
                            Failure::new(FailureKind::Other, format_args!("{}: {other:?}", about()))
                        }
                    });
                }
            }
        }
    }

    async fn finish(
        &self,
        mut order: Order,
        proven: Option<ChallengeKind>,
    ) -> Result<Issued, Failure> {
        let retries = RetryPolicy::new().initial_delay(FIRST_LOOK).backoff(1.5).timeout(PATIENCE);
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
        let unmade = |error: rcgen::Error| {
            Failure::new(FailureKind::Other, format_args!("making the request: {error}"))
        };
        let key = KeyPair::generate().map_err(unmade)?;
        let mut params = CertificateParams::new(self.names.as_slice().to_vec()).map_err(unmade)?;
        params.distinguished_name = DistinguishedName::new();
        let request = params.serialize_request(&key).map_err(unmade)?;
        order.finalize_csr(request.der()).await.map_err(|error| Failure::acme(&about, &error))?;
        let chain = order
            .poll_certificate(&retries)
            .await
            .map_err(|error| Failure::acme(&about, &error))?;
        Ok(Issued { chain, key: key.serialize_pem(), proven })
    }

    fn doing(&self, what: &str) -> String {
        format!("{what} {} at {}", self.names, self.authority.host())
    }
}

/// The way in which everything was proven that had to be.
fn one_kind(published: &[Item]) -> Option<ChallengeKind> {
    let kind = |item: &Item| match item {
        Item::Http01(_) => Some(ChallengeKind::Http01),
        Item::TlsAlpn01(_) => Some(ChallengeKind::TlsAlpn01),
        _ => None,
    };
    let first = published.first().and_then(kind)?;
    published.iter().all(|item| kind(item) == Some(first)).then_some(first)
}

const FIRST_LOOK: Duration = Duration::from_millis(100);
const LONGEST_LOOK: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(90);
