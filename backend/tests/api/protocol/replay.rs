//! Replays the steps of the document against a server.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::{SinkExt, StreamExt};
use reqwest::Method;
use serde_json::Value;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::steps::{Action, Step};
use crate::socket::{Connection, handshake};
use crate::support::{Client, SOON, Server, cookie};

/// Starts a placeholder.
const MARK: char = '…';
/// The field that stands for all others.
const OTHERS: &str = "…";

/// A client of the examples.
struct Person {
    client: Client,
    socket: Option<Connection>,
    /// Frames that arrived before the document mentions them, or that it leaves out.
    early: VecDeque<Value>,
    /// Status and body of the last response.
    answer: Option<(u16, Value)>,
}

/// The values of the placeholders.
#[derive(Default)]
struct Bound(HashMap<String, Value>);

/// Replays all steps on one server.
pub(super) async fn run(mut server: Server, steps: Vec<Step>) {
    let mut people: HashMap<String, Person> = HashMap::new();
    let mut bound = Bound::default();
    let mut draining = None;
    for Step { place, who, action, body } in steps {
        if matches!(action, Action::Drain) {
            let running = server.running.take().expect("the server drains once");
            draining = Some(tokio::spawn(running.drain(Duration::from_secs(1))));
            continue;
        }
        let person = people.entry(who).or_insert_with(|| Person::new(server.stranger()));
        person.step(action, &body, &mut bound, &place).await;
    }
    if let Some(draining) = draining {
        timeout(SOON, draining).await.expect("it drains in time").expect("it drains");
    }
}

fn expected(body: &str, place: &str) -> Value {
    if body.is_empty() {
        return Value::Null;
    }
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{place}: {error}"))
}

impl Person {
    fn new(client: Client) -> Self {
        Self { client, socket: None, early: VecDeque::new(), answer: None }
    }

    async fn step(&mut self, action: Action, body: &str, bound: &mut Bound, place: &str) {
        match action {
            Action::Request { method, path, token } => {
                let token = token.map(|token| bound.in_text(&token, place));
                let (path, body) = (bound.in_text(&path, place), bound.in_json(body, place));
                self.request(&method, &path, token, body).await;
            }
            Action::Response { status } => {
                let (found, answer) = self.answer.take().expect("a request comes before");
                assert_eq!(found, status, "{place}: {answer}");
                bound.compare(&expected(body, place), &answer, place);
            }
            Action::Send => {
                let frame = Message::text(bound.in_json(body, place));
                self.socket().send(frame).await.expect("an open WebSocket");
            }
            Action::Receive => {
                let expected = expected(body, place);
                let found = self.frame_like(&expected, place).await;
                bound.compare(&expected, &found, place);
            }
            Action::Leave => {
                self.socket().close(None).await.expect("an open WebSocket");
                self.socket = None;
            }
            Action::Closed { code } => assert_eq!(self.close_code(place).await, code, "{place}"),
            Action::Drain => unreachable!("a client does not drain"),
        }
    }

    fn socket(&mut self) -> &mut Connection {
        self.socket.as_mut().expect("an open WebSocket")
    }

    async fn request(&mut self, method: &str, path: &str, token: Option<String>, body: String) {
        if path == "/ws" {
            return self.connect().await;
        }
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let mut request = self.client.request(method, path);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if !body.is_empty() {
            request = request.header("content-type", "application/json").body(body);
        }
        let answer = timeout(SOON, request.send()).await.expect("an answer in time");
        let answer = answer.expect("an answer");
        if let Some(cookie) = cookie(answer.headers()) {
            self.client.cookie = Some(cookie);
        }
        let status = answer.status().as_u16();
        let text = answer.text().await.expect("a body");
        let body = if text.is_empty() { Value::Null } else { text.parse().expect("JSON") };
        self.answer = Some((status, body));
    }

    async fn connect(&mut self) {
        self.answer = Some(match handshake(&self.client).await {
            Ok(socket) => {
                (self.socket, self.early) = (Some(socket), VecDeque::new());
                (101, Value::Null)
            }
            Err(Error::Http(answer)) => {
                let body = answer.body().as_deref().unwrap_or_default();
                (answer.status().as_u16(), serde_json::from_slice(body).expect("JSON"))
            }
            Err(error) => panic!("cannot connect: {error}"),
        });
    }

