//! Refuses requests whose host has another certificate than the server name of the connection: the
//! client reuses the connection for too many hosts, or hides the host from observers.

use super::exchange::{Exchange, Refusal};

pub(super) fn check(exchange: &mut Exchange<'_>) -> Result<(), Refusal> {
    let (Some(asked), Some(host)) = (&exchange.facts.requested_name, &exchange.about.host) else {
        return Ok(());
    };
    if exchange.snapshot.config().tls.refuse_misdirected && asked.is_not_for(host.as_str()) {
        // RFC 9110 section 15.5.20: the client may retry on another connection.
        return Err(Refusal::new(
            421,
            "This connection was opened for another host: open one for this host.",
        ));
    }
    Ok(())
}
