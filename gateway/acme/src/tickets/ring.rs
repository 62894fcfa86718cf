//! Tickets sealed with AES-256-GCM: `name of the key ‖ nonce ‖ ciphertext ‖ tag`.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use rustls::server::ProducesTickets;

use crate::clock::Clock;

pub(super) const NAME_LEN: usize = 16;
pub(super) const KEY_LEN: usize = 32;

/// One key. It decrypts while it is in the ring, and encrypts from `from` on.
pub(super) struct Key {
    name: [u8; NAME_LEN],
    aead: RandomizedNonceKey,
    from: SystemTime,
}

impl Key {
    pub(super) fn new(name: [u8; NAME_LEN], key: &[u8; KEY_LEN], from: SystemTime) -> Option<Self> {
        Some(Self { name, aead: RandomizedNonceKey::new(&AES_256_GCM, key).ok()?, from })
    }
}

/// The current keys.
pub(super) struct Ring(Vec<Key>);

impl Ring {
    /// The keys may be in any order.
    pub(super) fn new(mut keys: Vec<Key>) -> Self {
        keys.sort_by_key(|key| std::cmp::Reverse(key.from));
        Self(keys)
    }

    /// The newest key that encrypts.
    fn current(&self, now: SystemTime) -> Option<&Key> {
        self.0.iter().find(|key| key.from <= now)
    }
}

/// Seals and opens session tickets for rustls with the current keys.
pub struct Ticketer {
    ring: ArcSwap<Ring>,
    lifetime: u32,
    clock: Arc<dyn Clock>,
}

impl Ticketer {
    pub(super) fn new(ring: Ring, lifetime: u32, clock: Arc<dyn Clock>) -> Self {
        Self { ring: ArcSwap::from_pointee(ring), lifetime, clock }
    }

    pub(super) fn replace(&self, ring: Ring) {
        self.ring.store(Arc::new(ring));
    }
}

impl ProducesTickets for Ticketer {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        self.lifetime
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let ring = self.ring.load();
        let key = ring.current(self.clock.now())?;
        let mut text = plain.to_vec();
        let nonce = key.aead.seal_in_place_append_tag(Aad::from(key.name), &mut text).ok()?;
        let mut ticket = Vec::with_capacity(NAME_LEN + NONCE_LEN + text.len());
        ticket.extend_from_slice(&key.name);
        ticket.extend_from_slice(nonce.as_ref());
        ticket.append(&mut text);
        Some(ticket)
    }

    /// `ticket` is untrusted: lengths are checked before anything is read.
    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (name, rest) = ticket.split_first_chunk::<NAME_LEN>()?;
        let (nonce, text) = rest.split_first_chunk::<NONCE_LEN>()?;
        let ring = self.ring.load();
        // The name is public, so the comparison need not be constant-time.
        let key = ring.0.iter().find(|key| key.name == *name)?;
        let mut text = text.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = key.aead.open_in_place(nonce, Aad::from(key.name), &mut text).ok()?.len();
        text.truncate(length);
        Some(text)
    }
}

impl fmt::Debug for Ticketer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticketer").field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}
