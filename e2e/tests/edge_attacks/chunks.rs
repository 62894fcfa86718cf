//! Bodies in chunks (RFC 9112 section 7.1): a size is hexadecimal digits, and nothing may be read
//! in two ways.

use e2e::attack::cases::{Case, Then, try_all};
use e2e::attack::{Attacked, NO_RATE};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chunk_of_no_certain_size_is_refused() {
    let (bad, ok) = (Then::Cut(400), Then::Passed("hello"));
    let case = |name, body: &str, then| Case::post(name, "Transfer-Encoding: chunked", body, then);
    let size = |name, line: &str, then| case(name, &format!("{line}\r\nhello\r\n0\r\n\r\n"), then);
    let end = |name, tail: &str, then| case(name, &format!("5\r\nhello\r\n{tail}"), then);
    let cases = [
        size("no size", "", bad),
        size("an extension without a size", ";a", bad),
        size("an extension with a value and no size", ";a=b", bad),
        size("a space for a size", " ", bad),
        size("0x", "0x5", bad),
        size("a sign", "+5", bad),
        size("a minus sign", "-5", bad),
        size("a space before", " 5", bad),
        size("a tab before", "\t5", bad),
        size("a space inside", "5 5", bad),
        size("a comma", "5,5", bad),
        size("an underscore", "0_5", bad),
        size("h", "5h", bad),
        size("no digit", "g", bad),
        size("quoted", "\"5\"", bad),
        size("NUL", "5\0", bad),
        size("2^64", "10000000000000000", bad),
        size("2^64 + 5, which wraps to 5", "10000000000000005", bad),
        size("2^32 + 5 in 100 digits", &format!("{}100000005", "f".repeat(91)), bad),
        size("digits beyond ASCII", "\u{665}", bad),
        size("a bare CR in an extension", "5;a\rb", bad),
        size("a bare LF in an extension", "5;a\nb", bad),
        size("NUL in an extension", "5;a\0b", bad),
        size("a bare CR after the size", "5\r", bad),
        size("an extension of 100 KB", &format!("5;{}", "a".repeat(100_000)), bad),
        size("an extension", "5;a", ok),
        size("an extension with a value", "5;a=b", ok),
        size("an extension with a quoted value", "5;a=\"b;c\"", ok),
        size("zeros before the size", "005", ok),
        case("a bare LF after the size", "5\nhello\r\n0\r\n\r\n", bad),
        case("a bare LF after the data", "5\r\nhello\n0\r\n\r\n", bad),
        case("no end of line after the data", "5\r\nhello0\r\n\r\n", bad),
        case("more data than the size", "5\r\nhello, you\r\n0\r\n\r\n", bad),
        case("a size and nothing", "5\r\n\r\n0\r\n\r\nxx0\r\n\r\n", bad),
        case("2^64 - 1", "ffffffffffffffff\r\nhello", bad),
        case("2^63", "8000000000000000\r\nhello", Then::Cut(408)),
        case(
            "one above the limit of bodies",
            &format!("100001\r\n{}", "x".repeat(0x10_0001)),
            Then::Cut(413),
        ),
        case("a request where a size is due", "{s}", bad),
        end("a last chunk of many zeros", "0000\r\n\r\n", ok),
        end("a last chunk with an extension", "0;a=b\r\n\r\n", ok),
        end("a trailer", "0\r\nX: y\r\n\r\n", ok),
        end("a trailer that sets a length", "0\r\nContent-Length: 60\r\n\r\n", ok),
        end("a trailer that sets a coding", "0\r\nTransfer-Encoding: chunked\r\n\r\n", ok),
        end("a trailer that sets a host", "0\r\nHost: internal.example\r\n\r\n", ok),
        end("a bare LF at the end", "0\n\n", bad),
        end("a bare LF after the last size", "0\n\r\n", bad),
        end("a trailer with a bare LF", "0\r\nX: y\n\r\n", bad),
        end("a trailer of 100 KB", &format!("0\r\nX: {}\r\n\r\n", "y".repeat(100_000)), bad),
        end("100,000 trailers", &format!("0\r\n{}\r\n", "X: y\r\n".repeat(100_000)), bad),
        end("a request for a trailer", "0\r\n{s}", bad),
    ];
    let mut attacked = Attacked::start(&format!("{NO_RATE}\nbody_timeout = \"2s\""), "").await;
    try_all(&attacked, "chunks", &cases).await;
    for seen in attacked.backend.seen() {
        let smuggled = ["x", "content-length", "host"].map(|name| seen.values(name).len());
        assert!(smuggled.into_iter().sum::<usize>() <= 1, "a trailer became a field: {seen:?}");
    }
    attacked.assert_well().await;
}
