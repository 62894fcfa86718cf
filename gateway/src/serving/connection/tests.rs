//! What a connection costs while it is idle.

use super::*;
use crate::serving::tunnel::Relay;

/// The size of what an async function of two arguments returns.
fn size_of_future<A, B, F: Future>(_: impl Fn(A, B) -> F) -> usize {
    size_of::<F>()
}

#[test]
fn an_idle_websocket_costs_its_relay_and_little_else() {
    // Every stage before the relay is boxed: what the task holds for as long as it lives must not
    // grow unnoticed.
    let task = size_of_future(serve);
    assert!(task <= 512, "the task of a connection takes {task} bytes");
    let relay = size_of::<Relay>();
    assert!(relay <= 1024, "a relay takes {relay} bytes");
}
