//! `gatehouse verify-ui` against real servers: the same page, and what a hostile or broken server
//! serves instead.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::edge::Edge;
use e2e::gatehouse::Gatehouse;
use e2e::{free_port, program, workspace};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Encodings in which every path is requested.
const ENCODINGS: usize = 4;
/// Paths that are answered with the document, besides `/index.html`.
const DOCUMENTS: usize = 5;

/// What the command returned.
struct Verdict {
    code: Option<i32>,
    /// Standard output as JSON.
    report: Value,
}

impl Verdict {
    /// The findings of one path.
    fn of(&self, path: &str) -> Vec<&Value> {
        let all = self.report["findings"].as_array().expect("findings is an array");
        all.iter().filter(|finding| finding["path"] == path).collect()
    }

    fn assert(&self, code: i32, result: &str) {
        assert_eq!(self.code, Some(code), "{:#}", self.report);
        assert_eq!(self.report["result"], result, "{:#}", self.report);
    }
}

fn command(port: u16, more: &[&str]) -> Command {
    let mut command = Command::new(program("gatehouse"));
    command.arg("verify-ui").arg(format!("https://localhost:{port}")).args(more);
    command.env("NO_PROXY", "localhost");
    command
}

fn verify(port: u16, ca: &Path, more: &[&str]) -> Verdict {
    let mut command = command(port, more);
    let output = command.arg("--json").arg("--ca").arg(ca).output().expect("the command runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let report = serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr))
    });
    Verdict { code: output.status.code(), report }
}

/// A gateway that serves a copy of the built page.
struct Hostile {
    edge: Edge,
    site: TempDir,
}

impl Hostile {
    /// `change` changes the copy; `sections` are added to the configuration, `site` to the site.
    fn start(sections: &str, site: &str, change: impl FnOnce(&Path)) -> Self {
        let folder = TempDir::new().expect("create a temporary folder");
        copy(&built(), folder.path());
        change(folder.path());
        let root = folder.path().display();
        let sections = format!(
            "[[route]]\nname = \"page\"\npath_prefix = \"/\"\nstatic = \"page\"\n\
             {sections}\n\
             [[site]]\nname = \"page\"\nroot = \"{root}\"\nspa_fallback = \"index.html\"\n{site}\n"
        );
        Self { edge: Edge::start_with(free_port(), "", &sections), site: folder }
    }

    fn changed(change: impl FnOnce(&Path)) -> Self {
        Self::start("", "", change)
    }

    fn verify(&self) -> Verdict {
        self.verify_with(&[])
    }

    fn verify_with(&self, more: &[&str]) -> Verdict {
        verify(self.edge.https_port, &self.edge.ca(), more)
    }
}

fn built() -> PathBuf {
    let dist = workspace().join("ui/dist");
    assert!(dist.join("manifest.json").is_file(), "the page is not built: run `make ui`");
    dist
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("create a folder");
    for entry in fs::read_dir(from).expect("read a folder").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copy a file");
        }
    }
}

/// The path of the page's main script.
fn script(site: &Path) -> String {
    let names = fs::read_dir(site.join("assets")).expect("read the assets").flatten();
    let names: Vec<String> =
        names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    let script = names.iter().find(|name| name.starts_with("index-") && name.ends_with(".js"));
    format!("/assets/{}", script.expect("there is a main script"))
}

fn at(site: &Path, path: &str) -> PathBuf {
    site.join(path.trim_start_matches('/'))
}

/// Removes the compressed copies of a file, so that every encoding gets the file.
fn only_plain(site: &Path, path: &str) {
    for suffix in ["br", "gz", "zst"] {
        let copy = at(site, &format!("{path}.{suffix}"));
        if copy.exists() {
            fs::remove_file(copy).expect("remove a compressed copy");
        }
    }
}

fn listed() -> usize {
    let text = fs::read(built().join("manifest.json")).expect("read the manifest");
    let manifest: Value = serde_json::from_slice(&text).expect("the manifest is JSON");
    manifest["files"].as_object().expect("files is an object").len()
}

#[test]
fn the_page_of_this_version_is_the_same_in_every_encoding() {
    let gatehouse = Gatehouse::start();
    let manifest = built().join("manifest.json");
    let url = format!("https://localhost:{}/manifest.json", gatehouse.https_port);
    for place in [None, Some(manifest.to_str().expect("a UTF-8 path")), Some(&*url)] {
        let more: Vec<&str> = place.into_iter().flat_map(|place| ["--manifest", place]).collect();
        let verdict = verify(gatehouse.https_port, &gatehouse.ca(), &more);
        verdict.assert(0, "same");
        // The manifest lists all files but itself.
        let paths = listed() + 1 + DOCUMENTS;
        assert_eq!(verdict.report["responses"], json!(paths * ENCODINGS));
        assert_eq!(verdict.report["findings"], json!([]));
        assert_eq!(verdict.report["manifest"], place.unwrap_or("built into this program"));
    }
    let text = command(gatehouse.https_port, &[]).arg("--ca").arg(gatehouse.ca()).output();
    let text = text.expect("the command runs");
    assert_eq!(text.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&text.stdout).contains("serves the expected page"));
}

