//! Storage for certificates, account keys, challenges and ticket keys, shared by all replicas.

mod interface;

mod directory;
mod redis;
mod seal;

pub use directory::DirectoryStorage;
pub use interface::{CHALLENGE_LIFETIME, Fence, Item, Lock, Storage, StorageError};
pub use redis::RedisStorage;
