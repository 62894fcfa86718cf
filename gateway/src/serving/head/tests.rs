//! Accepted and rejected heads.

use super::*;

const LIMITS: HeadLimits = HeadLimits { bytes: 16 * 1024, fields: 64 };

fn parse(text: &str) -> Result<Head, HeadError> {
    let mut scanner = HeadScanner::default();
    let end = scanner.find_end(text.as_bytes(), LIMITS.bytes)?.expect("the head is complete");
    Head::parse(text.as_bytes().get(..end).expect("inside"), LIMITS)
}

#[test]
fn a_simple_request_is_parsed() {
    let head = parse("GET /a?b HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\nrest").expect("valid");
    assert_eq!(
        (head.method, head.framing, head.upgrade),
        (Method::GET, Framing::Length(0), Upgrade::None)
    );
    assert_eq!(
        parse("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n\r\n").map(|h| h.framing),
        Ok(Framing::Length(12))
    );
    assert_eq!(
        parse("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n")
            .map(|h| h.framing),
        Ok(Framing::Chunked)
    );
}

#[test]
fn a_head_is_converted_to_an_equal_request() {
    let text = b"GET /a?b HTTP/1.1\r\nHost: x\r\nX-Two: 1\r\nX-Two:  2 \r\n\r\n";
    let request = Head::parse(text, LIMITS).expect("valid").to_request(text).expect("valid");
    assert_eq!(request.uri, "/a?b");
    assert_eq!(
        request.headers.get_all("x-two").iter().map(|v| v.as_bytes()).collect::<Vec<_>>(),
        [b"1", b"2"]
    );
}

const AMBIGUOUS: &[(&str, HeadError)] = &[
    ("GET / HTTP/1.1\nHost: x\n\n", HeadError::Line),
    ("GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n", HeadError::Line),
    ("GET / HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n", HeadError::Line),
    ("GET / HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n", HeadError::Line),
    ("GET / HTTP/1.1\r\nHost: x\r\nA: b\x01c\r\n\r\n", HeadError::Field),
    ("GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", HeadError::Field),
    ("GET / HTTP/1.1\r\n Host: x\r\n\r\n", HeadError::Field),
    ("GET / HTTP/1.1\r\nHost : x\r\n\r\n", HeadError::Field),
    ("GET / HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n", HeadError::Field),
    ("GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n", HeadError::Field),
    ("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", HeadError::Host),
    ("GET / HTTP/1.1\r\nA: x\r\n\r\n", HeadError::Host),
    (
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        HeadError::Framing,
    ),
    (
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
        HeadError::Framing,
    ),
    (
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        HeadError::Framing,
    ),
    ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 1\r\n\r\n", HeadError::Framing),
    ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\n", HeadError::Framing),
    ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x1\r\n\r\n", HeadError::Framing),
    ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: \r\n\r\n", HeadError::Framing),
    (
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
        HeadError::Framing,
    ),
    (
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        HeadError::TransferCoding,
    ),
    (
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n",
        HeadError::TransferCoding,
    ),
    (
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        HeadError::Framing,
    ),
    ("POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", HeadError::Framing),
    ("GET  / HTTP/1.1\r\nHost: x\r\n\r\n", HeadError::RequestLine),
    ("GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", HeadError::RequestLine),
    ("GET\t/ HTTP/1.1\r\nHost: x\r\n\r\n", HeadError::RequestLine),
    ("G{T / HTTP/1.1\r\nHost: x\r\n\r\n", HeadError::RequestLine),
    ("GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n", HeadError::Target),
    ("GET /\x7f HTTP/1.1\r\nHost: x\r\n\r\n", HeadError::Target),
    ("GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n", HeadError::Target),
    ("GET x HTTP/1.1\r\nHost: x\r\n\r\n", HeadError::Target),
    ("GET / HTTP/2.0\r\nHost: x\r\n\r\n", HeadError::Version),
    ("CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", HeadError::Connect),
    ("GET / HTTP/1.1\r\nHost: x\r\nExpect: tea\r\n\r\n", HeadError::Expectation),
    ("\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", HeadError::RequestLine),
];

#[test]
fn ambiguous_heads_are_rejected() {
    for &(text, expected) in AMBIGUOUS {
        assert_eq!(parse(text), Err(expected), "{text:?}");
    }
}

#[test]
fn only_valid_websocket_requests_are_recognised() {
    let with = |fields: &str| {
        parse(&format!("GET /ws HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n")).map(|head| head.upgrade)
    };
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    let ok = format!(
        "Upgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n{key}\r\nSec-WebSocket-Version: 13"
    );
    assert_eq!(with(&ok), Ok(Upgrade::WebSocket));
    assert_eq!(with("Upgrade: websocket\r\nSec-WebSocket-Version: 13"), Ok(Upgrade::None));
    assert_eq!(with("Upgrade: h2c\r\nConnection: upgrade"), Ok(Upgrade::None));
    assert_eq!(
        with("Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 13"),
        Ok(Upgrade::Malformed)
    );
    assert_eq!(with(&format!("{ok}\r\n{key}")), Ok(Upgrade::Malformed));
    assert_eq!(with(&format!("{ok}\r\nContent-Length: 3")), Ok(Upgrade::Malformed));
    assert_eq!(with(&ok.replace("13", "8")), Ok(Upgrade::WrongVersion));
    assert_eq!(with(&ok.replace("dGhl", "")), Ok(Upgrade::Malformed));
}

#[test]
fn a_head_that_arrives_byte_by_byte_is_found() {
    let text = b"GET / HTTP/1.1\r\nHost: x\r\n\r\nnext";
    let mut scanner = HeadScanner::default();
    for end in 0..27 {
        assert_eq!(scanner.find_end(text.get(..end).expect("inside"), 100), Ok(None));
    }
    assert_eq!(scanner.find_end(text, 100), Ok(Some(27)));
}

#[test]
fn heads_over_the_limits_are_rejected() {
    let mut scanner = HeadScanner::default();
    assert_eq!(scanner.find_end(&[b'a'; 100], 100), Err(HeadError::TooLarge));
    let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "A: b\r\n".repeat(64));
    assert_eq!(parse(&many), Err(HeadError::TooLarge));
}

proptest::proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        let mut scanner = HeadScanner::default();
        if let Ok(Some(end)) = scanner.find_end(&bytes, 1000) {
            let text = bytes.get(..end).unwrap_or_default();
            if let Ok(head) = Head::parse(text, LIMITS) {
                proptest::prop_assert!(head.to_request(text).is_some());
            }
        }
    }
}
