//! The store: Redis when it is configured, the embedded one otherwise.

use std::sync::Arc;

use backend_store::sqlite::SqliteStore;
use backend_store::{Store, StoreError};

use crate::settings::Settings;

/// The embedded store's file, under the data folder.
const FILE: &str = "gatehouse.sqlite";

pub(crate) async fn open(settings: &Settings) -> Result<Arc<dyn Store>, StoreError> {
    if settings.redis.is_some() {
        return Err(StoreError::Setup("Redis".into()));
    }
    let path = settings.data_dir.join(FILE);
    let retention = settings.retention.clone();
    let opened = tokio::task::spawn_blocking(move || SqliteStore::open(&path, retention)).await;
    let store = opened.map_err(|error| StoreError::Setup(format!("opening was interrupted: {error}")))??;
    Ok(Arc::new(store))
}
