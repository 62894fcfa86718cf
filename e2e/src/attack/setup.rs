//! The site and the configuration of a gateway under attack.

use std::fs;
use std::path::{Path, PathBuf};

use super::{BIG_FILE, PAGE, SECRET};

/// Writes the site, with hidden files and with symlinks that lead out of it.
pub(super) fn write_site(folder: &Path) {
    let site = folder.join("site");
    let write = |path: PathBuf, text: &[u8]| fs::write(path, text).expect("write a file");
    for directory in ["assets", "sub", ".hidden"] {
        fs::create_dir_all(site.join(directory)).expect("create a folder");
    }
    write(site.join("index.html"), PAGE.as_bytes());
    write(site.join("assets/app-12345678.js"), b"script()");
    write(site.join("sub/a.txt"), b"0123456789");
    write(site.join("big.bin"), &vec![b'x'; BIG_FILE]);
    write(site.join(".env"), SECRET.as_bytes());
    write(site.join(".hidden/file.txt"), SECRET.as_bytes());
    write(folder.join("secret.txt"), SECRET.as_bytes());
    let link = |to: &str, name: &str| {
        std::os::unix::fs::symlink(to, site.join(name)).expect("create a symlink");
    };
    link("../secret.txt", "link.txt");
    link("../..", "sub/up");
    link("/etc", "etc");
}

/// Certificates, routes and the site.
const ROUTES: &str = r#"[[certificate]]
name = "local"
source = "self-signed"
directory = "certs"
names = ["localhost", "127.0.0.1"]

[[certificate]]
name = "other"
source = "self-signed"
directory = "other-certs"
names = ["one.example", "two.example"]

[[route]]
name = "api"
path_prefix = "/api"
upstream = "backend"

[[route]]
name = "live"
path = "/ws"
upstream = "backend"
websocket = true

[[route]]
name = "page"
path_prefix = "/"
methods = ["GET", "HEAD"]
static = "page"

[[site]]
name = "page"
root = "site"
spa_fallback = "index.html"
"#;

/// The gateway's configuration with these ports, keys of `[limits]` and additional sections.
pub(super) fn configuration(
    [https, plain, redirect, admin, backend]: [u16; 5],
    limits: &str,
    sections: &str,
) -> String {
    format!(
        r#"
[[listener]]
name = "https"
address = "localhost:{https}"
protocol = "https"

[[listener]]
name = "plain"
address = "localhost:{plain}"
protocol = "http"
mode = "plain"

[[listener]]
name = "redirect"
address = "localhost:{redirect}"
protocol = "http"

{ROUTES}
[[upstream]]
name = "backend"
targets = ["127.0.0.1:{backend}"]
keepalive_connections = 8

[limits]
{limits}

[admin]
address = "127.0.0.1:{admin}"
{sections}
"#
    )
}
