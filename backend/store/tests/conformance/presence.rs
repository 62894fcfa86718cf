//! Presence and the lobby.

use std::collections::BTreeSet;
use std::time::Duration;

use backend_protocol::api::User;
use backend_store::presence::Transition::{Came, Left, Same};
use backend_store::{Retention, Store};

use crate::support::{Bed, account, connection, eventually};

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(200);

fn user(id: &str, name: &str) -> User {
    User { account_id: account(id), username: name.into() }
}

async fn names(store: &dyn Store) -> Vec<String> {
    store.lobby().await.unwrap().into_iter().map(|user| user.username).collect()
}

pub(crate) async fn an_account_is_online_from_its_first_to_its_last_connection(bed: &Bed) {
    let (one, other) = bed.pair(Retention::default()).await;
    let (ada, bob) = (account("ada"), account("bob"));
    let (tab, phone) = (connection("tab"), connection("phone"));
    assert_eq!(one.depart(&ada, &tab).await.unwrap(), Same, "was never online");
    assert_eq!(one.arrive(&ada, &tab, LONG).await.unwrap(), Came);
    assert_eq!(one.arrive(&ada, &tab, LONG).await.unwrap(), Same);
    assert_eq!(other.arrive(&ada, &phone, LONG).await.unwrap(), Same);
    assert_eq!(
        other.online(&[bob.clone(), ada.clone()]).await.unwrap(),
        BTreeSet::from([ada.clone()])
    );
    assert_eq!(one.online(&[]).await.unwrap(), BTreeSet::new());
    assert_eq!(one.depart(&ada, &tab).await.unwrap(), Same);
    assert_eq!(other.depart(&ada, &phone).await.unwrap(), Left);
    assert_eq!(other.depart(&ada, &phone).await.unwrap(), Same);
    assert_eq!(one.online(&[ada.clone(), bob]).await.unwrap(), BTreeSet::new());
    assert_eq!(one.arrive(&ada, &tab, LONG).await.unwrap(), Came);
}

pub(crate) async fn a_connection_expires_unless_renewed(bed: &Bed) {
    let store = bed.open(Retention::default()).await;
    let (ada, bob) = (account("ada"), account("bob"));
    store.arrive(&ada, &connection("dying"), SHORT).await.unwrap();
    store.arrive(&bob, &connection("dying"), SHORT).await.unwrap();
    store.arrive(&bob, &connection("living"), LONG).await.unwrap();
    eventually("the account without a renewed connection expires", async || {
        store.online(&[ada.clone(), bob.clone()]).await.unwrap() == BTreeSet::from([bob.clone()])
    })
    .await;
    assert_eq!(
        store.depart(&ada, &connection("dying")).await.unwrap(),
        Same,
        "had already expired"
    );
    assert_eq!(store.arrive(&ada, &connection("dying"), LONG).await.unwrap(), Came);
    assert_eq!(
        store.depart(&bob, &connection("living")).await.unwrap(),
        Left,
        "the other connection had expired"
    );
    store.sweep().await.unwrap();
    assert_eq!(store.online(&[ada.clone(), bob]).await.unwrap(), BTreeSet::from([ada]));
}

pub(crate) async fn the_lobby_is_in_order_of_name(bed: &Bed) {
    let (one, other) = bed.pair(Retention::default()).await;
    let c = connection("c");
    assert_eq!(one.lobby().await.unwrap(), []);
    assert_eq!(one.enter_lobby(&user("1", "Zoe"), &c, LONG).await.unwrap(), Came);
    assert_eq!(other.enter_lobby(&user("2", "bob"), &c, LONG).await.unwrap(), Came);
    assert_eq!(one.enter_lobby(&user("3", "Ada"), &c, LONG).await.unwrap(), Came);
    assert_eq!(names(&*other).await, ["Ada", "bob", "Zoe"]);
    assert_eq!(one.lobby().await.unwrap()[2], user("1", "Zoe"));
    assert_eq!(other.enter_lobby(&user("1", "Aaron"), &connection("d"), LONG).await.unwrap(), Same);
    assert_eq!(names(&*one).await, ["Aaron", "Ada", "bob"], "the new name is shown");
    assert_eq!(one.leave_lobby(&account("1"), &c).await.unwrap(), Same);
    assert_eq!(one.leave_lobby(&account("1"), &connection("d")).await.unwrap(), Left);
    assert_eq!(one.leave_lobby(&account("1"), &connection("d")).await.unwrap(), Same);
    assert_eq!(names(&*one).await, ["Ada", "bob"]);
    assert_eq!(
        one.online(&[account("2")]).await.unwrap(),
        BTreeSet::new(),
        "the lobby is not presence"
    );
}

pub(crate) async fn lobby_entries_expire(bed: &Bed) {
    let store = bed.open(Retention::default()).await;
    store.enter_lobby(&user("1", "ada"), &connection("dying"), SHORT).await.unwrap();
    store.enter_lobby(&user("2", "bob"), &connection("dying"), SHORT).await.unwrap();
    store.enter_lobby(&user("2", "bob"), &connection("living"), LONG).await.unwrap();
    eventually("her entry expires, his does not", async || names(&*store).await == ["bob"]).await;
    assert_eq!(store.leave_lobby(&account("1"), &connection("dying")).await.unwrap(), Same);
    assert_eq!(store.enter_lobby(&user("1", "ada"), &connection("new"), LONG).await.unwrap(), Came);
    assert_eq!(names(&*store).await, ["ada", "bob"]);
}

pub(crate) async fn a_person_in_the_lobby_is_renamed_at_once(bed: &Bed) {
    let (one, other) = bed.pair(Retention::default()).await;
    one.enter_lobby(&user("1", "ada"), &connection("c"), LONG).await.unwrap();
    one.enter_lobby(&user("2", "bob"), &connection("c"), SHORT).await.unwrap();
    assert!(other.rename_in_lobby(&user("1", "Countess")).await.unwrap());
    assert!(one.lobby().await.unwrap().contains(&user("1", "Countess")));
    assert!(!other.rename_in_lobby(&user("3", "eve")).await.unwrap(), "not in the lobby");
    eventually("his entry expires", async || names(&*one).await == ["Countess"]).await;
    assert!(!other.rename_in_lobby(&user("2", "robert")).await.unwrap(), "his entry has expired");
    assert_eq!(names(&*one).await, ["Countess"]);
}
