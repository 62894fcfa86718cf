//! A run's log as server-sent events: `event:` is the name, `id:` the position, `data:` the
//! content.

use std::convert::Infallible;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use backend_ai::assistant::Tail;
use backend_protocol::run::RunEvent;
use futures::{StreamExt, future};
use tokio_util::sync::CancellationToken;

/// Interval of keep-alive comments, so that proxies do not close an idle stream.
const COMMENT_EVERY: Duration = Duration::from_secs(15);

/// Streams the rest of the log. Ends early when this process closes: the client resumes elsewhere.
pub(crate) fn stream(tail: Tail, closing: CancellationToken) -> Response {
    // After an error the client resumes and gets it then.
    let events = tail.into_stream(closing).scan((), |(), item| {
        let event = match item {
            Ok((position, event)) => Some(Ok::<_, Infallible>(to_event(position, &event))),
            Err(error) => {
                tracing::warn!(%error, "cannot read a run's log");
                None
            }
        };
        future::ready(event)
    });
    let mut response =
        Sse::new(events).keep_alive(KeepAlive::new().interval(COMMENT_EVERY)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

fn to_event(position: u64, event: &RunEvent) -> Event {
    let mut tagged = serde_json::to_value(event).expect("a run's event has only strings as keys");
    let data = tagged.get_mut("data").expect("events are tagged with `event` and `data`").take();
    Event::default().event(event.name()).id(position.to_string()).data(data.to_string())
}
