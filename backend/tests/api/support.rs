//! The test harness: a server for each test, a browser-like client, and a reader of server-sent
//! events.

use std::path::Path;
use std::time::Duration;

use backend::settings::Args;
use backend::{ListenAddress, Listener, Role, Running, Settings};
use backend_ai::demo::{DEMO_MODEL, Demo, DemoSettings, FAULTY_MODELS};
use backend_ai::provider::Endpoint;
use clap::Parser;
use prometheus::Registry;
use reqwest::header::{HeaderMap, SET_COOKIE};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Deadline of every wait.
pub(crate) const SOON: Duration = Duration::from_secs(60);

pub(crate) struct Server {
    pub(crate) running: Option<Running>,
    pub(crate) demo: Demo,
    pub(crate) registry: Registry,
    base: String,
    data: TempDir,
    _demo_stop: DropGuard,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::over(TempDir::new().expect("a temporary folder"), DemoSettings::default(), change)
            .await
    }

    /// A server whose demo model takes this long for each token.
    pub(crate) async fn with_pace(token_delay: Duration) -> Self {
        let demo = DemoSettings { token_delay, ..DemoSettings::default() };
        Self::over_paced(TempDir::new().expect("a temporary folder"), demo, |_| {}).await
    }

    /// A server over the data of another one.
    pub(crate) async fn over(
        data: TempDir,
        demo: DemoSettings,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        Self::over_paced(data, DemoSettings { token_delay: Duration::ZERO, ..demo }, change).await
    }

    async fn over_paced(
        data: TempDir,
        demo: DemoSettings,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        // Once per process; a second call fails and changes nothing.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let demo = Demo::new(demo);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let demo_stop = CancellationToken::new();
        tokio::spawn(demo.clone().serve(listener, demo_stop.clone().cancelled_owned()));

        let mut settings =
            Args::parse_from(["backend"]).to_settings().expect("the defaults are fine");
        settings.data_dir = data.path().to_owned();
        settings.admin = Some("127.0.0.1:0".parse().expect("an address"));
        settings.provider.backoff = Duration::from_millis(1);
        let models = std::iter::once(&DEMO_MODEL)
            .chain(&FAULTY_MODELS)
            .map(|&name| name.to_owned())
            .collect();
        let base_url = format!("http://{address}/v1");
        settings.model = Some(Endpoint::Compatible { base_url, api_key: None, models, demo: true });
        change(&mut settings);

        let registry = Registry::new();
        let listener =
            Listener::bind(&ListenAddress::Tcp("127.0.0.1:0".into())).await.expect("a free port");
        let running = backend::start(settings, Role::All, vec![listener], registry.clone())
            .await
            .expect("the services start");
        let base = format!("http://{}", running.addresses().first().expect("one listener"));
        Self {
            running: Some(running),
            demo,
            registry,
            base,
            data,
            _demo_stop: demo_stop.drop_guard(),
        }
    }

    pub(crate) fn data(&self) -> &Path {
        self.data.path()
    }

    /// Stops the server; returns its data.
    pub(crate) async fn stop(mut self) -> TempDir {
        self.running.take().expect("it runs").drain(Duration::from_secs(10)).await;
        self.data
    }

    pub(crate) fn admin(&self, path: &str) -> String {
        let admin =
            self.running.as_ref().and_then(Running::admin_address).expect("an admin address");
        format!("http://{admin}{path}")
    }

    /// A client without a cookie.
    pub(crate) fn stranger(&self) -> Client {
        Client { http: reqwest::Client::new(), base: self.base.clone(), cookie: None }
    }

    /// A client with an account.
    pub(crate) async fn visitor(&self) -> Client {
        let mut client = self.stranger();
        let response = client.post("/api/me", &json!({})).await;
        client.cookie = Some(cookie(response.headers()).expect("a first write gives a cookie"));
        client
    }

    /// Number of accounts in the embedded store.
    pub(crate) fn accounts(&self) -> i64 {
        let file = rusqlite::Connection::open(self.data().join("gatehouse.sqlite"))
            .expect("the store's file");
        file.query_row("SELECT count(*) FROM accounts", [], |row| row.get(0)).expect("a number")
    }

    /// Waits until the demo model streams no answer.
    pub(crate) async fn wait_until_the_model_is_free(&self) {
        eventually(async || (self.demo.open_streams() == 0).then_some(())).await;
    }
}

