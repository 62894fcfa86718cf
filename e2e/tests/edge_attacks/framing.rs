//! The end of a body (RFC 9112 section 6): if two programs disagree about it, a request can be
//! smuggled past the proxy.

use e2e::attack::cases::{Case, Expected, try_all};
use e2e::attack::{Attacked, NO_RATE};

/// A body for CL.TE: a program that uses Content-Length reads all of it, a program that uses chunks
/// finds a second request.
const CL_TE: &str = "0\r\n\r\n{s}";
/// A body for TE.CL: a program that uses chunks reads all of it, a program that uses a
/// Content-Length of 5 finds a second request.
const TE_CL: &str = "40\r\n{s}00000000000000000\r\n0\r\n\r\n";

const BAD: Expected = Expected::Rejected(400);
/// An unknown transfer coding (RFC 9112 section 6.1).
const CODING: Expected = Expected::Rejected(501);

/// Two lengths, or a length and a transfer coding.
fn two_lengths() -> Vec<Case> {
    let both = |name, fields, body| Case::post(name, fields, body, BAD);
    vec![
        both("CL.TE", "Content-Length: 60\r\nTransfer-Encoding: chunked", CL_TE),
        both("TE.CL", "Transfer-Encoding: chunked\r\nContent-Length: 5", TE_CL),
        both("CL 0 and TE", "Content-Length: 0\r\nTransfer-Encoding: chunked", CL_TE),
        both(
            "CL and TE in different case",
            "CONTENT-LENGTH: 60\r\ntransfer-encoding: CHUNKED",
            CL_TE,
        ),
        both(
            "CL, something else, TE",
            "Content-Length: 60\r\nX: y\r\nTransfer-Encoding: chunked",
            CL_TE,
        ),
        both("two equal CL", "Content-Length: 5\r\nContent-Length: 5", "hello"),
        both("two CL", "Content-Length: 5\r\nContent-Length: 60", "hello{s}"),
        both("two CL in reverse order", "Content-Length: 60\r\nContent-Length: 5", "hello{s}"),
        both("two CL in different case", "Content-Length: 5\r\ncontent-length: 60", "hello{s}"),
    ]
}

/// Values of `Content-Length` (CL).
fn lengths() -> Vec<Case> {
    let length = |name, value: &str, expected| {
        Case::post(name, &format!("Content-Length: {value}"), "hello", expected)
    };
    vec![
        length("CL list of equals", "5, 5", BAD),
        length("CL list", "5, 60", BAD),
        length("CL plus", "+5", BAD),
        length("CL minus", "-5", BAD),
        length("CL minus nothing", "-0", BAD),
        length("CL hex", "0x5", BAD),
        length("CL hex digits", "a", BAD),
        length("CL with a space inside", "5 5", BAD),
        length("CL with a tab inside", "5\t5", BAD),
        length("CL with a parameter", "5;", BAD),
        length("CL fraction", "5.0", BAD),
        length("CL exponent", "5e0", BAD),
        length("CL underscore", "1_0", BAD),
        length("CL quoted", "\"5\"", BAD),
        length("CL empty", "", BAD),
        length("CL with non-ASCII digits", "\u{665}", BAD),
        length("CL 2^64", "18446744073709551616", BAD),
        length("CL of 100 digits", &"9".repeat(100), BAD),
        length("CL 2^64 - 1", "18446744073709551615", Expected::Rejected(413)),
        length("CL 2^64 - 100", "18446744073709551516", Expected::Rejected(413)),
        length("CL 2^63", "9223372036854775808", Expected::Rejected(413)),
        length("CL 2^32", "4294967296", Expected::Rejected(413)),
        length("CL one above the limit", "1048577", Expected::Rejected(413)),
        length("CL with spaces around", " \t5 \t", Expected::Passed("hello")),
        length("CL with leading zeros", "0000000005", Expected::Passed("hello")),
    ]
}

/// A `Transfer-Encoding` line (TE) next to a length.
fn te(name: &'static str, line: &str, expected: Expected) -> Case {
    Case::post(name, &format!("Content-Length: 5\r\n{line}"), TE_CL, expected)
}

