//! Messages with a lifetime. They expire by the real clock, so each case uses the shortest
//! lifetime: one second.

use std::time::Duration;

use backend_protocol::api::PrivateMessage;
use backend_protocol::id::{AccountId, ConversationId};
use backend_protocol::live::{InboxEvent, ReceiptState};
use backend_store::mailboxes::{Delivered, Delivery};
use backend_store::{Retention, Store};
use jiff::Timestamp;

use crate::mailboxes::{altered, cids, people, receipt, send};
use crate::support::{Bed, delivery, eventually};

/// A day, in seconds.
const DAY: u32 = 86_400;

/// A store that reads the time in whole milliseconds, twice, may be late by as much.
const ROUNDING: Duration = Duration::from_millis(5);

async fn send_for(
    store: &dyn Store,
    seconds: u32,
    from: &AccountId,
    to: &AccountId,
    cid: &str,
) -> Delivered {
    let delivery = Delivery { lifetime: Some(seconds), ..delivery(from, to, cid) };
    store.deliver(&delivery).await.unwrap().expect("the recipient exists")
}

async fn page(store: &dyn Store, of: &AccountId, with: &AccountId) -> Vec<PrivateMessage> {
    let conversation = ConversationId::between(of, with);
    store.conversation_page(of, &conversation, None, 1_000).await.unwrap().unwrap().messages
}

/// The events of an inbox that are messages, with their positions.
async fn inbox(store: &dyn Store, account: &AccountId) -> Vec<(u64, PrivateMessage)> {
    let mut found = Vec::new();
    for (position, event) in store.inbox(account, 0, 1_000).await.unwrap().events {
        if let InboxEvent::Message(message) = event {
            found.push((position, message));
        }
    }
    found
}

/// Where a message is returned: in the pages and inboxes of both people. None of them returns it
/// after its time.
async fn places(store: &dyn Store, sent: &Delivered) -> usize {
    let [one, other] = sent.conversation.members();
    let before = Timestamp::now();
    let mut found = Vec::new();
    for (me, peer) in [(&one, &other), (&other, &one)] {
        found.extend(page(store, me, peer).await);
        found.extend(inbox(store, me).await.into_iter().map(|(_, message)| message));
    }
    found.retain(|message| message.seq == sent.seq);
    for message in &found {
        assert_eq!(message.at, sent.at);
        let lifetime = Duration::from_secs(message.lifetime.expect("it has a lifetime").into());
        let end = message.at.parse::<Timestamp>().unwrap() + lifetime + ROUNDING;
        assert!(before < end, "returned at {before}, after its end {end}");
    }
    found.len()
}

/// Sends a message that expires after a second, and sees it in all places before that. If the
/// machine was too slow to see it, sends another one.
async fn seen_message(store: &dyn Store, from: &AccountId, to: &AccountId) -> (String, Delivered) {
    let mut seen = None;
    let mut n = 0;
    eventually("a message is seen before it expires", async || {
        n += 1;
        let cid = format!("short-{n}");
        let sent = send_for(store, 1, from, to, &cid).await;
        let everywhere = places(store, &sent).await == 4;
        seen = everywhere.then_some((cid, sent));
        everywhere
    })
    .await;
    seen.expect("it was seen")
}

async fn expired(store: &dyn Store, sent: &Delivered) {
    eventually("the message expires", async || places(store, sent).await == 0).await;
}

