//! The event that an account's identity, device log or device keys changed.

use std::collections::BTreeSet;

use backend_protocol::id::AccountId;
use backend_protocol::live::InboxEvent;
use backend_store::StoreError;

use crate::app::App;

/// The account itself and everyone with whom it has a conversation.
pub(super) async fn affected(
    app: &App,
    account: &AccountId,
) -> Result<BTreeSet<AccountId>, StoreError> {
    let conversations = app.store.conversations(account).await?;
    let mut affected: BTreeSet<AccountId> =
        conversations.into_iter().map(|conversation| conversation.peer.account_id).collect();
    affected.insert(account.clone());
    Ok(affected)
}

/// Appends a key change to their inboxes; continues after a failure and returns the last one.
pub(super) async fn append(
    app: &App,
    account: &AccountId,
    affected: &BTreeSet<AccountId>,
) -> Result<(), StoreError> {
    let event = InboxEvent::KeyChange { account: account.clone() };
    let mut outcome = Ok(());
    for inbox in affected {
        if let Err(error) = app.store.append_event(inbox, &event).await {
            outcome = Err(error);
        }
    }
    outcome
}

/// Appends a key change to the inboxes of all accounts concerned.
pub(super) async fn announce(app: &App, account: &AccountId) -> Result<(), StoreError> {
    append(app, account, &affected(app, account).await?).await
}
