//! Routes and sites.

use std::path::Path;
use std::time::Duration;

use http::{HeaderValue, StatusCode};
use toml::Spanned;

use super::Check;
use crate::outside::Text;
use crate::outside::route::{RateLimitText, RedirectText, RespondText, RouteText, SiteText};
use crate::{Action, Limits, PathMatch, RateLimit, Route, RouteTimeouts, Site, SiteRoot};

/// Maximum timeout of a route.
const DAY: Duration = Duration::from_secs(24 * 3600);

pub(super) fn sites(check: &mut Check<'_, '_>, sections: &[Spanned<SiteText>]) -> Vec<Site> {
    check.unique("site", sections, |site| &site.name);
    sections.iter().filter_map(|section| site(check, section.get_ref())).collect()
}

fn site(check: &mut Check<'_, '_>, text: &SiteText) -> Option<Site> {
    let name = check.take(&text.name);
    let root = match &text.root.parsed {
        Ok(path) if path == Path::new("embedded") => Some(SiteRoot::Embedded),
        _ => check.path(&text.root).map(SiteRoot::Directory),
    };
    let spa_fallback = text.spa_fallback.as_ref().and_then(|text| {
        let file = check.take(text)?;
        let plain = !file.is_empty()
            && file.split('/').all(|part| !part.is_empty() && !part.starts_with('.'));
        if !plain {
            let expected = "expected a file below the root, such as `index.html`";
            check.unexpected(text, expected, &file);
        }
        Some(file)
    });
    let content_security_policy =
        text.content_security_policy.as_ref().and_then(|text| header_value(check, text));
    Some(Site { name: name?, root: root?, spa_fallback, content_security_policy })
}

pub(super) fn routes(
    check: &mut Check<'_, '_>,
    sections: &[Spanned<RouteText>],
    limits: &Limits,
) -> Vec<Route> {
    check.unique("route", sections, |route| &route.name);
    let mut routes: Vec<Route> = Vec::new();
    for section in sections {
        if let Some(route) = route(check, section, limits) {
            if let Some(other) = routes.iter().find(|other| same_requests(other, &route)) {
                check.add(
                    section.span(),
                    format!(
                        "route `{}` matches the same requests as route `{}`: change or remove one",
                        route.name, other.name
                    ),
                );
            }
            routes.push(route);
        }
    }
    routes
}

fn route(
    check: &mut Check<'_, '_>,
    section: &Spanned<RouteText>,
    limits: &Limits,
) -> Option<Route> {
    let text = section.get_ref();
    let name = check.take(&text.name);
    let hosts = check.all(text.hosts.as_ref(), Vec::new());
    let methods = check.all(text.methods.as_ref(), Vec::new());
    let path = path(check, section);
    let action = action(check, section);
    let websocket = text.websocket.unwrap_or(false);
    if websocket && text.upstream.is_none() {
        check.add(section.span(), "`websocket` requires `upstream`");
    }
    let millisecond = Duration::from_millis(1);
    let timeouts = RouteTimeouts {
        first_byte: check.within(
            text.first_byte_timeout.as_ref(),
            Duration::from_secs(60),
            millisecond,
            DAY,
        ),
        idle: check.within(text.idle_timeout.as_ref(), Duration::from_secs(90), millisecond, DAY),
        websocket_idle: check.within(
            text.websocket_idle_timeout.as_ref(),
            Duration::from_secs(120),
            millisecond,
            DAY,
        ),
    };
    let body_limit = check.or(text.body_limit.as_ref(), limits.body_bytes);
    let rate_limit = text.rate_limit.as_ref().and_then(|text| rate_limit(check, text));
    let require_origin = text.require_origin.unwrap_or(websocket);
    Some(Route {
        name: name?,
        hosts,
        path: path?,
        methods,
        action: action?,
        websocket,
        require_origin,
        body_limit,
        timeouts,
        rate_limit,
    })
}

fn path(check: &mut Check<'_, '_>, section: &Spanned<RouteText>) -> Option<PathMatch> {
    match (&section.get_ref().path, &section.get_ref().path_prefix) {
        (Some(exact), None) => plain_path(check, exact, "path").map(PathMatch::Exact),
        (None, Some(prefix)) => plain_path(check, prefix, "path_prefix").map(|path| {
            PathMatch::Prefix(if path.len() > 1 {
                path.trim_end_matches('/').to_owned()
            } else {
                path
            })
        }),
        (found, _) => {
            let found = if found.is_some() { "both" } else { "neither" };
            let expected = "expected exactly one of `path` and `path_prefix`";
            check.add(section.span(), format!("{expected}, found {found}"));
            None
        }
    }
}

