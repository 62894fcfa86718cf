//! Managing chat sessions.

use std::time::Duration;

use backend_protocol::api::SessionPatch;
use backend_store::Retention;
use backend_store::runs::Opened;
use backend_store::sessions::Deleted;

use crate::support::{
    Bed, account, answer, completed, eventually, exchange, new_run, run, session,
};

pub(crate) async fn sessions_are_listed_latest_first_and_only_to_their_owner(bed: &Bed) {
    let store = bed.open(Retention::default()).await;
    let (ada, eve) = (account("ada"), account("eve"));
    for name in ["one", "two", "one"] {
        exchange(&*store, &ada, name, "Hello?").await;
    }
    let listed = store.sessions(&ada).await.unwrap();
    assert_eq!(listed.iter().map(|s| s.id.as_str()).collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!(listed[0].message_count, 4);
    assert_eq!((listed[0].title.as_str(), listed[0].model.as_str()), ("About Hello?", "demo"));
    assert_eq!(listed[0].active_run, None);
    assert_eq!(store.session(&ada, &session("one")).await.unwrap().as_ref(), listed.first());

    assert_eq!(store.sessions(&eve).await.unwrap(), []);
    assert_eq!(store.session(&eve, &session("one")).await.unwrap(), None);
    assert_eq!(store.history(&eve, &session("one")).await.unwrap(), None);
    let patch = SessionPatch { title: Some("mine".into()), ..SessionPatch::default() };
    assert_eq!(store.update_session(&eve, &session("one"), &patch).await.unwrap(), None);
    assert_eq!(store.delete_session(&eve, &session("one")).await.unwrap(), Deleted::NotFound);
    assert_eq!(store.sessions(&ada).await.unwrap(), listed, "unchanged");
}

pub(crate) async fn a_patch_changes_what_it_names(bed: &Bed) {
    let store = bed.open(Retention::default()).await;
    let (ada, s) = (account("ada"), session("s"));
    exchange(&*store, &ada, "s", "Hello?").await;
    let patch = SessionPatch {
        title: Some("New".into()),
        system_prompt: Some("Be kind.".into()),
        model: None,
    };
    let patched = store.update_session(&ada, &s, &patch).await.unwrap().unwrap();
    assert_eq!((patched.title.as_str(), patched.model.as_str()), ("New", "demo"));
    assert_eq!(patched.system_prompt.as_deref(), Some("Be kind."));
    let patch = SessionPatch { model: Some("other".into()), ..SessionPatch::default() };
    let patched = store.update_session(&ada, &s, &patch).await.unwrap().unwrap();
    assert_eq!((patched.title.as_str(), patched.model.as_str()), ("New", "other"));
    assert_eq!(patched.system_prompt.as_deref(), Some("Be kind."), "absent fields stay");
    let patch = SessionPatch { system_prompt: Some(String::new()), ..SessionPatch::default() };
    assert_eq!(store.update_session(&ada, &s, &patch).await.unwrap().unwrap().system_prompt, None);
    assert_eq!(store.session(&ada, &s).await.unwrap().unwrap().title, "New");
    assert_eq!(store.update_session(&ada, &session("none"), &patch).await.unwrap(), None);
}

pub(crate) async fn a_session_expires_after_its_last_message(bed: &Bed) {
    let ttl = Duration::from_millis(900);
    let store = bed.open(Retention { session_ttl: ttl, ..Retention::default() }).await;
    let (ada, old) = (account("ada"), session("old"));
    exchange(&*store, &ada, "old", "Hello?").await;
    eventually("the old one expires while the renewed one lives", async || {
        exchange(&*store, &ada, "renewed", "Still there?").await;
        store.session(&ada, &old).await.unwrap().is_none()
    })
    .await;
    let listed = store.sessions(&ada).await.unwrap();
    assert_eq!(listed.iter().map(|s| s.id.as_str()).collect::<Vec<_>>(), ["renewed"]);
    assert_eq!(store.history(&ada, &old).await.unwrap(), None);
    assert_eq!(store.delete_session(&ada, &old).await.unwrap(), Deleted::NotFound);
    exchange(&*store, &ada, "old", "Hello again").await;
    assert_eq!(
        store.history(&ada, &old).await.unwrap().unwrap().len(),
        2,
        "the expired messages are gone"
    );
    store.sweep().await.unwrap();
    assert_eq!(store.history(&ada, &old).await.unwrap().unwrap().len(), 2);
}

pub(crate) async fn a_deleted_session_takes_its_messages_and_runs_with_it(bed: &Bed) {
    let store = bed.open(Retention::default()).await;
    let (ada, s) = (account("ada"), session("s"));
    let finished = exchange(&*store, &ada, "s", "Hello?").await;
    let open = new_run(&ada, "s", "open", "More?");
    assert!(matches!(store.open_run(&open).await.unwrap(), Opened::New { .. }));
    let deleted = store.delete_session(&ada, &s).await.unwrap();
    assert_eq!(deleted, Deleted::Gone { active_run: Some(run("open")) });
    assert_eq!(store.delete_session(&ada, &s).await.unwrap(), Deleted::NotFound);
    assert_eq!(store.history(&ada, &s).await.unwrap(), None);
    assert_eq!(store.sessions(&ada).await.unwrap(), []);
    assert_eq!(
        store.run_log(&ada, &finished, 0, 10).await.unwrap(),
        None,
        "the log is deleted, too"
    );
    assert!(
        !store
            .append_run_events(&ada, &run("open"), &[completed("open")], Duration::from_secs(9))
            .await
            .unwrap()
    );
    let late = answer("late");
    assert!(!store.close_run(&ada, &run("open"), &completed("open"), Some(&late)).await.unwrap());
    assert_eq!(store.history(&ada, &s).await.unwrap(), None, "a late answer does not restore it");
    exchange(&*store, &ada, "s", "Again").await;
    assert_eq!(store.history(&ada, &s).await.unwrap().unwrap().len(), 2);
}
