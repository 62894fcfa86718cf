//! HTTP/2 heads frame by frame: which are rejected, and what an HTTP/1.1 backend receives.

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::any;
use tokio::io::AsyncWriteExt as _;

use crate::h2_floods::{
    END_HEADERS, END_STREAM, GET, HEADERS, await_frame, connected_to, field, frame,
};
use crate::harness::Backend;

/// Status of the response to a head with these fields, and the cookies the backend received.
async fn answer_to(limits: &str, fields: &[(&str, &str)]) -> (String, Vec<String>) {
    let (note, seen) = std::sync::mpsc::channel();
    let backend = Router::new().fallback(any(move |headers: HeaderMap| {
        let cookies =
            headers.get_all("cookie").iter().map(|value| value.to_str().unwrap().to_owned());
        note.send(cookies.collect::<Vec<_>>()).unwrap();
        async { "answered" }
    }));
    let (_gateway, _backend, mut stream) =
        connected_to(Backend::start(backend).await, limits).await;
    let fields: Vec<u8> = fields.iter().flat_map(|(name, value)| field(name, value)).collect();
    let head = [GET, &fields].concat();
    stream.write_all(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &head)).await.unwrap();
    let answer = await_frame(&mut stream, HEADERS).await.expect("a response");
    (status(&answer), seen.try_recv().unwrap_or_default())
}

/// The status code at the start of an HPACK block: indexed, or a literal with an indexed name (RFC
/// 7541 section 6).
fn status(head: &[u8]) -> String {
    // A table size update may come first.
    let head =
        head.iter().position(|byte| byte & 0xe0 != 0x20).map_or(head, |start| &head[start..]);
    const INDEXED: [&str; 7] = ["200", "204", "206", "304", "400", "404", "500"];
    match head {
        [first @ 0x88..=0x8e, ..] => INDEXED[usize::from(first - 0x88)].to_owned(),
        [0x48 | 0x08 | 0x18, 3, text @ ..] => String::from_utf8_lossy(&text[..3]).into_owned(),
        // Huffman coding (RFC 7541 appendix B): digits `0` to `2` take five bits, `3` to `9` six.
        [0x48 | 0x08 | 0x18, length, text @ ..] if length & 0x80 != 0 => {
            let mut bits =
                text.iter().take(3).fold(0_u32, |bits, byte| (bits << 8) | u32::from(*byte)) << 8;
            let mut digits = String::new();
            for _ in 0..3 {
                let (digit, width) = match bits >> 27 {
                    five @ 0..=2 => (five, 5),
                    _ => ((bits >> 26) - 0x19 + 3, 6),
                };
                digits.push(char::from_digit(digit, 10).unwrap());
                bits <<= width;
            }
            digits
        }
        other => panic!("no status in {other:?}"),
    }
}

#[tokio::test]
async fn too_many_fields_get_431() {
    let nineteen = [("a", "b"); 19];
    assert_eq!(answer_to("header_fields = 19", &nineteen).await.0, "200");
    assert_eq!(answer_to("header_fields = 18", &nineteen).await.0, "431");
    assert_eq!(answer_to("", &[("a", "b"); 101]).await.0, "431");
}

#[tokio::test]
async fn a_value_with_surrounding_spaces_gets_400() {
    // RFC 9113 section 8.2.1.
    for value in [" a", "a ", "\ta", "a\t", " ", "\t"] {
        assert_eq!(answer_to("", &[("x-field", value)]).await.0, "400", "{value:?}");
        assert_eq!(answer_to("", &[("cookie", value)]).await.0, "400", "{value:?}");
    }
    assert_eq!(answer_to("", &[("x-field", "a \tb"), ("x-empty", "")]).await.0, "200");
}

#[tokio::test]
async fn cookie_crumbs_reach_the_backend_as_one_field() {
    // RFC 9113 section 8.2.3.
    let crumbs = [("cookie", "a=b"), ("x-between", "1"), ("cookie", "c=d"), ("cookie", "e=f; g=h")];
    assert_eq!(
        answer_to("", &crumbs).await,
        ("200".to_owned(), vec!["a=b; c=d; e=f; g=h".to_owned()])
    );
    assert_eq!(
        answer_to("", &[("cookie", "a=b")]).await,
        ("200".to_owned(), vec!["a=b".to_owned()])
    );
    // One field, as HTTP/1.1 counts it.
    assert_eq!(answer_to("header_fields = 2", &crumbs).await.0, "200");
}
