//! Wake-ups between nodes.

use std::time::Duration;

use backend_protocol::live::InboxEvent;
use backend_store::Retention;
use backend_store::accounts::CredentialHash;
use backend_store::broker::Topic;
use tokio::sync::broadcast::error::TryRecvError;

use crate::support::{Bed, account, completed, delivery, delta, new_run, run, woken};

pub(crate) async fn a_write_on_one_node_wakes_the_other(bed: &Bed) {
    let (one, other) = bed.pair(Retention::default()).await;
    let (ada, bob) = (account("ada"), account("bob"));
    one.create_account(&ada, &CredentialHash([1; 32])).await.unwrap();
    one.create_account(&bob, &CredentialHash([2; 32])).await.unwrap();
    let mut hers = other.subscribe(&Topic::Inbox(ada.clone())).await.unwrap();
    let mut his = one.subscribe(&Topic::Inbox(bob.clone())).await.unwrap();
    one.deliver(&delivery(&ada, &bob, "m1")).await.unwrap().unwrap();
    woken(&mut hers).await;
    woken(&mut his).await;
    other.append_event(&bob, &InboxEvent::KeyChange { account: ada.clone() }).await.unwrap();
    woken(&mut his).await;
    other.mark_received(&bob, 1).await.unwrap();
    woken(&mut hers).await;

    let mut log = other.subscribe(&Topic::Run(run("r"))).await.unwrap();
    one.open_run(&new_run(&ada, "s", "r", "One?")).await.unwrap();
    one.append_run_events(&ada, &run("r"), &[delta("x")], Duration::from_secs(9)).await.unwrap();
    woken(&mut log).await;
    one.close_run(&ada, &run("r"), &completed("r"), None).await.unwrap();
    woken(&mut log).await;
}

pub(crate) async fn a_payload_arrives_as_it_was_sent(bed: &Bed) {
    let (one, other) = bed.pair(Retention::default()).await;
    let ada = account("ada");
    for topic in [
        Topic::Notice(ada.clone()),
        Topic::Presence(ada.clone()),
        Topic::Lobby,
        Topic::Revoked(ada),
    ] {
        let mut near = one.subscribe(&topic).await.unwrap();
        let mut far = other.subscribe(&topic).await.unwrap();
        let mut again = other.subscribe(&topic).await.unwrap();
        one.publish(&topic, "{\"kind\":\"ünïcode\"}".into()).await.unwrap();
        for listener in [&mut near, &mut far, &mut again] {
            assert_eq!(&*woken(listener).await, "{\"kind\":\"ünïcode\"}", "{topic:?}");
        }
    }
}

pub(crate) async fn a_topic_wakes_only_its_own_listeners(bed: &Bed) {
    let store = bed.open(Retention::default()).await;
    let (ada, bob) = (account("ada"), account("bob"));
    let mut other_person = store.subscribe(&Topic::Notice(bob.clone())).await.unwrap();
    let mut other_topic = store.subscribe(&Topic::Presence(ada.clone())).await.unwrap();
    let mut meant = store.subscribe(&Topic::Notice(ada.clone())).await.unwrap();
    drop(store.subscribe(&Topic::Notice(ada.clone())).await.unwrap());
    store.publish(&Topic::Notice(ada.clone()), "x".into()).await.unwrap();
    woken(&mut meant).await;
    assert_eq!(other_person.try_recv().unwrap_err(), TryRecvError::Empty);
    assert_eq!(other_topic.try_recv().unwrap_err(), TryRecvError::Empty);
    drop(meant);
    store.publish(&Topic::Notice(ada.clone()), "without subscribers".into()).await.unwrap();
    let mut late = store.subscribe(&Topic::Notice(ada.clone())).await.unwrap();
    store.publish(&Topic::Notice(ada), "y".into()).await.unwrap();
    // A wake-up published before the subscription may still be on its way through Redis; later ones
    // always arrive.
    let mut heard = woken(&mut late).await;
    if &*heard == "without subscribers" {
        heard = woken(&mut late).await;
    }
    assert_eq!(&*heard, "y");
}

pub(crate) async fn a_probe_proves_the_path(bed: &Bed) {
    let (one, other) = bed.pair(Retention::default()).await;
    one.probe().await.unwrap();
    other.probe().await.unwrap();
    assert_eq!(one.kind(), bed.kind());
    assert_eq!(one.sweep().await.unwrap(), 0, "a probe leaves nothing for a sweep");
}
