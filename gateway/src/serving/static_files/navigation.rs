//! Navigations to paths that are not files: the application selects the page itself, even for names
//! like `/people/ada.lovelace`. A request for a missing script must not get a page.

use std::collections::HashMap;

use http::{HeaderMap, HeaderValue, Method, header};

use super::File;

/// Header fields that decide on the fallback (RFC 9110 section 12.5.5).
pub(super) const VARY: HeaderValue = HeaderValue::from_static("accept, sec-fetch-mode");
pub(super) const VARY_AND_CODING: HeaderValue =
    HeaderValue::from_static("accept, accept-encoding, sec-fetch-mode");

/// Paths that are never pages of the application, regardless of the files.
const NEVER: [&str; 2] = ["/assets", "/.well-known"];

/// Whether the request is a navigation rather than a load for a page. Browsers send
/// `Sec-Fetch-Mode` (Fetch Metadata); for other clients, a navigation accepts HTML explicitly.
pub(super) fn is_navigation(method: &Method, headers: &HeaderMap) -> bool {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return false;
    }
    match headers.get("sec-fetch-mode") {
        Some(mode) => mode == "navigate",
        None => {
            let mut accept =
                headers.get_all(header::ACCEPT).iter().filter_map(|accept| accept.to_str().ok());
            accept.any(|accept| accept.contains("text/html"))
        }
    }
}

/// Paths where the application may have pages that are not files.
#[derive(Debug)]
pub(super) struct Pages {
    /// Directories of the site below its root, with leading and trailing slash, and whether each
    /// has its own `index.html`.
    directories: HashMap<String, bool>,
    /// Paths of services: nothing at or below them is a page.
    claimed: Vec<String>,
}

impl Pages {
    pub(super) fn of(files: &HashMap<String, File>, claimed: Vec<String>) -> Self {
        let above = |file: &'_ str| above(file).map(str::to_owned).collect::<Vec<_>>();
        let all = files.keys().flat_map(|file| above(file));
        let directories = all
            .map(|directory| {
                let has_index = files.contains_key(&format!("{directory}index.html"));
                (directory, has_index)
            })
            .collect();
        Self { directories, claimed }
    }

    /// Whether the application may have a page at this path, which is not a file: not in
    /// directories of assets, which have no `index.html`, and not with a hidden name.
    pub(super) fn may_be(&self, path: &str) -> bool {
        let below = |root: &str| {
            path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let known = above(path).map_while(|directory| self.directories.get(directory));
        !NEVER.into_iter().any(below)
            && !self.claimed.iter().any(|path| below(path))
            && !path.contains("/.")
            && known.into_iter().all(|has_index| *has_index)
    }
}

/// All parent directories of a path except the root, outermost first.
fn above(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').skip(1).filter_map(|(slash, _)| path.get(..=slash))
}
