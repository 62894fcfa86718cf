//! Static sites.

use std::path::PathBuf;

use crate::Name;

/// One `[[site]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Its name, unique among sites.
    pub name: Name,
    /// Where its files are.
    pub root: SiteRoot,
    /// The file that answers a navigation to an unknown path, relative to the root; `None`: 404.
    pub spa_fallback: Option<String>,
    /// `Content-Security-Policy` of its pages; `None`: the strict built-in policy of the chat's own
    /// page.
    pub content_security_policy: Option<String>,
}

/// Where the files of a site are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SiteRoot {
    /// The user interface built into the binary.
    Embedded,
    /// A directory.
    Directory(PathBuf),
}
