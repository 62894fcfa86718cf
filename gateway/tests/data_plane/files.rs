//! Static files over real connections.

use std::fs;

use tempfile::TempDir;

use crate::harness::Gateway;

async fn serving() -> (Gateway, TempDir) {
    let site = tempfile::tempdir().unwrap();
    fs::create_dir(site.path().join("assets")).unwrap();
    for (path, content) in [
        ("index.html", "<!doctype html><title>page</title>"),
        ("index.html.br", "brotli"),
        ("assets/app-12345678.js", "0123456789"),
        (".secret", "secret"),
    ] {
        fs::write(site.path().join(path), content).unwrap();
    }
    let text = format!(
        r#"
        [[route]]
        name = "ui"
        path_prefix = "/"
        static = "ui"

        [[site]]
        name = "ui"
        root = "{}"
        spa_fallback = "index.html"
        "#,
        site.path().display()
    );
    (Gateway::start(&text).await, site)
}

#[tokio::test]
async fn files_are_served_with_policy_etag_and_encoding() {
    let (gateway, _site) = serving().await;
    for client in [gateway.client_h1(), gateway.client()] {
        let page = client
            .get(gateway.url("/"))
            .header("accept-encoding", "gzip, br")
            .send()
            .await
            .unwrap();
        let headers = page.headers().clone();
        assert_eq!(
            (page.status().as_u16(), headers["content-encoding"].to_str().unwrap()),
            (200, "br")
        );
        for (name, value) in [
            ("content-security-policy", gateway::page::CONTENT_SECURITY_POLICY),
            ("integrity-policy", gateway::page::INTEGRITY_POLICY),
        ] {
            assert_eq!(headers.get_all(name).iter().collect::<Vec<_>>(), [value], "{name}");
        }
        assert_eq!(headers["cross-origin-opener-policy"], "same-origin");
        assert_eq!(
            (headers["cache-control"].to_str().unwrap(), headers["vary"].to_str().unwrap()),
            ("no-cache", "accept-encoding")
        );
        assert_eq!(page.text().await.unwrap(), "brotli");
        let again = client
            .get(gateway.url("/"))
            .header("accept-encoding", "br")
            .header("if-none-match", &headers["etag"]);
        let again = again.send().await.unwrap();
        assert_eq!(
            (again.status().as_u16(), again.headers().get("etag")),
            (304, headers.get("etag"))
        );

        let asset = client
            .get(gateway.url("/assets/app-12345678.js"))
            .header("range", "bytes=2-4")
            .send()
            .await
            .unwrap();
        assert_eq!(
            (asset.status().as_u16(), asset.headers()["content-range"].to_str().unwrap()),
            (206, "bytes 2-4/10")
        );
        assert!(asset.headers()["cache-control"].to_str().unwrap().contains("immutable"));
        assert_eq!(asset.text().await.unwrap(), "234");

        let head = client.head(gateway.url("/assets/app-12345678.js")).send().await.unwrap();
        assert_eq!(
            (head.status().as_u16(), head.headers()["content-length"].to_str().unwrap()),
            (200, "10")
        );
        assert_eq!(head.bytes().await.unwrap().len(), 0);
    }
}

#[tokio::test]
async fn only_documents_that_scan_codes_may_use_the_camera() {
    let (gateway, _site) = serving().await;
    let client = gateway.client();
    for (path, camera) in [
        ("/", "camera=()"),
        ("/people", "camera=()"),
        ("/settings", "camera=()"),
        ("/linked", "camera=()"),
        ("/assets/app-12345678.js", "camera=()"),
        ("/link", "camera=(self)"),
        ("/people/ada", "camera=(self)"),
    ] {
        let page = client.get(gateway.url(path)).header("accept", "text/html").send();
        let headers = page.await.unwrap().headers().clone();
        let policy = headers["permissions-policy"].to_str().unwrap();
        let mut features = policy.split(", ");
        assert_eq!(features.find(|feature| feature.starts_with("camera")), Some(camera), "{path}");
        assert!(policy.contains("microphone=()"), "{path}: {policy}");
    }
}

