//! Conditional and range requests for a file (RFC 9110 sections 13 and 14): the order of
//! preconditions, and ranges that overflow.

use e2e::attack::{Attacked, Listener, NO_RATE};

/// Request fields with the expected status and body, for a file of ten digits. `TAG` stands for its
/// entity tag.
const CASES: &[(&str, u16, &str)] = &[
    ("", 200, "0123456789"),
    ("If-Match: TAG", 200, "0123456789"),
    ("If-Match: *", 200, "0123456789"),
    ("If-Match: \"other\", TAG", 200, "0123456789"),
    ("If-Match: \"other\"", 412, ""),
    ("If-Match: \"other\", \"another\"", 412, ""),
    // If-Match needs a strong tag (section 13.1.1).
    ("If-Match: W/TAG", 412, ""),
    ("If-Match: \"other\"\r\nIf-None-Match: TAG", 412, ""),
    ("If-Match: TAG\r\nIf-None-Match: TAG", 304, ""),
    ("If-Match: \"other\"\r\nRange: bytes=0-1", 412, ""),
    ("If-None-Match: TAG", 304, ""),
    ("If-None-Match: W/TAG", 304, ""),
    ("If-None-Match: *", 304, ""),
    ("If-None-Match: \"other\", TAG", 304, ""),
    ("If-None-Match: TAG\r\nRange: bytes=0-1", 304, ""),
    ("If-None-Match: \"other\"", 200, "0123456789"),
    ("If-Range: TAG\r\nRange: bytes=0-1", 206, "01"),
    ("If-Range: W/TAG\r\nRange: bytes=0-1", 200, "0123456789"),
    ("If-Range: \"other\"\r\nRange: bytes=0-1", 200, "0123456789"),
    ("If-Range: Sun, 06 Nov 1994 08:49:37 GMT\r\nRange: bytes=0-1", 200, "0123456789"),
    ("Range: bytes=0-0", 206, "0"),
    ("Range: bytes=3-5", 206, "345"),
    ("Range: bytes=7-", 206, "789"),
    ("Range: bytes=-3", 206, "789"),
    ("Range: bytes=9-9", 206, "9"),
    ("Range: bytes=0-9", 206, "0123456789"),
    ("Range: bytes=5-100", 206, "56789"),
    ("Range: bytes=-100", 206, "0123456789"),
    ("Range: bytes=0-18446744073709551615", 206, "0123456789"),
    ("Range: bytes=0-18446744073709551616", 206, "0123456789"),
    ("Range: bytes=-18446744073709551615", 206, "0123456789"),
    ("Range: bytes=-99999999999999999999999999", 206, "0123456789"),
    ("Range: bytes=10-", 416, ""),
    ("Range: bytes=10-10", 416, ""),
    ("Range: bytes=18446744073709551615-", 416, ""),
    ("Range: bytes=18446744073709551615-18446744073709551615", 416, ""),
    ("Range: bytes=18446744073709551616-", 416, ""),
    ("Range: bytes=-0", 416, ""),
    ("Range: bytes=5-4", 200, "0123456789"),
    ("Range: bytes=-", 200, "0123456789"),
    ("Range: bytes=", 200, "0123456789"),
    ("Range: bytes", 200, "0123456789"),
    ("Range: bytes=--1", 200, "0123456789"),
    ("Range: bytes=+1-2", 200, "0123456789"),
    ("Range: bytes=0x1-2", 200, "0123456789"),
    ("Range: bytes=1 - 2", 200, "0123456789"),
    ("Range: bytes=a-b", 200, "0123456789"),
    ("Range: lines=0-1", 200, "0123456789"),
    ("Range: bytes=0-1,3-4", 200, "0123456789"),
    ("Range: bytes=0-1\r\nRange: bytes=3-4", 200, "0123456789"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conditions_are_evaluated_in_order_and_ranges_stay_in_bounds() {
    let mut attacked = Attacked::start(NO_RATE, "").await;
    let get = |fields: &str| format!("GET /sub/a.txt HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
    let first =
        attacked.exchange(Listener::Plain, get("").as_bytes()).await.expect("receive an answer");
    let tag = first.field("etag").expect("files have entity tags").to_owned();
    let many = (0..2_500).map(|index| format!("{index}-{index}")).collect::<Vec<_>>().join(",");
    let many = [
        (format!("Range: bytes={}", "0-,".repeat(5_000)), 200, "0123456789"),
        (format!("Range: bytes={many}"), 200, "0123456789"),
    ];
    let cases = CASES
        .iter()
        .map(|(fields, status, body)| (fields.replace("TAG", &tag), *status, *body))
        .chain(many);
    let mut wrong = Vec::new();
    for (fields, status, body) in cases {
        let fields = if fields.is_empty() { fields } else { format!("{fields}\r\n") };
        for listener in [Listener::Plain, Listener::Tls] {
            let answer = attacked.exchange(listener, get(&fields).as_bytes()).await;
            let matches = |answer: &e2e::attack::wire::Answer| {
                answer.status == status && (status >= 300 || answer.text() == body)
            };
            if !answer.as_ref().is_ok_and(matches) {
                let shown: String = fields.chars().take(100).collect();
                wrong.push(format!(
                    "{listener:?} {shown:?}: expected {status} {body:?}, found {answer:?}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} failed:\n{}", wrong.len(), wrong.join("\n"));
    attacked.assert_healthy().await;
}
