//! Loads a site from a directory or from the binary.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::{fs, io};

use base64::Engine as _;
use bytes::Bytes;
use gateway_config::SiteRoot;
use http::HeaderValue;
use rust_embed::RustEmbed;
use sha2::{Digest as _, Sha256};

use super::encoding::Coding;
use super::{File, Representation, Site};
use crate::files;

/// Why a site cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// A file or directory cannot be read.
    #[error("{path}: {error}")]
    Read {
        /// The path.
        path: PathBuf,
        /// The cause.
        error: io::Error,
    },
    /// The site is too large for memory.
    #[error("{0} is larger than {limit} MiB, the maximum for a site in memory", limit = TOTAL_MAX >> 20)]
    TooLarge(PathBuf),
    /// The fallback file does not exist.
    #[error("there is no file `{0}` for `spa_fallback`")]
    NoFallback(String),
    /// The policy is not a valid header value.
    #[error("the content security policy contains characters that are invalid in a header field")]
    Policy,
}

/// Maximum size of a site, in bytes.
const TOTAL_MAX: u64 = 256 << 20;
/// Maximum depth of directories.
const DEPTH_MAX: usize = 16;

/// Allows only what the chat page needs. Svelte creates its templates through the named Trusted
/// Types policy.
const STRICT_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; \
     connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types svelte-trusted-html",
);

/// The embedded user interface; empty if it was not built before this program.
#[derive(RustEmbed)]
#[folder = "../ui/dist"]
#[allow_missing = true]
struct UserInterface;

impl Site {
    /// Reads all files. `claimed`: paths of services, which have no pages of the site.
    pub(crate) fn build(
        site: &gateway_config::Site,
        claimed: Vec<String>,
    ) -> Result<Self, SiteError> {
        let contents = match &site.root {
            SiteRoot::Embedded => {
                let read = |path: std::borrow::Cow<'static, str>| {
                    let data = UserInterface::get(&path)?.data;
                    Some((format!("/{path}"), Bytes::from(data.into_owned())))
                };
                UserInterface::iter().filter_map(read).collect()
            }
            SiteRoot::Directory(directory) => read_directory(directory)?,
        };
        let files = assemble(contents);
        let spa_fallback =
            site.spa_fallback.as_ref().map(|file| format!("/{}", file.trim_start_matches('/')));
        if let Some(missing) = spa_fallback.as_ref().filter(|file| !files.contains_key(*file))
            && !files.is_empty()
        {
            return Err(SiteError::NoFallback(missing.clone()));
        }
        let policy = match &site.content_security_policy {
            Some(policy) => HeaderValue::from_str(policy).map_err(|_| SiteError::Policy)?,
            None => STRICT_POLICY,
        };
        Ok(Self::new(files, spa_fallback, policy, claimed))
    }
}

/// Combines files with their compressed variants.
pub(super) fn assemble(mut contents: BTreeMap<String, Bytes>) -> HashMap<String, File> {
    let mut coded: HashMap<String, Vec<(Coding, Representation)>> = HashMap::new();
    for coding in Coding::BY_PREFERENCE {
        let of = |path: &str| path.strip_suffix(coding.suffix()).map(str::to_owned);
        let neighbours: Vec<(String, String)> = contents
            .keys()
            .filter_map(|path| of(path).map(|plain| (path.clone(), plain)))
            .filter(|(_, plain)| contents.contains_key(plain))
            .collect();
        for (path, plain) in neighbours {
            let whole = contents.get(&plain).map_or(0, Bytes::len);
            // A variant that is not smaller has no benefit.
            if let Some(bytes) = contents.remove(&path).filter(|bytes| bytes.len() < whole) {
                coded.entry(plain).or_default().push((coding, Representation::new(bytes)));
            }
        }
    }
    let file = |(path, bytes): (String, Bytes)| {
        let coded = coded.remove(&path).unwrap_or_default();
        let file = File {
            content_type: content_type(&path),
            immutable: has_hash(&path),
            identity: Representation::new(bytes),
            coded,
        };
        (path, file)
    };
    contents.into_iter().map(file).collect()
}

impl Representation {
    fn new(bytes: Bytes) -> Self {
        let digest = Sha256::digest(&bytes);
        let tag = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest);
        let etag = HeaderValue::try_from(format!("\"{tag}\""))
            .expect("base64 in quotes is a header value");
        Self { bytes, etag }
    }
}

