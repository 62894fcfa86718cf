//! The handlers of `/api`, one file for each topic.

pub(crate) mod me;
pub(crate) mod models;
pub(crate) mod chat;
pub(crate) mod runs;
pub(crate) mod sessions;
pub(crate) mod users;
mod base64url;
mod key_change;
pub(crate) mod devices;
pub(crate) mod identity;
pub(crate) mod links;
pub(crate) mod conversations;
pub(crate) mod openapi;
