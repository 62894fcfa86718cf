//! Upstreams.

use std::time::Duration;

use toml::Spanned;

use super::Check;
use crate::outside::upstream::{
    BalanceText, CircuitBreakerText, EjectionText, HealthCheckText, RetriesText, UpstreamText,
};
use crate::{Balance, CircuitBreaker, Ejection, HealthCheck, Retries, Upstream};

const HOUR: Duration = Duration::from_secs(3600);

pub(super) fn upstreams(
    check: &mut Check<'_, '_>,
    sections: &[Spanned<UpstreamText>],
) -> Vec<Upstream> {
    check.unique("upstream", sections, |upstream| &upstream.name);
    sections.iter().filter_map(|section| upstream(check, section)).collect()
}

fn upstream(check: &mut Check<'_, '_>, section: &Spanned<UpstreamText>) -> Option<Upstream> {
    let text = section.get_ref();
    let name = check.take(&text.name);
    let targets = check.all(Some(&text.targets), Vec::new());
    if text.targets.is_empty() {
        check.add(section.span(), "expected at least one target in `targets`, found none");
    }
    let balance = balance(check, section);
    let seconds = Duration::from_secs;
    let (tick, connect) = (Duration::from_millis(1), seconds(2));
    let keepalive = text.keepalive_connections.as_ref();
    let upstream = Upstream {
        name: name.clone()?,
        targets,
        balance: balance?,
        connect_timeout: check.within(text.connect_timeout.as_ref(), connect, tick, HOUR),
        keepalive_connections: check.within(keepalive, 128, 0, 65_536),
        keepalive_timeout: check.within(
            text.keepalive_timeout.as_ref(),
            seconds(60),
            seconds(0),
            HOUR,
        ),
        health_check: text.health_check.as_ref().map(|text| health_check(check, text)),
        retries: retries(check, text.retries.as_ref()),
        ejection: ejection(check, text.ejection.as_ref()),
        circuit_breaker: circuit_breaker(check, text.circuit_breaker.as_ref()),
        slow_start: check.within(text.slow_start.as_ref(), seconds(10), seconds(0), HOUR),
    };
    Some(upstream)
}

fn balance(check: &mut Check<'_, '_>, section: &Spanned<UpstreamText>) -> Option<Balance> {
    let text = section.get_ref();
    if text.balance != Some(BalanceText::Rendezvous) {
        check.reject(text.hash_cookie.as_ref(), "only for `balance = \"rendezvous\"`: remove it");
        return Some(Balance::LeastRequest);
    }
    let Some(cookie_text) = &text.hash_cookie else {
        check.add(section.span(), "`balance = \"rendezvous\"` requires `hash_cookie`");
        return None;
    };
    let cookie = check.take(cookie_text)?;
    // A cookie-name is a token: RFC 6265 section 4.1.1, RFC 9110 section 5.6.2.
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if cookie.is_empty() || !cookie.bytes().all(token) {
        check.unexpected(cookie_text, "expected a cookie name", &cookie);
        return None;
    }
    Some(Balance::Rendezvous { cookie })
}

fn health_check(check: &mut Check<'_, '_>, text: &HealthCheckText) -> HealthCheck {
    let path = text.path.as_ref().and_then(|path| {
        let found = check.take(path)?;
        if !found.starts_with('/') || !found.bytes().all(|byte| byte.is_ascii_graphic()) {
            check.unexpected(path, "expected a path that starts with `/`", &found);
        }
        Some(found)
    });
    let least = Duration::from_millis(50);
    HealthCheck {
        path,
        interval: check.within(text.interval.as_ref(), Duration::from_secs(5), least, HOUR),
        timeout: check.within(
            text.timeout.as_ref(),
            Duration::from_secs(2),
            Duration::from_millis(10),
            HOUR,
        ),
        healthy_after: check.within(text.healthy_after.as_ref(), 2, 1, 100),
        unhealthy_after: check.within(text.unhealthy_after.as_ref(), 3, 1, 100),
    }
}

fn retries(check: &mut Check<'_, '_>, text: Option<&RetriesText>) -> Retries {
    let per_request = text.and_then(|text| text.per_request.as_ref());
    let budget_percent = text.and_then(|text| text.budget_percent.as_ref());
    Retries {
        per_request: check.within(per_request, 1, 0, 10),
        budget_percent: check.within(budget_percent, 20, 0, 100),
    }
}

fn ejection(check: &mut Check<'_, '_>, text: Option<&EjectionText>) -> Ejection {
    let failures = text.and_then(|text| text.consecutive_failures.as_ref());
    let duration = text.and_then(|text| text.duration.as_ref());
    let max_percent = text.and_then(|text| text.max_percent.as_ref());
    let (ten_seconds, tick) = (Duration::from_secs(10), Duration::from_millis(1));
    Ejection {
        consecutive_failures: check.or(failures, 5),
        duration: check.within(duration, ten_seconds, tick, HOUR),
        max_percent: check.within(max_percent, 50, 0, 100),
    }
}

fn circuit_breaker(check: &mut Check<'_, '_>, text: Option<&CircuitBreakerText>) -> CircuitBreaker {
    let max_requests = text.and_then(|text| text.max_requests.as_ref());
    let max_websockets = text.and_then(|text| text.max_websockets.as_ref());
    CircuitBreaker {
        max_requests: check.within(max_requests, 1024, 1, u32::MAX),
        max_websockets: check.within(max_websockets, 100_000, 1, u32::MAX),
    }
}
