//! Static sites.

use std::path::PathBuf;

use crate::Name;

/// One `[[site]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Unique among sites.
    pub name: Name,
    /// Location of its files.
    pub root: SiteRoot,
    /// File, relative to the root, that is served when a navigation requests an unknown path;
    /// `None`: 404.
    pub spa_fallback: Option<String>,
    /// `Content-Security-Policy` of its pages; `None`: the strict built-in policies of the chat
    /// page.
    pub content_security_policy: Option<String>,
}

/// Location of a site's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SiteRoot {
    /// The user interface built into the binary.
    Embedded,
    /// A directory.
    Directory(PathBuf),
}
