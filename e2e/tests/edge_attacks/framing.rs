//! Where a body ends (RFC 9112 section 6): two answers to that question are how a request is
//! smuggled past a proxy.

use e2e::attack::cases::{Case, Then, try_all};
use e2e::attack::{Attacked, NO_RATE};

/// A body for CL.TE: the one who counts sees all of it, the one who reads chunks sees a second
/// request.
const CL_TE: &str = "0\r\n\r\n{s}";
/// A body for TE.CL: the one who reads chunks sees all of it, the one who counts five bytes sees
/// more.
const TE_CL: &str = "40\r\n{s}00000000000000000\r\n0\r\n\r\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_of_two_lengths_is_refused() {
    let (bad, coding) = (Then::Refused(400), Then::Refused(501));
    let both = |name, fields, body| Case::post(name, fields, body, bad);
    let length = |name, value: &str, then| {
        Case::post(name, &format!("Content-Length: {value}"), "hello", then)
    };
    let te = |name, line: &str, then| {
        Case::post(name, &format!("Content-Length: 5\r\n{line}"), TE_CL, then)
    };
    let only = |name, line: &str, then| Case::post(name, line, "5\r\nhello\r\n0\r\n\r\n", then);
    let cases = [
        both("CL.TE", "Content-Length: 60\r\nTransfer-Encoding: chunked", CL_TE),
        both("TE.CL", "Transfer-Encoding: chunked\r\nContent-Length: 5", TE_CL),
        both("CL 0 beside TE", "Content-Length: 0\r\nTransfer-Encoding: chunked", CL_TE),
        both(
            "CL beside TE in other letters",
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
        both("two CL, the other way round", "Content-Length: 60\r\nContent-Length: 5", "hello{s}"),
        both("two CL in other letters", "Content-Length: 5\r\ncontent-length: 60", "hello{s}"),
        length("CL list of equals", "5, 5", bad),
        length("CL list", "5, 60", bad),
        length("CL plus", "+5", bad),
        length("CL minus", "-5", bad),
        length("CL minus nothing", "-0", bad),
        length("CL hex", "0x5", bad),
        length("CL hex digits", "a", bad),
        length("CL with a space inside", "5 5", bad),
        length("CL with a tab inside", "5\t5", bad),
        length("CL with a parameter", "5;", bad),
        length("CL fraction", "5.0", bad),
        length("CL exponent", "5e0", bad),
        length("CL underscore", "1_0", bad),
        length("CL quoted", "\"5\"", bad),
        length("CL empty", "", bad),
        length("CL of other digits", "\u{665}", bad),
        length("CL 2^64", "18446744073709551616", bad),
        length("CL of 100 digits", &"9".repeat(100), bad),
        length("CL 2^64 - 1", "18446744073709551615", Then::Refused(413)),
        length("CL 2^64 - 100", "18446744073709551516", Then::Refused(413)),
        length("CL 2^63", "9223372036854775808", Then::Refused(413)),
        length("CL 2^32", "4294967296", Then::Refused(413)),
        length("CL one above the limit", "1048577", Then::Refused(413)),
        length("CL with spaces around", " \t5 \t", Then::Passed("hello")),
        length("CL with zeros before", "0000000005", Then::Passed("hello")),
        te("TE unknown", "Transfer-Encoding: xchunked", coding),
        te("TE list with chunked last", "Transfer-Encoding: gzip, chunked", coding),
        te("TE list with chunked first", "Transfer-Encoding: chunked, identity", coding),
        te("TE twice in one field", "Transfer-Encoding: chunked, chunked", coding),
        te("TE identity", "Transfer-Encoding: identity", coding),
        te("TE quoted", "Transfer-Encoding: \"chunked\"", coding),
        te("TE with a parameter", "Transfer-Encoding: chunked;q=1", coding),
        te("TE with a comma", "Transfer-Encoding: ,chunked", coding),
        te("TE empty", "Transfer-Encoding:", coding),
        te("TE with a space inside", "Transfer-Encoding: chun ked", coding),
        te("TE after a no-break space", "Transfer-Encoding: \u{a0}chunked", coding),
        te("TE with a letter that folds to k", "Transfer-Encoding: chun\u{212a}ed", coding),
        te(
            "TE identity, then chunked",
            "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
            coding,
        ),
        te(
            "TE chunked, then identity",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
            bad,
        ),
        te("TE twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", bad),
        te("TE with a space before the colon", "Transfer-Encoding : chunked", bad),
        te("TE with a tab before the colon", "Transfer-Encoding\t: chunked", bad),
        te("TE after a space", " Transfer-Encoding: chunked", bad),
        te("TE folded", "Transfer-Encoding:\r\n chunked", coding),
        te("TE folded behind another field", "X: y\r\n\tTransfer-Encoding: chunked", bad),
        te("TE after a bare LF", "X: y\nTransfer-Encoding: chunked", bad),
        te("TE after a bare CR", "X: y\rTransfer-Encoding: chunked", bad),
        te("TE after LF CR", "X: y\n\rTransfer-Encoding: chunked", bad),
        te("TE with a vertical tab", "Transfer-Encoding: \u{b}chunked", bad),
        te("TE with a form feed", "Transfer-Encoding: chunked\u{c}", bad),
        te("TE with NUL", "Transfer-Encoding: chunked\0", bad),
        te("TE with NUL in the name", "Transfer-Encoding\0: chunked", bad),
        te("TE without a colon", "Transfer-Encoding chunked", bad),
        only("TE in other letters", "TRANSFER-ENCODING: Chunked", Then::Passed("hello")),
        only("TE with tabs around", "Transfer-Encoding:\tchunked\t", Then::Passed("hello")),
        only(
            "TE hop by hop",
            "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked",
            Then::Passed("hello"),
        ),
        Case::post(
            "CL hop by hop",
            "Connection: Content-Length\r\nContent-Length: 5",
            "hello",
            Then::Passed("hello"),
        ),
        Case::new(
            "TE with HTTP/1.0",
            "POST {c} HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{s}",
            bad,
        ),
        Case::new(
            "a request in the body of GET",
            "GET {c} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 47\r\n\r\n{s}",
            Then::Passed("{s}"),
        ),
        Case::new(
            "a request in the body of HEAD",
            "HEAD {c} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 47\r\n\r\n{s}",
            Then::Passed("{s}"),
        ),
        Case::post("a request in a body", "Content-Length: 47", "{s}", Then::Passed("{s}")),
        Case::post(
            "a request in a chunk",
            "Transfer-Encoding: chunked",
            "2f\r\n{s}\r\n0\r\n\r\n",
            Then::Passed("{s}"),
        ),
    ];
    let mut attacked = Attacked::start(NO_RATE, "").await;
    try_all(&attacked, "framing", &cases).await;
    attacked.assert_well().await;
}
