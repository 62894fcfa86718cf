//! The shape of `ui/src/crypto/vectors/device-log.json`. Binary values are hexadecimal, except for
//! those that are base64url on the wire.

use std::fs;

use serde::Deserialize;

use crate::envelope::device_log::Fault;
use crate::envelope::device_log::Operation;
use crate::envelope::device_log::Received;
use crate::envelope::device_log::SignedEntry;
use crate::envelope::linking::SealedChunk;
use crate::envelope::recovery::CodeFault;
use crate::envelope::vectors::path;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccountVectors {
    pub(crate) suite: String,
    pub(crate) log: LogVector,
    pub(crate) rejected_logs: Vec<RejectedLog>,
    pub(crate) received_logs: Vec<ReceivedLog>,
    pub(crate) statements: Vec<StatementVector>,
    pub(crate) rejected_statements: Vec<RejectedStatement>,
    pub(crate) safety: Vec<SafetyVector>,
    pub(crate) recovery_codes: Vec<CodeVector>,
    pub(crate) rejected_codes: Vec<RejectedCode>,
    pub(crate) identities: Vec<IdentityVector>,
    pub(crate) rejected_identities: Vec<RejectedIdentity>,
    pub(crate) emoji: Vec<EmojiVector>,
    pub(crate) links: Vec<LinkVector>,
    pub(crate) rejected_reveals: Vec<RejectedReveal>,
    /// PKCS #8, base64url.
    pub(crate) history_private: String,
    pub(crate) history: Vec<ChunkVector>,
    pub(crate) rejected_history: Vec<ChunkVector>,
}

#[derive(Deserialize)]
pub(crate) struct LogVector {
    pub(crate) account: String,
    pub(crate) identity_key: String,
    pub(crate) entries: Vec<EntryVector>,
    pub(crate) devices: Vec<LoggedVector>,
}

#[derive(Deserialize)]
pub(crate) struct EntryVector {
    pub(crate) version: u64,
    pub(crate) previous: String,
    pub(crate) operation: Operation,
    pub(crate) device: String,
    pub(crate) signing_key: String,
    pub(crate) time: u64,
    pub(crate) signer: String,
    pub(crate) bytes: String,
    pub(crate) hash: String,
    pub(crate) signed: SignedEntry,
}

#[derive(Deserialize)]
pub(crate) struct LoggedVector {
    pub(crate) device: String,
    pub(crate) signing_key: String,
    pub(crate) approved_in: u64,
    pub(crate) removed_in: Option<u64>,
}

#[derive(Deserialize)]
pub(crate) struct RejectedLog {
    pub(crate) name: String,
    pub(crate) account: String,
    pub(crate) identity_key: String,
    pub(crate) entries: Vec<SignedEntry>,
    pub(crate) version: usize,
    pub(crate) fault: Fault,
}

#[derive(Deserialize)]
pub(crate) struct ReceivedLog {
    pub(crate) name: String,
    pub(crate) identity_key: String,
    pub(crate) entries: Vec<SignedEntry>,
    pub(crate) result: Received,
}

#[derive(Deserialize)]
pub(crate) struct KeysVector {
    pub(crate) suite: String,
    pub(crate) encryption_key: String,
    pub(crate) signing_key: String,
    pub(crate) generation: u64,
    pub(crate) created_at: u64,
    pub(crate) signature: String,
}

#[derive(Deserialize)]
pub(crate) struct StatementVector {
    pub(crate) account: String,
    pub(crate) device: String,
    pub(crate) keys: KeysVector,
    pub(crate) bytes: String,
    pub(crate) fingerprint: String,
}

#[derive(Deserialize)]
pub(crate) struct RejectedStatement {
    pub(crate) name: String,
    pub(crate) account: String,
    pub(crate) device: String,
    pub(crate) keys: KeysVector,
}

#[derive(Deserialize)]
pub(crate) struct SafetyVector {
    pub(crate) a: Side,
    pub(crate) b: Side,
    pub(crate) number: String,
}

#[derive(Deserialize)]
pub(crate) struct Side {
    pub(crate) account: String,
    pub(crate) identity_key: String,
}

#[derive(Deserialize)]
pub(crate) struct CodeVector {
    pub(crate) code: String,
    pub(crate) text: String,
    pub(crate) typed: Vec<String>,
}

#[derive(Deserialize)]
pub(crate) struct RejectedCode {
    pub(crate) typed: String,
    #[serde(flatten)]
    pub(crate) fault: CodeFault,
}

#[derive(Deserialize)]
pub(crate) struct IdentityVector {
    pub(crate) account: String,
    pub(crate) identity_key: String,
    pub(crate) code: String,
    pub(crate) sealed: String,
    pub(crate) private_key: String,
    pub(crate) nonce: String,
    pub(crate) seal_key: String,
    pub(crate) token: String,
    pub(crate) recovery: String,
}

#[derive(Deserialize)]
pub(crate) struct RejectedIdentity {
    pub(crate) name: String,
    pub(crate) account: String,
    pub(crate) identity_key: String,
    pub(crate) code: String,
    pub(crate) sealed: String,
}

#[derive(Deserialize)]
pub(crate) struct EmojiVector {
    pub(crate) emoji: String,
    pub(crate) name: String,
}

#[derive(Deserialize)]
pub(crate) struct LinkVector {
    pub(crate) device: String,
    pub(crate) encryption_key: String,
    pub(crate) signing_key: String,
    pub(crate) fingerprint: String,
    pub(crate) account: String,
    pub(crate) identity_key: String,
    pub(crate) new_nonce: String,
    pub(crate) old_nonce: String,
    pub(crate) commitment: String,
    pub(crate) hash: String,
    pub(crate) emoji: Vec<String>,
}

#[derive(Deserialize)]
pub(crate) struct RejectedReveal {
    pub(crate) name: String,
    pub(crate) commitment: String,
    pub(crate) nonce: String,
    pub(crate) fingerprint: String,
}

#[derive(Deserialize)]
pub(crate) struct ChunkVector {
    /// Of a rejected chunk.
    #[serde(default)]
    pub(crate) name: String,
    pub(crate) link: String,
    pub(crate) account: String,
    pub(crate) signer: String,
    pub(crate) index: u32,
    pub(crate) total: u32,
    pub(crate) chunk: SealedChunk,
    /// Of a chunk that opens.
    pub(crate) content: Option<String>,
}

pub(crate) fn read() -> AccountVectors {
    let path = path("device-log.json");
    let text = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