/// `/assets/NAME-HASH.ext`, as named by Vite: the hash has eight characters of base64url.
fn has_hash(path: &str) -> bool {
    let stem = path
        .strip_prefix("/assets/")
        .and_then(|file| file.rsplit('/').next())
        .and_then(|file| file.split('.').next());
    let hash = stem
        .and_then(|stem| stem.get(stem.len().checked_sub(9)?..))
        .and_then(|end| end.strip_prefix('-'));
    hash.is_some_and(|hash| {
        hash.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    })
}

fn read_directory(root: &Path) -> Result<BTreeMap<String, Bytes>, SiteError> {
    let failed = |path: &Path, error| SiteError::Read { path: path.to_owned(), error };
    let real_root = fs::canonicalize(root).map_err(|error| failed(root, error))?;
    let (mut found, mut left) = (BTreeMap::new(), TOTAL_MAX);
    let mut open = vec![(real_root.clone(), String::new(), 0)];
    while let Some((directory, prefix, depth)) = open.pop() {
        let kernels =
            fs::File::open(&directory).and_then(|opened| files::reject_kernel_files(&opened));
        kernels
            .map_err(|error| failed(if prefix.is_empty() { root } else { &directory }, error))?;
        for entry in fs::read_dir(&directory).map_err(|error| failed(&directory, error))? {
            let entry = entry.map_err(|error| failed(&directory, error))?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            // Hidden files are not public, except for `.well-known` (RFC 8615).
            if name.starts_with('.') && name != ".well-known" {
                continue;
            }
            // Symlinks may point inside the site (Kubernetes mounts consist of them), never
            // outside.
            let path =
                fs::canonicalize(entry.path()).map_err(|error| failed(&entry.path(), error))?;
            if !path.starts_with(&real_root) {
                tracing::warn!(path = %entry.path().display(), "file not served: the symlink points outside the site");
                continue;
            }
            let url = format!("{prefix}/{name}");
            let metadata = fs::metadata(&path).map_err(|error| failed(&path, error))?;
            if metadata.is_dir() && depth < DEPTH_MAX {
                open.push((path, url, depth + 1));
            } else if metadata.is_file() {
                let bytes = match files::read(&path, left) {
                    Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                        return Err(SiteError::TooLarge(root.to_owned()));
                    }
                    read => read.map_err(|error| failed(&path, error))?,
                };
                left = left.saturating_sub(bytes.len() as u64);
                found.insert(url, bytes.into());
            }
        }
    }
    Ok(found)
}

fn content_type(path: &str) -> &'static str {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bundled_names_are_immutable() {
        for (path, expected) in [
            ("/assets/index-7BiIIjYp.js", true),
            ("/assets/fonts/inter-latin-Dx4k_-Al.woff2", true),
            ("/assets/index-7BiIIjYp.js.map", true),
            ("/index-7BiIIjYp.js", false),
            ("/assets/logo.svg", false),
            ("/assets/my-logo.svg", false),
            ("/assets/é-12345678.js", true),
            ("/assets/12345678é.js", false),
            ("/index.html", false),
        ] {
            assert_eq!(has_hash(path), expected, "{path}");
        }
    }

    #[test]
    fn hidden_files_and_symlinks_to_the_outside_are_skipped() {
        let (site, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let write = |path: &str| fs::write(site.path().join(path), path).unwrap();
        fs::create_dir_all(site.path().join("..data")).unwrap();
        fs::create_dir_all(site.path().join("sub")).unwrap();
        ["index.html", "sub/a.txt", ".env", "..data/linked.txt"].into_iter().for_each(write);
        fs::write(outside.path().join("secret"), "secret").unwrap();
        std::os::unix::fs::symlink(outside.path().join("secret"), site.path().join("secret.txt"))
            .unwrap();
        std::os::unix::fs::symlink("..data/linked.txt", site.path().join("linked.txt")).unwrap();
        let found = read_directory(site.path()).unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), ["/index.html", "/linked.txt", "/sub/a.txt"]);
    }

    #[test]
    fn a_missing_directory_is_reported() {
        let error = read_directory(Path::new("/does/not/exist")).unwrap_err();
        assert!(error.to_string().starts_with("/does/not/exist: "), "{error}");
    }
}