/// Values of `Transfer-Encoding`.
fn codings() -> Vec<Case> {
    vec![
        te("TE unknown", "Transfer-Encoding: xchunked", CODING),
        te("TE list with chunked last", "Transfer-Encoding: gzip, chunked", CODING),
        te("TE list with chunked first", "Transfer-Encoding: chunked, identity", CODING),
        te("TE twice in one field", "Transfer-Encoding: chunked, chunked", CODING),
        te("TE identity", "Transfer-Encoding: identity", CODING),
        te("TE quoted", "Transfer-Encoding: \"chunked\"", CODING),
        te("TE with a parameter", "Transfer-Encoding: chunked;q=1", CODING),
        te("TE with a comma", "Transfer-Encoding: ,chunked", CODING),
        te("TE empty", "Transfer-Encoding:", CODING),
        te("TE with a space inside", "Transfer-Encoding: chun ked", CODING),
        te("TE after a no-break space", "Transfer-Encoding: \u{a0}chunked", CODING),
        te("TE with a letter that folds to k", "Transfer-Encoding: chun\u{212a}ed", CODING),
        te(
            "TE identity, then chunked",
            "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
            CODING,
        ),
        te(
            "TE chunked, then identity",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
            BAD,
        ),
        te("TE twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", BAD),
    ]
}

/// Other spellings of the `Transfer-Encoding` line.
fn spellings() -> Vec<Case> {
    vec![
        te("TE with a space before the colon", "Transfer-Encoding : chunked", BAD),
        te("TE with a tab before the colon", "Transfer-Encoding\t: chunked", BAD),
        te("TE after a space", " Transfer-Encoding: chunked", BAD),
        te("TE folded", "Transfer-Encoding:\r\n chunked", CODING),
        te("TE folded after another field", "X: y\r\n\tTransfer-Encoding: chunked", BAD),
        te("TE after a bare LF", "X: y\nTransfer-Encoding: chunked", BAD),
        te("TE after a bare CR", "X: y\rTransfer-Encoding: chunked", BAD),
        te("TE after LF CR", "X: y\n\rTransfer-Encoding: chunked", BAD),
        te("TE with a vertical tab", "Transfer-Encoding: \u{b}chunked", BAD),
        te("TE with a form feed", "Transfer-Encoding: chunked\u{c}", BAD),
        te("TE with NUL", "Transfer-Encoding: chunked\0", BAD),
        te("TE with NUL in the name", "Transfer-Encoding\0: chunked", BAD),
        te("TE without a colon", "Transfer-Encoding chunked", BAD),
    ]
}

/// Requests with one length, some with another request as their body.
fn single_lengths() -> Vec<Case> {
    let only =
        |name, line: &str, expected| Case::post(name, line, "5\r\nhello\r\n0\r\n\r\n", expected);
    vec![
        only("TE in different case", "TRANSFER-ENCODING: Chunked", Expected::Passed("hello")),
        only("TE with tabs around", "Transfer-Encoding:\tchunked\t", Expected::Passed("hello")),
        only(
            "TE hop by hop",
            "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked",
            Expected::Passed("hello"),
        ),
        Case::post(
            "CL hop by hop",
            "Connection: Content-Length\r\nContent-Length: 5",
            "hello",
            Expected::Passed("hello"),
        ),
        Case::new(
            "TE with HTTP/1.0",
            "POST {c} HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{s}",
            BAD,
        ),
        Case::new(
            "a request in the body of GET",
            "GET {c} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 47\r\n\r\n{s}",
            Expected::Passed("{s}"),
        ),
        Case::new(
            "a request in the body of HEAD",
            "HEAD {c} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 47\r\n\r\n{s}",
            Expected::Passed("{s}"),
        ),
        Case::post("a request in a body", "Content-Length: 47", "{s}", Expected::Passed("{s}")),
        Case::post(
            "a request in a chunk",
            "Transfer-Encoding: chunked",
            "2f\r\n{s}\r\n0\r\n\r\n",
            Expected::Passed("{s}"),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ambiguous_body_lengths_are_rejected() {
    let cases = [two_lengths(), lengths(), codings(), spellings(), single_lengths()].concat();
    let mut attacked = Attacked::start(NO_RATE, "").await;
    try_all(&attacked, "framing", &cases).await;
    attacked.assert_healthy().await;
}