#[test]
fn one_flipped_byte_of_a_script_is_found_with_its_place_and_encoding() {
    let hostile = Hostile::changed(|site| {
        let path = at(site, &script(site));
        let mut bytes = fs::read(&path).expect("read the script");
        bytes[1000] ^= 1;
        fs::write(path, bytes).expect("write the script");
    });
    let script = script(hostile.site.path());
    let verdict = hostile.verify();
    verdict.assert(1, "different");
    let [found] = verdict.of(&script)[..] else { panic!("{:#}", verdict.report) };
    assert_eq!(
        (&found["problem"], &found["offset"], &found["encodings"]),
        (&json!("differs"), &json!(1000), &json!(["identity"]))
    );
    assert_eq!(found["found_size"], found["expected_size"]);
    assert_eq!(verdict.report["findings"].as_array().map(Vec::len), Some(1));
}

#[test]
fn another_compressed_copy_is_found_although_the_plain_file_is_the_same() {
    for (suffix, encoding) in [("br", "br"), ("gz", "gzip"), ("zst", "zstd")] {
        let hostile = Hostile::changed(|site| {
            let other = site.join(format!("theme.js.{suffix}"));
            fs::copy(other, at(site, &format!("{}.{suffix}", script(site)))).expect("copy");
        });
        let script = script(hostile.site.path());
        let verdict = hostile.verify();
        verdict.assert(1, "different");
        let [found] = verdict.of(&script)[..] else { panic!("{:#}", verdict.report) };
        assert_eq!(
            (&found["problem"], &found["encodings"]),
            (&json!("differs"), &json!([encoding])),
            "{found}"
        );
    }
}

#[test]
fn a_compressed_copy_that_does_not_decode_is_found() {
    let hostile = Hostile::changed(|site| {
        fs::write(at(site, &format!("{}.gz", script(site))), "no gzip").expect("write a copy");
    });
    let verdict = hostile.verify();
    verdict.assert(1, "different");
    let script = script(hostile.site.path());
    assert_eq!(verdict.of(&script)[0]["problem"], "undecodable", "{:#}", verdict.report);
}

#[test]
fn a_missing_file_and_one_that_never_ends_are_found() {
    let hostile = Hostile::changed(|site| {
        only_plain(site, "/icon.svg");
        fs::remove_file(site.join("icon.svg")).expect("remove the icon");
        only_plain(site, "/theme.js");
        let mut long = fs::read(site.join("theme.js")).expect("read a script");
        long.resize(8 << 20, b' ');
        fs::write(site.join("theme.js"), long).expect("write a script");
    });
    let verdict = hostile.verify();
    verdict.assert(1, "different");
    let [missing] = verdict.of("/icon.svg")[..] else { panic!("{:#}", verdict.report) };
    assert_eq!((&missing["problem"], &missing["status"]), (&json!("missing"), &json!(404)));
    let [long] = verdict.of("/theme.js")[..] else { panic!("{:#}", verdict.report) };
    assert_eq!(
        (&long["problem"], &long["found_size"], &long["offset"]),
        (&json!("differs"), &Value::Null, &long["expected_size"])
    );
}

#[test]
fn a_script_injected_into_the_page_is_named() {
    let injected = r#"<script src="/injected.js" crossorigin integrity="sha384-x"></script>"#;
    let mut place = 0;
    let hostile = Hostile::changed(|site| {
        only_plain(site, "/index.html");
        let page = fs::read_to_string(site.join("index.html")).expect("read the page");
        place = page.find("</head>").expect("the page has a head");
        let (before, after) = page.split_at(place);
        fs::write(site.join("index.html"), format!("{before}{injected}{after}")).expect("write");
        fs::write(site.join("injected.js"), "steal()").expect("write a script");
    });
    let verdict = hostile.verify();
    verdict.assert(1, "different");
    for path in ["/", "/index.html", "/people", "/settings", "/link"] {
        let found = verdict.of(path);
        let [differs, extra] = found[..] else { panic!("{path}: {:#}", verdict.report) };
        assert_eq!(
            (&differs["problem"], &differs["offset"]),
            (&json!("differs"), &json!(place + 1))
        );
        assert_eq!((&extra["problem"], &extra["what"]), (&json!("extra"), &json!("/injected.js")));
    }
}

