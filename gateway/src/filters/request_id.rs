//! A name for each request, and its place in a trace (W3C Trace Context, section 3.2).

use super::{Exchange, Refusal};
use http::HeaderValue;

pub(crate) const REQUEST_ID: &str = "x-request-id";
const TRACEPARENT: &str = "traceparent";

pub(super) fn give(exchange: &mut Exchange<'_>) -> Result<(), Refusal> {
    let trusted = exchange.snapshot.trusts(exchange.facts.client.ip());
    let text = |name: &str| exchange.request.headers.get(name).and_then(|value| value.to_str().ok());
    let kept_id = text(REQUEST_ID).filter(|id| trusted && is_id(id)).map(str::to_owned);
    let kept_parent = text(TRACEPARENT).is_some_and(|parent| trusted && is_traceparent(parent));
    let random = format!("{:032x}", rand::random::<u128>().max(1));
    if !kept_parent {
        // The trace has the request's own id, so that one finds the other; flags 00: nobody here decided to sample.
        let parent = format!("00-{random}-{:016x}-00", rand::random::<u64>().max(1));
        set(exchange, TRACEPARENT, &parent);
        exchange.request.remove_header("tracestate");
    }
    let id = kept_id.unwrap_or(random);
    set(exchange, REQUEST_ID, &id);
    exchange.about.request_id = id;
    Ok(())
}

fn set(exchange: &mut Exchange<'_>, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        // Inserting fails only on names that are not valid.
        let _ = exchange.request.insert_header(name, value);
    }
}

fn is_id(id: &str) -> bool {
    (8..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn is_traceparent(text: &str) -> bool {
    let hex =
        |text: &str, len: usize| text.len() == len && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let parts: Vec<&str> = text.split('-').collect();
    let [version, trace, parent, flags] = parts.as_slice() else { return false };
    let zero = |text: &str| text.bytes().all(|byte| byte == b'0');
    *version == "00" && hex(trace, 32) && hex(parent, 16) && hex(flags, 2) && !zero(trace) && !zero(parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traceparents_are_checked_octet_by_octet() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert!(is_traceparent(good));
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        ] {
            assert!(!is_traceparent(bad), "{bad}");
        }
    }
}
