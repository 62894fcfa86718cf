//! An account's identity and its device log: requests and responses of `/api`. The server stores
//! both and verifies no signature. Byte layout: `docs/E2E.md`.

use serde::{Deserialize, Serialize};

use crate::api::{Me, wire};

wire! {
    /// One entry of a device log.
    #[derive(Eq)]
    #[serde(deny_unknown_fields)]
    pub struct SignedEntry {
        /// The canonical entry, base64url: at most 1 KiB before encoding.
        pub entry: String,
        /// The signer's Ed25519 signature over the entry: 64 bytes (RFC 8032), base64url.
        pub signature: String,
    }

    /// `PUT /api/identity`: creates the account's identity, or replaces it with a new one. The
    /// device log starts at version 1.
    #[derive(Eq)]
    #[serde(deny_unknown_fields)]
    pub struct NewIdentity {
        /// The public identity key: 32 bytes (RFC 8032), base64url.
        pub identity_key: String,
        /// The private identity key, encrypted with a key from the recovery code, base64url: at
        /// most 1 KiB before encoding.
        pub sealed: String,
        /// SHA-256 of the recovery token, base64url.
        pub recovery: String,
        /// The first entry of the device log.
        pub entry: SignedEntry,
        /// The identity key to replace; absent when the account has none.
        #[serde(default, skip_serializing_if = "Option::is_none")] #[cfg_attr(test, ts(optional))]
        pub replaces: Option<String>,
    }

    /// `POST /api/devices/log`: appends one entry to the account's device log.
    #[derive(Eq)]
    #[serde(deny_unknown_fields)]
    pub struct AppendEntry {
        /// The entry's version: the length of the log, plus one.
        pub version: u64,
        /// The entry.
        pub entry: SignedEntry,
    }

    /// `POST /api/recovery`: opens an account with the token from its recovery code.
    #[derive(Eq)]
    #[serde(deny_unknown_fields)]
    pub struct Recover {
        /// The recovery token: 32 bytes, base64url.
        pub token: String,
    }

    /// The response of `POST /api/recovery`. Sets the cookie of the account.
    #[derive(Eq)]
    pub struct Recovered {
        /// The account.
        pub me: Me,
        /// Its public identity key: 32 bytes (RFC 8032), base64url.
        pub identity_key: String,
        /// The sealed private identity key, as it was stored.
        pub sealed: String,
    }
}
