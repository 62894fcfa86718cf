//! Linking a new device: the relay, the approval and the claim.

use std::time::Duration;

use backend::settings::Budget;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::device_log::{entry, identity, log_of};
use crate::redis::Redis;
use crate::socket::{Socket, account, keys};
use crate::support::{Client, Server, cookie, eventually, problem};

/// The new device's side of a link.
struct NewDevice {
    client: Client,
    code: String,
    token: String,
}

impl NewDevice {
    async fn open(client: Client) -> Self {
        let opened = client.post("/api/links", &Value::Null).await;
        assert_eq!(opened.status(), 201);
        assert!(cookie(opened.headers()).is_none());
        let link = opened.json::<Value>().await.unwrap();
        assert_eq!(link["expires_in"], 600);
        let text = |field: &str| link[field].as_str().expect("a text").to_owned();
        let (code, token) = (text("code"), text("token"));
        assert!(code.len() == 8 && code.bytes().all(|digit| digit.is_ascii_digit()), "{code}");
        assert_eq!(token.len(), 43, "256 bits");
        Self { client, code, token }
    }

    fn path(&self, what: &str) -> String {
        format!("/api/links/{}/{what}", self.code)
    }

    async fn send(&self, method: Method, what: &str, body: Option<&Value>) -> Response {
        let request = self.client.request(method, &self.path(what)).bearer_auth(&self.token);
        let request = body.into_iter().fold(request, |request, body| request.json(body));
        request.send().await.expect("an answer")
    }

    async fn say(&self, body: &str) -> u16 {
        self.send(Method::POST, "messages", Some(&message(body))).await.status().as_u16()
    }

    async fn read(&self) -> Value {
        self.send(Method::GET, "messages", None).await.json().await.expect("JSON")
    }

    async fn claim(&self) -> Response {
        self.send(Method::POST, "claim", None).await
    }
}

fn message(body: &str) -> Value {
    json!({ "body": body })
}

fn approval(device: &str, version: u64) -> Value {
    json!({"device": device, "version": version, "entry": entry(device)})
}

/// A client with an account, an identity and a registered device.
async fn person(server: &Server, key: char) -> Client {
    let person = server.visitor().await;
    assert_eq!(person.put("/api/identity", &identity(key, key)).await.status(), 204);
    assert_eq!(person.put(&format!("/api/devices/{key}1"), &keys("k")).await.status(), 204);
    person
}

/// A link to which the client has sent the offer.
async fn bound(server: &Server, old: &Client) -> NewDevice {
    let new = NewDevice::open(server.stranger()).await;
    assert_eq!(old.post(&new.path("messages"), &message("offer")).await.status(), 204);
    new
}

#[tokio::test]
async fn a_new_device_is_linked_and_connects() {
    let server = Server::start().await;
    let ada = person(&server, 'a').await;
    let me = ada.json("/api/me").await;
    let mut socket = Socket::open(&ada, "a1").await;
    // The new browser has an account of its own; it is left deliberately.
    let new = NewDevice::open(server.visitor().await).await;
    assert_eq!(new.say("hello").await, 204);
    let seen = ada.json(&new.path("messages")).await;
    let hello = json!({"index": 1, "from": "new", "body": "hello"});
    assert_eq!(seen, json!({"messages": [hello], "approved": false}));
    assert_eq!(ada.post(&new.path("messages"), &message("{\"o\":1}")).await.status(), 204);
    assert_eq!(new.say("reveal").await, 204);
    let rest = ada.json(&format!("{}?after=1", new.path("messages"))).await;
    let offer = json!({"index": 2, "from": "old", "body": "{\"o\":1}"});
    let reveal = json!({"index": 3, "from": "new", "body": "reveal"});
    assert_eq!(rest, json!({"messages": [offer, reveal], "approved": false}));
    assert_eq!(problem(new.claim().await).await, (409, "conflict".into()), "not approved yet");

    let approved = ada.post(&new.path("approval"), &approval("n1", 2)).await;
    assert_eq!(approved.status(), 204);
    assert_eq!(socket.event("key_change").await["account"], me["account_id"]);
    let log = log_of(&ada, me["account_id"].as_str().unwrap()).await.1;
    assert_eq!(log, json!([entry("a1"), entry("n1")]));
    assert_eq!(new.read().await["approved"], true);

    let claimed = new.claim().await;
    assert_eq!(claimed.status(), 200);
    let fresh = cookie(claimed.headers());
    assert!(fresh.is_some() && fresh != ada.cookie && fresh != new.client.cookie);
    assert_eq!(claimed.json::<Value>().await.unwrap(), me);
    let mut linked = new.client.clone();
    linked.cookie = fresh;
    assert_eq!(linked.json("/api/me").await, me);
    let again = new.claim().await;
    assert!(cookie(again.headers()).is_none());
    assert_eq!(problem(again).await, (409, "conflict".into()), "once");

    assert_eq!(linked.put("/api/devices/n1", &keys("n")).await.status(), 204);
    let mut n = Socket::open(&linked, "n1").await;
    // The history goes over the link, after the claim.
    assert_eq!(ada.post(&new.path("messages"), &message("history")).await.status(), 204);
    assert_eq!(new.read().await["messages"][3]["body"], "history");
    // Removing it revokes its cookie, and it never comes back.
    assert_eq!(ada.delete("/api/devices/n1").await.status(), 204);
    assert_eq!(n.closed().await, 4503);
    assert_eq!(problem(linked.get("/api/me").await).await, (401, "device-removed".into()));
    assert_eq!(ada.json("/api/me").await, me, "the old device keeps its own cookie");
    let second = bound(&server, &ada).await;
    let refused = ada.post(&second.path("approval"), &approval("n1", 3)).await;
    assert_eq!(problem(refused).await, (410, "device-removed".into()));
    assert_eq!(problem(second.claim().await).await, (409, "conflict".into()));
}

