//! The chat page: the files that are built into this program, and the policies it is served with.

use std::collections::BTreeMap;

use bytes::Bytes;
use rust_embed::RustEmbed;

/// `Content-Security-Policy` of the page. It allows only what the page needs. Svelte creates its
/// templates through the named Trusted Types policy.
pub const CONTENT_SECURITY_POLICY: &str = concat!(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; ",
    "font-src 'self'; connect-src 'self'; manifest-src 'self'; worker-src 'self'; ",
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; ",
    "require-trusted-types-for 'script'; trusted-types svelte-trusted-html",
);

/// `Integrity-Policy` of the page (<https://www.w3.org/TR/sri-2/>): browsers load no script without
/// a hash. Not `style` yet: Chromium does not know it and would log an error with each page.
pub const INTEGRITY_POLICY: &str = "blocked-destinations=(script)";

#[derive(RustEmbed)]
#[folder = "../ui/dist"]
#[allow_missing = true]
struct UserInterface;

/// The files that are built into this program, by path such as `/index.html`, with their compressed
/// copies (`.br`, `.gz`, `.zst`). Empty if the user interface was not built before this program.
pub fn files() -> BTreeMap<String, Bytes> {
    let read = |path: std::borrow::Cow<'static, str>| {
        let data = UserInterface::get(&path)?.data;
        Some((format!("/{path}"), Bytes::from(data.into_owned())))
    };
    UserInterface::iter().filter_map(read).collect()
}

/// `Content-Type` of a file of a site, by the ending of its path.
pub fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension).unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "woff" => "font/woff",
        "wasm" => "application/wasm",
        "txt" => "text/plain; charset=utf-8",
        "xml" => "application/xml",
        "pdf" => "application/pdf",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        "mp3" => "audio/mpeg",
        _ => "application/octet-stream",
    }
}
