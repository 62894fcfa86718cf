//! Names of keys and channels. The part in braces is the hash tag: all of one owner is in one slot
//! of a cluster.

use backend_protocol::id::{AccountId, ConversationId, RunId};

use crate::accounts::CredentialHash;
use crate::broker::Topic;
use crate::username::Username;

/// What all keys of an account begin with. Ids have no braces, no colon and no dot, so no two keys
/// are alike.
pub(super) fn of(account: &AccountId) -> String {
    format!("{{u:{account}}}:")
}

/// The account a credential opens.
pub(super) fn credential(hash: &CredentialHash) -> String {
    credential_of(&hex::encode(hash.0))
}

/// The same for a hash in hexadecimal digits.
pub(super) fn credential_of(hash: &str) -> String {
    format!("{{k:{hash}}}:account")
}

/// Until when the allowance of a place is spent.
pub(super) fn allowance(pseudonym: &str) -> String {
    format!("{{p:{pseudonym}}}:spent")
}

/// The account that has a name. The name is the last part: it may hold any sign.
pub(super) fn name(key: &str) -> String {
    format!("{{n:{}}}:account", hex::encode(key))
}

/// The same for a parsed one.
pub(super) fn name_of(username: &Username) -> String {
    name(username.key())
}

/// What all keys of a conversation begin with.
pub(super) fn conversation(id: &ConversationId) -> String {
    format!("{{c:{id}}}:")
}

/// Runs by the end of their lease, so that reaping looks at few.
pub(super) const LEASES: &str = "{leases}:runs";

/// What all keys of the lobby begin with.
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
