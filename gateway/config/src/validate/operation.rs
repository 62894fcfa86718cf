//! Limits, admin address, logs, drain, upgrade, trust.

use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

use toml::Spanned;

use super::{Check, listener, route};
use crate::outside::listener::ListenerText;
use crate::outside::operation::{
    AdminText, DrainText, FormatText, LevelText, LimitsText, LogText, TrustText, UpgradeText,
};
use crate::{Admin, Drain, Limits, Log, LogFormat, LogLevel, RateLimit, Trust, Upgrade};

pub(super) fn limits(check: &mut Check<'_, '_>, text: LimitsText) -> Limits {
    let (tick, hour) = (Duration::from_millis(10), Duration::from_secs(3600));
    let seconds = Duration::from_secs;
    Limits {
        max_connections: check.within(text.max_connections.as_ref(), 100_000, 1, u32::MAX),
        max_connections_per_address: check.within(
            text.max_connections_per_address.as_ref(),
            1000,
            1,
            u32::MAX,
        ),
        handshake_timeout: check.within(text.handshake_timeout.as_ref(), seconds(10), tick, hour),
        header_timeout: check.within(text.header_timeout.as_ref(), seconds(10), tick, hour),
        body_timeout: check.within(text.body_timeout.as_ref(), seconds(30), tick, hour),
        send_timeout: check.within(text.send_timeout.as_ref(), seconds(30), tick, hour),
        keepalive_timeout: check.within(text.keepalive_timeout.as_ref(), seconds(75), tick, hour),
        keepalive_requests: check.within(text.keepalive_requests.as_ref(), 10_000, 1, u32::MAX),
        header_bytes: header_bytes(check.within(
            text.header_bytes.as_ref(),
            32 << 10,
            1 << 10,
            1 << 20,
        )),
        // Pingora's parser accepts at most 256 fields.
        header_fields: check.within(text.header_fields.as_ref(), 100, 1, 256),
        body_bytes: check.or(text.body_bytes.as_ref(), 1 << 20),
        h2_concurrent_streams: check.within(text.h2_concurrent_streams.as_ref(), 128, 1, 10_000),
        h2_pending_resets: check.within(text.h2_pending_resets.as_ref(), 50, 1, 10_000),
        held_bytes_per_address: check.within(
            text.held_bytes_per_address.as_ref(),
            128 << 20,
            1 << 20,
            u64::MAX,
        ),
        rate_limit: text
            .rate_limit
            .and_then(|text| route::rate_limit(check, &text))
            .unwrap_or(RateLimit { per_second: 100.0, burst: 1000 }),
        rate_limit_addresses: check.within(
            text.rate_limit_addresses.as_ref(),
            100_000,
            100,
            10_000_000,
        ),
    }
}

fn header_bytes(bytes: u64) -> u32 {
    u32::try_from(bytes).unwrap_or(1 << 20)
}

pub(super) fn admin(
    check: &mut Check<'_, '_>,
    text: &AdminText,
    listeners: &[Spanned<ListenerText>],
) -> Option<Admin> {
    let hosts = check.all(text.hosts.as_ref(), Vec::new());
    let address = check.take(&text.address)?;
    listener::check_admin(check, &text.address, listeners);
    Some(Admin { address, hosts })
}

pub(super) fn log(text: LogText) -> Log {
    Log {
        access: text.access.unwrap_or(true),
        level: match text.level {
            Some(LevelText::Error) => LogLevel::Error,
            Some(LevelText::Warn) => LogLevel::Warn,
            Some(LevelText::Info) | None => LogLevel::Info,
            Some(LevelText::Debug) => LogLevel::Debug,
            Some(LevelText::Trace) => LogLevel::Trace,
        },
        format: match text.format {
            Some(FormatText::Json) | None => LogFormat::Json,
            Some(FormatText::Text) => LogFormat::Text,
        },
        pseudonymise: text.pseudonymise.unwrap_or(true),
    }
}

pub(super) fn drain(check: &mut Check<'_, '_>, text: DrainText) -> Drain {
    let (none, day) = (Duration::ZERO, Duration::from_secs(24 * 3600));
    Drain {
        delay: check.within(text.delay.as_ref(), none, none, day),
        deadline: check.within(text.deadline.as_ref(), Duration::from_secs(30), none, day),
    }
}

/// Maximum length of the socket path. unix(7) allows 107 bytes; some are reserved for the temporary
/// name under which the socket is created before it is renamed.
const MAX_SOCKET_PATH: usize = 100;

pub(super) fn upgrade(check: &mut Check<'_, '_>, text: &UpgradeText) -> Option<Upgrade> {
    let socket = check.path(&text.socket)?;
    let length = socket.as_os_str().as_bytes().len();
    if length > MAX_SOCKET_PATH {
        let reason = format!(
            "expected a path of at most {MAX_SOCKET_PATH} bytes, found {length}: {}",
            socket.display()
        );
        check.add(text.socket.span.clone(), reason);
    }
    if socket.file_name().is_none() {
        let expected = "expected the path of a socket such as `/run/gateway/upgrade.sock`, found";
        check.add(text.socket.span.clone(), format!("{expected} {}", socket.display()));
    }
    Some(Upgrade { socket })
}

pub(super) fn trust(check: &mut Check<'_, '_>, text: TrustText) -> Trust {
    Trust {
        forwarded: check.all(text.forwarded.as_ref(), Vec::new()),
        underscores_in_headers: text.underscores_in_headers.unwrap_or(false),
    }
}