#[tokio::test]
async fn a_link_works_across_nodes() {
    let redis = Redis::start().await;
    let (here, there) = (redis.node(|_| {}).await, redis.node(|_| {}).await);
    let ada = person(&here, 'a').await;
    let new = NewDevice::open(there.stranger()).await;
    assert_eq!(new.say("hello").await, 204);
    assert_eq!(ada.json(&new.path("messages")).await["messages"][0]["body"], "hello");
    assert_eq!(ada.post(&new.path("messages"), &message("offer")).await.status(), 204);
    assert_eq!(ada.post(&new.path("approval"), &approval("n1", 2)).await.status(), 204);
    let claimed = new.claim().await;
    assert_eq!(claimed.status(), 200);
    let mut linked = here.stranger();
    linked.cookie = cookie(claimed.headers());
    assert_eq!(linked.json("/api/me").await, ada.json("/api/me").await);
}

#[tokio::test]
async fn without_the_token_or_the_bound_account_a_link_shows_nothing() {
    let server = Server::start().await;
    let (ada, eve) = (person(&server, 'a').await, person(&server, 'e').await);
    let new = bound(&server, &ada).await;
    assert_eq!(new.say("secret").await, 204);
    let path = new.path("messages");
    let not_found = || (404, "not-found".to_owned());
    assert_eq!(problem(eve.get(&path).await).await, not_found());
    assert_eq!(problem(eve.post(&path, &message("x")).await).await, not_found());
    let approved = eve.post(&new.path("approval"), &approval("n1", 2)).await;
    assert_eq!(problem(approved).await, not_found(), "bound to Ada");
    assert_eq!(log_of(&eve, &account(&eve).await).await.1, json!([entry("e1")]));

    let stranger = server.stranger();
    for refused in [stranger.get(&path).await, stranger.post(&path, &message("x")).await] {
        assert_eq!(problem(refused).await, (401, "unauthenticated".into()));
    }
    let other = NewDevice::open(stranger.clone()).await;
    let forged = NewDevice { client: stranger.clone(), code: new.code.clone(), ..other };
    for what in ["messages", "claim"] {
        let refused = forged.send(Method::POST, what, Some(&message("x"))).await;
        assert!(cookie(refused.headers()).is_none());
        assert_eq!(problem(refused).await, not_found(), "the token of another link: {what}");
    }
    assert_eq!(problem(forged.send(Method::GET, "messages", None).await).await, not_found());
    // The bound account has the code and its cookie, not the token.
    let by_cookie = ada.post(&new.path("claim"), &Value::Null).await;
    assert_eq!(problem(by_cookie).await, (401, "unauthenticated".into()));
    for header in ["Bearer", "Bearer short", "Basic QUJD", "Bearer \u{e4}"] {
        let request = ada.request(Method::GET, &path).header("authorization", header.as_bytes());
        let refused = request.send().await.unwrap();
        assert_eq!(problem(refused).await, (401, "unauthenticated".into()), "{header}");
    }
    let seen = new.read().await;
    assert_eq!(seen["messages"].as_array().unwrap().len(), 2, "{seen}");
}

