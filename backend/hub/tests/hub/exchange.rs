//! Messages between two people.

use std::sync::Arc;
use std::time::Duration;

use backend_hub::HubSettings;
use backend_protocol::envelope::Envelope;
use backend_protocol::id::{AccountId, ClientMessageId, ConversationId};
use backend_protocol::live::{ErrorCode, InboxEvent, Notice, ReceiptState, Request};
use backend_store::accounts::Accounts;
use backend_store::broker::{Broker, Topic};
use backend_store::mailboxes::Mailboxes;

use crate::support::{House, message, sized_message};

#[tokio::test]
async fn a_message_reaches_the_other_person_and_receipts_come_back() {
    let house = House::new();
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let (mut a, mut b) = (ada.online(&house.hub).await, bob.online(&house.hub).await);

    let sent = a.send(&bob, "c1").await;
    assert_eq!((sent.conversation.as_str(), sent.seq), ("ada.bob", 1));
    let (position, got) = b.message().await;
    assert_eq!(
        (position, got.seq, got.sender, got.device),
        (1, 1, ada.account.clone(), ada.device(1))
    );
    assert_eq!((got.cid.as_str(), got.at), ("c1", sent.at));

    b.ok(Request::Received { upto: position }).await;
    b.ok(Request::Read { conversation: sent.conversation.clone(), upto: 1 }).await;
    assert_eq!(a.message().await.1.cid.as_str(), "c1", "the sender's own copy");
    for expected in [ReceiptState::Received, ReceiptState::Read] {
        let (_, InboxEvent::Receipt { account, state, upto, .. }) = a.event().await else {
            panic!("a receipt")
        };
        assert_eq!((account, state, upto), (bob.account.clone(), expected, 1));
    }
}

#[tokio::test]
async fn ok_comes_only_after_the_message_is_written() {
    let house = House::new();
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let mut a = ada.online(&house.hub).await;
    for n in 1..=20 {
        let sent = a.send(&bob, &format!("c{n}")).await;
        assert_eq!(sent.seq, n);
        assert_eq!(house.store.inbox(&bob.account, 0, 1).await.unwrap().head, n);
    }
}

#[tokio::test]
async fn a_retry_of_the_same_cid_gets_the_same_response_and_is_delivered_once() {
    let house = House::new();
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let (mut a, mut b) = (ada.online(&house.hub).await, bob.online(&house.hub).await);
    let first = a.send(&bob, "same").await;
    a.vanish().await;
    let mut a = ada.online(&house.hub).await;
    assert_eq!(a.send(&bob, "same").await, first);
    assert_eq!(a.send(&bob, "next").await.seq, 2);
    assert_eq!(b.message().await.1.cid.as_str(), "same");
    assert_eq!(b.message().await.1.cid.as_str(), "next");
}

#[tokio::test]
async fn another_envelope_with_the_same_cid_is_rejected_permanently() {
    let house = House::new();
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let (mut a, mut b) = (ada.online(&house.hub).await, bob.online(&house.hub).await);
    let first = a.send(&bob, "same").await;
    let other = sized_message(&bob, "same", 17);
    assert_eq!(a.err(other).await, (ErrorCode::CidReused, false));
    assert_eq!(a.send(&bob, "same").await, first, "a retry");
    a.send(&bob, "next").await;
    assert_eq!(b.message().await.1.envelope.ciphertext.len(), 16);
    assert_eq!(b.message().await.1.cid.as_str(), "next");
}

#[tokio::test]
async fn a_second_device_of_the_sender_gets_the_message() {
    let house = House::new();
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let mut phone = ada.online(&house.hub).await;
    let mut desk = ada.connect(&house.hub);
    desk.hello(&ada.device(2), None).await;
    phone.send(&bob, "c1").await;
    let (_, got) = desk.message().await;
    assert_eq!((got.cid.as_str(), got.device), ("c1", ada.device(1)));
}

#[tokio::test]
async fn concurrent_senders_give_every_reader_one_order_without_gaps() {
    const SENDERS: usize = 8;
    const EACH: usize = 15;
    let house = House::with(HubSettings { rate_burst: 1_000, ..Default::default() });
    let bob = Arc::new(house.person("bob").await);
    let mut readers = [bob.online(&house.hub).await, bob.online(&house.hub).await];
    let mut senders = Vec::new();
    for n in 0..SENDERS {
        let person = house.person(&format!("sender{n}")).await;
        let (mut client, bob) = (person.online(&house.hub).await, Arc::clone(&bob));
        senders.push(tokio::spawn(async move {
            for m in 0..EACH {
                client.send(&bob, &format!("c{m}")).await;
            }
        }));
    }
    let mut seen = [Vec::new(), Vec::new()];
    for (reader, seen) in readers.iter_mut().zip(&mut seen) {
        for expected in 1..=(SENDERS * EACH) as u64 {
            let (position, message) = reader.message().await;
            assert_eq!(position, expected);
            seen.push((message.sender, message.seq));
        }
    }
    assert_eq!(seen[0], seen[1]);
    for sender in senders {
        sender.await.unwrap();
    }
}

