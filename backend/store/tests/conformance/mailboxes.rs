//! Private messages and inboxes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use backend_protocol::id::{AccountId, ConversationId};
use backend_protocol::live::{InboxEvent, ReceiptState};
use backend_store::accounts::CredentialHash;
use backend_store::mailboxes::{Delivered, Delivery, Mailboxes, Undelivered};
use backend_store::{Retention, Store};
use futures::future::join_all;

use crate::support::{Bed, account, delivery, eventually, username};

/// Accounts, each with its own credential.
pub(crate) async fn people<const N: usize>(store: &dyn Store, names: [&str; N]) -> [AccountId; N] {
    let accounts = names.map(account);
    for account in &accounts {
        let mut hash = [0; 32];
        hash[..account.as_str().len()].copy_from_slice(account.as_str().as_bytes());
        store.create_account(account, &CredentialHash(hash)).await.unwrap();
    }
    accounts
}

pub(crate) async fn send(
    store: &dyn Store,
    from: &AccountId,
    to: &AccountId,
    cid: &str,
) -> Delivered {
    store.deliver(&delivery(from, to, cid)).await.unwrap().expect("the recipient exists")
}

async fn events(store: &dyn Store, account: &AccountId) -> Vec<InboxEvent> {
    let page = store.inbox(account, 0, 10_000).await.unwrap();
    let positions: Vec<u64> = page.events.iter().map(|(position, _)| *position).collect();
    assert_eq!(positions, (page.first..=page.head).collect::<Vec<_>>(), "positions have no gaps");
    page.events.into_iter().map(|(_, event)| event).collect()
}

pub(crate) fn cids(events: &[InboxEvent]) -> Vec<&str> {
    let mut found = Vec::new();
    for event in events {
        if let InboxEvent::Message(message) = event {
            found.push(message.cid.as_str());
        }
    }
    found
}

pub(crate) fn receipt(
    conversation: &ConversationId,
    account: &AccountId,
    state: ReceiptState,
    upto: u64,
) -> InboxEvent {
    InboxEvent::Receipt {
        conversation: conversation.clone(),
        account: account.clone(),
        state,
        upto,
    }
}

pub(crate) async fn a_message_reaches_both_inboxes(bed: &Bed) {
    let store = bed.open(Retention::default()).await;
    let [ada, bob] = people(&*store, ["ada", "bob"]).await;
    let new = store.inbox(&ada, 0, 10).await.unwrap();
    assert_eq!((new.events.len(), new.first, new.head), (0, 1, 0));
    let sent = send(&*store, &ada, &bob, "m1").await;
    assert_eq!((sent.conversation.clone(), sent.seq), (ConversationId::between(&ada, &bob), 1));
    assert_eq!(send(&*store, &bob, &ada, "m1").await.seq, 2, "cids are scoped to the sender");
    let inbox = events(&*store, &bob).await;
    assert_eq!(events(&*store, &ada).await, inbox);
    let InboxEvent::Message(message) = &inbox[0] else { panic!("a message") };
    let expected = delivery(&ada, &bob, "m1");
    assert_eq!(
        (&message.sender, &message.device, &message.envelope),
        (&ada, &expected.device, &expected.envelope)
    );
    assert_eq!(
        (message.seq, &message.at, &message.conversation),
        (1, &sent.at, &sent.conversation)
    );
}

pub(crate) async fn a_retry_of_the_same_cid_gives_the_same_answer(bed: &Bed) {
    let (one, other) = bed.pair(Retention::default()).await;
    let [ada, bob] = people(&*one, ["ada", "bob"]).await;
    let first = send(&*one, &ada, &bob, "m1").await;
    send(&*one, &ada, &bob, "m2").await;
    assert_eq!(send(&*other, &ada, &bob, "m1").await, first);
    let at_once = join_all(
        (0..8).map(|n| send(if n % 2 == 0 { &*one } else { &*other }, &bob, &ada, "same")),
    )
    .await;
    assert!(at_once.iter().all(|delivered| *delivered == at_once[0] && delivered.seq == 3));
    for who in [&ada, &bob] {
        assert_eq!(cids(&events(&*one, who).await), ["m1", "m2", "same"]);
    }
}

/// The delivery of another envelope.
pub(crate) fn altered(mut delivery: Delivery) -> Delivery {
    delivery.envelope.ciphertext.push('A');
    delivery
}