#[tokio::test]
async fn an_approval_needs_an_offer_and_the_next_version() {
    let server = Server::start().await;
    let ada = person(&server, 'a').await;
    let conflict = || (409, "conflict".to_owned());
    let open = NewDevice::open(server.stranger()).await;
    let unbound = ada.post(&open.path("approval"), &approval("n1", 2)).await;
    assert_eq!(problem(unbound).await, conflict());
    let new = bound(&server, &ada).await;
    for version in [1, 3] {
        let refused = ada.post(&new.path("approval"), &approval("n1", version)).await;
        assert_eq!(problem(refused).await, conflict(), "{version}");
    }
    let mut bad = approval("n1", 2);
    bad["entry"]["signature"] = json!("c2ln");
    let refused = ada.post(&new.path("approval"), &bad).await;
    assert_eq!(problem(refused).await, (422, "invalid-value".into()));
    for _again in 0..2 {
        let approved = ada.post(&new.path("approval"), &approval("n1", 2)).await;
        assert_eq!(approved.status(), 204);
    }
    let other = ada.post(&new.path("approval"), &approval("n2", 3)).await;
    assert_eq!(problem(other).await, conflict(), "one device for each link");
    let bob = server.visitor().await;
    let his = bound(&server, &bob).await;
    let refused = bob.post(&his.path("approval"), &approval("n1", 1)).await;
    assert_eq!(problem(refused).await, conflict(), "he has no identity");
}

#[tokio::test]
async fn a_device_removed_before_it_claims_gets_nothing() {
    let server = Server::start().await;
    let ada = person(&server, 'a').await;
    let new = bound(&server, &ada).await;
    assert_eq!(ada.post(&new.path("approval"), &approval("n1", 2)).await.status(), 204);
    assert_eq!(ada.delete("/api/devices/n1").await.status(), 204);
    let refused = new.claim().await;
    assert!(cookie(refused.headers()).is_none());
    assert_eq!(problem(refused).await, (410, "device-removed".into()));
}

#[tokio::test]
async fn an_account_with_all_its_devices_links_no_other() {
    let server = Server::start().await;
    let ada = person(&server, 'a').await;
    for n in 1..8 {
        assert_eq!(ada.put(&format!("/api/devices/d{n}"), &keys("k")).await.status(), 204);
    }
    let new = bound(&server, &ada).await;
    let refused = ada.post(&new.path("approval"), &approval("n1", 2)).await;
    assert_eq!(problem(refused).await, (409, "limit-reached".into()));
}

#[tokio::test]
async fn messages_are_bounded() {
    let server = Server::start().await;
    let new = NewDevice::open(server.stranger()).await;
    let post = async |body: &Value| new.send(Method::POST, "messages", Some(body)).await;
    let large = "x".repeat(192 * 1024);
    assert_eq!(
        problem(post(&message(&format!("{large}x"))).await).await,
        (413, "too-large".into())
    );
    let beyond = message(&"x".repeat(300 * 1024));
    assert_eq!(problem(post(&beyond).await).await, (413, "too-large".into()));
    for bad in [json!({}), json!({"body": 1}), json!({"body": "x", "more": 1})] {
        assert_eq!(problem(post(&bad).await).await, (422, "invalid-value".into()), "{bad}");
    }
    for _ in 0..21 {
        assert_eq!(new.say(&large).await, 204);
    }
    let full = post(&message(&large)).await;
    assert_eq!(problem(full).await, (409, "limit-reached".into()), "4 MiB");
    for _ in 21..64 {
        assert_eq!(new.say("x").await, 204);
    }
    assert_eq!(problem(post(&message("x")).await).await, (409, "limit-reached".into()), "64");
}

#[tokio::test]
async fn an_unknown_or_expired_link_is_not_found() {
    let server = Server::with(|settings| {
        settings.retention.link_ttl = Duration::from_secs(1);
    })
    .await;
    let ada = person(&server, 'a').await;
    let opened = server.stranger().post("/api/links", &Value::Null).await;
    let link = opened.json::<Value>().await.unwrap();
    assert_eq!(link["expires_in"], 1);
    let text = |field: &str| link[field].as_str().unwrap().to_owned();
    let new = NewDevice { client: server.stranger(), code: text("code"), token: text("token") };
    eventually(async || (new.say("x").await == 404).then_some(())).await;
    let not_found = || (404, "not-found".to_owned());
    assert_eq!(problem(new.claim().await).await, not_found());
    assert_eq!(problem(new.send(Method::GET, "messages", None).await).await, not_found());
    for code in [new.code.as_str(), "12345", "123456789", "1234567x"] {
        let path = format!("/api/links/{code}");
        let read = ada.get(&format!("{path}/messages")).await;
        assert_eq!(problem(read).await, not_found(), "{code}");
        let approved = ada.post(&format!("{path}/approval"), &approval("n1", 2)).await;
        assert_eq!(problem(approved).await, not_found(), "{code}");
    }
    assert_eq!(problem(ada.get("/api/links/12345678/messages?after=x").await).await.0, 400);
}

