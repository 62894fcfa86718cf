//! Words that readers stumble over, in code, documents and texts of the page.

use crate::{read, relative, sources};

/// Words and phrases with what to write instead. `CONTRIBUTING.md` has the rule and examples.
const BANNED: &[(&str, &str)] = &[
    ("whoever", "name the reader, the caller or the client"),
    ("whomever", "name the reader, the caller or the client"),
    ("nobody", "name who: no client, no process"),
    ("somebody", "name who: a client, another process"),
    ("anybody", "name who: any client"),
    ("anew", "again, or from the start"),
    ("octet", "byte"),
    ("octets", "bytes"),
    ("lest", "so that … not"),
    ("by itself", "name what starts it: a timer, the reload"),
    ("is dear", "is expensive"),
    ("behind the end", "after the end"),
    ("in the place of", "instead of"),
];

/// Files that quote the words: this list, and the rule with its examples.
const QUOTING: &[&str] = &["e2e/tests/tidy/english.rs", "CONTRIBUTING.md"];

#[test]
fn texts_are_in_plain_english() {
    let mut found = Vec::new();
    for path in ENDINGS.iter().copied().flat_map(sources) {
        let file = relative(&path);
        if QUOTING.contains(&file.as_str()) {
            continue;
        }
        // Names that are not ours: of a function of the standard library, and of a media type.
        let text = read(&path).replace(".octets()", "").replace("octet-stream", "");
        for (line, word, instead) in banned(&text) {
            found.push(format!("{file}:{line}: {word:?}: {instead}"));
        }
    }
    assert!(found.is_empty(), "words to replace: {found:#?}");
}

/// Endings of the files that people read.
const ENDINGS: &[&str] = &["rs", "ts", "svelte", "md", "py", "sh", "tf", "toml", "yaml", "sql"];

/// The banned words of a text, each with its line and what to write instead. A phrase that two
/// lines share is found too.
fn banned(text: &str) -> Vec<(usize, &'static str, &'static str)> {
    let mut words = Vec::new();
    for (at, line) in text.lines().enumerate() {
        for word in line.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '\'') {
            if !word.is_empty() {
                words.push((at + 1, word.to_lowercase()));
            }
        }
    }
    let mut found = Vec::new();
    for (phrase, instead) in BANNED {
        let parts: Vec<&str> = phrase.split(' ').collect();
        for window in words.windows(parts.len()) {
            if window.iter().map(|(_, word)| word.as_str()).eq(parts.iter().copied()) {
                found.push((window[0].0, *phrase, *instead));
            }
        }
    }
    found.sort_unstable();
    found
}

#[test]
fn a_banned_word_is_found_with_its_line() {
    assert_eq!(banned("The nobodies cannot.\nlatest, newest"), []);
    let found = banned("one\n// Nobody reads this.\n// It starts by\n// itself.\n");
    let lines: Vec<usize> = found.iter().map(|(line, ..)| *line).collect();
    assert_eq!(lines, [2, 3]);
}