pub(crate) async fn another_envelope_with_the_same_cid_is_rejected(bed: &Bed) {
    let (one, other) = bed.pair(Retention::default()).await;
    let [ada, bob] = people(&*one, ["ada", "bob"]).await;
    let long = Delivery { lifetime: Some(86_400), ..delivery(&ada, &bob, "long") };
    for first in [delivery(&ada, &bob, "m1"), long] {
        let sent = one.deliver(&first).await.unwrap().expect("the recipient exists");
        for store in [&one, &other] {
            let reused = store.deliver(&altered(first.clone())).await.unwrap();
            assert_eq!(reused, Err(Undelivered::CidReused));
            assert_eq!(store.deliver(&first).await.unwrap(), Ok(sent.clone()), "a retry");
        }
    }
    for who in [&ada, &bob] {
        let inbox = events(&*one, who).await;
        assert_eq!(cids(&inbox), ["m1", "long"]);
        for event in &inbox {
            let InboxEvent::Message(message) = event else { panic!("messages only") };
            assert_eq!(message.envelope, delivery(&ada, &bob, "m1").envelope);
        }
    }
}

pub(crate) async fn concurrent_envelopes_with_one_cid_have_one_winner(bed: &Bed) {
    let (one, other) = bed.pair(Retention::default()).await;
    let [ada, bob] = people(&*one, ["ada", "bob"]).await;
    let first = delivery(&ada, &bob, "same");
    let second = altered(first.clone());
    let sending = (0..8).map(|n| {
        let store = if n % 4 < 2 { &one } else { &other };
        store.deliver(if n % 2 == 0 { &first } else { &second })
    });
    let outcomes: Vec<_> = join_all(sending).await.into_iter().map(Result::unwrap).collect();
    let winner = usize::from(outcomes[0].is_err());
    for (n, outcome) in outcomes.iter().enumerate() {
        assert_eq!(outcome.is_ok(), n % 2 == winner, "{n}: {outcome:?}");
    }
    let expected = if winner == 0 { &first } else { &second };
    for who in [&ada, &bob] {
        let inbox = events(&*one, who).await;
        let [InboxEvent::Message(message)] = inbox.as_slice() else { panic!("one message") };
        assert_eq!(message.envelope, expected.envelope);
    }
}

pub(crate) async fn an_unknown_recipient_is_rejected(bed: &Bed) {
    let store = bed.open(Retention::default()).await;
    let [ada] = people(&*store, ["ada"]).await;
    assert_eq!(
        store.deliver(&delivery(&ada, &account("ghost"), "m1")).await.unwrap(),
        Err(Undelivered::NoRecipient)
    );
    assert_eq!(events(&*store, &ada).await, []);
    assert_eq!(store.conversations(&ada).await.unwrap(), []);
}

pub(crate) async fn concurrent_senders_leave_no_gap_and_no_duplicate(bed: &Bed) {
    let (one, other) = bed.pair(Retention::default()).await;
    let [ada, bob, eve] = people(&*one, ["ada", "bob", "eve"]).await;
    let pairs = [(&ada, &bob), (&bob, &ada), (&eve, &ada), (&eve, &bob)];
    let tasks = (0..32usize).map(|task| {
        let store = if task % 2 == 0 { one.clone() } else { other.clone() };
        let (from, to) = (pairs[task % 4].0.clone(), pairs[task % 4].1.clone());
        tokio::spawn(async move {
            for n in 0..4 {
                send(&*store, &from, &to, &format!("t{task}-{n}")).await;
            }
        })
    });
    for task in join_all(tasks).await {
        task.unwrap();
    }
    for (who, expected) in [(&ada, 96), (&bob, 96), (&eve, 64)] {
        let inbox = events(&*one, who).await;
        assert_eq!(
            cids(&inbox).iter().collect::<BTreeSet<_>>().len(),
            expected,
            "all of them, once"
        );
        assert_eq!(inbox.len(), expected);
        let mut numbers: BTreeMap<_, Vec<u64>> = BTreeMap::new();
        for event in &inbox {
            let InboxEvent::Message(message) = event else { panic!("messages only") };
            numbers.entry(message.conversation.clone()).or_default().push(message.seq);
        }
        for seqs in numbers.into_values() {
            let count = u64::try_from(seqs.len()).unwrap();
            assert_eq!(seqs, (1..=count).collect::<Vec<_>>(), "in the conversation's order");
        }
    }
}

