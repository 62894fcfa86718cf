//! ACME challenges that the data plane answers: HTTP-01 on the plain port, TLS-ALPN-01 in the
//! handshake.

use std::sync::Arc;

use arc_swap::ArcSwap;
use gateway_acme::Challenges;

/// Answers an ACME HTTP-01 challenge: token to key authorization (RFC 8555 section 8.3).
pub type Http01 = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// The challenges of every maintainer, and those that the program answers itself.
pub(crate) struct ChallengeAnswers {
    http01: Http01,
    maintained: ArcSwap<Vec<Arc<Challenges>>>,
}

impl ChallengeAnswers {
    pub(crate) fn new(http01: Http01) -> Self {
        Self { http01, maintained: ArcSwap::default() }
    }

    /// Answers the challenges of these maintainers from now on.
    pub(crate) fn replace(&self, challenges: Vec<Arc<Challenges>>) {
        self.maintained.store(Arc::new(challenges));
    }

    /// The challenges of the maintainers.
    pub(crate) fn maintained(&self) -> Arc<Vec<Arc<Challenges>>> {
        self.maintained.load_full()
    }

    /// The key authorization for a token of HTTP-01, if an order waits for it.
    pub(crate) async fn http01(&self, token: &str) -> Option<String> {
        if let Some(found) = (self.http01)(token) {
            return Some(found);
        }
        for challenges in self.maintained().iter() {
            if let Some(found) = challenges.http01(token).await {
                return Some(found);
            }
        }
        None
    }
}