/// The cookie set by a response, as sent back by a browser.
pub(crate) fn cookie(headers: &HeaderMap) -> Option<String> {
    let cookie = headers.get(SET_COOKIE)?.to_str().ok()?;
    cookie.split(';').next().map(str::to_owned)
}

#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    pub(crate) cookie: Option<String>,
}

impl Client {
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.cookie {
            Some(cookie) => request.header("cookie", cookie),
            None => request,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        let response = self.get(path).await;
        assert_eq!(response.status(), 200, "{path}");
        response.json().await.expect("JSON")
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Response {
        send(self.request(Method::POST, path).json(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Response {
        send(self.request(Method::PUT, path).json(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Response {
        send(self.request(Method::DELETE, path)).await
    }

    /// Sends a message and reads the answer as a stream.
    pub(crate) async fn chat(&self, body: &Value) -> Events {
        let response = self.post("/api/chat", body).await;
        assert_eq!(response.status(), 200);
        Events::new(response)
    }

    /// Requests the whole answer as JSON.
    pub(crate) async fn chat_json(&self, body: &Value) -> Response {
        send(
            self.request(Method::POST, "/api/chat").header("accept", "application/json").json(body),
        )
        .await
    }

    /// Sends a message in a session and waits for the answer.
    pub(crate) async fn exchange(&self, session: &str, message: &str) -> Value {
        let response = self.chat_json(&json!({"session_id": session, "message": message})).await;
        assert_eq!(response.status(), 200);
        response.json().await.expect("JSON")
    }

    /// Reads a run's events after a position.
    pub(crate) async fn resume(&self, run: &str, after: &str) -> Response {
        send(
            self.request(Method::GET, &format!("/api/runs/{run}/events"))
                .header("last-event-id", after),
        )
        .await
    }
}

async fn send(request: RequestBuilder) -> Response {
    timeout(SOON, request.send()).await.expect("an answer in time").expect("an answer")
}

/// A problem's status and type.
pub(crate) async fn problem(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let problem: Value = response.json().await.expect("JSON");
    assert_eq!(problem["status"], status);
    (status, problem["type"].as_str().expect("a type").to_owned())
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) data: Value,
}

/// Reads server-sent events.
pub(crate) struct Events {
    response: Response,
    text: String,
}

impl Events {
    pub(crate) fn new(response: Response) -> Self {
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, text: String::new() }
    }

    /// The next event; `None` when the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let event = parse(block);
                self.text = rest.to_owned();
                match event {
                    Some(event) => return Some(event),
                    None => continue,
                }
            }
            let chunk = timeout(SOON, self.response.chunk())
                .await
                .expect("an event in time")
                .expect("a whole stream")?;
            self.text.push_str(
                std::str::from_utf8(&chunk).expect("the tests' answers are cut between characters"),
            );
        }
    }

    /// The next event of this name.
    pub(crate) async fn until(&mut self, name: &str) -> Event {
        loop {
            let event =
                self.next().await.unwrap_or_else(|| panic!("the stream ended before {name}"));
            if event.name == name {
                return event;
            }
        }
    }

    pub(crate) async fn rest(mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }
}

fn parse(block: &str) -> Option<Event> {
    let field =
        |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let data = serde_json::from_str(field("data")?).expect("JSON");
    Some(Event { id: field("id")?.to_owned(), name: field("event")?.to_owned(), data })
}

/// The text deltas, joined.
pub(crate) fn text(events: &[Event]) -> String {
    let deltas = events.iter().filter(|event| event.name == "text.delta");
    deltas.filter_map(|event| event.data["text"].as_str()).collect()
}

/// Waits for a condition.
pub(crate) async fn eventually<T>(condition: impl AsyncFn() -> Option<T>) -> T {
    let poll = async {
        loop {
            if let Some(value) = condition().await {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, poll).await.expect("the condition holds in time")
}
