//! Messages with a lifetime: what is accepted, and how a connection passes expired ones.

use std::time::Duration;

use backend_hub::HubSettings;
use backend_protocol::id::{ClientMessageId, ConversationId};
use backend_protocol::live::{ErrorCode, InboxEvent, ReceiptState, Request, ServerFrame};
use backend_store::mailboxes::{Delivered, Delivery, Mailboxes};
use tokio::time::{Instant, sleep};

use crate::support::{Client, House, PATIENCE, Person, message};

/// A request to send a message with this lifetime.
fn lasting(to: &Person, cid: &str, seconds: Option<u32>) -> Request {
    match message(to, cid) {
        Request::Send { to, cid, envelope, .. } => {
            Request::Send { to, cid, lifetime: seconds, envelope }
        }
        _ => unreachable!(),
    }
}

/// Sends a message that expires after a second, which only the store accepts.
async fn short(house: &House, from: &Person, to: &Person, cid: &str) -> Delivered {
    let Request::Send { envelope, .. } = message(to, cid) else { unreachable!() };
    let delivery = Delivery {
        sender: from.account.clone(),
        device: from.device(1),
        recipient: to.account.clone(),
        cid: ClientMessageId::parse(cid).unwrap(),
        lifetime: Some(1),
        envelope,
    };
    house.store.deliver(&delivery).await.unwrap().unwrap()
}

async fn expired(house: &House, who: &Person, sent: &Delivered) {
    let start = Instant::now();
    loop {
        let events = house.store.inbox(&who.account, 0, 1_000).await.unwrap().events;
        let kept = events.iter().any(
            |(_, event)| matches!(event, InboxEvent::Message(message) if message.seq == sent.seq),
        );
        if !kept {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "the message does not expire");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_message_carries_its_lifetime_to_both_accounts() {
    let house = House::new();
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let (mut a, mut b) = (ada.online(&house.hub).await, bob.online(&house.hub).await);
    let cases = [
        (Some(86_400), Some(86_400)),
        (Some(604_800), Some(604_800)),
        (Some(2_592_000), Some(2_592_000)),
        (Some(0), None),
        (None, None),
    ];
    for (n, (asked, expected)) in cases.into_iter().enumerate() {
        let request = lasting(&bob, &format!("c{n}"), asked);
        let sent = a.ok(request.clone()).await;
        for client in [&mut a, &mut b] {
            assert_eq!(client.message().await.1.lifetime, expected, "{asked:?}");
        }
        assert_eq!(a.ok(request).await, sent, "a retry");
    }
}

#[tokio::test]
async fn other_lifetimes_are_rejected_with_those_that_are_allowed() {
    let house = House::new();
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let mut a = ada.online(&house.hub).await;
    for seconds in [1, 86_399, 86_401, 3_600, 2_592_001, u32::MAX] {
        let id = a.post(lasting(&bob, "c", Some(seconds))).await;
        match a.answer_to(id).await {
            ServerFrame::Err { code: ErrorCode::Invalid, message, temporary: false, .. } => {
                let expected =
                    format!("lifetime must be 0, 86400, 604800 or 2592000 seconds, not {seconds}");
                assert_eq!(message, expected);
            }
            other => panic!("expected a rejection, got {other:?}"),
        }
    }
    assert_eq!(a.send(&bob, "c").await.seq, 1, "nothing was written, and the connection works");
}

#[tokio::test]
async fn a_resume_over_expired_messages_recovers() {
    let house = House::new();
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let mut a = ada.online(&house.hub).await;
    a.send(&bob, "c1").await;
    let mut last = short(&house, &ada, &bob, "gone-0").await;
    // More than are read at once.
    for n in 1..40 {
        last = short(&house, &ada, &bob, &format!("gone-{n}")).await;
    }
    a.send(&bob, "c2").await;
    let trailing = short(&house, &ada, &bob, "gone-40").await;
    for sent in [last, trailing] {
        expired(&house, &bob, &sent).await;
    }
    for resume in [0, 1, 20, 41, 42, 43] {
        let mut b = bob.connect(&house.hub);
        assert_eq!(b.hello(&bob.device(1), Some(resume)).await, (43, true), "{resume}");
        for (position, cid) in [(1, "c1"), (42, "c2")] {
            if position > resume {
                let (found, message) = b.message().await;
                assert_eq!((found, message.cid.as_str()), (position, cid), "{resume}");
            }
        }
        b.ok(Request::Received { upto: 43 }).await;
        b.vanish().await;
    }
    loop {
        if let (_, InboxEvent::Receipt { state: ReceiptState::Received, upto, .. }) =
            a.event().await
        {
            assert_eq!(upto, 43, "expired messages count");
            break;
        }
    }
    let mut b = bob.connect(&house.hub);
    b.hello(&bob.device(1), Some(41)).await;
    a.send(&bob, "live").await;
    for (position, cid) in [(42, "c2"), (44, "live")] {
        let (found, message) = b.message().await;
        assert_eq!((found, message.cid.as_str()), (position, cid));
    }
}

#[tokio::test]
async fn a_message_that_expires_while_it_waits_for_a_slow_reader_is_not_sent() {
    const BEFORE: u64 = 20;
    let settings = HubSettings { queue_bytes: 1, write: PATIENCE, ..Default::default() };
    let house = House::with(settings);
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let mut a = ada.online(&house.hub).await;
    // One frame fits between the ends, and the queue has room for one page of events.
    let mut b = Client::connect(&house.hub, &bob, 1);
    b.hello(&bob.device(1), None).await;
    for n in 1..=BEFORE {
        a.send(&bob, &format!("c{n}")).await;
    }
    let gone = short(&house, &ada, &bob, "gone").await;
    expired(&house, &bob, &gone).await;
    let after = a.send(&bob, "after").await;
    for expected in (1..=BEFORE).chain([after.seq]) {
        assert_eq!(b.message().await.1.seq, expected);
    }
}

#[tokio::test]
async fn an_expired_message_can_be_marked_as_read() {
    let house = House::new();
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let (mut a, mut b) = (ada.online(&house.hub).await, bob.online(&house.hub).await);
    let gone = short(&house, &ada, &bob, "gone").await;
    expired(&house, &bob, &gone).await;
    let conversation = ConversationId::between(&ada.account, &bob.account);
    b.ok(Request::Read { conversation, upto: gone.seq }).await;
    loop {
        if let (_, InboxEvent::Receipt { state: ReceiptState::Read, upto, .. }) = a.event().await {
            assert_eq!(upto, gone.seq);
            break;
        }
    }
}