#[test]
fn another_document_at_a_single_path_is_found() {
    let hostile = Hostile::changed(|site| {
        fs::write(site.join("people"), "<script>steal()</script>").expect("write a page");
    });
    let verdict = hostile.verify();
    verdict.assert(1, "different");
    let problems: Vec<_> =
        verdict.of("/people").iter().map(|finding| finding["problem"].clone()).collect();
    for expected in ["differs", "header", "extra"] {
        assert!(problems.contains(&json!(expected)), "{expected}: {:#}", verdict.report);
    }
    assert!(verdict.of("/").is_empty(), "{:#}", verdict.report);
}

#[test]
fn weaker_policies_are_found() {
    let site = r#"content_security_policy = "default-src 'self' 'unsafe-inline'""#;
    let verdict = Hostile::start("", site, |_| {}).verify();
    verdict.assert(1, "different");
    let names: Vec<_> = verdict.of("/").iter().map(|found| found["name"].clone()).collect();
    assert_eq!(names, ["content-security-policy", "integrity-policy"], "{:#}", verdict.report);
    assert_eq!(verdict.of("/")[0]["found"], json!(["default-src 'self' 'unsafe-inline'"]));
    assert_eq!(verdict.of("/")[1]["found"], json!([]));
}

#[test]
fn a_redirect_to_another_origin_is_reported_and_not_followed() {
    // Following it would succeed: it serves the same file.
    let other = Gatehouse::start();
    let location = format!("https://localhost:{}/theme.js", other.https_port);
    let route = format!(
        "[[route]]\nname = \"away\"\npath = \"/theme.js\"\n\
         redirect = {{ location = \"{location}\" }}"
    );
    let verdict = Hostile::start(&route, "", |_| {}).verify();
    verdict.assert(1, "different");
    let [found] = verdict.of("/theme.js")[..] else { panic!("{:#}", verdict.report) };
    assert_eq!(
        (&found["problem"], &found["location"], &found["status"]),
        (&json!("redirected"), &json!(location), &json!(308))
    );
}

#[test]
fn a_certificate_that_is_not_trusted_is_not_a_different_page() {
    let (gatehouse, other) = (Gatehouse::start(), Gatehouse::start());
    let verdict = verify(gatehouse.https_port, &other.ca(), &[]);
    verdict.assert(2, "unchecked");
    let reason = verdict.report["reason"].as_str().expect("there is a reason");
    assert!(reason.contains("certificate"), "{reason}");
    let output = command(gatehouse.https_port, &[]).output().expect("the command runs");
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("could not be checked") && text.contains("certificate"), "{text}");
}

#[test]
fn a_server_that_does_not_answer_ends_the_check_at_its_deadline() {
    // Accepts connections in the kernel and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").expect("bind a port");
    let port = silent.local_addr().expect("a bound port").port();
    let output = command(port, &["--timeout", "1"]).output().expect("the command runs");
    assert_eq!(output.status.code(), Some(2), "{output:?}");

    let upstream = format!(
        "[[route]]\nname = \"slow\"\npath = \"/theme.js\"\nupstream = \"slow\"\n\
         [[upstream]]\nname = \"slow\"\ntargets = [\"127.0.0.1:{port}\"]"
    );
    let verdict = Hostile::start(&upstream, "", |_| {}).verify_with(&["--timeout", "10"]);
    verdict.assert(2, "unchecked");
    assert_eq!(verdict.of("/theme.js")[0]["problem"], "unchecked", "{:#}", verdict.report);
    let [stopped] = verdict.of("*")[..] else { panic!("{:#}", verdict.report) };
    assert!(stopped["reason"].as_str().is_some_and(|reason| reason.contains("--timeout")));
}

#[test]
fn a_server_without_the_page_and_wrong_arguments_are_not_a_different_page() {
    let empty = Hostile::changed(|site| {
        fs::remove_dir_all(site).expect("remove the page");
        fs::create_dir(site).expect("create an empty folder");
    });
    empty.verify().assert(2, "unchecked");
    let missing = verify(1, &built().join("gone.pem"), &[]);
    assert_eq!(missing.code, Some(2));
    for (arguments, reason) in [
        (&["http://localhost"][..], "expected an https address"),
        (&["https://localhost/people"], "expected an https address"),
        (&["localhost"], "expected an https address"),
        (&["https://localhost", "--timeout", "0"], "from 1 to 3600"),
        (&["https://localhost", "--manifest", "http://localhost/m.json"], "an https URL"),
        (&["https://localhost", "--manifest", "/does/not/exist"], "/does/not/exist"),
    ] {
        let mut command = Command::new(program("gatehouse"));
        let output = command.arg("verify-ui").args(arguments).output().expect("the command runs");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
        assert!(text.contains(reason), "{arguments:?}: {text}");
    }
}
