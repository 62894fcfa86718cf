//! HTTP/1.1 byte by byte: which requests are rejected, and that requests are never mixed up.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use axum::routing::any;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{Backend, Gateway, PATIENCE, Seen, read_to_end, routes_to};

/// A backend that records the path of every request.
async fn recording() -> (Gateway, Backend, Seen<String>) {
    let seen: Seen<String> = Seen::default();
    let noted = Arc::clone(&seen);
    let note = move |request: Request| {
        noted.lock().unwrap().push(request.uri().to_string());
        async { "answered" }
    };
    let backend = Backend::start(Router::new().fallback(any(note))).await;
    (Gateway::start(&routes_to(&[backend.address])).await, backend, seen)
}

#[tokio::test]
async fn smuggling_is_rejected_before_it_reaches_a_backend() {
    let (gateway, _backend, seen) = recording().await;
    let table = [
        (
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\nG",
            400,
        ),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", 400),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\na", 400),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length : 1\r\n\r\na", 400),
        ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
            501,
        ),
        ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n", 400),
        ("POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        ("GET / HTTP/1.1\nHost: x\n\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nA: b\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nA: b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nA\0: b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nA(b: c\r\n\r\n", 400),
        ("GET http://y/ HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET / HTTP/1.2\r\nHost: x\r\n\r\n", 505),
        ("CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        ("TRACE / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 405),
        ("GET /../secret HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 400),
        ("GET /a%2f..%2fsecret HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x@y\r\nConnection: close\r\n\r\n", 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ];
    for (bytes, status) in table {
        let answer = gateway.exchange(bytes.as_bytes()).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{bytes:?} was answered {answer:?}"
        );
        assert!(
            answer.to_ascii_lowercase().contains("connection: close"),
            "{bytes:?} should end the connection: {answer:?}"
        );
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{bytes:?} was answered more than once");
    }
    assert_eq!(*seen.lock().unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_malformed_chunked_body_ends_the_connection() {
    let (gateway, _backend, seen) = recording().await;
    let head = "POST /chunked HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
    for body in [
        "zz\r\nab\r\n0\r\n\r\n",
        "2\r\nabc\r\n0\r\n\r\n",
        "-1\r\n\r\n",
        "2;\nxx\r\n0\r\n\r\n",
        "10000000000000000\r\n\r\n",
    ] {
        let answer = gateway.exchange(format!("{head}{body}{smuggled}").as_bytes()).await;
        assert!(answer.matches("HTTP/1.1 ").count() <= 1, "{body:?}: {answer:?}");
    }
    assert!(!seen.lock().unwrap().iter().any(|path| path == "/smuggled"));
}

#[tokio::test]
async fn a_huge_content_length_is_rejected() {
    let (gateway, _backend, seen) = recording().await;
    for (length, status) in [
        ("18446744073709551615", 413),
        ("18446744073709551600", 413),
        ("9223372036854775808", 413),
        ("18446744073709551616", 400),
        ("99999999999999999999999999999999", 400),
    ] {
        let mut stream = gateway.raw().await;
        let head = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut start = [0; 13];
        tokio::time::timeout(PATIENCE, stream.read_exact(&mut start))
            .await
            .expect("timed out")
            .unwrap();
        assert_eq!(
            std::str::from_utf8(&start),
            Ok(format!("HTTP/1.1 {status} ").as_str()),
            "{length}"
        );
    }
    assert_eq!(*seen.lock().unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_malformed_chunk_size_gets_400() {
    let backend = Backend::start(Router::new().fallback(any(async |body: Bytes| body))).await;
    let gateway = Gateway::start(&routes_to(&[backend.address])).await;
    let head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let good = "3;name=\"a;b\"\r\nabc\r\n00a\r\n0123456789\r\n0;last\r\nTrailer: x\r\n\r\n";
    let next = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answer = gateway.exchange(format!("{head}{good}{next}").as_bytes()).await;
    assert_eq!(
        (answer.matches("HTTP/1.1 200 ").count(), answer.contains("abc0123456789")),
        (2, true),
        "{answer}"
    );
    for body in [
        "\r\n\r\n",
        "3\r\nabc\r\n\r\n\r\n",
        ";a\r\n\r\n",
        "3\r\nabc\r\n;a\r\n\r\n",
        "+3\r\nabc\r\n0\r\n\r\n",
        "-1\r\nabc\r\n0\r\n\r\n",
        " 3\r\nabc\r\n0\r\n\r\n",
        "3 \r\nabc\r\n0\r\n\r\n",
        "3\t\r\nabc\r\n0\r\n\r\n",
        "0x3\r\nabc\r\n0\r\n\r\n",
        "3_0\r\nabc\r\n0\r\n\r\n",
        "3\nabc\r\n0\r\n\r\n",
        "3;a\nabc\r\n0\r\n\r\n",
        "3\rabc\r\n0\r\n\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "3\r\nabc\n0\r\n\r\n",
        "10000000000000000\r\nabc\r\n0\r\n\r\n",
        "0000000000000000000000000000000000000000000000000003\r\nabc\r\n0\r\n\r\n",
        "0\r\nbad trailer\r\n\r\n",
        "0\r\nA: b\n\r\n",
    ] {
        let answer = gateway.exchange(format!("{head}{body}{next}").as_bytes()).await;
        let statuses: Vec<&str> = answer
            .match_indices("HTTP/1.1 ")
            .filter_map(|(at, _)| answer.get(at + 9..at + 12))
            .collect();
        assert_eq!(statuses, ["400"], "{body:?}: {answer:?}");
    }
    let long = format!("3;{}\r\nabc\r\n0\r\n\r\n", "x".repeat(10_000));
    assert!(
        gateway.exchange(format!("{head}{long}").as_bytes()).await.starts_with("HTTP/1.1 400 ")
    );
}

#[tokio::test]
async fn a_chunked_body_sent_byte_by_byte_arrives_complete() {
    let backend = Backend::start(Router::new().fallback(any(async |body: Bytes| body))).await;
    let gateway = Gateway::start(&routes_to(&[backend.address])).await;
    let mut stream = gateway.raw().await;
    let request = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
                   3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nA: b\r\n\r\n\
                   GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    for byte in request.as_bytes() {
        stream.write_all(&[*byte]).await.unwrap();
        stream.flush().await.unwrap();
        tokio::task::yield_now().await;
    }
    let answer = read_to_end(&mut stream).await;
    assert_eq!(
        (answer.matches("HTTP/1.1 200 ").count(), answer.contains("\r\n\r\nabcde")),
        (2, true),
        "{answer}"
    );
}

#[tokio::test]
async fn pipelined_requests_are_handled_in_order() {
    let (gateway, _backend, seen) = recording().await;
    let three = "GET /1 HTTP/1.1\r\nHost: x\r\n\r\n\
                 POST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc\
                 GET /3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answer = gateway.exchange(three.as_bytes()).await;
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 3, "{answer}");
    assert_eq!(*seen.lock().unwrap(), ["/1", "/2", "/3"]);
}

#[tokio::test]
async fn a_path_reaches_the_backend_normalised() {
    let (gateway, _backend, seen) = recording().await;
    gateway
        .exchange(b"GET /%61%2Db%20c?q=%61 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await;
    assert_eq!(*seen.lock().unwrap(), ["/a-b%20c?q=%61"]);
}

#[tokio::test]
async fn a_client_that_expects_100_continue_receives_it() {
    let backend = Backend::start(Router::new().fallback(any(async |body: Bytes| body))).await;
    let gateway = Gateway::start(&routes_to(&[backend.address])).await;
    let mut stream = gateway.raw().await;
    let head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let mut start = [0; 25];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut start))
        .await
        .expect("timed out")
        .unwrap();
    assert_eq!(&start, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"body").await.unwrap();
    let answer = read_to_end(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("body"), "{answer}");
}

#[tokio::test]
async fn the_http_port_redirects_and_answers_acme_challenges() {
    let (gateway, _backend, _seen) = recording().await;
    let ask = async |bytes: &str| {
        let mut tcp = TcpStream::connect(gateway.http).await.unwrap();
        tcp.write_all(bytes.as_bytes()).await.unwrap();
        read_to_end(&mut tcp).await
    };
    let redirect = ask("GET /a?b=c HTTP/1.1\r\nHost: chat.example.org:8080\r\n\r\n").await;
    assert!(redirect.starts_with("HTTP/1.1 308 "), "{redirect}");
    let location = format!("location: https://chat.example.org:{}/a?b=c\r\n", gateway.https.port());
    assert!(redirect.contains(&location), "{redirect}");
    let known = ask("GET /.well-known/acme-challenge/known HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(
        known.starts_with("HTTP/1.1 200 ") && known.ends_with("\r\n\r\nknown.thumbprint"),
        "{known}"
    );
    let unknown = ask("GET /.well-known/acme-challenge/other HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(unknown.starts_with("HTTP/1.1 404 "), "{unknown}");
    let hostless = ask("GET / HTTP/1.1\r\n\r\n").await;
    assert!(hostless.starts_with("HTTP/1.1 400 "), "{hostless}");
}
