//! Challenge answers, published through storage so that any replica can respond.

mod tls_alpn;

pub use tls_alpn::ACME_TLS_ALPN;

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use instant_acme::Identifier;
use rustls::sign::CertifiedKey;
use tokio::sync::Semaphore;

use crate::challenge::ChallengeKind;
use crate::names::NameSet;
use crate::records::Records;
use crate::storage::{Fence, Item, StorageError};

/// Responds to an authority's challenge requests, on whichever replica they arrive. The gateway
/// calls it on port 80 and in the handshake (rustls' `Acceptor`, or tokio-rustls'
/// `LazyConfigAcceptor`, lets a handshake wait).
pub struct Challenges {
    records: Records,
    server_names: HashSet<String>,
    local: Mutex<Local>,
    /// Bounds the reads of storage: anyone can send requests.
    reads: Semaphore,
}

/// The storage item for the answer to a challenge.
pub(crate) fn item(kind: ChallengeKind, identifier: &Identifier, token: &str) -> Item {
    match kind {
        ChallengeKind::Http01 => Item::Http01(token.to_owned()),
        ChallengeKind::TlsAlpn01 => Item::TlsAlpn01(tls_alpn::server_name(identifier)),
    }
}

impl Challenges {
    pub(crate) fn new(records: Records, certificates: &[NameSet]) -> Self {
        let identifiers = certificates.iter().flat_map(NameSet::identifiers);
        let server_names =
            identifiers.map(|identifier| tls_alpn::server_name(&identifier)).collect();
        Self { records, server_names, local: Mutex::default(), reads: Semaphore::new(MOST_READS) }
    }

    /// The body for `/.well-known/acme-challenge/{token}`; `None` for an unknown token.
    pub async fn http01(&self, token: &str) -> Option<String> {
        // RFC 8555 section 8.3: base64url. Nothing else reaches storage.
        if token.len() > LONGEST_TOKEN
            || !token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        {
            return None;
        }
        let item = Item::Http01(token.to_owned());
        if let Some(cached) = self.local().answer(&item) {
            return Some(cached);
        }
        let found = self.read(&item).await?;
        self.local().keep(item, found.clone());
        Some(found)
    }

    /// The certificate for a handshake that offers exactly [`ACME_TLS_ALPN`]; `None` when no
    /// challenge is pending for the name.
    pub async fn tls_alpn01(&self, server_name: &str) -> Option<Arc<CertifiedKey>> {
        let server_name = server_name.to_ascii_lowercase();
        if !self.server_names.contains(&server_name) {
            return None;
        }
        let item = Item::TlsAlpn01(server_name.clone());
        // Storage first: a retry publishes another answer for the same name.
        let found = self.read(&item).await.or_else(|| self.local().answer(&item))?;
        if let Some(made) = self.local().certificate(&item, &found) {
            return Some(made);
        }
        match tls_alpn::certificate(&server_name, &found) {
            Ok(made) => {
                self.local().keep_certificate(item, found, Arc::clone(&made));
                Some(made)
            }
            Err(error) => {
                tracing::warn!(%server_name, %error, "cannot create a tls-alpn-01 certificate");
                None
            }
        }
    }

    /// Publishes an answer to every replica.
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

    /// Removes an answer. When storage fails, the answer expires there.
    pub(crate) async fn withdraw(&self, item: &Item, fence: &Fence) {
        self.local().answers.retain(|(kept, _)| kept != item);
        if let Err(error) = self.records.remove_answer(item, fence).await {
            tracing::debug!(
                %item,
                %error,
                "cannot remove a used challenge answer: it stays until it expires"
            );
        }
    }

    async fn read(&self, item: &Item) -> Option<String> {
        let _permit = self.reads.acquire().await.ok()?;
        match self.records.answer(item).await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::warn!(%error, "cannot read a challenge answer");
                None
            }
        }
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

/// Answers and certificates that this replica used recently.
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

const MOST_READS: usize = 16;
const MOST_KEPT: usize = 256;
const LONGEST_TOKEN: usize = 256;
