//! Answers to challenges, published through storage so that any replica can give them.

mod tls_alpn;

pub use tls_alpn::ACME_TLS_ALPN;

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use instant_acme::{ChallengeType, Identifier};
use rustls::sign::CertifiedKey;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::storage::{Fence, Item, Records};
use crate::{NameSet, StorageError};

/// A way to prove control of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ChallengeKind {
    /// A file served on port 80 (RFC 8555 section 8.3).
    #[serde(rename = "http-01")]
    Http01,
    /// A certificate shown on port 443 for the protocol `acme-tls/1` (RFC 8737).
    #[serde(rename = "tls-alpn-01")]
    TlsAlpn01,
}

impl ChallengeKind {
    pub(crate) fn acme(self) -> ChallengeType {
        match self {
            Self::Http01 => ChallengeType::Http01,
            Self::TlsAlpn01 => ChallengeType::TlsAlpn01,
        }
    }

    /// Where its answer is kept.
    pub(crate) fn item(self, identifier: &Identifier, token: &str) -> Item {
        match self {
            Self::Http01 => Item::Http01(token.to_owned()),
            Self::TlsAlpn01 => Item::TlsAlpn01(tls_alpn::server_name(identifier)),
        }
    }
}

impl fmt::Display for ChallengeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http01 => "http-01",
            Self::TlsAlpn01 => "tls-alpn-01",
        })
    }
}

/// Answers an authority's questions, whichever replica they reach. The gateway asks it on port 80
/// and in the handshake (rustls' `Acceptor`, or tokio-rustls' `LazyConfigAcceptor`, lets a
/// handshake wait for the answer).
pub struct Challenges {
    records: Records,
    server_names: HashSet<String>,
    local: Mutex<Local>,
    /// Anyone can ask: only so many questions reach storage at a time.
    gate: Semaphore,
}

impl Challenges {
    pub(crate) fn new(records: Records, certificates: &[NameSet]) -> Self {
        let identifiers = certificates.iter().flat_map(NameSet::identifiers);
        let server_names =
            identifiers.map(|identifier| tls_alpn::server_name(&identifier)).collect();
        Self {
            records,
            server_names,
            local: Mutex::default(),
            gate: Semaphore::new(MOST_QUESTIONS),
        }
    }

    /// The body for `/.well-known/acme-challenge/{token}`; `None` for a token nobody published.
    pub async fn http01(&self, token: &str) -> Option<String> {
        // RFC 8555 section 8.3: base64url. Anything else never reaches storage.
        if token.len() > LONGEST_TOKEN
            || !token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        {
            return None;
        }
        let item = Item::Http01(token.to_owned());
        if let Some(known) = self.local().answer(&item) {
            return Some(known);
        }
        let found = self.ask(&item).await?;
        self.local().keep(item, found.clone());
        Some(found)
    }

    /// The certificate for a handshake that offers exactly [`ACME_TLS_ALPN`]; `None` when no such
    /// proof is pending.
    pub async fn tls_alpn01(&self, server_name: &str) -> Option<Arc<CertifiedKey>> {
        let server_name = server_name.to_ascii_lowercase();
        if !self.server_names.contains(&server_name) {
            return None;
        }
        let item = Item::TlsAlpn01(server_name.clone());
        // Storage first: a retry publishes another proof for the same name.
        let found = self.ask(&item).await.or_else(|| self.local().answer(&item))?;
        if let Some(made) = self.local().certificate(&item, &found) {
            return Some(made);
        }
        let made = tls_alpn::certificate(&server_name, &found)
            .inspect_err(|error| tracing::warn!(%server_name, %error, "cannot make a tls-alpn-01 certificate"))
            .ok()?;
        self.local().keep_certificate(item, found, Arc::clone(&made));
        Some(made)
    }

    /// Lets every replica answer.
    pub(crate) async fn publish(
        &self,
        item: &Item,
        key_authorization: &str,
        fence: &Fence,
    ) -> Result<(), StorageError> {
        self.records.put_answer(item, key_authorization, fence).await?;
        self.local().keep(item.clone(), key_authorization.to_owned());
        Ok(())
    }

    /// Forgets an answer; when storage cannot, it expires there.
    pub(crate) async fn withdraw(&self, item: &Item, fence: &Fence) {
        self.local().answers.retain(|(kept, _)| kept != item);
        if let Err(error) = self.records.remove_answer(item, fence).await {
            tracing::debug!(%item, %error, "a spent challenge stays until it expires");
        }
    }

    async fn ask(&self, item: &Item) -> Option<String> {
        let _turn = self.gate.acquire().await.ok()?;
        self.records
            .answer(item)
            .await
            .inspect_err(|error| tracing::warn!(%error, "cannot look up an ACME challenge"))
            .ok()?
    }

    fn local(&self) -> MutexGuard<'_, Local> {
        self.local.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Challenges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Challenges")
            .field("server_names", &self.server_names)
            .finish_non_exhaustive()
    }
}

/// What this replica published or answered lately.
#[derive(Default)]
struct Local {
    answers: VecDeque<(Item, String)>,
    certificates: HashMap<Item, (String, Arc<CertifiedKey>)>,
}

impl Local {
    fn answer(&self, item: &Item) -> Option<String> {
        self.answers.iter().rev().find(|(kept, _)| kept == item).map(|(_, answer)| answer.clone())
    }

    fn keep(&mut self, item: Item, answer: String) {
        self.answers.retain(|(kept, _)| *kept != item);
        if self.answers.len() >= MOST_KEPT {
            self.answers.pop_front();
        }
        self.answers.push_back((item, answer));
    }

    fn certificate(&self, item: &Item, answer: &str) -> Option<Arc<CertifiedKey>> {
        self.certificates.get(item).filter(|(of, _)| of == answer).map(|(_, made)| Arc::clone(made))
    }

    /// Bounded by the configured names.
    fn keep_certificate(&mut self, item: Item, answer: String, made: Arc<CertifiedKey>) {
        self.certificates.insert(item, (answer, made));
    }
}

const MOST_QUESTIONS: usize = 16;
const MOST_KEPT: usize = 256;
const LONGEST_TOKEN: usize = 256;