pub(crate) async fn a_message_expires_and_its_number_and_positions_stay_assigned(bed: &Bed) {
    let store = bed.open(Retention::default()).await;
    let [ada, bob] = people(&*store, ["ada", "bob"]).await;
    send(&*store, &ada, &bob, "before").await;
    let (_, short) = seen_message(&*store, &ada, &bob).await;
    let after = send(&*store, &bob, &ada, "after").await;
    assert_eq!(after.seq, short.seq + 1);
    expired(&*store, &short).await;
    // Expired messages are the same before and after a sweep.
    for _ in 0..2 {
        for (me, peer) in [(&ada, &bob), (&bob, &ada)] {
            let seqs: Vec<u64> = page(&*store, me, peer).await.iter().map(|m| m.seq).collect();
            assert_eq!(seqs, [1, after.seq]);
            let positions: Vec<u64> = inbox(&*store, me).await.iter().map(|(p, _)| *p).collect();
            assert_eq!(positions, [1, after.seq], "one position for each message");
            let rest = store.inbox(me, short.seq - 1, 10).await.unwrap();
            assert_eq!((rest.events.len(), rest.events[0].0), (1, after.seq));
            assert_eq!((rest.first, rest.head), (1, after.seq));
            let listed = store.conversations(me).await.unwrap().remove(0);
            assert_eq!((listed.last_seq, &listed.updated_at), (after.seq, &after.at));
        }
        store.sweep().await.unwrap();
    }
    let next = send(&*store, &ada, &bob, "next").await;
    assert_eq!(next.seq, after.seq + 1);
    assert_eq!(store.inbox(&bob, after.seq, 10).await.unwrap().events[0].0, next.seq);
}

pub(crate) async fn expired_messages_do_not_shorten_a_page(bed: &Bed) {
    const SHORT: u64 = 40;
    let store = bed.open(Retention::default()).await;
    let [ada, bob] = people(&*store, ["ada", "bob"]).await;
    let conversation = ConversationId::between(&ada, &bob);
    for cid in ["1", "2"] {
        send(&*store, &ada, &bob, cid).await;
    }
    let mut last = None;
    for n in 1..=SHORT {
        last = Some(send_for(&*store, 1, &ada, &bob, &format!("short-{n}")).await);
    }
    let end = send(&*store, &ada, &bob, "3").await.seq;
    assert_eq!(end, SHORT + 3);
    let only_short = send_for(&*store, 1, &ada, &bob, "trailing").await;
    for sent in [last.unwrap(), only_short] {
        expired(&*store, &sent).await;
    }
    for _ in 0..2 {
        for (before, limit, expected, more) in [
            (None, 10, vec![1, 2, end], false),
            (None, 3, vec![1, 2, end], false),
            (None, 2, vec![2, end], true),
            (None, 1, vec![end], true),
            (Some(end), 1, vec![2], true),
            (Some(end), 2, vec![1, 2], false),
            (Some(2), 1, vec![1], false),
            (Some(1), 1, vec![], false),
        ] {
            let page = store.conversation_page(&bob, &conversation, before, limit).await.unwrap();
            let page = page.expect("he is a member");
            let seqs: Vec<u64> = page.messages.iter().map(|message| message.seq).collect();
            assert_eq!((seqs, page.more), (expected, more), "{limit} before {before:?}");
        }
        for (after, limit, expected) in [
            (0, 10, vec![1, 2, end]),
            (0, 2, vec![1, 2]),
            (2, 1, vec![end]),
            (2, 10, vec![end]),
            (end - 1, 1, vec![end]),
            (end, 10, vec![]),
        ] {
            let page = store.inbox(&bob, after, limit).await.unwrap();
            let positions: Vec<u64> = page.events.iter().map(|(position, _)| *position).collect();
            assert_eq!(positions, expected, "{limit} after {after}");
            assert_eq!((page.first, page.head), (1, end + 1));
        }
        store.sweep().await.unwrap();
    }
}

