//! Files, encodings, ranges and conditions.

use std::collections::BTreeMap;

use super::*;

fn site() -> Site {
    let files = [
        ("/index.html", "<!doctype html>".repeat(9)),
        ("/index.html.br", "brotli".into()),
        ("/index.html.gz", "gzip".into()),
        ("/assets/app-12345678.js", "script()".into()),
        ("/assets/app-12345678.js.br", "longer than the script".into()),
        ("/with space.txt", "spaced".into()),
        ("/fonts/latin/inter.woff2", "font".into()),
        ("/help/index.html", "help".into()),
        ("/help/picture.png", "picture".into()),
        ("/alone.gz", "archive".into()),
    ];
    let contents: BTreeMap<String, Bytes> =
        files.into_iter().map(|(path, text)| (path.to_owned(), text.into())).collect();
    let content = HeaderValue::from_static("default-src 'none'");
    let policies = Policies { content, integrity: None };
    let claimed = vec!["/api".to_owned(), "/ws".to_owned()];
    Site::new(load::assemble(contents), Some("/index.html".into()), policies, claimed)
}

fn get(path: &str, fields: &[(HeaderName, &'static str)]) -> Option<Reply> {
    let headers = fields
        .iter()
        .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)))
        .collect();
    site().reply(&Method::GET, path, &headers)
}

fn field<'r>(reply: &'r Reply, name: &HeaderName) -> Option<&'r str> {
    reply
        .headers
        .iter()
        .find(|(other, _)| other == name)
        .map(|(_, value)| value.to_str().expect("text"))
}

#[test]
fn a_file_is_sent_in_an_encoding_the_client_accepts() {
    let plain = get("/", &[]).expect("found");
    assert_eq!(
        (plain.status, plain.body.len(), field(&plain, &header::CONTENT_ENCODING)),
        (StatusCode::OK, 135, None)
    );
    assert_eq!(field(&plain, &header::VARY), Some("accept-encoding"));
    assert_eq!(field(&plain, &header::CACHE_CONTROL), Some("no-cache"));
    let coded = get("/index.html", &[(header::ACCEPT_ENCODING, "gzip, br")]).expect("found");
    assert_eq!(
        (&*coded.body, field(&coded, &header::CONTENT_ENCODING)),
        (&b"brotli"[..], Some("br"))
    );
    assert_eq!(field(&coded, &header::CONTENT_TYPE), Some("text/html; charset=utf-8"));
    assert_ne!(
        field(&plain, &header::ETAG),
        field(&coded, &header::ETAG),
        "each encoding must have its own tag"
    );
    let ranged =
        get("/", &[(header::ACCEPT_ENCODING, "br"), (header::RANGE, "bytes=0-1")]).expect("found");
    assert_eq!((ranged.status, &*ranged.body), (StatusCode::PARTIAL_CONTENT, &b"<!"[..]));
}

#[test]
fn a_hashed_asset_is_immutable_and_never_sent_in_a_larger_encoding() {
    let asset = get("/assets/app-12345678.js", &[(header::ACCEPT_ENCODING, "br")]).expect("found");
    assert_eq!(field(&asset, &header::CACHE_CONTROL), Some("public, max-age=31536000, immutable"));
    assert_eq!((&*asset.body, field(&asset, &header::VARY)), (&b"script()"[..], None));
}

#[test]
fn a_matching_etag_gets_304() {
    let tag = field(&get("/", &[]).expect("found"), &header::ETAG).expect("a tag").to_owned();
    let mut headers = HeaderMap::new();
    headers.insert(header::IF_NONE_MATCH, tag.parse().expect("a header"));
    let reply = site().reply(&Method::GET, "/", &headers).expect("found");
    assert_eq!(
        (reply.status, reply.body.len(), field(&reply, &header::CONTENT_TYPE)),
        (StatusCode::NOT_MODIFIED, 0, None)
    );
    assert_eq!(field(&reply, &header::ETAG), Some(&*tag));
}

#[test]
fn head_returns_the_length_without_the_body() {
    let reply = site().reply(&Method::HEAD, "/", &HeaderMap::new()).expect("found");
    assert_eq!((reply.status, reply.length, reply.body.len()), (StatusCode::OK, 135, 0));
}

#[test]
fn only_navigations_get_the_fallback() {
    let page = [(header::ACCEPT, "text/html,application/xhtml+xml")];
    for (path, found) in [
        ("/settings", true),
        ("/chat/with/someone", true),
        ("/api/none", false),
        ("/ws", false),
        ("/assets/gone-12345678.js", false),
        ("/assets/gone", false),
        ("/people/ada.lovelace", true),
        ("/people/ada%2Elovelace", true),
        ("/people/main.js", true),
        ("/fonts/none", false),
        ("/fonts/latin/none.woff2", false),
        ("/fonts/latin", false),
        ("/help/topic", true),
        ("/help/topic.one", true),
        ("/.secret", false),
        ("/people/.hidden/x", false),
        ("/.well-known/none", false),
        ("/index.htm%6c", true),
    ] {
        assert_eq!(get(path, &page).is_some(), found, "{path}");
    }
    assert!(
        get("/settings", &[(header::ACCEPT, "*/*")]).is_none(),
        "a script request must not get a page"
    );
    assert!(site().reply(&Method::POST, "/settings", &HeaderMap::new()).is_none());
}

#[test]
fn sec_fetch_mode_takes_precedence_over_accept() {
    let mode = HeaderName::from_static("sec-fetch-mode");
    for (value, accept, found) in [
        ("navigate", "*/*", true),
        ("navigate", "text/html", true),
        ("cors", "text/html", false),
        ("no-cors", "*/*", false),
    ] {
        let fields = [(mode.clone(), value), (header::ACCEPT, accept)];
        assert_eq!(get("/people/ada.lovelace", &fields).is_some(), found, "{value} {accept}");
    }
}

#[test]
fn vary_lists_the_fields_that_decide_on_the_fallback() {
    let page = get("/settings", &[(header::ACCEPT, "text/html")]).expect("found");
    assert_eq!(field(&page, &header::VARY), Some("accept, accept-encoding, sec-fetch-mode"));
    let file = get("/help/picture.png", &[(header::ACCEPT, "text/html")]).expect("found");
    assert_eq!(field(&file, &header::VARY), None);
}

#[test]
fn a_failed_precondition_gets_412() {
    let reply =
        get("/", &[(header::IF_MATCH, "\"other\""), (header::RANGE, "bytes=0-0")]).expect("found");
    assert_eq!((reply.status, reply.length), (StatusCode::PRECONDITION_FAILED, 0));
    assert!(
        get("/assets/gone", &[(header::IF_MATCH, "*")]).is_none(),
        "section 13.2.1: without the condition, the response is 404"
    );
}

#[test]
fn file_names_are_decoded_before_the_lookup() {
    assert_eq!(&*get("/with%20space.txt", &[]).expect("found").body, b"spaced");
    assert_eq!(&*get("/alone.gz", &[]).expect("found").body, b"archive");
    assert!(get("/%FF", &[]).is_none());
}
