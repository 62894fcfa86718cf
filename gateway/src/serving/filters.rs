//! What every request passes before it goes anywhere: one list, in one order, each filter with its
//! reason.

mod client;
mod fields;
mod forwarded;
mod misdirected;
mod origin;
mod rate_limit;
mod request_id;
mod response;
mod target;

pub(crate) use rate_limit::{RateLimits, TooMany};
pub(crate) use response::{PageKind, harden, hsts};

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use http::header;
use http::request::Parts;

use crate::serving::answer::{Answer, Form};
use crate::serving::plane::Shared;
use crate::serving::router::{Found, Host};
use crate::serving::snapshot::{Route, Snapshot};
use crate::serving::stream::Facts;
use crate::serving::traces::Span;

/// One step. It may change the request, add to what is known about it, or refuse it.
struct Filter {
    /// The `reason` label of refusals.
    name: &'static str,
    apply: fn(&mut Exchange<'_>) -> Result<(), Refusal>,
}

/// The order matters; each reason says why a filter stands where it stands.
const FILTERS: [Filter; 10] = [
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
    // Before the limits, because a route may have its own.
    Filter { name: "route", apply: route },
    // Before all that costs more than a look into a table.
    Filter { name: RATE_LIMIT, apply: rate_limit::check },
    // Before a WebSocket, to which browsers give cookies whoever asks (RFC 6455 section 10.2).
    Filter { name: "origin", apply: origin::check },
    // Before a body is read that nobody wants; bodies without a length are counted while they pass.
    Filter { name: "body", apply: body },
    // Last: what the upstream is told about the client is the gateway's word only.
    Filter { name: "forwarded", apply: forwarded::overwrite },
];

/// The filter that counts; what an earlier one refuses is counted as well.
const RATE_LIMIT: &str = "rate_limit";

/// A request on its way through the filters.
pub(crate) struct Exchange<'e> {
    pub(crate) shared: &'e Shared,
    pub(crate) snapshot: &'e Snapshot,
    pub(crate) facts: Facts,
    pub(crate) request: &'e mut Parts,
    /// When it began.
    pub(crate) started: Instant,
    /// Whether it is to become a WebSocket.
    pub(crate) upgrade: bool,
    pub(crate) about: &'e mut About,
}

/// What is known about a request, and said in logs.
pub(crate) struct About {
    pub(crate) client: IpAddr,
    pub(crate) secure: bool,
    pub(crate) host: Option<Host>,
    /// Normalised, without query.
    pub(crate) path: String,
    pub(crate) request_id: String,
    /// There when it is traced.
    pub(crate) span: Option<Box<Span>>,
    pub(crate) route: Option<Arc<Route>>,
    /// The filter that refused it.
    pub(crate) refused: Option<&'static str>,
}

/// Why a request goes no further.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) detail: &'static str,
    headers: Vec<(&'static str, String)>,
}

impl About {
    /// What is known before the first filter.
    pub(crate) fn new(facts: &Facts) -> Self {
        let client = facts.client.ip().to_canonical();
        Self {
            client,
            secure: facts.secure,
            host: None,
            path: String::new(),
            request_id: String::new(),
            span: None,
            route: None,
            refused: None,
        }
    }
}

impl Refusal {
    fn new(status: u16, detail: &'static str) -> Self {
        Self { status, detail, headers: Vec::new() }
    }

    fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The answer to give.
    pub(crate) fn answer(&self, form: Form) -> Answer {
        let answer = Answer::error(self.status, self.detail, form);
        self.headers.iter().fold(answer, |answer, (name, value)| answer.with(name, value))
    }
}

/// Applies every filter in order; the first refusal ends it, counted.
pub(crate) fn admit(mut exchange: Exchange<'_>) -> Result<Arc<Route>, Refusal> {
    let mut counted = false;
    for filter in &FILTERS {
        counted |= filter.name == RATE_LIMIT;
        if let Err(refusal) = (filter.apply)(&mut exchange) {
            // A refusal costs as much as an answer: without a limit it would be the cheapest flood.
            let limited = if counted { None } else { rate_limit::count_refused(&exchange).err() };
            let name = if limited.is_some() { RATE_LIMIT } else { filter.name };
            exchange.shared.metrics.request_refused(name);
            exchange.about.refused = Some(name);
            return Err(limited.unwrap_or(refusal));
        }
    }
    exchange.about.route.as_ref().map(Arc::clone).ok_or_else(nothing_here)
}

/// The route alone, without any limit being touched.
pub(crate) fn find_route(mut exchange: Exchange<'_>) -> Option<Arc<Route>> {
    target::check(&mut exchange).and_then(|()| route(&mut exchange)).ok()?;
    exchange.about.route.as_ref().map(Arc::clone)
}

fn nothing_here() -> Refusal {
    Refusal::new(404, "There is nothing here.")
}

fn route(exchange: &mut Exchange<'_>) -> Result<(), Refusal> {
    let Some(host) = &exchange.about.host else { return Err(nothing_here()) };
    match exchange.snapshot.router.find(host, &exchange.about.path, &exchange.request.method) {
        Found::Route(index) => {
            exchange.about.route = exchange.snapshot.routes.get(index).map(Arc::clone);
            Ok(())
        }
        Found::OtherMethods(allow) => {
            Err(Refusal::new(405, "This method is not for this path.").with("allow", allow))
        }
        Found::Nothing => Err(nothing_here()),
    }
}

fn body(exchange: &mut Exchange<'_>) -> Result<(), Refusal> {
    let Some(route) = &exchange.about.route else { return Err(nothing_here()) };
    let length = exchange.request.headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > route.config.body_limit) {
        return Err(Refusal::new(413, BODY_TOO_LARGE));
    }
    Ok(())
}

/// What is said about a body over the limit.
pub(crate) const BODY_TOO_LARGE: &str = "The body of the request is too large.";
