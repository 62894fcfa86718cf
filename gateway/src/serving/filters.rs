//! The filters that every request passes: one list, in one order, with a reason for each position.
//! The first half finds the route; the second half admits the request to it.

mod exchange;

mod client;
mod fields;
mod target;
mod request_id;
mod misdirected;
mod rate_limit;
mod origin;
mod forwarded;
mod response;

pub(crate) use exchange::{Exchange, Refusal};
pub(crate) use response::{PageKind, harden};

use std::sync::Arc;

use http::header;

use crate::serving::router::Found;
use crate::serving::snapshot::Route;

/// One filter. It can change the request, record facts about it, or refuse it.
struct Filter<A> {
    /// The `reason` label of refusals.
    name: &'static str,
    apply: A,
}

/// Before the route is known.
type Find = fn(&mut Exchange<'_>) -> Result<(), Refusal>;
/// Once the route is known.
type Admit = fn(&mut Exchange<'_>, &Route) -> Result<(), Refusal>;

/// The order matters; each filter has the reason for its position.
const FINDING: [Filter<Find>; 5] = [
    // First, because requests are refused, counted and logged per client.
    Filter { name: "client", apply: client::find },
    // Before any field is used: h2 permits some that HTTP/1.1 cannot contain.
    Filter { name: "fields", apply: fields::check },
    // Before every filter that relies on one host and one spelling of the path.
    Filter { name: "target", apply: target::check },
    // Before filters whose refusals have to be correlated with the client's logs.
    Filter { name: "request_id", apply: request_id::give },
    // Before the routes, because the response must not depend on the routes of the other host.
    Filter { name: "misdirected", apply: misdirected::check },
];

/// Between the two halves, because a route can have its own limits.
const ROUTE: &str = "route";

const ADMITTING: [Filter<Admit>; 4] = [
    // Before everything that costs more than a table lookup.
    Filter { name: RATE_LIMIT, apply: rate_limit::check },
    // Before a WebSocket handshake: browsers send cookies with it from any page (RFC 6455 section
    // 10.2).
    Filter { name: "origin", apply: origin::check },
    // Before the body is read; bodies without a length are counted while they are forwarded.
    Filter { name: "body", apply: body },
    // Last: the upstream gets facts about the client only from the gateway.
    Filter { name: "forwarded", apply: forwarded::overwrite },
];

/// The rate limit; it also counts requests that an earlier filter refuses.
const RATE_LIMIT: &str = "rate_limit";

/// The result of the filters for a WebSocket request.
pub(crate) enum WebSocket {
    /// The route accepts it.
    Admitted(Arc<Route>),
    /// The route accepts WebSockets, but not this one.
    Refused(Refusal),
    /// No route accepts WebSockets here: it is served like any other request, because a server may
    /// ignore `Upgrade` (RFC 9110 section 7.8).
    Ignored,
}

/// Applies every filter in order; the first refusal ends the chain and is counted.
pub(crate) fn admit(mut exchange: Exchange<'_>) -> Result<Arc<Route>, Refusal> {
    match find(&mut exchange) {
        Ok(route) => admit_to(&mut exchange, &route).map(|()| route),
        // A refusal costs as much as a response: without a limit it would be the cheapest flood.
        Err((name, refusal)) => Err(match rate_limit::count_refused(&exchange) {
            Ok(()) => refused(&mut exchange, name, refusal),
            Err(limited) => refused(&mut exchange, RATE_LIMIT, limited),
        }),
    }
}

/// Applies every filter to a WebSocket request if its route accepts WebSockets; otherwise counts
/// nothing.
pub(crate) fn admit_websocket(mut exchange: Exchange<'_>) -> WebSocket {
    exchange.websocket = true;
    match find(&mut exchange) {
        Ok(route) if route.config.websocket => match admit_to(&mut exchange, &route) {
            Ok(()) => WebSocket::Admitted(route),
            Err(refusal) => WebSocket::Refused(refusal),
        },
        Ok(_) | Err(_) => WebSocket::Ignored,
    }
}

/// Returns the route, or the filter that refuses the request.
fn find(exchange: &mut Exchange<'_>) -> Result<Arc<Route>, (&'static str, Refusal)> {
    for filter in &FINDING {
        (filter.apply)(exchange).map_err(|refusal| (filter.name, refusal))?;
    }
    route(exchange).map_err(|refusal| (ROUTE, refusal))
}

fn admit_to(exchange: &mut Exchange<'_>, route: &Route) -> Result<(), Refusal> {
    for filter in &ADMITTING {
        if let Err(refusal) = (filter.apply)(exchange, route) {
            return Err(refused(exchange, filter.name, refusal));
        }
    }
    Ok(())
}

/// Counts a refusal and records it for the log.
fn refused(exchange: &mut Exchange<'_>, name: &'static str, refusal: Refusal) -> Refusal {
    exchange.shared.metrics.request_refused(name);
    exchange.about.refused = Some(name);
    refusal
}

fn route(exchange: &mut Exchange<'_>) -> Result<Arc<Route>, Refusal> {
    let path = &exchange.about.path;
    match exchange.snapshot.router.find(exchange.host(), path, &exchange.request.method) {
        Found::Route(index) => {
            let route = exchange.snapshot.route(index);
            exchange.about.route = Some(Arc::clone(&route));
            Ok(route)
        }
        Found::OtherMethods(allow) => {
            Err(Refusal::new(405, "This method is not allowed for this path.").with("allow", allow))
        }
        Found::Nothing => Err(Refusal::new(404, "There is nothing here.")),
    }
}

fn body(exchange: &mut Exchange<'_>, route: &Route) -> Result<(), Refusal> {
    let length = exchange.request.headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > route.config.body_limit) {
        return Err(Refusal::new(413, BODY_TOO_LARGE));
    }
    Ok(())
}

/// The detail of a 413 response.
pub(crate) const BODY_TOO_LARGE: &str = "The request body is too large.";
