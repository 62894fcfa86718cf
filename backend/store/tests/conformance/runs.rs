//! Runs and their logs.

use std::time::Duration;

use backend_protocol::api::Role;
use backend_protocol::problem::{Problem, ProblemType};
use backend_protocol::run::RunEvent;
use backend_store::Retention;
use backend_store::broker::Topic;
use backend_store::runs::Opened;

use crate::support::{
    Bed, account, answer, completed, delta, eventually, exchange, new_run, run, session, woken,
};

const LEASE: Duration = Duration::from_secs(30);

fn failed() -> RunEvent {
    RunEvent::Failed(Problem::new(ProblemType::UpstreamUnavailable))
}

pub(crate) async fn an_opened_run_appends_the_question_and_shows_the_history(bed: &Bed) {
    let store = bed.open(Retention::default()).await;
    let ada = account("ada");
    let Opened::New { session: first, history } =
        store.open_run(&new_run(&ada, "s", "r1", "One?")).await.unwrap()
    else {
        panic!("it is new")
    };
    assert_eq!(
        (first.id.as_str(), first.title.as_str(), first.message_count),
        ("s", "About One?", 1)
    );
    assert_eq!(first.active_run, Some(run("r1")));
    assert_eq!(history.iter().map(|m| m.content.as_str()).collect::<Vec<_>>(), ["One?"]);
    assert!(
        store.close_run(&ada, &run("r1"), &completed("r1"), Some(&answer("Uno."))).await.unwrap()
    );

    let mut next = new_run(&ada, "s", "r2", "Two?");
    next.model = "other".into();
    let Opened::New { session: second, history } = store.open_run(&next).await.unwrap() else {
        panic!("it is new")
    };
    assert_eq!(
        history.iter().map(|m| m.content.as_str()).collect::<Vec<_>>(),
        ["One?", "Uno.", "Two?"]
    );
    assert_eq!(history[1].role, Role::Assistant);
    assert_eq!(
        (second.title.as_str(), second.model.as_str()),
        ("About One?", "other"),
        "the title stays"
    );
    assert_eq!(second.created_at, first.created_at);
    assert_eq!(store.history(&ada, &session("s")).await.unwrap(), Some(history));
}

pub(crate) async fn only_the_newest_messages_are_kept(bed: &Bed) {
    let store = bed.open(Retention::default()).await;
    let ada = account("ada");
    for n in 0..13 {
        exchange(&*store, &ada, "s", &n.to_string()).await;
    }
    let history = store.history(&ada, &session("s")).await.unwrap().unwrap();
    assert_eq!(history.len(), 20);
    assert_eq!(history[0].content, "3");
    assert_eq!(history[19].content, "answer to 12");
    assert_eq!(store.session(&ada, &session("s")).await.unwrap().unwrap().message_count, 20);
}

pub(crate) async fn an_idempotency_key_names_one_run(bed: &Bed) {
    let store = bed.open(Retention::default()).await;
    let (ada, eve) = (account("ada"), account("eve"));
    let keyed = |who, name: &str, run: &str, body: u8| {
        let mut new = new_run(who, name, run, "Hello?");
        new.idempotency = Some(("key with ünusual } characters".into(), [body; 32]));
        new
    };
    assert!(matches!(
        store.open_run(&keyed(&ada, "s", "r1", 1)).await.unwrap(),
        Opened::New { .. }
    ));
    let existing = Opened::Existing { run: run("r1"), session: session("s") };
    assert_eq!(store.open_run(&keyed(&ada, "s", "r2", 1)).await.unwrap(), existing);
    assert_eq!(
        store.open_run(&keyed(&ada, "s", "r3", 2)).await.unwrap(),
        Opened::IdempotencyConflict
    );
    store.close_run(&ada, &run("r1"), &completed("r1"), None).await.unwrap();
    assert_eq!(
        store.open_run(&keyed(&ada, "s", "r4", 1)).await.unwrap(),
        existing,
        "also after the run has finished"
    );
    assert_eq!(store.history(&ada, &session("s")).await.unwrap().unwrap().len(), 1);
    assert!(
        matches!(store.open_run(&keyed(&eve, "s", "r5", 2)).await.unwrap(), Opened::New { .. }),
        "keys are scoped to the account"
    );
}

