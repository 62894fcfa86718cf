//! Presence, lobby and typing: ephemeral, and the first to be dropped when the peer reads slowly.

use std::time::Duration;

use backend_protocol::api::User;
use backend_protocol::id::{AccountId, ConnectionId};
use backend_protocol::live::{ErrorCode, Notice, ServerFrame};
use backend_store::broker::{Payload, Topic};
use backend_store::presence::Transition;
use tokio::time::Instant;

use super::refusal::Refusal;
use super::state::{AFTER_HELLO, Connection};
use crate::shared::Shared;
use crate::timers::jittered;
use crate::transport::Transport;

/// Longest delay of a retry after a background store call failed.
pub(super) const SOON: Duration = Duration::from_secs(3);

impl<T: Transport> Connection<T> {
    /// Queues the latest presence and lobby changes while there is room.
    pub(super) fn fill_notices(&mut self) {
        while self.wire.has_room_for_notices() {
            let Some(live) = self.live.as_deref_mut() else { return };
            let lobby = live.lobby.as_mut().and_then(|view| view.next(&self.hub.lobby));
            let next =
                lobby.or_else(|| live.watching.as_ref().and_then(|watching| watching.next()));
            let Some(notice) = next else { return };
            self.push(&ServerFrame::Notice { notice });
        }
    }

    /// Forwards a notice that another connection sent to this account.
    pub(super) fn pass_on(&mut self, payload: &str) {
        let Ok(notice @ Notice::Typing { .. }) = serde_json::from_str(payload) else {
            tracing::warn!("wake-up without a notice for one account");
            return;
        };
        if self.wire.has_room_for_notices() {
            self.push(&ServerFrame::Notice { notice });
        } else {
            self.hub.metrics.notices_dropped.inc();
        }
    }

    /// Enters the lobby and watches it, or stops both.
    pub(super) async fn lobby(&mut self, on: bool) -> Result<(), Refusal> {
        let account = self.slot.account();
        let live = self.live.as_deref_mut().expect(AFTER_HELLO);
        if !on {
            if live.lobby.take().is_some() {
                leave_lobby(&self.hub, account, &self.id).await?;
            }
            return Ok(());
        }
        // A repeated request starts again with a snapshot.
        live.lobby = None;
        let view = self.hub.lobby.view(&self.hub.maintenance, &self.stage).await?;
        enter_lobby(&self.hub, account, &self.id, true).await?;
        live.lobby = Some(view);
        Ok(())
    }

    /// Renews presence, and the lobby entry if this connection is in the lobby.
    pub(super) async fn refresh(&mut self) {
        let (hub, account) = (&self.hub, self.slot.account());
        let visible = self.live.as_deref().is_some_and(|live| live.lobby.is_some());
        let refreshed = async {
            if hub.store.arrive(account, &self.id, hub.settings.presence_ttl).await?
                == Transition::Came
            {
                let notice = Notice::Presence { account: account.clone(), online: true };
                announce(hub, &Topic::Presence(account.clone()), &notice).await;
            }
            if visible {
                enter_lobby(hub, account, &self.id, false).await?;
            }
            Ok::<_, Refusal>(())
        };
        let next = match refreshed.await {
            Ok(()) => hub.settings.presence_refresh,
            Err(_) => hub.settings.presence_refresh.min(SOON),
        };
        self.timers.refresh = Some(Instant::now() + jittered(next));
    }
}

/// Shows the account in the lobby under its current name.
async fn enter_lobby(
    hub: &Shared,
    account: &AccountId,
    connection: &ConnectionId,
    first: bool,
) -> Result<(), Refusal> {
    let username = hub.store.account(account).await?.and_then(|account| account.username);
    let username = username.ok_or_else(|| {
        Refusal::of(ErrorCode::UsernameRequired, "the lobby needs a username: POST /api/me first")
    })?;
    let user = User { account_id: account.clone(), username };
    let transition = hub.store.enter_lobby(&user, connection, hub.settings.presence_ttl).await?;
    let renamed = hub.lobby.apply(user.clone(), true);
    if transition == Transition::Came || (renamed && !first) {
        announce(hub, &Topic::Lobby, &Notice::LobbyChange { user, present: true }).await;
    }
    Ok(())
}

/// Removes this connection from the lobby.
pub(super) async fn leave_lobby(
    hub: &Shared,
    account: &AccountId,
    connection: &ConnectionId,
) -> backend_store::Result<()> {
    if hub.store.leave_lobby(account, connection).await? == Transition::Left {
        // Clients match this notice by account id; the name may be empty.
        let username = hub
            .store
            .account(account)
            .await?
            .and_then(|account| account.username)
            .unwrap_or_default();
        let user = User { account_id: account.clone(), username };
        hub.lobby.apply(user.clone(), false);
        announce(hub, &Topic::Lobby, &Notice::LobbyChange { user, present: false }).await;
    }
    Ok(())
}

/// Publishes to every node; a node that misses it finds the change at its next poll.
pub(super) async fn announce(hub: &Shared, topic: &Topic, notice: &Notice) {
    if let Err(error) = hub.store.publish(topic, payload(notice)).await {
        tracing::debug!(%error, "cannot publish a notice");
    }
}

/// A notice as sent between nodes.
pub(super) fn payload(notice: &Notice) -> Payload {
    serde_json::to_string(notice).expect("notices are structs of strings").into()
}
