//! Opens the store: Redis when configured, the embedded one otherwise.

use std::sync::Arc;
use std::time::Duration;

use backend_store::redis::{RedisSettings, RedisStore};
use backend_store::sqlite::SqliteStore;
use backend_store::{Retention, Store, StoreError};
use tokio::time::{Instant, sleep};

use crate::settings::Settings;

/// The embedded store's file, in the data folder.
const FILE: &str = "gatehouse.sqlite";
/// Time to wait for Redis at startup, as it may be starting, too.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn open(settings: &Settings) -> Result<Arc<dyn Store>, StoreError> {
    let retention = settings.retention.clone();
    if let Some(redis) = &settings.redis {
        return Ok(Arc::new(connect(redis, &retention).await?));
    }
    let path = settings.data_dir.join(FILE);
    let opened = tokio::task::spawn_blocking(move || SqliteStore::open(&path, retention)).await;
    let store = opened
        .map_err(|error| StoreError::Setup(format!("the opening task failed: {error}")))??;
    Ok(Arc::new(store))
}

async fn connect(redis: &RedisSettings, retention: &Retention) -> Result<RedisStore, StoreError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match RedisStore::connect(redis.clone(), retention.clone()).await {
            Err(StoreError::Unavailable { reason, retry_after }) if Instant::now() < deadline => {
                tracing::warn!(
                    redis = redis.address(),
                    reason,
                    "cannot connect to Redis, retrying"
                );
                sleep(retry_after.clamp(Duration::from_millis(100), Duration::from_secs(2))).await;
            }
            result => return result,
        }
    }
}
