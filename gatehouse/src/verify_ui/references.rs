//! What an HTML page loads or runs. It finds too much rather than too little: comments and texts
//! are read as tags too, because a page that a browser reads in another way must hide nothing.

/// Something that a page loads or runs.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reference {
    /// The URL of an attribute, as written.
    Url(String),
    /// Code in the page itself, described for a message.
    Inline(String),
}

/// Attributes with a URL that a browser loads or opens.
const URLS: [&str; 9] = [
    "src",
    "href",
    "data",
    "action",
    "formaction",
    "poster",
    "srcset",
    "imagesrcset",
    "xlink:href",
];

/// All references of a page, in their order.
pub(super) fn of(page: &[u8]) -> Vec<Reference> {
    let text = String::from_utf8_lossy(page);
    let mut found = Vec::new();
    for rest in text.split('<').skip(1) {
        let name_end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let (name, rest) = rest.split_at(name_end);
        if name.is_empty() {
            continue;
        }
        let attributes = attributes(rest);
        tag(&name.to_ascii_lowercase(), &attributes, &mut found);
    }
    found
}

fn tag(name: &str, attributes: &[(String, String)], found: &mut Vec<Reference>) {
    let has = |wanted: &str| attributes.iter().any(|(name, _)| name == wanted);
    if (name == "script" && !has("src")) || name == "style" {
        found.push(Reference::Inline(format!("an inline <{name}>")));
    }
    if name == "meta" && has("http-equiv") {
        found.push(Reference::Inline("a <meta http-equiv>".to_owned()));
    }
    for (attribute, value) in attributes {
        if URLS.contains(&attribute.as_str()) {
            found.push(Reference::Url(value.clone()));
        } else if attribute.starts_with("on") || matches!(&**attribute, "style" | "srcdoc") {
            found.push(Reference::Inline(format!("the attribute {attribute} of a <{name}>")));
        }
    }
}

/// Attributes in lower case with their values (HTML, section 13.2.5.32 and following).
fn attributes(mut rest: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        if rest.is_empty() || rest.starts_with('>') {
            return found;
        }
        let ends = |c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>' | '=');
        // A name may begin with `=`.
        let first = rest.chars().next().map_or(0, char::len_utf8);
        let end =
            rest.get(first..).and_then(|tail| tail.find(ends)).map_or(rest.len(), |at| at + first);
        let (name, after) = rest.split_at(end);
        let after = after.trim_start_matches(|c: char| c.is_ascii_whitespace());
        let value;
        (value, rest) = match after.strip_prefix('=') {
            Some(after) => split_value(after.trim_start_matches(|c: char| c.is_ascii_whitespace())),
            None => ("", after),
        };
        found.push((name.to_ascii_lowercase(), value.to_owned()));
    }
}

/// The value at the beginning, and what follows it.
fn split_value(text: &str) -> (&str, &str) {
    for quote in ['"', '\''] {
        if let Some(quoted) = text.strip_prefix(quote) {
            return quoted.split_once(quote).unwrap_or((quoted, ""));
        }
    }
    let end = text.find(|c: char| c.is_ascii_whitespace() || c == '>').unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(page: &str) -> Vec<String> {
        let text = |reference| match reference {
            Reference::Url(url) => url,
            Reference::Inline(what) => what,
        };
        of(page.as_bytes()).into_iter().map(text).collect()
    }

    #[test]
    fn every_way_to_load_or_run_something_is_found() {
        for (page, expected) in [
            (r#"<script src="/a.js"></script>"#, &["/a.js"][..]),
            ("<SCRIPT\nSRC = '/a.js' ></SCRIPT>", &["/a.js"]),
            ("<script/src=/a.js>", &["/a.js"]),
            ("<script>run()</script>", &["an inline <script>"]),
            (
                "<link rel=stylesheet href=//elsewhere.example/x.css>",
                &["//elsewhere.example/x.css"],
            ),
            ("<!-- <script src=/a.js> -->", &["/a.js"]),
            ("<img src=x onerror=run()>", &["x", "the attribute onerror of a <img>"]),
            ("<style>b{}</style>", &["an inline <style>"]),
            ("<p style='color:red'>", &["the attribute style of a <p>"]),
            ("<iframe srcdoc='x'>", &["the attribute srcdoc of a <iframe>"]),
            ("<meta http-equiv=refresh content=0>", &["a <meta http-equiv>"]),
            ("<form action=/x><button formaction=/y>", &["/x", "/y"]),
            ("<object data=/x><video poster=/y>", &["/x", "/y"]),
            ("<svg><use xlink:href=/x>", &["/x"]),
            ("<script src=\"/unclosed", &["/unclosed"]),
            ("<meta charset=\"utf-8\" /><p title='<b>'>1 < 2</p>", &[]),
            ("", &[]),
            ("<", &[]),
            ("<a =", &[]),
            ("<a é=1 =é>", &[]),
        ] {
            assert_eq!(found(page), expected, "{page}");
        }
    }
}
