//! Takes a token of the client for each request: from the general limit and from the route's limit.

use super::exchange::{Exchange, Refusal};
use crate::serving::snapshot::{LeadsTo, Route};

pub(super) fn check(exchange: &mut Exchange<'_>, route: &Route) -> Result<(), Refusal> {
    let (limits, now) = (&exchange.snapshot.config().limits, exchange.started);
    let client = exchange.about.client;
    let table = &exchange.shared.rate_limits;
    let mut taken = match route.leads_to {
        LeadsTo::Site(_) => table.count_file(client, limits, now),
        _ => table.count(client, limits, now),
    };
    if let (Ok(()), Some(limit)) = (&taken, &route.config.rate_limit) {
        taken = table.count_route(client, route.config.name.as_str(), limit, limits, now);
    }
    taken.map_err(|too_many| {
        route.metrics.rate_limited.inc();
        too_many.into()
    })
}

/// Counts a request that was refused before [`check`].
pub(super) fn count_refused(exchange: &Exchange<'_>) -> Result<(), Refusal> {
    let limits = &exchange.snapshot.config().limits;
    exchange
        .shared
        .rate_limits
        .count(exchange.about.client, limits, exchange.started)
        .map_err(Refusal::from)
}
