//! The filters of every request: one list, in one order, each filter with its reason. The first
//! half finds the route; the second half admits the request to it.

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

/// One step. It may change the request, add to what is known about it, or refuse it.
struct Filter<A> {
    /// The `reason` label of refusals.
    name: &'static str,
    apply: A,
}

/// Before the route is known.
type Find = fn(&mut Exchange<'_>) -> Result<(), Refusal>;
/// With the route that was found.
type Admit = fn(&mut Exchange<'_>, &Route) -> Result<(), Refusal>;

/// The order matters; each comment gives the reason for the position.
const FINDING: [Filter<Find>; 5] = [
    // First, because whatever is refused, counted or logged is so for a client.
    Filter { name: "client", apply: client::find },
    // Before any field is relied on: h2 brings some that HTTP/1.1 cannot have.
    Filter { name: "fields", apply: fields::check },
    // Before everything that relies on one host and one spelling of the path.
    Filter { name: "target", apply: target::check },
    // Before anything can be refused with a reason worth correlating.
    Filter { name: "request_id", apply: request_id::give },
    // Before a route is looked for, because the answer must not depend on what there is at the
    // other host.
    Filter { name: "misdirected", apply: misdirected::check },
];

/// Between the two, because a route may have limits of its own.
const ROUTE: &str = "route";

const ADMITTING: [Filter<Admit>; 4] = [
    // Before everything that costs more than a table lookup.
    Filter { name: RATE_LIMIT, apply: rate_limit::check },
    // Before a WebSocket: browsers send cookies with it from any page (RFC 6455 section 10.2).
    Filter { name: "origin", apply: origin::check },
    // Before the body is read; bodies without a length are counted while they pass.
    Filter { name: "body", apply: body },
    // Last: the upstream gets the client's identity from the gateway only.
    Filter { name: "forwarded", apply: forwarded::overwrite },
];

/// The filter that counts; what an earlier one refuses is counted as well.
const RATE_LIMIT: &str = "rate_limit";

/// What became of a WebSocket request.
pub(crate) enum WebSocket {
    /// The route takes it.
    Admitted(Arc<Route>),
    /// The route takes WebSockets, and not this one.
    Refused(Refusal),
    /// No route takes WebSockets here: it is a request like any other, as a server may ignore
    /// `Upgrade` (RFC 9110 section 7.8).
    Ignored,
}

/// Applies every filter in order; the first refusal ends it, counted.
pub(crate) fn admit(mut exchange: Exchange<'_>) -> Result<Arc<Route>, Refusal> {
    match find(&mut exchange) {
        Ok(route) => admit_to(&mut exchange, &route).map(|()| route),
        // A refusal costs as much as an answer: without a limit it would be the cheapest flood.
        Err((name, refusal)) => Err(match rate_limit::count_refused(&exchange) {
            Ok(()) => refused(&mut exchange, name, refusal),
            Err(limited) => refused(&mut exchange, RATE_LIMIT, limited),
        }),
    }
}

/// Applies every filter to a WebSocket request if its route takes WebSockets; else nothing is
/// counted.
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

/// The route, or the filter that refuses the request.
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

/// Counts a refusal and notes it for the log.
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
            Err(Refusal::new(405, "This method is not for this path.").with("allow", allow))
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

/// The detail of an answer to a body over the limit.
pub(crate) const BODY_TOO_LARGE: &str = "The body of the request is too large.";
