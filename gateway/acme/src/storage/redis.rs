//! Storage in Redis or Valkey, for replicas on many machines. Every value is sealed with a secret.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use redis::{Cmd, FromRedisValue, ProtocolVersion, Script, ScriptInvocation};
use redis_connection::{Address, Connection, Error, Options, Target};

use super::interface::{CHALLENGE_LIFETIME, Fence, Item, Lock, Storage, StorageError};
use super::seal::Seal;

/// RESP2, which every version of Redis has. The connect deadline lies within that of a call.
const OPTIONS: Options = Options {
    protocol: ProtocolVersion::RESP2,
    connect: Duration::from_secs(2),
    reply: Duration::from_secs(5),
    call: Duration::from_secs(5),
};

/// Keys under one prefix, in one hash slot, so that a Redis Cluster can check a fence and write in
/// one script.
pub struct RedisStorage {
    connection: Connection,
    prefix: String,
    seal: Seal,
    scripts: Scripts,
}

impl RedisStorage {
    /// Validates the address; connects on first use. `secret` seals every value: 32 random bytes or
    /// more, the same for every replica.
    pub fn new(address: &Address, prefix: &str, secret: &[u8]) -> Result<Self, StorageError> {
        let target = Target::new(address, OPTIONS, None).map_err(|error| {
            StorageError::unavailable("use", "the Redis URL", format_args!("{error}; {EXPECTED}"))
        })?;
        // The braces are the hash tag: the text inside them selects the slot.
        let prefix = format!("{{{prefix}:acme}}");
        Ok(Self {
            connection: Connection::new(target),
            prefix,
            seal: Seal::new(secret)?,
            scripts: Scripts::default(),
        })
    }

    fn key(&self, item: &impl fmt::Display) -> String {
        format!("{}:{item}", self.prefix)
    }

    /// The counter outlives the lock, so that tokens grow. It starts at the current time: tokens
    /// grow even when Redis lost its data, or a failover lost the latest writes.
    fn lock_keys(&self, lock: &Lock) -> [String; 2] {
        [self.key(lock), format!("{}.token", self.key(lock))]
    }

    async fn command<T: FromRedisValue>(
        &self,
        doing: &'static str,
        key: &str,
        command: &Cmd,
    ) -> Result<T, StorageError> {
        self.connection.command(command).await.map_err(|error| failed(doing, key, &error))
    }

    async fn script<T: FromRedisValue>(
        &self,
        doing: &'static str,
        key: &str,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, StorageError> {
        self.connection.script(script).await.map_err(|error| failed(doing, key, &error))
    }

    /// Runs a script that returns 1 for done and 0 for fenced.
    async fn guarded(
        &self,
        doing: &'static str,
        mut call: ScriptInvocation<'_>,
        fence: &Fence,
    ) -> Result<(), StorageError> {
        let [lock, counter] = self.lock_keys(&fence.lock);
        call.key(&lock).key(counter).arg(fence.token);
        match self.script::<u8>(doing, &lock, &call).await? {
            1 => Ok(()),
            _ => Err(StorageError::fenced(&fence.lock)),
        }
    }
}

#[async_trait]
impl Storage for RedisStorage {
    async fn read(&self, item: &Item) -> Result<Option<Vec<u8>>, StorageError> {
        let key = self.key(item);
        let sealed: Option<Vec<u8>> =
            self.command("read", &key, redis::cmd("GET").arg(&key)).await?;
        sealed.map(|sealed| self.seal.open(&key, &sealed)).transpose()
    }

    async fn write(&self, item: &Item, value: &[u8], fence: &Fence) -> Result<(), StorageError> {
        let key = self.key(item);
        let lifetime = if item.is_challenge() { in_millis(CHALLENGE_LIFETIME) } else { 0 };
        let mut call = self.scripts.write.prepare_invoke();
        call.arg(self.seal.seal(&key, value)?).arg(lifetime).key(key);
        self.guarded("write", call, fence).await
    }

    async fn remove(&self, item: &Item, fence: &Fence) -> Result<(), StorageError> {
        let mut call = self.scripts.remove.prepare_invoke();
        call.key(self.key(item));
        self.guarded("remove", call, fence).await
    }

    async fn lock(&self, lock: &Lock, ttl: Duration) -> Result<Option<Fence>, StorageError> {
        let [key, counter] = self.lock_keys(lock);
        let mut call = self.scripts.lock.prepare_invoke();
        call.key(&key).key(counter).arg(in_millis(ttl));
        let token: u64 = self.script("lock", &key, &call).await?;
        Ok((token > 0).then(|| Fence { lock: lock.clone(), token }))
    }

    async fn extend(&self, fence: &Fence, ttl: Duration) -> Result<(), StorageError> {
        let mut call = self.scripts.extend.prepare_invoke();
        call.arg(in_millis(ttl));
        self.guarded("extend", call, fence).await
    }

    async fn unlock(&self, fence: &Fence) -> Result<(), StorageError> {
        match self.guarded("unlock", self.scripts.unlock.prepare_invoke(), fence).await {
            Err(StorageError::Fenced { .. }) => Ok(()),
            done => done,
        }
    }
}

impl fmt::Debug for RedisStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStorage").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// A fence is valid while its token is the last one issued: an expired lock that no other replica
/// took still guards its owner. The arguments shared by every guarded script come last: the lock,
/// its counter, the token.
struct Scripts {
    lock: Script,
    write: Script,
    remove: Script,
    extend: Script,
    unlock: Script,
}

impl Default for Scripts {
    fn default() -> Self {
        Self {
            lock: Script::new(
                "if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
                 local now = redis.call('TIME')
                 local last = tonumber(redis.call('GET', KEYS[2]) or '0')
                 local token = math.max(last + 1, now[1] * 1000 + math.floor(now[2] / 1000))
                 local text = string.format('%.0f', token)
                 redis.call('SET', KEYS[2], text)
                 redis.call('SET', KEYS[1], text, 'NX', 'PX', ARGV[1])
                 return token",
            ),
            write: Script::new(
                "if redis.call('GET', KEYS[3]) ~= ARGV[3] then return 0 end
                 if ARGV[2] == '0' then redis.call('SET', KEYS[1], ARGV[1])
                 else redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
                 return 1",
            ),
            remove: Script::new(
                "if redis.call('GET', KEYS[3]) ~= ARGV[1] then return 0 end
                 redis.call('DEL', KEYS[1])
                 return 1",
            ),
            extend: Script::new(
                "if redis.call('GET', KEYS[2]) ~= ARGV[2] then return 0 end
                 redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[1])
                 return 1",
            ),
            unlock: Script::new(
                "if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
                 redis.call('DEL', KEYS[1])
                 return 1",
            ),
        }
    }
}

const EXPECTED: &str =
    "expected redis://, rediss://, unix://, redis-sentinel://…/MASTER or redis-cluster://";

fn failed(doing: &'static str, key: &str, error: &Error) -> StorageError {
    StorageError::unavailable(doing, key, format_args!("Redis: {error}"))
}

fn in_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejected_url_is_explained_without_its_password() {
        let secret = [7; 32];
        for url in ["http://:word@a.example", "redis-sentinel://:word@a.example", ":word@a.example"]
        {
            let error = RedisStorage::new(&Address::new(url), "test", &secret).unwrap_err();
            let text = error.to_string();
            assert!(
                text.contains("cannot use the Redis URL") && text.contains("unix://"),
                "{text}"
            );
            assert!(!text.contains("word@"), "{text}");
        }
    }
}
