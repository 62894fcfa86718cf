//! Tests that need no server.

use backend_protocol::id::{AccountId, RunId};
use backend_protocol::run::{Delta, RunEvent};

use super::calls::Calls;
use super::keys::{channel, topic};
use super::settings::RedisSettings;
use crate::broker::Topic;
use crate::error::StoreError;

#[test]
fn a_channel_maps_back_to_its_topic() {
    let (account, run) = (AccountId::parse("a-_1").unwrap(), RunId::parse("r").unwrap());
    for each in [
        Topic::Inbox(account.clone()),
        Topic::Notice(account.clone()),
        Topic::Presence(account.clone()),
        Topic::Revoked(account),
        Topic::Run(run.clone()),
        Topic::RunStop(run),
        Topic::Lobby,
    ] {
        assert_eq!(topic(&channel(&each)), Some(each));
    }
    for foreign in ["", "{u:a}", "{u:a b}:inbox", "{r:a}:inbox", "{x}:changes", "news"] {
        assert_eq!(topic(foreign), None, "{foreign}");
    }
}

fn settings(url: &str) -> RedisSettings {
    RedisSettings { url: url.into(), password: None, ca_file: None, wait_replicas: 0 }
}

#[test]
fn a_rejected_url_is_explained_without_its_password() {
    for url in [
        "localhost:6379",
        "http://:secret@localhost",
        "redis://:secret@",
        "redis://:secret@localhost/3",
        "redis://:secret@localhost:port",
        "redis-sentinel://:secret@localhost",
        "redis-cluster://:secret@one,,two",
    ] {
        let Err(StoreError::Setup(why)) = settings(url).target(None) else {
            panic!("{url} is rejected")
        };
        assert!(why.contains("redis-sentinel://"), "lists the supported schemes: {why}");
        assert!(!why.contains("secret"), "{why}");
        assert!(!format!("{:?}", settings(url)).contains("secret"));
    }
    let ca_file = Some("/nowhere/ca.pem".into());
    let missing = RedisSettings { ca_file, ..settings("rediss://localhost") };
    let Err(StoreError::Setup(why)) = missing.target(None) else { panic!("the file is missing") };
    assert!(why.contains("/nowhere/ca.pem"));
}

#[test]
fn only_the_same_call_after_a_failure_has_the_same_name() {
    let calls = Calls::default();
    let run = RunId::parse("r").unwrap();
    let events = |text: &str| [RunEvent::Text(Delta { text: text.into() })];
    let first = calls.name(&run, &events("a")).unwrap();
    calls.settled(&run);
    let second = calls.name(&run, &events("a")).unwrap();
    assert_ne!(first, second, "the same text may be appended twice");
    calls.unsettled(&run);
    assert_eq!(calls.name(&run, &events("a")).unwrap(), second, "a retry");
    assert_ne!(calls.name(&run, &events("b")).unwrap(), second, "another text");
}
