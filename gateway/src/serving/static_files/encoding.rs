//! Negotiation of the content encoding (RFC 9110 section 12.5.3).

use http::HeaderValue;
use http::header::GetAll;

/// A content encoding of built files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Brotli,
    Zstd,
    Gzip,
}

impl Coding {
    /// Smallest first; files are compressed once, so only the size matters.
    pub(super) const BY_PREFERENCE: [Self; 3] = [Self::Brotli, Self::Zstd, Self::Gzip];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }

    /// File name suffix of this encoding.
    pub(super) fn suffix(self) -> &'static str {
        match self {
            Self::Brotli => ".br",
            Self::Zstd => ".zst",
            Self::Gzip => ".gz",
        }
    }
}

/// The encoding with the highest weight, the preferred one among equals; `None`: no encoding.
pub(super) fn choose(
    accept: GetAll<'_, HeaderValue>,
    available: impl Iterator<Item = Coding>,
) -> Option<Coding> {
    let fields: Vec<&str> = accept.iter().filter_map(|field| field.to_str().ok()).collect();
    let weight = |name: &str| {
        let items = || fields.iter().flat_map(|field| field.split(','));
        let find = |wanted: &str| items().find_map(|item| weight_of(item, wanted));
        find(name)
            .or_else(|| if name == "gzip" { find("x-gzip") } else { None })
            .or_else(|| find("*"))
    };
    let identity = weight("identity").unwrap_or(1);
    let mut best: Option<(u16, Coding)> = None;
    for coding in available {
        let weight = weight(coding.as_str()).unwrap_or(0);
        if weight > 0 && best.is_none_or(|(other, _)| weight > other) {
            best = Some((weight, coding));
        }
    }
    // An explicit "identity" with a higher weight than any encoding is a preference; otherwise it
    // is only acceptable.
    let named = fields.iter().any(|field| field.to_ascii_lowercase().contains("identity"));
    best.filter(|(weight, _)| !named || *weight >= identity).map(|(_, coding)| coding)
}

/// The weight in thousandths, if the item matches this encoding.
fn weight_of(item: &str, wanted: &str) -> Option<u16> {
    let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
    if !name.trim().eq_ignore_ascii_case(wanted) {
        return None;
    }
    let weight = parameters.split(';').map(str::trim).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| value.trim().parse::<f32>().unwrap_or(0.0))
    });
    let weight = weight.unwrap_or(1.0);
    Some(if weight.is_finite() { (weight.clamp(0.0, 1.0) * 1000.0) as u16 } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_decide_and_preference_breaks_ties() {
        let all = Coding::BY_PREFERENCE;
        for (accept, expected) in [
            ("gzip, deflate, br, zstd", Some(Coding::Brotli)),
            ("gzip, zstd", Some(Coding::Zstd)),
            ("gzip", Some(Coding::Gzip)),
            ("x-gzip", Some(Coding::Gzip)),
            ("GZIP", Some(Coding::Gzip)),
            ("br;q=0.5, gzip;q=0.8", Some(Coding::Gzip)),
            ("br;q=0, *;q=0.5", Some(Coding::Zstd)),
            ("*", Some(Coding::Brotli)),
            ("identity", None),
            ("identity, br;q=0.1", None),
            ("identity;q=0.5, br", Some(Coding::Brotli)),
            ("br;q=nonsense", None),
            ("br;q=NaN", None),
            ("deflate", None),
            ("", None),
        ] {
            let headers: http::HeaderMap =
                [(http::header::ACCEPT_ENCODING, HeaderValue::from_static(accept))]
                    .into_iter()
                    .collect();
            let chosen = choose(headers.get_all(http::header::ACCEPT_ENCODING), all.into_iter());
            assert_eq!(chosen, expected, "{accept:?}");
        }
    }
}