    /// The next frame of the type and kind of `wanted`.
    async fn frame_like(&mut self, wanted: &Value, place: &str) -> Value {
        let wanted = kind(wanted);
        if let Some(index) = self.early.iter().position(|frame| kind(frame) == wanted) {
            return self.early.remove(index).expect("it was found");
        }
        let socket = self.socket.as_mut().expect("an open WebSocket");
        let frames = async {
            loop {
                match socket.next().await {
                    Some(Ok(Message::Text(text))) => {
                        let frame = serde_json::from_str(&text).expect("JSON");
                        if kind(&frame) == wanted {
                            return frame;
                        }
                        self.early.push_back(frame);
                    }
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    other => panic!("{place}: expected {wanted:?}, found {other:?}"),
                }
            }
        };
        let found = timeout(SOON, frames).await;
        found.unwrap_or_else(|_| panic!("{place}: {wanted:?} does not come"))
    }

    async fn close_code(&mut self, place: &str) -> u16 {
        let mut socket = self.socket.take().expect("an open WebSocket");
        let frames = async {
            loop {
                match socket.next().await {
                    Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
                    Some(Ok(_)) => {}
                    other => panic!("{place}: expected a close frame, found {other:?}"),
                }
            }
        };
        timeout(SOON, frames).await.unwrap_or_else(|_| panic!("{place}: it stays open"))
    }
}

/// What the order of frames depends on: responses are in order, events of one kind, notices of one
/// kind.
fn kind(frame: &Value) -> (&str, &str) {
    match frame["type"].as_str() {
        Some(outer @ ("event" | "notice")) => (outer, frame[outer]["kind"].as_str().unwrap_or("")),
        Some("bye") => ("bye", ""),
        _ => ("response", ""),
    }
}

impl Bound {
    /// A text with the values of its placeholders.
    fn in_text(&self, text: &str, place: &str) -> String {
        let mut parts = text.split(MARK);
        let mut out = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let end = part.find(|c: char| !is_name(c)).unwrap_or(part.len());
            let (name, rest) = part.split_at(end);
            let value = self.value(name, place);
            out.push_str(value.as_str().unwrap_or_else(|| panic!("{place}: {name} is no text")));
            out.push_str(rest);
        }
        out
    }

    /// JSON in which whole strings that are placeholders are replaced by their values.
    fn in_json(&self, json: &str, place: &str) -> String {
        let mut out = String::new();
        let mut rest = json;
        while let Some((before, after)) = rest.split_once("\"…") {
            let (name, after) = after.split_once('"').expect("a string ends");
            out.push_str(before);
            out.push_str(&self.value(name, place).to_string());
            rest = after;
        }
        out + rest
    }

    fn value(&self, name: &str, place: &str) -> Value {
        if let Some(count) = name.strip_suffix("-bytes") {
            let count = count.parse().unwrap_or_else(|_| panic!("{place}: how many are {name}?"));
            return Value::from(URL_SAFE_NO_PAD.encode(vec![0_u8; count]));
        }
        let value = self.0.get(name).cloned();
        value.unwrap_or_else(|| panic!("{place}: …{name} has no value yet"))
    }

    /// Compares all fields; binds placeholders that have no value yet.
    fn compare(&mut self, expected: &Value, found: &Value, place: &str) {
        match (expected, found) {
            (Value::String(text), _) if text.starts_with(MARK) => {
                let name = text.trim_start_matches(MARK);
                if name.is_empty() {
                    return;
                }
                if !name.ends_with("-bytes") && !self.0.contains_key(name) {
                    self.0.insert(name.to_owned(), found.clone());
                }
                assert_eq!(*found, self.value(name, place), "{place}: …{name}");
            }
            (Value::Object(wanted), Value::Object(got)) => {
                let mut others: BTreeSet<&String> = got.keys().collect();
                for (name, value) in wanted.iter().filter(|(name, _)| *name != OTHERS) {
                    assert!(others.remove(name), "{place}: no field {name} in {found}");
                    self.compare(value, &got[name], place);
                }
                let complete = others.is_empty() || wanted.contains_key(OTHERS);
                assert!(complete, "{place}: {others:?} are left out of {found}");
            }
            (Value::Array(wanted), Value::Array(got)) => {
                assert_eq!(wanted.len(), got.len(), "{place}: elements of {found}");
                for (value, other) in wanted.iter().zip(got) {
                    self.compare(value, other, place);
                }
            }
            _ => assert_eq!(found, expected, "{place}"),
        }
    }
}

fn is_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '-'
}