#[tokio::test]
async fn unknown_paths_fall_back_for_navigations_only() {
    let (gateway, _site) = serving().await;
    let client = gateway.client();
    let status = async |path: &str, accept: &str| {
        client
            .get(gateway.url(path))
            .header("accept", accept)
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    assert_eq!(status("/chat/with/someone", "text/html").await, 200);
    assert_eq!(status("/people/ada.lovelace", "text/html").await, 200);
    assert_eq!(status("/people/ada.lovelace", "*/*").await, 404);
    for hidden in
        ["/people%2Fada", "/people/../index.html", "/people/%2e%2e/index.html", "/./people"]
    {
        let raw = format!(
            "GET {hidden} HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\nConnection: close\r\n\r\n"
        );
        assert!(gateway.exchange(raw.as_bytes()).await.starts_with("HTTP/1.1 400 "), "{hidden}");
    }
    assert_eq!(status("/chat/with/someone", "application/json").await, 404);
    assert_eq!(status("/assets/gone.js", "text/html").await, 404);
    assert_eq!(status("/.secret", "text/html").await, 404);
    assert_eq!(client.post(gateway.url("/")).send().await.unwrap().status().as_u16(), 405);
}

#[tokio::test]
async fn a_failed_precondition_gets_412_and_the_connection_stays_open() {
    let (gateway, _site) = serving().await;
    for client in [gateway.client_h1(), gateway.client()] {
        let asset = gateway.url("/assets/app-12345678.js");
        let etag = client.get(&asset).send().await.unwrap().headers()["etag"].clone();
        let status = async |tag: &str| {
            let answer = client.get(&asset).header("if-match", tag).send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        };
        assert_eq!(status("\"other\"").await, (412, String::new()));
        assert_eq!(status(etag.to_str().unwrap()).await, (200, "0123456789".to_owned()));
        assert_eq!(status(&format!("W/{}", etag.to_str().unwrap())).await, (412, String::new()));
    }
}

#[tokio::test]
async fn several_requests_for_files_share_a_connection() {
    let (gateway, _site) = serving().await;
    let client = gateway.client_h1();
    for _ in 0..5 {
        client.get(gateway.url("/")).send().await.unwrap().bytes().await.unwrap();
    }
    assert_eq!(gateway.metric("gateway_connections_total", &[("listener", "https")]), 1.0);
}

/// A site with this root, without a fallback.
async fn site_at(root: &str) -> Gateway {
    site_with(root, "").await
}

/// A site with this root and additional keys.
async fn site_with(root: &str, keys: &str) -> Gateway {
    let text = format!(
        r#"
        [[route]]
        name = "ui"
        path_prefix = "/"
        static = "ui"

        [[site]]
        name = "ui"
        root = "{root}"
        {keys}
        "#
    );
    Gateway::start(&text).await
}

#[tokio::test]
async fn pages_with_their_own_policy_need_no_hashes() {
    let site = tempfile::tempdir().unwrap();
    fs::write(site.path().join("index.html"), "<script src=/own.js></script>").unwrap();
    let root = site.path().display().to_string();
    let gateway = site_with(&root, r#"content_security_policy = "default-src 'self'""#).await;
    let page = gateway.client().get(gateway.url("/")).send().await.unwrap();
    assert_eq!(page.headers()["content-security-policy"], "default-src 'self'");
    assert_eq!(page.headers().get("integrity-policy"), None);
}

const NOT_BUILT: &str = "The user interface was not built";

#[tokio::test]
async fn a_site_without_files_reports_that_it_was_not_built() {
    let nothing = tempfile::tempdir().unwrap();
    let gateway = site_at(&nothing.path().display().to_string()).await;
    let page = gateway.client().get(gateway.url("/")).send().await.unwrap();
    assert_eq!(
        (page.status().as_u16(), page.headers()["cache-control"].to_str().unwrap()),
        (503, "no-store")
    );
    assert!(page.text().await.unwrap().starts_with(NOT_BUILT));
}

#[tokio::test]
async fn the_embedded_site_is_the_user_interface_or_reports_that_it_was_not_built() {
    let built =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../ui/dist/index.html").exists();
    let gateway = site_at("embedded").await;
    let page = gateway.client().get(gateway.url("/")).send().await.unwrap();
    assert_eq!(page.status(), if built { 200 } else { 503 });
    let text = page.text().await.unwrap();
    assert_eq!(text.contains(NOT_BUILT), !built, "{text}");
    assert_eq!(text.contains("<html"), built, "{text}");
}
