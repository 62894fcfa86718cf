//! What a site should serve: the manifest of hashes, and the files themselves where this program
//! has them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::time::Duration;

use bytes::Bytes;
use gateway::page;
use reqwest::Certificate;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::site;

/// The document of every page.
pub(super) const PAGE: &str = "/index.html";
/// Where a site serves its manifest.
const PATH: &str = "/manifest.json";
/// Maximum size of a manifest, in bytes.
const MANIFEST_MAX: u64 = 1 << 20;
/// Maximum size of a file, in bytes.
const FILE_MAX: u64 = 64 << 20;
/// A response may be this much larger than expected before it is cut off, in bytes. It leaves room
/// for reading what a changed page refers to.
const EXCESS: u64 = 256 << 10;

/// The expected files by path.
type Files = BTreeMap<String, Expected>;

/// What a site should serve.
#[derive(Debug)]
pub(super) struct Manifest {
    /// Where it comes from, for messages.
    pub(super) origin: String,
    /// Version of the user interface.
    pub(super) version: String,
    /// The document of every page.
    pub(super) page: Expected,
    /// All files, with the document and the manifest.
    pub(super) files: Files,
}

/// One file as it should be.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    /// In bytes.
    pub(super) size: u64,
    pub(super) sha256: [u8; 32],
    /// The bytes, if this program contains them.
    pub(super) content: Option<Bytes>,
}

/// `manifest.json`, format 1.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: u32,
    version: String,
    files: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// In bytes.
    size: u64,
    /// Hexadecimal.
    sha256: String,
}

impl Manifest {
    /// Reads the manifest from this program, a file, or an https URL.
    pub(super) async fn load(
        place: Option<&str>,
        roots: &[Certificate],
        left: Duration,
    ) -> Result<Self, String> {
        let embedded = page::files();
        let (origin, text) = match place {
            None => {
                let text = embedded.get(PATH).cloned().ok_or(
                    "this program contains no user interface to compare with: pass --manifest",
                )?;
                ("built into this program".to_owned(), text)
            }
            Some(url) if url.starts_with("https://") => {
                (url.to_owned(), site::download(url, roots, MANIFEST_MAX, left).await?)
            }
            Some(url) if url.contains("://") => {
                return Err(format!("--manifest: expected a file or an https URL, found `{url}`"));
            }
            Some(file) => (file.to_owned(), read(file)?),
        };
        Self::parse(origin, text, &embedded)
    }

    fn parse(
        origin: String,
        text: Bytes,
        embedded: &BTreeMap<String, Bytes>,
    ) -> Result<Self, String> {
        let failed = |reason: &str| format!("manifest {origin}: {reason}");
        let document: Document =
            serde_json::from_slice(&text).map_err(|error| failed(&error.to_string()))?;
        if document.format != 1 {
            return Err(failed(&format!("expected format 1, found {}", document.format)));
        }
        let mut files = Files::new();
        for (path, entry) in document.files {
            let content = embedded.get(&path);
            let expected =
                entry.parse(content).map_err(|reason| failed(&format!("{path}: {reason}")))?;
            if !is_plain(&path) {
                return Err(failed(&format!("{path}: expected a path such as /index.html")));
            }
            files.insert(path, expected);
        }
        let page =
            files.get(PAGE).cloned().ok_or_else(|| failed("it does not list /index.html"))?;
        // It cannot contain its own hash.
        files.insert(PATH.to_owned(), Expected::of(text));
        Ok(Self { version: document.version, page, files, origin })
    }
}

impl Entry {
    fn parse(&self, embedded: Option<&Bytes>) -> Result<Expected, String> {
        let mut sha256 = [0; 32];
        hex::decode_to_slice(&self.sha256, &mut sha256)
            .map_err(|_| "sha256: expected 64 hexadecimal digits".to_owned())?;
        if self.size > FILE_MAX {
            return Err(format!("size: expected at most {FILE_MAX} bytes, found {}", self.size));
        }
        // The embedded file may be of another version than the manifest.
        let content = embedded.filter(|bytes| digest(bytes) == sha256).cloned();
        Ok(Expected { size: self.size, sha256, content })
    }
}

impl Expected {
    fn of(content: Bytes) -> Self {
        let (size, sha256) = (content.len() as u64, digest(&content));
        Self { size, sha256, content: Some(content) }
    }

    /// Bytes after which a response is cut off.
    pub(super) fn limit(&self) -> u64 {
        self.size + EXCESS
    }
}

pub(super) fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Whether a path needs no escapes and has no `.` or `..` segments.
fn is_plain(path: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "/._-~".contains(c);
    path.starts_with('/')
        && path.chars().all(allowed)
        && !path.split('/').any(|segment| matches!(segment, "." | ".."))
}

fn read(file: &str) -> Result<Bytes, String> {
    let failed = |error: &dyn std::fmt::Display| format!("--manifest: {file}: {error}");
    let opened = File::open(file).map_err(|error| failed(&error))?;
    let mut bytes = Vec::new();
    opened.take(MANIFEST_MAX + 1).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    if bytes.len() as u64 > MANIFEST_MAX {
        return Err(failed(&format!("expected at most {MANIFEST_MAX} bytes")));
    }
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "6a09e667bb67ae853c6ef372a54ff53a510e527f9b05688c1f83d9ab5be0cd19";

    fn parse(text: &str) -> Result<Manifest, String> {
        Manifest::parse("m".to_owned(), Bytes::copy_from_slice(text.as_bytes()), &BTreeMap::new())
    }

    fn with(path: &str, entry: &str) -> String {
        format!(
            r#"{{"format": 1, "version": "1.2", "files": {{
                "/index.html": {{"size": 3, "sha256": "{HASH}"}}, "{path}": {entry}}}}}"#
        )
    }

    #[test]
    fn a_manifest_lists_itself_and_its_files() {
        let text = with("/a.js", &format!(r#"{{"size": 9, "sha256": "{HASH}"}}"#));
        let manifest = parse(&text).expect("it is valid");
        assert_eq!(manifest.version, "1.2");
        let sizes: Vec<_> =
            manifest.files.iter().map(|(path, file)| (&**path, file.size)).collect();
        assert_eq!(
            sizes,
            [("/a.js", 9), ("/index.html", 3), ("/manifest.json", text.len() as u64)]
        );
    }

    #[test]
    fn a_wrong_manifest_is_rejected_with_its_place_and_what_was_expected() {
        let good = format!(r#"{{"size": 9, "sha256": "{HASH}"}}"#);
        let huge = format!(r#"{{"size": 99999999999, "sha256": "{HASH}"}}"#);
        for (text, reason) in [
            ("<html>".to_owned(), "expected value at line 1 column 1"),
            (with("/a.js", &good).replacen('1', "2", 1), "expected format 1, found 2"),
            (r#"{"format":1,"version":"1","files":{}}"#.to_owned(), "/index.html"),
            (with("/a.js", r#"{"size": 9, "sha256": "00"}"#), "/a.js: sha256: expected 64"),
            (with("/a.js", &huge), "/a.js: size: expected at most"),
            (with("/../a.js", &good), "/../a.js: expected a path"),
            (with("//elsewhere.example/a.js?x", &good), "expected a path"),
            (with("a.js", &good), "a.js: expected a path"),
        ] {
            let error = parse(&text).expect_err(&text);
            assert!(error.starts_with("manifest m: ") && error.contains(reason), "{error}");
        }
    }
}
