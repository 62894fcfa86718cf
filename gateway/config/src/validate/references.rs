//! References from one section to another.

use toml::Spanned;

use super::Check;
use crate::Name;
use crate::outside::Text;
use crate::outside::certificate::CertificateText;
use crate::outside::listener::ListenerText;
use crate::outside::route::{RouteText, SiteText};
use crate::outside::upstream::UpstreamText;

pub(super) fn check(
    check: &mut Check<'_, '_>,
    listeners: &[Spanned<ListenerText>],
    certificates: &[Spanned<CertificateText>],
    routes: &[Spanned<RouteText>],
    upstreams: &[Spanned<UpstreamText>],
    sites: &[Spanned<SiteText>],
) {
    let certificates: Vec<_> = certificates.iter().map(|section| &section.get_ref().name).collect();
    let upstreams: Vec<_> = upstreams.iter().map(|section| &section.get_ref().name).collect();
    let sites: Vec<_> = sites.iter().map(|section| &section.get_ref().name).collect();
    for listener in listeners {
        for name in listener.get_ref().certificates.iter().flatten() {
            check_reference(check, "certificate", name, &certificates);
        }
    }
    for route in routes {
        if let Some(name) = &route.get_ref().upstream {
            check_reference(check, "upstream", name, &upstreams);
        }
        if let Some(name) = &route.get_ref().site {
            check_reference(check, "site", name, &sites);
        }
    }
}

fn check_reference(
    check: &mut Check<'_, '_>,
    what: &str,
    reference: &Text<Name>,
    declared: &[&Text<Name>],
) {
    let Ok(wanted) = &reference.parsed else {
        return;
    };
    let names: Vec<&str> =
        declared.iter().filter_map(|text| text.parsed.as_ref().ok()).map(Name::as_str).collect();
    if names.contains(&wanted.as_str()) {
        return;
    }
    let nearest =
        names.iter().map(|name| (strsim::damerau_levenshtein(wanted.as_str(), name), name)).min();
    let advice = match nearest {
        Some((distance, name)) if distance <= 2.max(name.len() / 3) => {
            format!("; did you mean `{name}`?")
        }
        Some(_) => format!("; existing: {}", names.join(", ")),
        None => format!("; add a `[[{what}]]`"),
    };
    check.add(reference.span.clone(), format!("there is no {what} named `{wanted}`{advice}"));
}
