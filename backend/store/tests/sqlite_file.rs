//! The embedded store's file: permissions, restarts, migrations, and files it rejects.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use backend_protocol::api::DeviceKeys;
use backend_protocol::id::{AccountId, DeviceId};
use backend_store::accounts::{Accounts, CredentialHash, DeviceChange, NewAccount};
use backend_store::allowance::Allowance;
use backend_store::sqlite::SqliteStore;
use backend_store::{Retention, StoreError};

fn refusal(path: &Path) -> String {
    match SqliteStore::open(path, Retention::default()) {
        Err(StoreError::Setup(why)) => why,
        other => panic!("expected Setup, got {other:?}"),
    }
}

#[tokio::test]
async fn data_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data/gatehouse.db");
    let ada = AccountId::parse("ada").unwrap();
    let store = SqliteStore::open(&path, Retention::default()).unwrap();
    store.create_account(&ada, &CredentialHash([1; 32])).await.unwrap();
    drop(store);
    let store = SqliteStore::open(&path, Retention::default()).unwrap();
    assert_eq!(store.access(&CredentialHash([1; 32])).await.unwrap().account().unwrap().id, ada);
}

#[tokio::test]
async fn a_file_of_the_first_version_is_migrated() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gatehouse.db");
    let first = rusqlite::Connection::open(&path).unwrap();
    first.execute_batch(include_str!("../src/sqlite/schema.sql")).unwrap();
    first.pragma_update(None, "application_id", 0x4761_7465).unwrap();
    first.pragma_update(None, "user_version", 1).unwrap();
    let soon = jiff::Timestamp::now().as_millisecond() + 60_000;
    let credential = CredentialHash([1; 32]);
    first
        .execute("INSERT INTO accounts (id, username, name_key, expires) VALUES ('ada', 'Ada', 'ada', ?1)", [soon])
        .unwrap();
    first
        .execute("INSERT INTO credentials (hash, account) VALUES (?1, 'ada')", [credential.0])
        .unwrap();
    first
        .execute(
            "INSERT INTO devices (account, device, keys, created) VALUES ('ada', 'd', ?1, 1)",
            [r#"{"suite":"s","encryption_key":"e","signing_key":"v"}"#],
        )
        .unwrap();
    drop(first);

    let store = SqliteStore::open(&path, Retention::default()).unwrap();
    let ada = store
        .access(&credential)
        .await
        .unwrap()
        .account()
        .expect("the credential still opens the account");
    assert_eq!(ada.username.as_deref(), Some("Ada"));
    let device = DeviceId::parse("d").unwrap();
    assert!(store.use_device(&ada.id, &device, &credential).await.unwrap());
    // Keys of that version have no generation. The device replaces them when it registers again.
    let listed = store.devices(&ada.id).await.unwrap();
    assert_eq!((listed[0].keys.generation, listed[0].keys.signature.as_str()), (0, ""));
    let keys = DeviceKeys { generation: 1, created_at: 2, ..listed[0].keys.clone() };
    let change = store.add_device(&ada.id, &device, &keys, &credential).await.unwrap();
    assert_eq!(change, DeviceChange::Replaced);
    assert_eq!(store.devices(&ada.id).await.unwrap()[0].keys, keys);
    let expires = || {
        let file = rusqlite::Connection::open(&path).unwrap();
        file.query_row("SELECT expires FROM accounts", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert!(expires() > soon, "using the account renews it");
}

#[tokio::test]
async fn addresses_are_stored_as_pseudonyms() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gatehouse.db");
    let store = SqliteStore::open(&path, Retention::default()).unwrap();
    let allowance = Some(Allowance { place: "192.0.2.1".into(), burst: 1, per_hour: 60 });
    let (id, credential) = (AccountId::parse("ada").unwrap(), CredentialHash([1; 32]));
    store.open_account(&NewAccount { id, credential, username: None, allowance }).await.unwrap();
    let file = rusqlite::Connection::open(&path).unwrap();
    let place: String =
        file.query_row("SELECT place FROM allowances", [], |row| row.get(0)).unwrap();
    assert_eq!(place.len(), 32, "{place}");
    assert!(place.bytes().all(|byte| byte.is_ascii_hexdigit()), "{place}");
}

#[tokio::test]
async fn only_the_owner_may_read_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data/gatehouse.db");
    let store = SqliteStore::open(&path, Retention::default()).unwrap();
    store
        .create_account(&AccountId::parse("ada").unwrap(), &CredentialHash([1; 32]))
        .await
        .unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    let files: Vec<_> = std::fs::read_dir(path.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(files.len() >= 3, "{files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[tokio::test]
async fn a_second_process_is_rejected_until_the_first_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gatehouse.db");
    let store = SqliteStore::open(&path, Retention::default()).unwrap();
    assert!(refusal(&path).contains("in use by another process"));
    drop(store);
    SqliteStore::open(&path, Retention::default()).expect("the lock is released");
}

#[test]
fn foreign_files_are_rejected_and_left_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("letter.txt");
    std::fs::write(&text, "Dear Ada, this is not a database. ".repeat(100)).unwrap();
    let before = std::fs::read(&text).unwrap();
    assert!(refusal(&text).contains("cannot be used as the SQLite store"));
    assert_eq!(std::fs::read(&text).unwrap(), before);
    assert!(refusal(&text.join("below-a-file.db")).contains("cannot create the folder"));
    assert!(refusal(folder.path()).contains("cannot write"));

    let foreign = folder.path().join("foreign.db");
    rusqlite::Connection::open(&foreign)
        .unwrap()
        .execute_batch("CREATE TABLE songs (title TEXT)")
        .unwrap();
    assert!(refusal(&foreign).contains("another program"));
}

#[test]
fn a_newer_schema_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gatehouse.db");
    drop(SqliteStore::open(&path, Retention::default()).unwrap());
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let why = refusal(&path);
    assert!(why.contains("99") && why.contains("newer program"), "{why}");
}

#[tokio::test]
async fn a_damaged_value_is_reported_and_nothing_panics() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gatehouse.db");
    let ada = AccountId::parse("ada").unwrap();
    let store = SqliteStore::open(&path, Retention::default()).unwrap();
    store.create_account(&ada, &CredentialHash([1; 32])).await.unwrap();
    let damage = rusqlite::Connection::open(&path).unwrap();
    damage
        .execute(
            "INSERT INTO devices (account, device, keys, created) VALUES ('ada', 'd', '{', 1)",
            [],
        )
        .unwrap();
    let outcome = store.devices(&ada).await;
    assert!(
        matches!(&outcome, Err(StoreError::Corrupt { place, .. }) if place == "devices.keys"),
        "{outcome:?}"
    );
    assert!(store.account(&ada).await.unwrap().is_some(), "other data is unaffected");
}