/// A path in normalised form; any other form could never match.
fn plain_path(check: &mut Check<'_, '_>, text: &Text<String>, key: &str) -> Option<String> {
    let path = check.take(text)?;
    if let Some((before, _)) = path.split_once('*') {
        check.add(text.span.clone(), wildcard(&path, before, key));
        return None;
    }
    let segment = |segment: &str| segment != "." && segment != "..";
    let byte = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'%' | b'\\');
    if path.starts_with('/')
        && !path.contains("//")
        && path.split('/').all(segment)
        && path.bytes().all(byte)
    {
        return Some(path);
    }
    let expected = "expected a path that starts with `/`, without `//`, `.`, `..`, `?`, `#`, `%`, `\\` or spaces";
    check.unexpected(text, expected, &path);
    None
}

/// The correct spelling of a path with `*`, which has no special meaning.
fn wildcard(path: &str, before: &str, key: &str) -> String {
    let prefix = match before.trim_end_matches('/') {
        "" => "/",
        prefix => prefix,
    };
    let meant = format!("path_prefix = {prefix:?}");
    if key == "path_prefix" {
        return format!(
            "found `*` in {path:?}, but a prefix matches everything below it: write `{meant}`"
        );
    }
    format!(
        "found `*` in {path:?}, but `path` matches one path: to match everything below it, write \
         `{meant}`"
    )
}

fn action(check: &mut Check<'_, '_>, section: &Spanned<RouteText>) -> Option<Action> {
    let text = section.get_ref();
    match (&text.upstream, &text.site, &text.redirect, &text.respond) {
        (Some(name), None, None, None) => check.take(name).map(Action::Upstream),
        (None, Some(name), None, None) => check.take(name).map(Action::Static),
        (None, None, Some(redirect_text), None) => redirect(check, redirect_text),
        (None, None, None, Some(respond_text)) => respond(check, respond_text),
        _ => {
            let keys = [
                ("`upstream`", text.upstream.is_some()),
                ("`static`", text.site.is_some()),
                ("`redirect`", text.redirect.is_some()),
                ("`respond`", text.respond.is_some()),
            ];
            let set: Vec<_> = keys.iter().filter(|(_, set)| *set).map(|(key, _)| *key).collect();
            let found = if set.is_empty() { "none".to_owned() } else { set.join(" and ") };
            let expected = "expected exactly one of `upstream`, `static`, `redirect` and `respond`";
            check.add(section.span(), format!("{expected}, found {found}"));
            None
        }
    }
}

fn redirect(check: &mut Check<'_, '_>, text: &RedirectText) -> Option<Action> {
    let location = header_value(check, &text.location)?;
    let absolute = ["/", "https://", "http://"].iter().any(|start| location.starts_with(start));
    if !absolute {
        check.unexpected(&text.location, "expected an absolute path or a URL", &location);
    }
    let status = check.or(text.status.as_ref(), StatusCode::PERMANENT_REDIRECT);
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        let reason = format!("expected 301, 302, 303, 307 or 308, found {}", status.as_u16());
        check.reject(text.status.as_ref(), &reason);
    }
    Some(Action::Redirect { location, status })
}

fn respond(check: &mut Check<'_, '_>, text: &RespondText) -> Option<Action> {
    let status = check.take(&text.status);
    let body = check.or(text.body.as_ref(), String::new());
    Some(Action::Respond { status: status?, body })
}

pub(super) fn rate_limit(check: &mut Check<'_, '_>, text: &RateLimitText) -> Option<RateLimit> {
    let per_second = check.within(Some(&text.per_second), 1.0, 0.001, 1e9);
    let burst = check.within(Some(&text.burst), 1, 1, u32::MAX);
    Some(RateLimit { per_second, burst })
}

fn header_value(check: &mut Check<'_, '_>, text: &Text<String>) -> Option<String> {
    let value = check.take(text)?;
    if HeaderValue::from_str(&value).is_err() || value.is_empty() || !value.is_ascii() {
        check.unexpected(text, "expected visible ASCII characters, for a header field", &value);
        return None;
    }
    Some(value)
}

/// Whether the two routes match the same requests with the same priority.
fn same_requests(one: &Route, other: &Route) -> bool {
    let hosts = one.hosts.iter().any(|host| other.hosts.contains(host))
        || (one.hosts.is_empty() && other.hosts.is_empty());
    let methods = one.methods.is_empty() == other.methods.is_empty()
        && (one.methods.is_empty()
            || one.methods.iter().any(|method| other.methods.contains(method)));
    hosts && methods && one.path == other.path
}
