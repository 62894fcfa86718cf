//! How many connections may be open: in total, on one listener, from one address.

// Numbers here come from peers: arithmetic on them is checked or saturates.
#![warn(clippy::arithmetic_side_effects)]

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::metrics::ConnectionRefusal;
use crate::serving::network::client_network;

/// Counts connections that are open now.
#[derive(Clone, Debug, Default)]
pub(crate) struct Caps(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    total: u32,
    listeners: HashMap<Arc<str>, u32>,
    addresses: HashMap<IpAddr, u32>,
}

/// The caps that hold for one listener.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CapLimits {
    pub(crate) total: u32,
    pub(crate) listener: u32,
    pub(crate) address: u32,
}

/// A connection slot; dropping it frees the slot.
#[derive(Debug)]
pub(crate) struct ConnectionSlot {
    caps: Caps,
    listener: Arc<str>,
    address: Option<IpAddr>,
}

impl Caps {
    /// Takes a slot, if there is one. Without an address only the total and the listener count.
    pub(crate) fn enter(
        &self,
        listener: &Arc<str>,
        address: Option<IpAddr>,
        limits: &CapLimits,
    ) -> Result<ConnectionSlot, ConnectionRefusal> {
        let address = address.map(client_network);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let here = counts.listeners.get(listener).copied().unwrap_or(0);
        if counts.total >= limits.total || here >= limits.listener {
            return Err(ConnectionRefusal::Total);
        }
        if let Some(address) = address {
            count_address(&mut counts, address, limits)?;
        }
        counts.total = counts.total.saturating_add(1);
        let here = counts.listeners.entry(Arc::clone(listener)).or_default();
        *here = here.saturating_add(1);
        Ok(ConnectionSlot { caps: self.clone(), listener: Arc::clone(listener), address })
    }
}

impl ConnectionSlot {
    /// Counts the connection for its client's address, now that it is known.
    pub(crate) fn belongs_to(
        &mut self,
        address: IpAddr,
        limits: &CapLimits,
    ) -> Result<(), ConnectionRefusal> {
        if self.address.is_none() {
            let address = client_network(address);
            count_address(
                &mut self.caps.0.lock().unwrap_or_else(PoisonError::into_inner),
                address,
                limits,
            )?;
            self.address = Some(address);
        }
        Ok(())
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut counts = self.caps.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.total = counts.total.saturating_sub(1);
        leave(&mut counts.listeners, &self.listener);
        if let Some(address) = &self.address {
            leave(&mut counts.addresses, address);
        }
    }
}

fn count_address(
    counts: &mut Counts,
    address: IpAddr,
    limits: &CapLimits,
) -> Result<(), ConnectionRefusal> {
    let count = counts.addresses.entry(address).or_default();
    if *count >= limits.address {
        return Err(ConnectionRefusal::Address);
    }
    *count = count.saturating_add(1);
    Ok(())
}

fn leave<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, u32>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: CapLimits = CapLimits { total: 4, listener: 3, address: 2 };

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_has_its_share_and_gets_it_back() {
        let (caps, name) = (Caps::default(), Arc::from("a"));
        let enter = |text: &str| caps.enter(&name, Some(address(text)), &LIMITS);
        let (one, two) =
            (enter("::ffff:192.0.2.1").expect("free"), enter("192.0.2.1").expect("free"));
        assert_eq!(enter("192.0.2.1").expect_err("full"), ConnectionRefusal::Address);
        drop(one);
        let three = enter("192.0.2.1").expect("free again");
        drop((two, three));
        let counts = caps.0.lock().expect("not poisoned");
        assert_eq!((counts.total, counts.listeners.len(), counts.addresses.len()), (0, 0, 0));
    }

    #[test]
    fn an_ipv6_client_is_its_network() {
        let (caps, name) = (Caps::default(), Arc::from("a"));
        let _slots = ["2001:db8::1", "2001:db8::2"]
            .map(|text| caps.enter(&name, Some(address(text)), &LIMITS).expect("free"));
        let refused = caps.enter(&name, Some(address("2001:db8::3")), &LIMITS).expect_err("full");
        assert_eq!(refused, ConnectionRefusal::Address);
        assert!(caps.enter(&name, Some(address("2001:db8:0:1::1")), &LIMITS).is_ok());
    }

    #[test]
    fn the_listener_and_the_total_are_capped() {
        let caps = Caps::default();
        let (a, b) = (Arc::from("a"), Arc::from("b"));
        let _on_a = [0; 3].map(|_| caps.enter(&a, None, &LIMITS).expect("free"));
        assert_eq!(caps.enter(&a, None, &LIMITS).expect_err("full"), ConnectionRefusal::Total);
        let mut on_b = caps.enter(&b, None, &LIMITS).expect("free");
        assert_eq!(caps.enter(&b, None, &LIMITS).expect_err("full"), ConnectionRefusal::Total);
        assert_eq!(on_b.belongs_to(address("192.0.2.1"), &LIMITS), Ok(()));
    }
}