pub(crate) async fn a_session_has_one_active_run(bed: &Bed) {
    let store = bed.open(Retention::default()).await;
    let ada = account("ada");
    store.open_run(&new_run(&ada, "s", "r1", "One?")).await.unwrap();
    assert_eq!(
        store.open_run(&new_run(&ada, "s", "r2", "Two?")).await.unwrap(),
        Opened::Active { run: run("r1") }
    );
    assert_eq!(
        store.history(&ada, &session("s")).await.unwrap().unwrap().len(),
        1,
        "the rejected run changed nothing"
    );
    assert!(matches!(
        store.open_run(&new_run(&ada, "t", "r3", "Other")).await.unwrap(),
        Opened::New { .. }
    ));
    store.close_run(&ada, &run("r1"), &completed("r1"), None).await.unwrap();
    assert_eq!(store.session(&ada, &session("s")).await.unwrap().unwrap().active_run, None);
    assert!(matches!(
        store.open_run(&new_run(&ada, "s", "r2", "Two?")).await.unwrap(),
        Opened::New { .. }
    ));
}

pub(crate) async fn a_retried_opening_appends_nothing_twice(bed: &Bed) {
    let store = bed.open(Retention::default()).await;
    let ada = account("ada");
    let mut new = new_run(&ada, "s", "r1", "One?");
    new.idempotency = Some(("key".into(), [7; 32]));
    let first = store.open_run(&new).await.unwrap();
    assert_eq!(store.open_run(&new).await.unwrap(), first);
    assert_eq!(store.history(&ada, &session("s")).await.unwrap().unwrap().len(), 1);
}

pub(crate) async fn a_log_is_read_in_order_and_in_parts(bed: &Bed) {
    let store = bed.open(Retention::default()).await;
    let (ada, r) = (account("ada"), run("r"));
    store.open_run(&new_run(&ada, "s", "r", "One?")).await.unwrap();
    let empty = store.run_log(&ada, &r, 0, 10).await.unwrap().unwrap();
    assert_eq!((empty.events.len(), empty.finished, empty.session), (0, false, session("s")));
    assert!(store.append_run_events(&ada, &r, &[delta("a"), delta("b")], LEASE).await.unwrap());
    assert!(store.append_run_events(&ada, &r, &[], LEASE).await.unwrap(), "renews the lease only");
    assert!(store.append_run_events(&ada, &r, &[delta("c")], LEASE).await.unwrap());
    let part = store.run_log(&ada, &r, 1, 1).await.unwrap().unwrap();
    assert_eq!((part.events, part.finished), (vec![(2, delta("b"))], false));
    store.close_run(&ada, &r, &completed("r"), Some(&answer("abc"))).await.unwrap();
    let whole = store.run_log(&ada, &r, 0, 10).await.unwrap().unwrap();
    let expected = vec![(1, delta("a")), (2, delta("b")), (3, delta("c")), (4, completed("r"))];
    assert_eq!((whole.events, whole.finished), (expected, true));
    assert!(!store.run_log(&ada, &r, 0, 3).await.unwrap().unwrap().finished, "one more follows");
    let end = store.run_log(&ada, &r, 4, 10).await.unwrap().unwrap();
    assert_eq!((end.events.len(), end.finished), (0, true));
}

pub(crate) async fn a_closed_run_takes_no_more_events(bed: &Bed) {
    let store = bed.open(Retention::default()).await;
    let (ada, r) = (account("ada"), run("r"));
    assert!(
        !store.append_run_events(&ada, &r, &[delta("x")], LEASE).await.unwrap(),
        "not opened yet"
    );
    store.open_run(&new_run(&ada, "s", "r", "One?")).await.unwrap();
    assert!(store.close_run(&ada, &r, &completed("r"), Some(&answer("yes"))).await.unwrap());
    assert!(
        store.close_run(&ada, &r, &completed("r"), Some(&answer("yes"))).await.unwrap(),
        "a retry succeeds"
    );
    assert!(!store.close_run(&ada, &r, &failed(), Some(&answer("no"))).await.unwrap());
    assert!(!store.append_run_events(&ada, &r, &[delta("x")], LEASE).await.unwrap());
    assert!(!store.request_stop(&ada, &r).await.unwrap());
    assert_eq!(store.run_log(&ada, &r, 0, 10).await.unwrap().unwrap().events.len(), 1);
    assert_eq!(store.history(&ada, &session("s")).await.unwrap().unwrap().len(), 2);
}

