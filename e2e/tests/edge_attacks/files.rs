//! Paths that lead out of a site, in every spelling: they never return files outside the site, and
//! never the page instead of a missing file.

use e2e::attack::{Attacked, Listener, NO_RATE, PAGE, SECRET};
use e2e::frames::{H2, Outcome, WHOLE, field, frame, kind, request};

/// Rejected paths: 400 for ambiguous paths, 404 for missing files.
const PATHS: &[(&str, u16)] = &[
    ("/../secret.txt", 400),
    ("/..", 400),
    ("/.", 400),
    ("/./sub/a.txt", 400),
    ("/sub/./a.txt", 400),
    ("/sub/../../secret.txt", 400),
    ("/sub/../sub/a.txt", 400),
    ("/assets/../../secret.txt", 400),
    ("/../../../../../../../../etc/passwd", 400),
    ("/%2e%2e/secret.txt", 400),
    ("/%2E%2E/secret.txt", 400),
    ("/.%2e/secret.txt", 400),
    ("/%2e./secret.txt", 400),
    ("/%2e/secret.txt", 400),
    ("/sub/%2e%2e/%2e%2e/secret.txt", 400),
    ("/..%2fsecret.txt", 400),
    ("/..%2Fsecret.txt", 400),
    ("/%2e%2e%2fsecret.txt", 400),
    ("/sub%2f..%2f..%2fsecret.txt", 400),
    ("/sub%2fa.txt", 400),
    ("/%2fetc%2fpasswd", 400),
    ("/..%5csecret.txt", 400),
    ("/..%5Csecret.txt", 400),
    ("/%2e%2e%5csecret.txt", 400),
    ("/sub%5ca.txt", 400),
    ("/%5c%5cserver%5cshare", 400),
    ("/..\\secret.txt", 400),
    ("/sub\\a.txt", 400),
    ("/\\..\\secret.txt", 400),
    ("/index.html%00", 400),
    ("/secret.txt%00.html", 400),
    ("/sub/a.txt%00.js", 400),
    ("/%00", 400),
    ("/sub/a.txt%0a", 400),
    ("/sub/a.txt%0d%0aX:y", 400),
    ("/sub/a.txt%7f", 400),
    ("/sub/a.txt%09", 400),
    ("/%", 400),
    ("/%2", 400),
    ("/%zz", 400),
    ("/%u002e%u002e/secret.txt", 400),
    ("/..;/secret.txt", 404),
    ("/..%3b/secret.txt", 404),
    ("/%252e%252e/secret.txt", 404),
    ("/%252e%252e%252fsecret.txt", 404),
    ("/..%252fsecret.txt", 404),
    ("/..%255csecret.txt", 404),
    ("/%25252e%25252e/secret.txt", 404),
    ("/%c0%ae%c0%ae/secret.txt", 404),
    ("/%c0%ae%c0%ae%c0%afsecret.txt", 404),
    ("/..%c0%afsecret.txt", 404),
    ("/..%c1%9csecret.txt", 404),
    ("/%e0%80%ae%e0%80%ae/secret.txt", 404),
    ("/%f0%80%80%ae%f0%80%80%ae/secret.txt", 404),
    ("/%ef%bc%8e%ef%bc%8e/secret.txt", 404),
    ("/..%ef%bc%8fsecret.txt", 404),
    ("/%e2%80%a5/secret.txt", 404),
    ("/%ff%fe", 404),
    ("/.../secret.txt", 404),
    ("/..../secret.txt", 404),
    ("/.%20./secret.txt", 404),
    ("/..%20/secret.txt", 404),
    ("//etc/passwd", 404),
    ("///etc/passwd", 404),
    ("//secret.txt", 404),
    ("/sub//a.txt", 404),
    ("/secret.txt", 404),
    ("/~root/secret.txt", 404),
    ("/C:/secret.txt", 404),
    ("/file:///etc/passwd", 404),
    ("/sub/a.txt/", 404),
    ("/sub/a.txt/x", 404),
    ("/sub/A.TXT", 404),
    ("/sub/a.txt::$DATA", 404),
    ("/sub/a.txt.", 404),
    ("/sub/a.txt%20", 404),
    ("/.env", 404),
    ("/%2eenv", 404),
    ("/.hidden/file.txt", 404),
    ("/.git/config", 404),
    ("/.well-known/none", 404),
    ("/link.txt", 404),
    ("/sub/up/secret.txt", 404),
    ("/sub/up/gateway.toml", 404),
    ("/sub/up/certs/local-ca.key", 404),
    ("/etc/passwd", 404),
    ("/etc/hostname", 404),
    ("/proc/self/environ", 404),
    ("/gateway.toml", 404),
    ("/index.html.br", 404),
    ("/assets/", 404),
    ("/assets/none.js", 404),
    ("/sub", 404),
];