pub(crate) async fn an_inbox_is_read_in_pages_and_trimmed_from_the_oldest(bed: &Bed) {
    let store = bed.open(Retention { inbox_events: 5, ..Retention::default() }).await;
    let [ada, bob] = people(&*store, ["ada", "bob"]).await;
    for n in 1..=12u64 {
        let event = InboxEvent::KeyChange { account: bob.clone() };
        assert_eq!(store.append_event(&ada, &event).await.unwrap(), n);
    }
    let page = store.inbox(&ada, 0, 2).await.unwrap();
    let positions =
        |events: &[(u64, InboxEvent)]| events.iter().map(|(n, _)| *n).collect::<Vec<_>>();
    assert_eq!((positions(&page.events), page.first, page.head), (vec![8, 9], 8, 12));
    let page = store.inbox(&ada, 10, 10).await.unwrap();
    assert_eq!(positions(&page.events), [11, 12]);
    let page = store.inbox(&ada, 12, 10).await.unwrap();
    assert_eq!((page.events.len(), page.first, page.head), (0, 8, 12));
    let page = store.inbox(&ada, u64::MAX, 10).await.unwrap();
    assert_eq!((page.events.len(), page.head), (0, 12), "an unassigned position is no error");
    assert_eq!(store.inbox(&bob, 0, 10).await.unwrap().head, 0);
}

pub(crate) async fn an_inbox_expires_but_its_positions_continue(bed: &Bed) {
    let store = bed
        .open(Retention { mailbox_ttl: Duration::from_millis(300), ..Retention::default() })
        .await;
    let [ada, bob] = people(&*store, ["ada", "bob"]).await;
    let first = send(&*store, &bob, &ada, "m1").await;
    eventually("the inbox expires", async || {
        store.inbox(&ada, 0, 10).await.unwrap().events.is_empty()
    })
    .await;
    let page = store.inbox(&ada, 0, 10).await.unwrap();
    assert_eq!((page.first, page.head), (2, 1));
    eventually("the conversation expires", async || {
        store.conversations(&ada).await.unwrap().is_empty()
    })
    .await;
    let page = store.conversation_page(&ada, &first.conversation, None, 10).await.unwrap().unwrap();
    assert_eq!((page.messages.len(), page.more), (0, false));
    store.sweep().await.unwrap();
    let next = send(&*store, &bob, &ada, "m2").await;
    assert_eq!(next.seq, 2, "numbers are never reused");
    let page = store.inbox(&ada, 0, 10).await.unwrap();
    assert_eq!((page.events.len(), page.first, page.head), (1, 2, 2));
}

pub(crate) async fn senders_get_one_receipt_per_advance(bed: &Bed) {
    let store = bed.open(Retention::default()).await;
    let [ada, bob, eve] = people(&*store, ["ada", "bob", "eve"]).await;
    let with_ada = send(&*store, &ada, &bob, "a1").await.conversation;
    send(&*store, &ada, &bob, "a2").await;
    let with_eve = send(&*store, &eve, &bob, "e1").await.conversation;
    send(&*store, &bob, &ada, "b1").await;
    send(&*store, &ada, &bob, "a3").await;
    for upto in [3, 3, 1] {
        store.mark_received(&bob, upto).await.unwrap();
    }
    let received = |conversation, upto| receipt(conversation, &bob, ReceiptState::Received, upto);
    assert_eq!(events(&*store, &ada).await.last(), Some(&received(&with_ada, 2)));
    assert_eq!(events(&*store, &ada).await.len(), 5);
    assert_eq!(events(&*store, &eve).await.last(), Some(&received(&with_eve, 1)));

    store.mark_received(&bob, 4).await.unwrap();
    assert_eq!(events(&*store, &ada).await.len(), 5, "no receipt for his own message");
    store.mark_received(&bob, u64::MAX).await.unwrap();
    assert_eq!(events(&*store, &ada).await.last(), Some(&received(&with_ada, 4)));
    assert_eq!(events(&*store, &eve).await.len(), 2, "nothing new for her");
    store.mark_received(&bob, u64::MAX).await.unwrap();
    assert_eq!(events(&*store, &ada).await.len(), 6);
    let listed = store.conversations(&ada).await.unwrap();
    assert_eq!((listed[0].id.clone(), listed[0].peer_received_upto), (with_ada, 4));
    store
        .mark_received(&account("unknown"), 5)
        .await
        .expect("an empty inbox has received everything");
}

pub(crate) async fn read_marks_never_go_back_nor_ahead(bed: &Bed) {
    let store = bed.open(Retention::default()).await;
    let [ada, bob, eve] = people(&*store, ["ada", "bob", "eve"]).await;
    let conversation = ConversationId::between(&ada, &bob);
    assert!(
        store.mark_read(&bob, &conversation, 5).await.unwrap(),
        "a member, though there is no message"
    );
    for cid in ["1", "2", "3"] {
        send(&*store, &ada, &bob, cid).await;
    }
    assert!(!store.mark_read(&eve, &conversation, 1).await.unwrap(), "not a member");
    for upto in [2, 2, 1, 99, 98] {
        assert!(store.mark_read(&bob, &conversation, upto).await.unwrap());
    }
    let read = |upto| receipt(&conversation, &bob, ReceiptState::Read, upto);
    for who in [&ada, &bob] {
        let inbox = events(&*store, who).await;
        assert_eq!(inbox[3..], [read(2), read(3)], "both people's devices get it");
    }
    let mine = store.conversations(&bob).await.unwrap().remove(0);
    assert_eq!((mine.read_upto, mine.peer_read_upto), (3, 0));
    let hers = store.conversations(&ada).await.unwrap().remove(0);
    assert_eq!((hers.read_upto, hers.peer_read_upto), (0, 3));
}

