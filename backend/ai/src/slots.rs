//! Limits the concurrent runs of an account.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use backend_protocol::id::AccountId;

/// Active runs per account on this node.
#[derive(Debug, Clone)]
pub(crate) struct Slots {
    limit: usize,
    taken: Arc<Mutex<HashMap<AccountId, usize>>>,
}

/// A slot for one run; released when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    account: AccountId,
    slots: Slots,
}

impl Slots {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, taken: Arc::default() }
    }

    /// A slot for one more run; `None` when the account is at its limit.
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
    fn slots_are_limited_per_account_and_released_on_drop() {
        let slots = Slots::new(2);
        let (ada, bob) = (AccountId::parse("ada").unwrap(), AccountId::parse("bob").unwrap());
        let first = slots.take(&ada).expect("a first slot");
        let _second = slots.take(&ada).expect("a second slot");
        assert!(slots.take(&ada).is_none());
        assert!(slots.take(&bob).is_some());
        drop(first);
        assert!(slots.take(&ada).is_some());
    }
}
