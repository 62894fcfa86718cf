//! Searches bytes for a text in every encoding in which a program might have stored it.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// A text in each encoding.
pub(crate) struct Search(Vec<Form>);

/// One encoding of the text.
struct Form {
    name: &'static str,
    bytes: Vec<u8>,
}

impl Search {
    pub(crate) fn new(text: &str) -> Self {
        let utf8 = text.as_bytes();
        let units: Vec<u16> = text.encode_utf16().collect();
        let mut forms = vec![
            Form { name: "UTF-8", bytes: utf8.to_vec() },
            Form {
                name: "UTF-16LE",
                bytes: units.iter().flat_map(|unit| unit.to_le_bytes()).collect(),
            },
            Form {
                name: "UTF-16BE",
                bytes: units.iter().flat_map(|unit| unit.to_be_bytes()).collect(),
            },
            Form { name: "hexadecimal", bytes: hex::encode(utf8).into_bytes() },
            Form { name: "upper-case hexadecimal", bytes: hex::encode_upper(utf8).into_bytes() },
            Form { name: "URL-encoded", bytes: percent(utf8, "%20", false) },
            Form { name: "form-encoded", bytes: percent(utf8, "+", false) },
            Form { name: "URL-encoded throughout", bytes: percent(utf8, "%20", true) },
        ];
        for before in 0..3 {
            forms.push(Form { name: "base64", bytes: aligned(&STANDARD, before, utf8) });
            forms.push(Form { name: "base64url", bytes: aligned(&URL_SAFE, before, utf8) });
        }
        Self(forms)
    }

    /// The encodings that occur in these bytes.
    pub(crate) fn found_in(&self, bytes: &[u8]) -> Vec<&'static str> {
        let occurs = |form: &&Form| contains(bytes, &form.bytes);
        self.0.iter().filter(occurs).map(|form| form.name).collect()
    }

    /// The encodings that are printable text, for a control that a program stores in the clear.
    pub(crate) fn printable(&self) -> Vec<&str> {
        let texts = self.0.iter().filter_map(|form| str::from_utf8(&form.bytes).ok());
        texts.filter(|text| !text.contains('\0')).collect()
    }
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// The characters of base64 that depend on the text only, if this many bytes (modulo 3) precede it.
fn aligned(engine: &impl base64::Engine, before: usize, text: &[u8]) -> Vec<u8> {
    let mut all = vec![0; before];
    all.extend(text);
    let encoded = engine.encode(&all);
    let (first, end) = ((before * 8).div_ceil(6), all.len() * 8 / 6);
    encoded.as_bytes()[first..end].to_vec()
}

/// RFC 3986 section 2.1. `throughout` encodes the unreserved characters too.
fn percent(text: &[u8], space: &str, throughout: bool) -> Vec<u8> {
    let encode = |&byte: &u8| match byte {
        b' ' => space.to_owned(),
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~' if !throughout => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.iter().map(encode).collect::<String>().into_bytes()
}

const TEXT: &str = "quince marmalade?";

#[test]
fn each_encoding_is_found_at_each_alignment() {
    let search = Search::new(TEXT);
    for before in 0..7 {
        for after in 0..4 {
            let message = format!("{}{TEXT}{}", "é".repeat(before), "ÿ".repeat(after));
            let bytes = message.as_bytes();
            let wide: Vec<u16> = message.encode_utf16().collect();
            let little: Vec<u8> = wide.iter().flat_map(|unit| unit.to_le_bytes()).collect();
            let big: Vec<u8> = wide.iter().flat_map(|unit| unit.to_be_bytes()).collect();
            let cases = [
                ("UTF-8", bytes.to_vec()),
                ("UTF-16LE", little),
                ("UTF-16BE", big),
                ("hexadecimal", hex::encode(bytes).into_bytes()),
                ("base64", STANDARD.encode(bytes).into_bytes()),
                ("base64url", URL_SAFE.encode(bytes).into_bytes()),
            ];
            for (name, encoded) in cases {
                let found = search.found_in(&encoded);
                assert!(found.contains(&name), "{name}, {before} before: found {found:?}");
            }
        }
    }
}

#[test]
fn url_encodings_are_found() {
    let search = Search::new(TEXT);
    assert_eq!(search.found_in(b"/?q=quince%20marmalade%3F&x"), ["URL-encoded"]);
    assert_eq!(search.found_in(b"q=quince+marmalade%3F"), ["form-encoded"]);
    let throughout = "%71%75%69%6E%63%65%20%6D%61%72%6D%61%6C%61%64%65%3F";
    assert_eq!(search.found_in(throughout.as_bytes()), ["URL-encoded throughout"]);
}

#[test]
fn other_texts_are_not_found() {
    let search = Search::new(TEXT);
    let nothing: [&str; 0] = [];
    for other in ["", "quince marmelade?", "Quince marmalade?", "quince  marmalade?"] {
        assert_eq!(search.found_in(other.as_bytes()), nothing);
        assert_eq!(search.found_in(STANDARD.encode(other).as_bytes()), nothing);
    }
}