#[tokio::test]
async fn messages_cross_nodes() {
    let house = House::new();
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let other = house.another_hub(HubSettings::default());
    let (mut a, mut b) = (ada.online(&house.hub).await, bob.online(&other).await);
    a.send(&bob, "c1").await;
    assert_eq!(b.message().await.1.cid.as_str(), "c1");
    b.send(&ada, "c2").await;
    a.message().await;
    assert_eq!(a.message().await.1.cid.as_str(), "c2");
}

#[tokio::test]
async fn invalid_requests_are_rejected_and_the_connection_stays_open() {
    let house = House::new();
    let (ada, bob, eve) =
        (house.person("ada").await, house.person("bob").await, house.person("eve").await);
    let mut a = ada.online(&house.hub).await;
    let stranger = Request::Send {
        to: AccountId::parse("unknown").unwrap(),
        cid: ClientMessageId::parse("c").unwrap(),
        lifetime: None,
        envelope: envelope(message(&bob, "c")),
    };
    assert_eq!(a.err(stranger).await, (ErrorCode::NotFound, false));
    let mut broken = envelope(message(&bob, "c"));
    broken.ciphertext = "not base64url!".into();
    let broken = Request::Send {
        to: bob.account.clone(),
        cid: ClientMessageId::parse("c").unwrap(),
        lifetime: None,
        envelope: broken,
    };
    assert_eq!(a.err(broken).await.0, ErrorCode::Invalid);
    let foreign = ConversationId::between(&bob.account, &eve.account);
    assert_eq!(
        a.err(Request::Read { conversation: foreign.clone(), upto: 1 }).await.0,
        ErrorCode::NotFound
    );
    assert_eq!(a.err(Request::Typing { conversation: foreign }).await.0, ErrorCode::NotFound);
    assert_eq!(a.err(Request::Received { upto: 5 }).await.0, ErrorCode::Invalid);
    let many = (0..501).map(|n| AccountId::parse(format!("p{n}")).unwrap()).collect();
    assert_eq!(a.err(Request::Watch { users: many }).await.0, ErrorCode::Invalid);
    assert_eq!(a.send(&bob, "c").await.seq, 1, "nothing was written, and the connection works");
}

fn envelope(request: Request) -> Envelope {
    match request {
        Request::Send { envelope, .. } => envelope,
        _ => unreachable!(),
    }
}

#[tokio::test]
async fn the_largest_message_arrives_in_a_frame_that_fits() {
    let house = House::new();
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let (mut a, mut b) = (ada.online(&house.hub).await, bob.online(&house.hub).await);
    a.ok(sized_message(&bob, "large", 40 * 1024)).await;
    assert_eq!(b.message().await.1.envelope.ciphertext.len(), 40 * 1024);
    assert_eq!(a.err(sized_message(&bob, "larger", 40 * 1024 + 1)).await.0, ErrorCode::Invalid);
}

#[tokio::test]
async fn typing_notices_are_rate_limited() {
    let house = House::new();
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let (mut a, mut b) = (ada.online(&house.hub).await, bob.online(&house.hub).await);
    let conversation = ConversationId::between(&ada.account, &bob.account);
    for _ in 0..5 {
        a.ok(Request::Typing { conversation: conversation.clone() }).await;
    }
    assert_eq!(
        b.notice().await,
        Notice::Typing { conversation: conversation.clone(), account: ada.account.clone() }
    );
    // The next notice is caused by Bob: no second typing notice came before it.
    b.ok(Request::Watch { users: vec![ada.account.clone()] }).await;
    assert!(matches!(b.notice().await, Notice::Presence { online: true, .. }));
}

#[tokio::test]
async fn a_revoked_credential_signs_out_its_connections_and_no_others() {
    let house = House::new();
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let mut clients = [ada.online(&house.hub).await, ada.online(&house.hub).await];
    // A wake-up without a revocation of this credential, which may concern another one.
    house.store.publish(&Topic::Revoked(ada.account.clone()), "".into()).await.unwrap();
    for (n, client) in clients.iter_mut().enumerate() {
        client.send(&bob, &format!("c{n}")).await;
    }
    house.store.revoke_credential(&ada.credential()).await.unwrap();
    house.store.publish(&Topic::Revoked(ada.account.clone()), "".into()).await.unwrap();
    for client in &mut clients {
        assert_eq!(client.closed().await.0, 4503);
    }
}

#[tokio::test]
async fn a_revocation_without_a_wake_up_is_found_by_polling() {
    let house =
        House::with(HubSettings { credential: Duration::from_millis(50), ..Default::default() });
    let ada = house.person("ada").await;
    let mut a = ada.online(&house.hub).await;
    house.store.revoke_credential(&ada.credential()).await.unwrap();
    assert_eq!(a.closed().await.0, 4503);
}
