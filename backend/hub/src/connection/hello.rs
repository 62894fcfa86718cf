//! `hello`: which device connects and where it resumes. Subscribe first, then read the inbox: no
//! event is missed.

use std::time::Duration;

use backend_protocol::id::DeviceId;
use backend_protocol::limits::{MAX_DEVICES, MAX_FRAME, MAX_REPLAY, MAX_WATCHED};
use backend_protocol::live::{ErrorCode, Limits, ServerFrame};
use backend_store::mailboxes::InboxPage;
use tokio::time::Instant;

use super::refusal::Refusal;
use super::state::{Connection, Live};
use crate::settings::HubSettings;
use crate::transport::Transport;

impl<T: Transport> Connection<T> {
    pub(super) async fn hello(
        &mut self,
        id: u64,
        device: DeviceId,
        resume: Option<u64>,
    ) -> Result<(), Refusal> {
        if self.live.is_some() {
            return Err(Refusal::of(ErrorCode::OutOfOrder, "hello was already sent"));
        }
        let account = self.slot.account();
        let store = &self.hub.store;
        // From now on the credential is bound to the device: removing the device revokes it.
        if !store.use_device(account, &device, &self.credential).await? {
            let message = "this device is not registered: PUT /api/devices/{device} first";
            return Err(Refusal::of(ErrorCode::UnknownDevice, message));
        }
        let subscriptions = self.slot.subscribe(&**store).await?;
        let position = resume.unwrap_or(0).min(i64::MAX as u64);
        let inbox = store.inbox(account, position, 1).await?;
        let (recovered, result) = match resume {
            None => (false, "fresh"),
            Some(_) if can_replay(position, &inbox) => (true, "recovered"),
            Some(_) => (false, "lost"),
        };
        let sent = if recovered { position } else { inbox.head };
        self.hub.metrics.hellos.with_label_values(&[result]).inc();
        let limits = limits(&self.hub.settings);
        let (connection, account) = (self.id.clone(), account.clone());
        self.push(&ServerFrame::Welcome {
            id,
            connection,
            account,
            resume: inbox.head,
            recovered,
            limits,
        });
        self.timers.hello = None;
        self.timers.refresh = Some(Instant::now());
        // The subscription starts here: revocations since the WebSocket handshake were missed.
        self.timers.credential = Some(Instant::now());
        self.live = Some(Box::new(Live {
            device,
            subscriptions: Some(subscriptions),
            sent,
            behind: true,
            caught_up: false,
            lagging: None,
            watching: None,
            lobby: None,
            typing: None,
        }));
        Ok(())
    }
}

fn limits(settings: &HubSettings) -> Limits {
    let seconds = |duration: Duration| u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
    Limits {
        max_frame: MAX_FRAME as u32,
        max_devices: MAX_DEVICES as u32,
        max_watched: MAX_WATCHED as u32,
        ping_seconds: seconds(settings.ping),
        key_rotation_seconds: seconds(settings.key_rotation),
        retention_seconds: seconds(settings.retention),
    }
}

/// All events after `position` are kept, and few enough to replay.
fn can_replay(position: u64, inbox: &InboxPage) -> bool {
    position <= inbox.head
        && position + 1 >= inbox.first
        && inbox.head - position <= MAX_REPLAY as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_replayed_when_all_of_it_is_kept_and_it_is_not_too_long() {
        let inbox = |first, head| InboxPage { events: Vec::new(), first, head };
        assert!(can_replay(0, &inbox(1, 0)), "a new inbox");
        assert!(can_replay(7, &inbox(8, 7)), "nothing kept, nothing missed");
        assert!(can_replay(4, &inbox(5, 504)));
        assert!(!can_replay(3, &inbox(4, 504)), "too long");
        assert!(!can_replay(3, &inbox(5, 9)), "partly trimmed");
        assert!(!can_replay(10, &inbox(5, 9)), "never assigned");
    }
}
