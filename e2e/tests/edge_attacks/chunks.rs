//! Chunked bodies (RFC 9112 section 7.1): a size consists of hexadecimal digits, and every byte has
//! one meaning.

use e2e::attack::cases::{Case, Expected, try_all};
use e2e::attack::{Attacked, NO_RATE};

const BAD: Expected = Expected::Cut(400);
const OK: Expected = Expected::Passed("hello");

/// A chunked body.
fn case(name: &'static str, body: &str, expected: Expected) -> Case {
    Case::post(name, "Transfer-Encoding: chunked", body, expected)
}

/// Lines with the size of the first chunk.
fn sizes() -> Vec<Case> {
    let size =
        |name, line: &str, expected| case(name, &format!("{line}\r\nhello\r\n0\r\n\r\n"), expected);
    vec![
        size("no size", "", BAD),
        size("an extension without a size", ";a", BAD),
        size("an extension with a value and no size", ";a=b", BAD),
        size("a space instead of a size", " ", BAD),
        size("0x", "0x5", BAD),
        size("a sign", "+5", BAD),
        size("a minus sign", "-5", BAD),
        size("a space before", " 5", BAD),
        size("a tab before", "\t5", BAD),
        size("a space inside", "5 5", BAD),
        size("a comma", "5,5", BAD),
        size("an underscore", "0_5", BAD),
        size("h", "5h", BAD),
        size("no digit", "g", BAD),
        size("quoted", "\"5\"", BAD),
        size("NUL", "5\0", BAD),
        size("2^64", "10000000000000000", BAD),
        size("2^64 + 5, which wraps to 5", "10000000000000005", BAD),
        size("2^32 + 5 in 100 digits", &format!("{}100000005", "f".repeat(91)), BAD),
        size("digits beyond ASCII", "\u{665}", BAD),
        size("a bare CR in an extension", "5;a\rb", BAD),
        size("a bare LF in an extension", "5;a\nb", BAD),
        size("NUL in an extension", "5;a\0b", BAD),
        size("a bare CR after the size", "5\r", BAD),
        size("an extension of 100 KB", &format!("5;{}", "a".repeat(100_000)), BAD),
        size("an extension", "5;a", OK),
        size("an extension with a value", "5;a=b", OK),
        size("an extension with a quoted value", "5;a=\"b;c\"", OK),
        size("zeros before the size", "005", OK),
    ]
}

/// Data that does not match its size.
fn data() -> Vec<Case> {
    vec![
        case("a bare LF after the size", "5\nhello\r\n0\r\n\r\n", BAD),
        case("a bare LF after the data", "5\r\nhello\n0\r\n\r\n", BAD),
        case("no end of line after the data", "5\r\nhello0\r\n\r\n", BAD),
        case("more data than the size", "5\r\nhello, you\r\n0\r\n\r\n", BAD),
        case("a size and nothing", "5\r\n\r\n0\r\n\r\nxx0\r\n\r\n", BAD),
        case("2^64 - 1", "ffffffffffffffff\r\nhello", BAD),
        case("2^63", "8000000000000000\r\nhello", Expected::Cut(408)),
        case(
            "one byte above the body limit",
            &format!("100001\r\n{}", "x".repeat(0x10_0001)),
            Expected::Cut(413),
        ),
        case("a request instead of a size", "{s}", BAD),
    ]
}

/// Last chunks and trailers.
fn ends() -> Vec<Case> {
    let end = |name, tail: &str, expected| case(name, &format!("5\r\nhello\r\n{tail}"), expected);
    vec![
        end("a last chunk of many zeros", "0000\r\n\r\n", OK),
        end("a last chunk with an extension", "0;a=b\r\n\r\n", OK),
        end("a trailer", "0\r\nX: y\r\n\r\n", OK),
        end("a trailer that sets a length", "0\r\nContent-Length: 60\r\n\r\n", OK),
        end("a trailer that sets a coding", "0\r\nTransfer-Encoding: chunked\r\n\r\n", OK),
        end("a trailer that sets a host", "0\r\nHost: internal.example\r\n\r\n", OK),
        end("a bare LF at the end", "0\n\n", BAD),
        end("a bare LF after the last size", "0\n\r\n", BAD),
        end("a trailer with a bare LF", "0\r\nX: y\n\r\n", BAD),
        end("a trailer of 100 KB", &format!("0\r\nX: {}\r\n\r\n", "y".repeat(100_000)), BAD),
        end("100,000 trailers", &format!("0\r\n{}\r\n", "X: y\r\n".repeat(100_000)), BAD),
        end("a request instead of a trailer", "0\r\n{s}", BAD),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chunks_with_an_ambiguous_size_are_rejected() {
    let cases = [sizes(), data(), ends()].concat();
    let mut attacked = Attacked::start(&format!("{NO_RATE}\nbody_timeout = \"2s\""), "").await;
    try_all(&attacked, "chunks", &cases).await;
    for seen in attacked.backend.seen() {
        let smuggled = ["x", "content-length", "host"].map(|name| seen.values(name).len());
        assert!(smuggled.into_iter().sum::<usize>() <= 1, "a trailer became a field: {seen:?}");
    }
    attacked.assert_healthy().await;
}
