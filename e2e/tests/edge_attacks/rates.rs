//! Request rate limits: many people behind one address can load the page, and floods of every kind
//! are rejected.

use std::collections::BTreeMap;

use e2e::attack::{Attacked, Listener};
use e2e::frames::{H2, Outcome, WHOLE, frame, kind, request};
use futures::{StreamExt as _, stream};

/// People behind one address, and the files that each browser requests at the same time.
const PEOPLE: usize = 200;
const FILES: [&str; 10] = [
    "/",
    "/index.html",
    "/assets/app-12345678.js",
    "/sub/a.txt",
    "/",
    "/assets/app-12345678.js",
    "/index.html",
    "/sub/a.txt",
    "/",
    "/sub/a.txt",
];
/// Requests in a flood.
const FLOOD: usize = 6_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_people_behind_one_address_can_load_the_page() {
    let mut attacked = Attacked::start("", "").await;
    let load = async |_| {
        let mut connection = H2::open(&attacked, &[]).await;
        let streams = || (1_u32..).step_by(2).zip(FILES);
        let bytes: Vec<u8> = streams()
            .flat_map(|(stream, path)| frame(kind::HEADERS, WHOLE, stream, &request("GET", path)))
            .collect();
        connection.send(&bytes).await.expect("send the request");
        let mut statuses = Vec::new();
        // Answers arrive in any order.
        while statuses.len() < FILES.len() {
            let frame = connection.next().await.expect("all requests are answered");
            if frame.kind == kind::HEADERS {
                statuses.push(e2e::frames::status(&frame.payload));
            }
        }
        statuses
    };
    let statuses: Vec<u16> = stream::iter(0..PEOPLE)
        .map(load)
        .buffer_unordered(50)
        .flat_map(stream::iter)
        .collect()
        .await;
    assert_eq!(count(statuses), BTreeMap::from([(200, PEOPLE * FILES.len())]));
    attacked.assert_healthy().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flood_of_api_requests_is_limited_by_default() {
    let mut attacked = Attacked::start("", "").await;
    let flood = async |_| {
        let mut wire = attacked.connect(Listener::Plain).await;
        let mut statuses = Vec::new();
        for _ in 0..FLOOD / 10 {
            wire.send(b"GET /api/flood HTTP/1.1\r\nHost: localhost\r\n\r\n")
                .await
                .expect("send the request");
            statuses.push(wire.answer(false).await.expect("receive an answer").status);
        }
        statuses
    };
    let statuses: Vec<u16> =
        stream::iter(0..10).map(flood).buffer_unordered(10).flat_map(stream::iter).collect().await;
    let counted = count(statuses);
    assert_eq!(counted.keys().copied().collect::<Vec<_>>(), [200, 429], "{counted:?}");
    assert_eq!(attacked.backend.of("/api/flood").len(), counted[&200]);
    attacked.assert_healthy().await;
}

/// A limit that is reached after a few requests.
const LOW: &str = "rate_limit = { per_second = 1, burst = 60 }";
const ABOVE: usize = 400;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_rejected_before_routing_count_against_the_limit() {
    let mut wrong = Vec::new();
    for (name, redirect, request) in [
        ("400 of a head", false, "GET / HTTP/1.1\r\n\r\n"),
        ("400 of a target", false, "GET /%00 HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        ("405", false, "TRACE / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        ("405 of a route", false, "PUT / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        (
            "426",
            false,
            "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 8\r\n\r\n",
        ),
        ("505", false, "GET / HTTP/3.0\r\nHost: localhost\r\n\r\n"),
        ("308", true, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        ("400 of a redirect", true, "GET / HTTP/1.1\r\n\r\n"),
    ] {
        let mut attacked = Attacked::start(LOW, "").await;
        let port = if redirect { attacked.redirect } else { attacked.plain };
        let mut limited = 0;
        for _ in 0..ABOVE {
            let mut wire = e2e::attack::wire::Wire::new(attacked.tcp(port).await);
            let _ = wire.send(request.as_bytes()).await;
            match wire.answer(false).await {
                Ok(answer) => limited += usize::from(answer.status == 429),
                Err(error) if error.contains("silence") => wrong.push(format!("{name}: {error}")),
                Err(_) => limited += 1,
            }
        }
        if limited < ABOVE / 2 {
            wrong.push(format!("{name}: {limited} of {ABOVE} were limited"));
        }
        attacked.assert_healthy().await;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rejected_h2_requests_count_against_the_limit() {
    let mut attacked = Attacked::start(LOW, "").await;
    let mut connection = H2::open(&attacked, &[]).await;
    let mut outcomes = Vec::new();
    for stream in (1_u32..).step_by(2).take(ABOVE) {
        connection
            .send(&frame(kind::HEADERS, WHOLE, stream, &request("TRACE", "/")))
            .await
            .expect("send the request");
        outcomes.push(connection.outcome(stream).await);
    }
    let limited = outcomes.iter().filter(|outcome| **outcome == Outcome::Status(429)).count();
    assert!(limited > ABOVE / 2, "{limited} of {ABOVE} were limited");
    attacked.assert_healthy().await;
}

fn count(statuses: impl IntoIterator<Item = u16>) -> BTreeMap<u16, usize> {
    statuses.into_iter().fold(BTreeMap::new(), |mut counted, status| {
        *counted.entry(status).or_default() += 1;
        counted
    })
}
