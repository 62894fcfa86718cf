//! The first hook of a request: the filters, then what its route leads to.

use std::sync::Arc;
use std::time::Duration;

use gateway_config::Limits;
use pingora::Result;
use pingora::proxy::Session;

use super::context::{Context, InFlight, Work};
use super::forwarding::Forwarding;
use super::{answers, plain, site};
use crate::serving::answer::{Answer, Form};
use crate::serving::filters::{self, Exchange, Refusal};
use crate::serving::held::{Full, Holding};
use crate::serving::record::Record;
use crate::serving::shared::Shared;
use crate::serving::snapshot::{LeadsTo, Route};
use crate::serving::stream::facts_of;

/// Longest time to read and drop the rest of a request body; then the connection is closed
/// instead.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Applies the filters. Returns `true` when the request was answered here; else it goes to its
/// upstream.
pub(super) async fn admit(
    shared: &Shared,
    session: &mut Session,
    context: &mut Context,
) -> Result<bool> {
    let facts = facts_of(session.digest());
    let outlet = facts.outlet.clone();
    let mut record = Record::new(shared.snapshot.load_full(), &facts, context.started);
    let admitted = plain::with_request(session.req_header_mut(), |request| {
        filters::admit(Exchange::new(shared, &mut record, facts, request))
    });
    set_deadlines(session, &record.snapshot.config().limits);
    let service = record.about.route.as_ref().is_some_and(|route| route.is_service());
    let form = Form::of(&session.req_header().headers, service);
    let pace = session.req_header().extensions.get().map(Arc::clone);
    let work = context.begin(Work::new(record, form, pace, outlet));
    match hold(shared, work) {
        Ok(holding) => go(session, work, admitted, holding).await,
        Err(Full) => {
            // Without a body, which would wait for the client's window.
            answers::write(session, work, Answer::empty(503).with("retry-after", "2")).await?;
            Ok(true)
        }
    }
}

fn set_deadlines(session: &mut Session, limits: &Limits) {
    session.set_read_timeout(Some(limits.body_timeout));
    session.set_write_timeout(Some(limits.send_timeout));
    session.set_total_drain_timeout(Some(DRAIN_TIMEOUT));
}

/// Counts what the request holds for its client, which may hold all that it may already.
fn hold(shared: &Shared, work: &mut Work) -> Result<Arc<Holding>, Full> {
    let most = work.record.snapshot.config().limits.held_bytes_per_address;
    let held = shared.holdings.enter(work.record.about.client, most, work.outlet.is_some());
    match &held {
        Ok(holding) => work.holding = Some(Arc::clone(holding)),
        Err(Full) => {
            shared.metrics.request_refused("held_bytes");
            work.record.about.refused = Some("held_bytes");
        }
    }
    held
}

/// Answers what the gateway answers itself; the rest goes on.
async fn go(
    session: &mut Session,
    work: &mut Work,
    admitted: Result<Arc<Route>, Refusal>,
    holding: Arc<Holding>,
) -> Result<bool> {
    let route = match admitted {
        Ok(route) => route,
        Err(refusal) => {
            answers::write(session, work, refusal.answer(work.form)).await?;
            return Ok(true);
        }
    };
    work.in_flight = Some(InFlight::new(&route.metrics));
    match &route.leads_to {
        LeadsTo::Upstream(upstream) => match upstream.admit(false) {
            Ok(admission) => {
                let (route, upstream) = (Arc::clone(&route), Arc::clone(upstream));
                work.forwarding = Some(Forwarding::new(route, upstream, holding, admission));
                return Ok(false);
            }
            Err(unavailable) => {
                answers::write(session, work, answers::unavailable(unavailable, work.form)).await?
            }
        },
        LeadsTo::Site(site) => site::answer(session, work, site).await?,
        LeadsTo::Redirect { location, status } => {
            let location = redirect_to(location, session.req_header().raw_path());
            let answer = Answer::text(status.as_u16(), "").with("location", &location);
            answers::write(session, work, answer).await?;
        }
        LeadsTo::Respond { status, body } => {
            answers::write(session, work, Answer::text(status.as_u16(), body)).await?;
        }
    }
    Ok(true)
}

/// A location that ends in `*` gets the target of the request in its place.
fn redirect_to(location: &str, target: &[u8]) -> String {
    match location.strip_suffix('*') {
        Some(base) => {
            let target = String::from_utf8_lossy(target);
            format!("{base}{}", target.strip_prefix('/').unwrap_or(&target))
        }
        None => location.to_owned(),
    }
}
