//! Resuming: exactly the missed events, or a refusal.

use backend_hub::HubSettings;
use backend_protocol::id::AccountId;
use backend_protocol::live::InboxEvent;
use backend_store::Retention;
use backend_store::mailboxes::Mailboxes;

use crate::support::{House, Person};

async fn fill(house: &House, person: &Person, events: usize) {
    let event = InboxEvent::KeyChange { account: AccountId::parse("another").unwrap() };
    for _ in 0..events {
        house.store.append_event(&person.account, &event).await.unwrap();
    }
}

#[tokio::test]
async fn a_resume_replays_the_missed_events_and_goes_live() {
    let house = House::new();
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let mut a = ada.online(&house.hub).await;
    let mut b = bob.online(&house.hub).await;
    a.send(&bob, "c1").await;
    let (position, _) = b.message().await;
    b.vanish().await;
    for n in 2..=60 {
        a.send(&bob, &format!("c{n}")).await;
    }
    let mut b = bob.connect(&house.hub);
    assert_eq!(b.hello(&bob.device(1), Some(position)).await, (60, true));
    a.send(&bob, "c61").await;
    for expected in 2..=61 {
        let (position, message) = b.message().await;
        assert_eq!((position, message.cid.as_str()), (expected, format!("c{expected}").as_str()));
    }
    assert_eq!(house.metric("gatehouse_live_hellos_total", "recovered"), 1.0);
}

#[tokio::test]
async fn no_event_is_lost_between_subscribing_and_reading() {
    let house = House::with(HubSettings { rate_burst: 2_000, ..Default::default() });
    let (ada, bob) = (house.person("ada").await, house.person("bob").await);
    let mut a = ada.online(&house.hub).await;
    let sender = tokio::spawn({
        let bob = Person { account: bob.account.clone() };
        async move {
            for n in 1..=300 {
                a.send(&bob, &format!("c{n}")).await;
            }
        }
    });
    // Reconnects while messages keep arriving; each is seen once and in order.
    let mut last = 0;
    while last < 300 {
        let mut b = bob.connect(&house.hub);
        assert!(b.hello(&bob.device(1), Some(last)).await.1);
        for _ in 0..23.min(300 - last) {
            let (position, _) = b.event().await;
            assert_eq!(position, last + 1);
            last = position;
        }
        b.vanish().await;
    }
    sender.await.unwrap();
}

#[tokio::test]
async fn more_than_five_hundred_events_are_not_replayed() {
    let house = House::new();
    let ada = house.person("ada").await;
    fill(&house, &ada, 501).await;
    let mut a = ada.connect(&house.hub);
    assert_eq!(a.hello(&ada.device(1), Some(0)).await, (501, false));
    fill(&house, &ada, 1).await;
    assert_eq!(a.event().await.0, 502, "the first event is a live one");
    let mut b = ada.connect(&house.hub);
    assert_eq!(b.hello(&ada.device(2), Some(2)).await, (502, true));
    for expected in 3..=502 {
        assert_eq!(b.event().await.0, expected);
    }
}

#[tokio::test]
async fn a_trimmed_or_unassigned_position_is_not_recovered() {
    let retention = Retention { inbox_events: 10, ..Default::default() };
    let house = House::keeping(HubSettings::default(), retention);
    let ada = house.person("ada").await;
    fill(&house, &ada, 40).await;
    let first = house.store.inbox(&ada.account, 0, 1).await.unwrap().first;
    assert!(first > 1, "some events were trimmed");
    for (resume, recovered) in
        [(first - 1, true), (first - 2, false), (40, true), (41, false), (u64::MAX, false)]
    {
        let mut a = ada.connect(&house.hub);
        assert_eq!(a.hello(&ada.device(1), Some(resume)).await, (40, recovered), "{resume}");
        a.vanish().await;
    }
}

#[tokio::test]
async fn a_fresh_start_follows_from_the_head() {
    let house = House::new();
    let ada = house.person("ada").await;
    fill(&house, &ada, 3).await;
    let mut a = ada.connect(&house.hub);
    assert_eq!(a.hello(&ada.device(1), None).await, (3, false));
    fill(&house, &ada, 1).await;
    assert_eq!(a.event().await.0, 4);
}
