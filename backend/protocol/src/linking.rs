//! Linking a new device to an account: requests and responses of `/api/links`. The server relays
//! the messages between both devices and does not read them. Steps: `docs/E2E.md`.

use serde::{Deserialize, Serialize};

use crate::api::wire;
use crate::id::DeviceId;
use crate::identity::SignedEntry;

wire! {
    /// The response of `POST /api/links`, made for the new device.
    #[derive(Eq)]
    pub struct Link {
        /// Eight digits that find the link.
        pub code: String,
        /// The new device's secret for the link, sent as `Authorization: Bearer`.
        pub token: String,
        /// Seconds until the link ends.
        pub expires_in: u32,
    }

    /// `POST /api/links/{code}/messages`: a message to the other device.
    #[derive(Eq)]
    #[serde(deny_unknown_fields)]
    pub struct RelayMessage {
        /// Opaque to the server: at most 192 KiB.
        pub body: String,
    }

    /// `GET /api/links/{code}/messages?after={index}`.
    #[derive(Eq)]
    pub struct RelayedMessages {
        /// The messages after `after`, oldest first, of both devices.
        pub messages: Vec<RelayedMessage>,
        /// True when the account has approved the new device.
        pub approved: bool,
    }

    /// A relayed message.
    #[derive(Eq)]
    pub struct RelayedMessage {
        /// Its number in the link, from 1, without gaps.
        pub index: u32,
        /// The device that sent it.
        pub from: LinkSide,
        /// As it was sent.
        pub body: String,
    }

    /// A device of a link.
    #[derive(Copy, Eq)]
    #[serde(rename_all = "snake_case")]
    pub enum LinkSide {
        /// The device to link, which has the token.
        New,
        /// A device of the account, which has its cookie.
        Old,
    }

    /// `POST /api/links/{code}/approval`: appends the approval to the account's device log and lets
    /// the new device claim the link.
    #[derive(Eq)]
    #[serde(deny_unknown_fields)]
    pub struct DeviceApproval {
        /// The new device.
        pub device: DeviceId,
        /// The entry's version: the length of the log, plus one.
        pub version: u64,
        /// The approval.
        pub entry: SignedEntry,
    }
}
