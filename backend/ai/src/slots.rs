//! How many runs an account may have at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use backend_protocol::id::AccountId;

/// The running runs of each account on this node.
#[derive(Debug, Clone)]
pub(crate) struct Slots {
    limit: usize,
    taken: Arc<Mutex<HashMap<AccountId, usize>>>,
}

/// One run's place; given back when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    account: AccountId,
    slots: Slots,
}

impl Slots {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, taken: Arc::default() }
    }

    /// A place for one more run, unless the account has as many as it may.
    pub(crate) fn take(&self, account: &AccountId) -> Option<Slot> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(account.clone()).or_default();
        if *count >= self.limit {
            return None;
        }
        *count += 1;
        Some(Slot { account: account.clone(), slots: self.clone() })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.account) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                taken.remove(&self.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_as_many_places_as_the_limit_and_gets_them_back() {
        let slots = Slots::new(2);
        let (ada, bob) = (AccountId::parse("ada").unwrap(), AccountId::parse("bob").unwrap());
        let first = slots.take(&ada).expect("a first place");
        let _second = slots.take(&ada).expect("a second place");
        assert!(slots.take(&ada).is_none());
        assert!(slots.take(&bob).is_some());
        drop(first);
        assert!(slots.take(&ada).is_some());
    }
}
