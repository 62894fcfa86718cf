//! Tests that block the writer thread.

use std::sync::mpsc;
use std::time::Duration;

use backend_protocol::api::{Message, Role};
use backend_protocol::id::{AccountId, MessageId, RunId, SessionId};
use backend_protocol::run::{Delta, RunEvent};
use tempfile::TempDir;

use crate::Retention;
use crate::accounts::{Accounts, CredentialHash};
use crate::error::StoreError;
use crate::runs::{NewRun, Runs};
use crate::sqlite::SqliteStore;

#[tokio::test]
async fn an_append_that_outlives_its_deadline_is_not_repeated_by_the_retry() {
    let folder = TempDir::new().expect("a temporary folder");
    let store = SqliteStore::open(&folder.path().join("file"), Retention::default());
    let store = store.expect("a new file");
    let account = AccountId::parse("ada").expect("an id");
    store.create_account(&account, &CredentialHash([1; 32])).await.expect("it is written");
    let run = RunId::parse("r").expect("an id");
    store.open_run(&new_run(&account, &run)).await.expect("it is written");
    let events = ["one ", "two"].map(|text| RunEvent::Text(Delta { text: text.into() }));
    let append =
        async || store.append_run_events(&account, &run, &events, Duration::from_secs(9)).await;

    let (release, released) = mpsc::channel::<()>();
    let hold = store.writer.run_alone(move |_| {
        let _ = released.recv();
        Ok(())
    });
    let (_, late) = tokio::join!(hold, append());
    assert!(matches!(late, Err(StoreError::Unavailable { .. })), "{late:?}");
    release.send(()).expect("the writer waits");
    assert!(append().await.expect("it is written"));
    let log = store.run_log(&account, &run, 0, 10).await.expect("it is read").expect("a log");
    let read: Vec<_> = log.events.into_iter().map(|(_, event)| event).collect();
    assert_eq!(read, events);
    // Later events are another append, also when they are equal.
    assert!(append().await.expect("it is written"));
    let log = store.run_log(&account, &run, 0, 10).await.expect("it is read").expect("a log");
    assert_eq!(log.events.len(), 4);
}

fn new_run(account: &AccountId, run: &RunId) -> NewRun {
    NewRun {
        account: account.clone(),
        session: SessionId::parse("s").expect("an id"),
        run: run.clone(),
        message: Message {
            id: MessageId::parse("m").expect("an id"),
            role: Role::User,
            content: "Hello?".into(),
            created_at: "2026-01-01T00:00:00Z".into(),
        },
        model: "gatehouse-demo".into(),
        title: "t".into(),
        idempotency: None,
        lease: Duration::from_secs(9),
    }
}