/// Checks that a body contains nothing from outside the site.
fn assert_no_leak(path: &str, body: &str) {
    for secret in [SECRET, "root:", "PRIVATE KEY", "[[listener]]"] {
        assert!(!body.contains(secret), "{path} returned {secret:?}: {body}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_outside_the_site_cannot_be_read() {
    let mut attacked = Attacked::start(NO_RATE, "").await;
    let mut wrong = Vec::new();
    for (path, expected) in PATHS {
        for listener in [Listener::Plain, Listener::Tls] {
            let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n");
            match attacked.exchange(listener, request.as_bytes()).await {
                Ok(answer) => {
                    assert_no_leak(path, &answer.text());
                    if answer.status != *expected {
                        wrong.push(format!(
                            "{listener:?} {path}: {}, not {expected}",
                            answer.status
                        ));
                    }
                }
                Err(error) => wrong.push(format!("{listener:?} {path}: {error}")),
            }
        }
        let mut connection = H2::open(&attacked, &[]).await;
        let head = [request("GET", path), field("accept", "*/*")].concat();
        connection.send(&frame(kind::HEADERS, WHOLE, 1, &head)).await.expect("send the request");
        match connection.outcome(1).await {
            Outcome::Status(status) if status == *expected => {
                assert_no_leak(
                    path,
                    &String::from_utf8_lossy(&connection.body(1).await.unwrap_or_default()),
                );
            }
            // Over h2, a path that is not a valid URI is malformed.
            Outcome::Reset(1) if *expected == 400 => {}
            other => wrong.push(format!("HTTP/2 {path}: {other:?}, not {expected}")),
        }
    }
    assert!(wrong.is_empty(), "{} failed:\n{}", wrong.len(), wrong.join("\n"));
    attacked.assert_healthy().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn page_fallback_is_served_for_navigations_only() {
    let mut attacked = Attacked::start(NO_RATE, "").await;
    let navigation = "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document";
    let old = "Accept: text/html,application/xhtml+xml,*/*;q=0.8";
    let script = "Accept: */*\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: script";
    let mut wrong = Vec::new();
    for (path, fields, found) in [
        ("/", navigation, true),
        ("/settings", navigation, true),
        ("/people/ada", navigation, true),
        // Usernames may contain dots.
        ("/people/ada.lovelace", navigation, true),
        ("/people/ada.lovelace", old, true),
        ("/people/ada.js", navigation, true),
        ("/people/v1.0", navigation, true),
        ("/people/ada.lovelace?x=1", navigation, true),
        ("/people/ada.lovelace", script, false),
        ("/people/ada.lovelace", "Accept: application/json", false),
        ("/settings", script, false),
        ("/assets/none-12345678.js", navigation, false),
        ("/assets/none-12345678.js", script, false),
        ("/assets/none", navigation, false),
        ("/assets", navigation, false),
        ("/.well-known/none", navigation, false),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n\r\n");
        let answer =
            attacked.exchange(Listener::Tls, request.as_bytes()).await.expect("receive an answer");
        let expected = if found { (200, true) } else { (404, false) };
        if (answer.status, answer.text() == PAGE) != expected {
            wrong.push(format!("{path} with {fields:?}: {} {}", answer.status, answer.text()));
        }
    }
    // Paths of other routes never get the page.
    for (path, status, text) in
        [("/api/none.html", 200, "/api/none.html"), ("/ws", 200, "/ws"), ("/api", 200, "/api")]
    {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{navigation}\r\n\r\n");
        let answer =
            attacked.exchange(Listener::Tls, request.as_bytes()).await.expect("receive an answer");
        if (answer.status, answer.text().as_str()) != (status, text) {
            wrong.push(format!("{path}: {} {}", answer.status, answer.text()));
        }
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PROPFIND", "get"] {
        let request =
            format!("{method} /settings HTTP/1.1\r\nHost: localhost\r\n{navigation}\r\n\r\n");
        let answer =
            attacked.exchange(Listener::Tls, request.as_bytes()).await.expect("receive an answer");
        if answer.status != 405 {
            wrong.push(format!("{method}: {}", answer.status));
        }
    }
    assert!(wrong.is_empty(), "{} failed:\n{}", wrong.len(), wrong.join("\n"));
    attacked.assert_healthy().await;
}
