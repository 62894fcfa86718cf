//! Names of keys and channels. The part in braces is the hash tag: all keys of one owner are in one
//! slot of a cluster.

use backend_protocol::id::{AccountId, ConversationId, RunId};

use crate::accounts::CredentialHash;
use crate::broker::Topic;
use crate::links::LinkCode;
use crate::username::Username;

/// The prefix of an account's keys. Ids contain no braces, colons or dots, so keys are unambiguous.
pub(super) fn of(account: &AccountId) -> String {
    format!("{{u:{account}}}:")
}

/// The key of the account that a credential opens.
pub(super) fn credential(hash: &CredentialHash) -> String {
    credential_of(&hex::encode(hash.0))
}

/// Like [`credential`], for a hash in hex.
pub(super) fn credential_of(hash: &str) -> String {
    format!("{{k:{hash}}}:account")
}

/// The key of the account with a recovery hash, in hex.
pub(super) fn recovery(hash: &str) -> String {
    format!("{{i:{hash}}}:account")
}

/// The prefix of a link's keys.
pub(super) fn link(code: &LinkCode) -> String {
    format!("{{l:{}}}:", code.as_str())
}

/// The key of a network address's used allowance.
pub(super) fn allowance(pseudonym: &str) -> String {
    format!("{{p:{pseudonym}}}:spent")
}

/// The key of the account that has a name. Hex, because a name may contain any character.
pub(super) fn name(key: &str) -> String {
    format!("{{n:{}}}:account", hex::encode(key))
}

/// Like [`name`], for a parsed username.
pub(super) fn name_of(username: &Username) -> String {
    name(username.key())
}

/// The prefix of a conversation's keys.
pub(super) fn conversation(id: &ConversationId) -> String {
    format!("{{c:{id}}}:")
}

/// Runs sorted by the end of their lease, so that the reaper reads only expired ones.
pub(super) const LEASES: &str = "{leases}:runs";

/// The prefix of the lobby's keys.
pub(super) const LOBBY: &str = "{lobby}:";

/// The channel of a topic.
pub(super) fn channel(topic: &Topic) -> String {
    match topic {
        Topic::Inbox(account) => format!("{{u:{account}}}:inbox"),
        Topic::Notice(account) => format!("{{u:{account}}}:notice"),
        Topic::Presence(account) => format!("{{u:{account}}}:presence"),
        Topic::Revoked(account) => format!("{{u:{account}}}:revoked"),
        Topic::Run(run) => format!("{{r:{run}}}:log"),
        Topic::RunStop(run) => format!("{{r:{run}}}:stop"),
        Topic::Lobby => format!("{LOBBY}changes"),
    }
}

/// The topic of a channel.
pub(super) fn topic(channel: &str) -> Option<Topic> {
    let (tag, what) = channel.strip_prefix('{')?.split_once("}:")?;
    let account = |tag: &str| AccountId::parse(tag.strip_prefix("u:")?).ok();
    let run = |tag: &str| RunId::parse(tag.strip_prefix("r:")?).ok();
    match what {
        "inbox" => account(tag).map(Topic::Inbox),
        "notice" => account(tag).map(Topic::Notice),
        "presence" => account(tag).map(Topic::Presence),
        "revoked" => account(tag).map(Topic::Revoked),
        "log" => run(tag).map(Topic::Run),
        "stop" => run(tag).map(Topic::RunStop),
        "changes" if tag == "lobby" => Some(Topic::Lobby),
        _ => None,
    }
}
