//! What can be shown without a server.

use backend_protocol::id::{AccountId, RunId};
use backend_protocol::run::{Delta, RunEvent};

use super::calls::Calls;
use super::keys::{channel, topic};
use super::settings::{RedisSettings, Target};
use crate::broker::Topic;
use crate::error::StoreError;

#[test]
fn a_channel_leads_back_to_its_topic() {
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
    RedisSettings { url: url.into(), password: None, ca_file: None }
}

#[test]
fn every_kind_of_url_is_understood() {
    // The process says which cryptography TLS uses; another test may have done so.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    type Expected = fn(&Target) -> bool;
    let cases: [(&str, Expected); 9] = [
        ("redis://localhost", |target| matches!(target, Target::Single(_))),
        ("redis://user:secret@[::1]:6380/0", |target| matches!(target, Target::Single(_))),
        ("rediss://:secret@cache.example.org:6380", |target| matches!(target, Target::Single(_))),
        ("redis-sentinel://one,two:26380,[::1]/mymaster", |target| {
            matches!(target, Target::Sentinel(_))
        }),
        ("redis-sentinel://:secret@one/mymaster", |target| matches!(target, Target::Sentinel(_))),
        ("rediss-sentinel://one,two/mymaster", |target| matches!(target, Target::Sentinel(_))),
        ("redis-cluster://one:7000,two:7001", |target| matches!(target, Target::Cluster(_))),
        ("redis-cluster://user:secret@one/0", |target| matches!(target, Target::Cluster(_))),
        ("rediss-cluster://one", |target| matches!(target, Target::Cluster(_))),
    ];
    for (url, expected) in cases {
        let target =
            Target::build(&settings(url), None).unwrap_or_else(|error| panic!("{url}: {error}"));
        assert!(expected(&target), "{url}");
    }
}

#[test]
fn a_refused_url_is_explained_without_its_password() {
    for url in [
        "localhost:6379",
        "http://:secret@localhost",
        "redis://:secret@",
        "redis://:secret@localhost/3",
        "redis://:secret@localhost:port",
        "redis-sentinel://:secret@localhost",
        "redis-cluster://:secret@one,,two",
    ] {
        let Err(StoreError::Setup(why)) = Target::build(&settings(url), None) else {
            panic!("{url} is refused")
        };
        assert!(why.contains("redis-sentinel://"), "says what was expected: {why}");
        assert!(!why.contains("secret"), "{why}");
        assert!(!format!("{:?}", settings(url)).contains("secret"));
    }
    let ca_file = Some("/nowhere/ca.pem".into());
    let Err(StoreError::Setup(why)) =
        Target::build(&RedisSettings { ca_file, ..settings("rediss://localhost") }, None)
    else {
        panic!("the file is missing")
    };
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
    assert_ne!(first, second, "the same words may come twice");
    calls.unsettled(&run);
    assert_eq!(calls.name(&run, &events("a")).unwrap(), second, "a retry");
    assert_ne!(calls.name(&run, &events("b")).unwrap(), second, "other words");
}