pub(crate) async fn a_foreign_run_does_not_exist(bed: &Bed) {
    let store = bed.open(Retention::default()).await;
    let (ada, eve, r) = (account("ada"), account("eve"), run("r"));
    store.open_run(&new_run(&ada, "s", "r", "One?")).await.unwrap();
    assert_eq!(store.run_log(&eve, &r, 0, 10).await.unwrap(), None);
    assert!(!store.append_run_events(&eve, &r, &[delta("x")], LEASE).await.unwrap());
    assert!(!store.close_run(&eve, &r, &failed(), None).await.unwrap());
    assert!(!store.request_stop(&eve, &r).await.unwrap());
    assert!(!store.stop_requested(&eve, &r).await.unwrap());
    assert!(!store.run_log(&ada, &r, 0, 10).await.unwrap().unwrap().finished);
}

pub(crate) async fn a_stop_reaches_the_owner(bed: &Bed) {
    let (owner, asker) = bed.pair(Retention::default()).await;
    let (ada, r) = (account("ada"), run("r"));
    let mut wake = owner.subscribe(&Topic::RunStop(r.clone())).await.unwrap();
    assert!(!asker.request_stop(&ada, &r).await.unwrap(), "nothing to stop");
    owner.open_run(&new_run(&ada, "s", "r", "One?")).await.unwrap();
    assert!(!owner.stop_requested(&ada, &r).await.unwrap());
    assert!(asker.request_stop(&ada, &r).await.unwrap());
    woken(&mut wake).await;
    assert!(owner.stop_requested(&ada, &r).await.unwrap());
}

pub(crate) async fn a_run_without_a_living_owner_is_reaped(bed: &Bed) {
    let (owner, reaper) = bed.pair(Retention::default()).await;
    let ada = account("ada");
    let mut dead = new_run(&ada, "s", "dead", "One?");
    dead.lease = Duration::from_millis(100);
    owner.open_run(&dead).await.unwrap();
    let mut alive = new_run(&ada, "t", "alive", "Two?");
    alive.lease = Duration::from_millis(100);
    owner.open_run(&alive).await.unwrap();
    assert!(owner.append_run_events(&ada, &run("alive"), &[delta("x")], LEASE).await.unwrap());
    let mut wake = owner.subscribe(&Topic::Run(run("dead"))).await.unwrap();
    eventually("the run is reaped", async || reaper.reap_runs(&failed()).await.unwrap() == 1).await;
    woken(&mut wake).await;
    let log = owner.run_log(&ada, &run("dead"), 0, 10).await.unwrap().unwrap();
    assert_eq!((log.events, log.finished), (vec![(1, failed())], true));
    assert_eq!(owner.session(&ada, &session("s")).await.unwrap().unwrap().active_run, None);
    assert!(
        !owner.append_run_events(&ada, &run("dead"), &[delta("x")], LEASE).await.unwrap(),
        "its owner has to end"
    );
    assert_eq!(reaper.reap_runs(&failed()).await.unwrap(), 0, "only once");
    assert!(
        owner.append_run_events(&ada, &run("alive"), &[delta("x")], LEASE).await.unwrap(),
        "renewed in time"
    );
}

pub(crate) async fn a_finished_log_expires(bed: &Bed) {
    let store =
        bed.open(Retention { run_ttl: Duration::from_millis(300), ..Retention::default() }).await;
    let ada = account("ada");
    let finished = exchange(&*store, &ada, "s", "One?").await;
    eventually("the log expires", async || {
        store.run_log(&ada, &finished, 0, 10).await.unwrap().is_none()
    })
    .await;
    assert_eq!(
        store.history(&ada, &session("s")).await.unwrap().unwrap().len(),
        2,
        "the answer is kept"
    );
    store.open_run(&new_run(&ada, "s", "open", "Two?")).await.unwrap();
    store.sweep().await.unwrap();
    assert!(
        store.run_log(&ada, &run("open"), 0, 10).await.unwrap().is_some(),
        "an open run is kept by its lease"
    );
}
