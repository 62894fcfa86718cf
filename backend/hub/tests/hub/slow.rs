//! A peer that does not read.

use std::time::Duration;

use backend_hub::HubSettings;
use backend_protocol::live::ServerFrame;
use backend_store::Retention;

use crate::support::{Client, House, sized_message};

#[tokio::test]
async fn a_slow_reader_is_closed_and_resumes_without_loss() {
    const MESSAGES: u64 = 60;
    let settings =
        HubSettings { write: Duration::from_millis(300), rate_burst: 1_000, ..Default::default() };
    let house = House::keeping(settings, Retention::default());
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let mut a = ada.online(&house.hub).await;
    // Two frames fit between the ends; then the server has to wait.
    let mut b = Client::connect(&house.hub, &bob, 2);
    b.hello(&bob.device(1), None).await;
    for n in 1..=MESSAGES {
        a.ok(sized_message(&bob, &format!("c{n}"), 30_000)).await;
    }
    while house.metric("gatehouse_live_closes_total", "4008") < 1.0 {
        tokio::task::yield_now().await;
    }
    let (code, _, frames) = b.closed().await;
    assert_eq!(code, 4008);
    let mut positions = frames.iter().filter_map(|frame| match frame {
        ServerFrame::Event { position, .. } => Some(*position),
        _ => None,
    });
    let last = positions.next_back().unwrap_or(0);
    assert!(last < MESSAGES / 2, "the queue is bounded, so most was not sent: {last}");
    assert!(matches!(frames.last(), Some(ServerFrame::Bye { code: 4008, .. })));

    let mut b = bob.connect(&house.hub);
    assert_eq!(b.hello(&bob.device(1), Some(last)).await, (MESSAGES, true));
    for expected in last + 1..=MESSAGES {
        assert_eq!(b.message().await.0, expected);
    }
}

#[tokio::test]
async fn a_burst_beyond_the_queue_does_not_close_a_reader_that_reads() {
    const MESSAGES: u64 = 40;
    let settings = HubSettings { queue_bytes: 64 * 1024, rate_burst: 1_000, ..Default::default() };
    let house = House::with(settings);
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let mut a = ada.online(&house.hub).await;
    let mut b = Client::connect(&house.hub, &bob, 2);
    b.hello(&bob.device(1), None).await;
    for n in 1..=MESSAGES {
        a.ok(sized_message(&bob, &format!("c{n}"), 30_000)).await;
    }
    for expected in 1..=MESSAGES {
        assert_eq!(b.message().await.0, expected);
    }
}