pub(crate) async fn conversations_are_listed_latest_first(bed: &Bed) {
    let store = bed.open(Retention::default()).await;
    let [ada, bob, eve] = people(&*store, ["ada", "bob", "eve"]).await;
    store.claim_username(&bob, &username("Bob")).await.unwrap();
    send(&*store, &ada, &bob, "1").await;
    let with_eve = send(&*store, &eve, &ada, "2").await;
    eventually("the clock advances", async || clock_moved(&*store, &with_eve, &ada, &eve).await)
        .await;
    let last = send(&*store, &bob, &ada, "3").await;
    let listed = store.conversations(&ada).await.unwrap();
    assert_eq!(
        listed.iter().map(|c| c.peer.account_id.clone()).collect::<Vec<_>>(),
        [bob.clone(), eve]
    );
    assert_eq!((listed[0].last_seq, &listed[0].updated_at), (2, &last.at));
    assert_eq!((listed[0].peer.username.as_str(), listed[1].peer.username.as_str()), ("Bob", ""));
    assert_eq!(store.conversations(&bob).await.unwrap().len(), 1);
}

/// Messages within one millisecond have no order of time: writes until the clock has advanced.
async fn clock_moved(
    store: &dyn Store,
    since: &Delivered,
    from: &AccountId,
    to: &AccountId,
) -> bool {
    let cid = format!("tick-{}", store.inbox(from, 0, 1).await.unwrap().head);
    send(store, from, to, &cid).await.at > since.at
}

pub(crate) async fn a_conversation_is_read_in_pages_by_its_members_only(bed: &Bed) {
    let store = bed.open(Retention::default()).await;
    let [ada, bob, eve] = people(&*store, ["ada", "bob", "eve"]).await;
    let conversation = ConversationId::between(&ada, &bob);
    let seqs = async |before, limit| {
        let page =
            store.conversation_page(&bob, &conversation, before, limit).await.unwrap().unwrap();
        (page.messages.iter().map(|message| message.seq).collect::<Vec<_>>(), page.more)
    };
    assert_eq!(seqs(None, 10).await, (vec![], false));
    for cid in ["1", "2", "3", "4", "5"] {
        send(&*store, &ada, &bob, cid).await;
    }
    assert_eq!(seqs(None, 2).await, (vec![4, 5], true));
    assert_eq!(seqs(Some(4), 2).await, (vec![2, 3], true));
    assert_eq!(seqs(Some(2), 2).await, (vec![1], false));
    assert_eq!(seqs(Some(1), 2).await, (vec![], false));
    assert_eq!(seqs(None, 5).await, (vec![1, 2, 3, 4, 5], false));
    assert_eq!(store.conversation_page(&eve, &conversation, None, 10).await.unwrap(), None);
    let page = store.conversation_page(&ada, &conversation, None, 1).await.unwrap().unwrap();
    assert_eq!(
        events(&*store, &bob).await.last(),
        Some(&InboxEvent::Message(page.messages[0].clone()))
    );
}

pub(crate) async fn a_note_to_oneself_is_one_event(bed: &Bed) {
    let store = bed.open(Retention::default()).await;
    let [ada] = people(&*store, ["ada"]).await;
    let sent = send(&*store, &ada, &ada, "note").await;
    assert_eq!(send(&*store, &ada, &ada, "note").await, sent);
    assert_eq!(cids(&events(&*store, &ada).await), ["note"]);
    assert!(store.mark_read(&ada, &sent.conversation, 1).await.unwrap());
    assert_eq!(events(&*store, &ada).await.len(), 2);
    assert_eq!(store.conversations(&ada).await.unwrap().len(), 1);
}

pub(crate) async fn old_messages_leave_a_conversation(bed: &Bed) {
    let store = bed.open(Retention { conversation_messages: 3, ..Retention::default() }).await;
    let [ada, bob] = people(&*store, ["ada", "bob"]).await;
    for cid in ["1", "2", "3", "4", "5"] {
        send(&*store, &ada, &bob, cid).await;
    }
    let conversation = ConversationId::between(&ada, &bob);
    let page = Mailboxes::conversation_page(&*store, &ada, &conversation, None, 10)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(page.messages.iter().map(|message| message.seq).collect::<Vec<_>>(), [3, 4, 5]);
    assert!(!page.more);
}
