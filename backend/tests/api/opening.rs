//! Creation of accounts.

use backend::settings::AccountSettings;
use reqwest::header::HeaderMap;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::support::{Client, Server, cookie, problem};

async fn send(
    client: &Client,
    method: &Method,
    path: &str,
    headers: &[(&'static str, &str)],
) -> Response {
    let mut request = client.request(method.clone(), path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if *method == Method::POST {
        request = request.json(&if path == "/api/chat" {
            json!({"message": "hello"})
        } else {
            json!({})
        });
    }
    request.send().await.expect("an answer")
}

fn sets_no_cookie(headers: &HeaderMap) {
    assert!(!headers.contains_key("set-cookie"), "{headers:?}");
}

#[tokio::test]
async fn reads_create_no_account() {
    let server = Server::start().await;
    let stranger = server.stranger();
    let reads = [
        "/api/me",
        "/api/sessions",
        "/api/conversations",
        "/api/users/ada",
        "/api/accounts/ada/devices",
    ];
    for path in reads {
        let refused = stranger.get(path).await;
        sets_no_cookie(refused.headers());
        assert_eq!(problem(refused).await, (401, "unauthenticated".into()), "{path}");
    }
    for (method, path) in [
        (Method::PUT, "/api/devices/d"),
        (Method::DELETE, "/api/devices/d"),
        (Method::PATCH, "/api/sessions/s"),
        (Method::DELETE, "/api/sessions/s"),
        (Method::POST, "/api/runs/r/stop"),
        (Method::POST, "/api/logout"),
    ] {
        let refused = send(&stranger, &method, path, &[]).await;
        sets_no_cookie(refused.headers());
        assert_eq!(problem(refused).await, (401, "unauthenticated".into()), "{method} {path}");
    }
    assert_eq!(server.accounts(), 0);
}

/// Headers of requests caused by another site: by a link, a form, a frame or a script.
const FOREIGN: [&[(&str, &str)]; 6] = [
    &[
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
    ],
    &[
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "iframe"),
    ],
    &[("sec-fetch-site", "same-site"), ("sec-fetch-mode", "navigate")],
    &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")],
    &[("sec-fetch-site", "same-site"), ("sec-fetch-mode", "cors")],
    &[("origin", "https://evil.example")],
];

#[tokio::test]
async fn another_site_creates_no_account_and_replaces_no_cookie() {
    let server = Server::start().await;
    let (ada, stranger) = (server.visitor().await, server.stranger());
    let me = ada.json("/api/me").await;
    for headers in FOREIGN {
        for path in ["/api/me", "/api/sessions", "/api/conversations"] {
            // SameSite=Strict withholds the cookie; an older browser may send it.
            let refused = send(&stranger, &Method::GET, path, headers).await;
            sets_no_cookie(refused.headers());
            assert_eq!(refused.status(), 401, "{path} {headers:?}");
        }
        for path in ["/api/me", "/api/chat", "/api/logout"] {
            for client in [&stranger, &ada] {
                let refused = send(client, &Method::POST, path, headers).await;
                sets_no_cookie(refused.headers());
                assert_eq!(
                    problem(refused).await,
                    (403, "cross-origin".into()),
                    "{path} {headers:?}"
                );
            }
        }
    }
    assert_eq!(server.accounts(), 1, "only Ada's account exists");
    assert_eq!(ada.json("/api/me").await, me, "her cookie still opens her account");
}

#[tokio::test]
async fn the_response_to_a_navigation_sets_no_cookie() {
    let server = Server::start().await;
    let (ada, stranger) = (server.visitor().await, server.stranger());
    for site in ["none", "same-origin", "cross-site"] {
        let navigation = [("sec-fetch-site", site), ("sec-fetch-mode", "navigate")];
        let shown = send(&ada, &Method::GET, "/api/me", &navigation).await;
        assert_eq!(shown.status(), 200);
        sets_no_cookie(shown.headers());
        let refused = send(&stranger, &Method::POST, "/api/me", &navigation).await;
        sets_no_cookie(refused.headers());
        assert_eq!(problem(refused).await, (403, "cross-origin".into()), "{site}");
    }
    let script = [("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors")];
    assert!(
        cookie(send(&ada, &Method::GET, "/api/me", &script).await.headers()).is_some(),
        "a script renews it"
    );
    assert_eq!(server.accounts(), 1);
}

#[tokio::test]
async fn a_same_origin_script_and_a_program_may_create_an_account() {
    let server = Server::start().await;
    for path in ["/api/me", "/api/chat"] {
        for headers in [&[][..], &[("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors")]] {
            let mut client = server.stranger();
            let made = send(&client, &Method::POST, path, headers).await;
            assert_eq!(made.status(), 200);
            client.cookie = cookie(made.headers());
            let me = client.json("/api/me").await;
            assert_eq!(me, client.json("/api/me").await);
        }
    }
    assert_eq!(server.accounts(), 4);
}

#[tokio::test]
async fn a_username_can_be_claimed_in_the_same_step() {
    let server = Server::start().await;
    let mut ada = server.stranger();
    let made = ada.post("/api/me", &json!({"username": "Ada"})).await;
    ada.cookie = cookie(made.headers());
    let made = made.json::<Value>().await.unwrap();
    assert_eq!(made["username"], "Ada");
    assert_eq!(ada.json("/api/me").await, made);
}

#[tokio::test]
async fn a_rejected_request_creates_no_account() {
    let server = Server::start().await;
    let ada = server.visitor().await;
    ada.post("/api/me", &json!({"username": "first"})).await;
    ada.post("/api/me", &json!({"username": "second"})).await;
    for (path, body, expected) in [
        ("/api/me", json!({"username": ""}), 422),
        ("/api/me", json!({"username": "a/b"}), 422),
        ("/api/me", json!({"username": "second"}), 409),
        ("/api/me", json!({"username": "first"}), 409),
        ("/api/me", json!({"name": "bob"}), 422),
        ("/api/me", json!({"username": 7}), 422),
        ("/api/chat", json!({"message": " "}), 422),
        ("/api/chat", json!({"message": "x".repeat(33 * 1024)}), 422),
        ("/api/chat", json!({"message": "hello", "model": "unheard-of"}), 422),
        ("/api/chat", json!({"mesage": "hello"}), 422),
        ("/api/chat", json!({"message": "x".repeat(300 * 1024)}), 413),
    ] {
        let refused = server.stranger().post(path, &body).await;
        sets_no_cookie(refused.headers());
        assert_eq!(refused.status(), expected, "{path} {expected}");
    }
    let key = "k".repeat(129);
    let refused =
        send(&server.stranger(), &Method::POST, "/api/chat", &[("idempotency-key", &key)]).await;
    sets_no_cookie(refused.headers());
    assert_eq!(refused.status(), 400);
    let plain = server
        .stranger()
        .request(Method::POST, "/api/me")
        .header("content-type", "text/plain")
        .body("{}");
    assert_eq!(plain.send().await.unwrap().status(), 415);
    assert_eq!(server.accounts(), 1);
}

#[tokio::test]
async fn a_first_message_sets_the_cookie_even_if_the_model_fails() {
    let server = Server::with(|settings| settings.provider.retries = 0).await;
    for (accept, model) in [("text/event-stream", "demo-500"), ("application/json", "demo-500")] {
        let mut client = server.stranger();
        let question = json!({"session_id": "s", "message": "hello", "model": model});
        let request =
            client.request(Method::POST, "/api/chat").header("accept", accept).json(&question);
        let answered = request.send().await.unwrap();
        client.cookie = Some(cookie(answered.headers()).expect("the account was created"));
        let _ = answered.bytes().await.expect("the whole answer");
        assert_eq!(client.json("/api/sessions").await["sessions"][0]["id"], "s", "{accept}");
    }
}

async fn from(client: &Client, address: &str, body: &Value) -> Response {
    let request = client.request(Method::POST, "/api/me").header("x-forwarded-for", address);
    request.json(body).send().await.expect("an answer")
}

#[tokio::test]
async fn one_address_creates_a_bounded_number_of_accounts() {
    let server = Server::with(|settings| {
        settings.accounts = AccountSettings { per_address: 2, per_address_hourly: 60 };
    })
    .await;
    let stranger = server.stranger();
    let mut ada = server.stranger();
    ada.cookie = cookie(from(&ada, "2001:db8:1:2::1", &json!({"username": "Ada"})).await.headers());
    assert_eq!(from(&stranger, "2001:db8:1:2::1", &json!({"username": "ada"})).await.status(), 409);
    assert_eq!(from(&stranger, "2001:db8:1:2:ffff::2", &json!({})).await.status(), 200);
    let refused = from(&stranger, "2001:db8:1:2::3", &json!({"username": "Bob"})).await;
    sets_no_cookie(refused.headers());
    let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(problem(refused).await, (429, "rate-limited".into()));
    let chat =
        stranger.request(Method::POST, "/api/chat").header("x-forwarded-for", "2001:db8:1:2::4");
    let refused = chat.json(&json!({"message": "hello"})).send().await.unwrap();
    assert_eq!(problem(refused).await, (429, "rate-limited".into()));
    assert_eq!(server.accounts(), 2);

    assert_eq!(
        from(&ada, "2001:db8:1:2::1", &json!({"username": "Countess"})).await.status(),
        200,
        "she already has an account"
    );
    assert_eq!(
        from(&stranger, "2001:db8:1:3::1", &json!({})).await.status(),
        200,
        "another network"
    );
    assert_eq!(
        from(&stranger, "192.0.2.1", &json!({"username": "Bob"})).await.status(),
        200,
        "another address"
    );
    assert_eq!(stranger.post("/api/me", &json!({})).await.status(), 200, "the peer's own address");
    assert_eq!(server.accounts(), 5);
}

#[tokio::test]
async fn two_hundred_people_behind_one_address_can_start_at_once() {
    let server = Server::start().await;
    let people = (0..200).map(|_| {
        let stranger = server.stranger();
        async move { from(&stranger, "192.0.2.1", &json!({})).await.status() }
    });
    let answers = futures::future::join_all(people).await;
    assert!(answers.iter().all(|status| *status == 200), "{answers:?}");
    assert_eq!(server.accounts(), 200);
}