#[tokio::test]
async fn another_sites_page_opens_and_claims_no_link() {
    let server = Server::start().await;
    let ada = person(&server, 'a').await;
    let new = bound(&server, &ada).await;
    ada.post(&new.path("approval"), &approval("n1", 2)).await;
    for (path, site, mode) in [
        ("/api/links".to_owned(), "cross-site", "cors"),
        (new.path("claim"), "cross-site", "cors"),
        (new.path("claim"), "same-origin", "navigate"),
        (new.path("approval"), "same-site", "cors"),
        (new.path("messages"), "cross-site", "no-cors"),
    ] {
        let request = ada.request(Method::POST, &path).bearer_auth(&new.token);
        let request = request.header("sec-fetch-site", site).header("sec-fetch-mode", mode);
        let refused = request.json(&message("x")).send().await.unwrap();
        assert!(cookie(refused.headers()).is_none());
        assert_eq!(problem(refused).await, (403, "cross-origin".into()), "{path} {site} {mode}");
    }
    assert_eq!(new.claim().await.status(), 200);
}

/// Sends as if from this address.
async fn from(address: &str, client: &Client, method: Method, path: &str) -> Response {
    let request = client.request(method, path).header("x-forwarded-for", address);
    request.json(&message("x")).send().await.expect("an answer")
}

async fn is_rate_limited(refused: Response) {
    let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(problem(refused).await, (429, "rate-limited".into()));
}

#[tokio::test]
async fn links_are_limited_for_each_network() {
    let server = Server::with(|settings| {
        settings.budgets.links = Budget { burst: 2, per_hour: 60 };
    })
    .await;
    let stranger = server.stranger();
    let open = async |address: &str| from(address, &stranger, Method::POST, "/api/links").await;
    for _ in 0..2 {
        assert_eq!(open("192.0.2.1").await.status(), 201);
    }
    is_rate_limited(open("192.0.2.1").await).await;
    assert_eq!(open("192.0.2.2").await.status(), 201, "another network");
}

#[tokio::test]
async fn guessing_a_code_is_limited_and_a_hit_is_not_shown() {
    let server = Server::with(|settings| {
        settings.budgets.guesses = Budget { burst: 3, per_hour: 60 };
    })
    .await;
    let (ada, eve) = (person(&server, 'a').await, person(&server, 'e').await);
    let new = NewDevice::open(server.stranger()).await;
    let path = new.path("messages");
    let unknown = if new.code == "00000000" { "00000001" } else { "00000000" };
    let wrong = format!("/api/links/{unknown}/messages");
    for _ in 0..3 {
        assert_eq!(from("192.0.2.1", &eve, Method::GET, &wrong).await.status(), 404);
    }
    for guess in [&wrong, &path] {
        is_rate_limited(from("192.0.2.1", &eve, Method::GET, guess).await).await;
        is_rate_limited(from("192.0.2.1", &eve, Method::POST, guess).await).await;
        let approval = guess.replace("messages", "approval");
        let body = json!({"device": "n", "version": 2, "entry": entry("n")});
        let request = eve.request(Method::POST, &approval).header("x-forwarded-for", "192.0.2.1");
        is_rate_limited(request.json(&body).send().await.unwrap()).await;
    }
    // A wrong token is a guess, too.
    let claim = server.stranger().request(Method::POST, &new.path("claim"));
    let claim = claim.header("x-forwarded-for", "192.0.2.1").bearer_auth("A".repeat(43));
    is_rate_limited(claim.send().await.unwrap()).await;

    // The parties of a link are not limited: the token, and the account once it is bound.
    let hello = new.client.request(Method::POST, &path).header("x-forwarded-for", "192.0.2.1");
    let hello = hello.bearer_auth(&new.token).json(&message("hello"));
    assert_eq!(hello.send().await.unwrap().status(), 204);
    assert_eq!(from("192.0.2.2", &ada, Method::POST, &path).await.status(), 204);
    for _ in 0..5 {
        assert_eq!(from("192.0.2.1", &ada, Method::GET, &path).await.status(), 200);
    }
}