pub(crate) async fn receipts_count_expired_messages(bed: &Bed) {
    let store = bed.open(Retention::default()).await;
    let [ada, bob] = people(&*store, ["ada", "bob"]).await;
    send(&*store, &ada, &bob, "kept").await;
    let short = send_for(&*store, 1, &ada, &bob, "short").await;
    expired(&*store, &short).await;
    store.sweep().await.unwrap();
    store.mark_received(&bob, 2).await.unwrap();
    assert!(store.mark_read(&bob, &short.conversation, short.seq).await.unwrap());
    let events = store.inbox(&ada, 0, 10).await.unwrap().events;
    let receipts: Vec<_> = events.into_iter().skip(1).collect();
    let by_bob = |state| receipt(&short.conversation, &bob, state, short.seq);
    assert_eq!(receipts, [(3, by_bob(ReceiptState::Received)), (4, by_bob(ReceiptState::Read))]);
    let listed = store.conversations(&ada).await.unwrap().remove(0);
    assert_eq!((listed.peer_received_upto, listed.peer_read_upto), (2, 2));
}

pub(crate) async fn a_retry_of_an_expired_message_gives_the_same_answer(bed: &Bed) {
    let (one, other) = bed.pair(Retention::default()).await;
    let [ada, bob] = people(&*one, ["ada", "bob"]).await;
    let short = send_for(&*one, 1, &ada, &bob, "short").await;
    send(&*one, &ada, &bob, "kept").await;
    expired(&*one, &short).await;
    for _ in 0..2 {
        assert_eq!(send_for(&*other, 1, &ada, &bob, "short").await, short);
        assert_eq!(send(&*other, &ada, &bob, "short").await, short, "kept, according to the retry");
        let other_envelope = altered(delivery(&ada, &bob, "short"));
        let answer = other.deliver(&other_envelope).await.unwrap();
        assert_eq!(answer.as_ref(), Ok(&short), "its envelope is gone");
        for who in [&ada, &bob] {
            let page = one.inbox(who, 0, 10).await.unwrap();
            let events: Vec<_> = page.events.into_iter().map(|(_, event)| event).collect();
            assert_eq!((cids(&events), page.head), (vec!["kept"], 2));
        }
        assert_eq!(page(&*one, &bob, &ada).await.len(), 1);
        one.sweep().await.unwrap();
    }
}

pub(crate) async fn a_retry_does_not_change_the_lifetime(bed: &Bed) {
    let store = bed.open(Retention::default()).await;
    let [ada, bob] = people(&*store, ["ada", "bob"]).await;
    let long = send_for(&*store, DAY, &ada, &bob, "long").await;
    let kept = send(&*store, &ada, &bob, "kept").await;
    assert_eq!(send_for(&*store, 1, &ada, &bob, "long").await, long);
    assert_eq!(send_for(&*store, 1, &ada, &bob, "kept").await, kept);
    let short = send_for(&*store, 1, &ada, &bob, "short").await;
    expired(&*store, &short).await;
    let lifetimes = [Some(DAY), None];
    let paged = page(&*store, &bob, &ada).await.into_iter().map(|message| message.lifetime);
    assert_eq!(paged.collect::<Vec<_>>(), lifetimes, "longer than the retry's");
    let listed = inbox(&*store, &bob).await.into_iter().map(|(_, message)| message.lifetime);
    assert_eq!(listed.collect::<Vec<_>>(), lifetimes);
}

pub(crate) async fn messages_with_a_lifetime_are_trimmed_like_others(bed: &Bed) {
    let retention = Retention { inbox_events: 5, conversation_messages: 3, ..Retention::default() };
    let store = bed.open(retention).await;
    let [ada, bob] = people(&*store, ["ada", "bob"]).await;
    for n in 1..=12 {
        let seconds = if n % 2 == 0 { DAY } else { 2 * DAY };
        send_for(&*store, seconds, &ada, &bob, &n.to_string()).await;
    }
    let seqs: Vec<u64> = page(&*store, &bob, &ada).await.iter().map(|m| m.seq).collect();
    assert_eq!(seqs, [10, 11, 12]);
    let positions: Vec<u64> = inbox(&*store, &bob).await.iter().map(|(p, _)| *p).collect();
    assert_eq!(positions, [8, 9, 10, 11, 12]);
}
