//! How an instruction's text is parted: its name, its flags, words, `name=value` pairs, the JSON form.

/// An instruction's name and what follows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts<'t> {
    pub(super) name: &'t str,
    pub(super) rest: &'t str,
}

/// Parts an instruction at its first blank.
pub(super) fn command(line: &str) -> Parts<'_> {
    let line = line.trim();
    match line.find(is_blank) {
        Some(at) => Parts {
            name: &line[..at],
            rest: line[at..].trim_start_matches(is_blank),
        },
        None => Parts { name: line, rest: "" },
    }
}

/// What parts words in a line: not every kind of space.
fn is_blank(c: char) -> bool {
    matches!(c, '\t' | '\u{b}' | '\u{c}' | '\r' | ' ')
}

/// The words that begin with `--` at the beginning, without their quotes, and the rest; a bare `--` ends them.
pub(super) fn flags(text: &str, escape: char) -> (Vec<String>, &str) {
    let mut flags = Vec::new();
    let mut rest = text.trim_start();
    while rest.starts_with("--") {
        let mut flag = String::new();
        let mut quote = None;
        let mut chars = rest.char_indices();
        let mut end = rest.len();
        while let Some((at, c)) = chars.next() {
            match quote {
                None if c.is_whitespace() => {
                    end = at;
                    break;
                }
                None if matches!(c, '\'' | '"') => quote = Some(c),
                Some(open) if c == open => quote = None,
                _ if c == escape => flag.extend(chars.next().map(|(_, c)| c)),
                _ => flag.push(c),
            }
        }
        rest = rest[end..].trim_start();
        if flag == "--" {
            break;
        }
        flags.push(flag);
    }
    (flags, rest.trim())
}

/// The words between blanks; quotes mean nothing here.
pub(super) fn plain(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_blank).filter(|word| !word.is_empty())
}

/// The words between spaces that are not quoted, with their quotes and escapes.
pub(super) fn quoted(text: &str, escape: char) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if quote.is_none() && c.is_whitespace() {
            words.extend(word.take());
            continue;
        }
        let current = word.get_or_insert_default();
        if c == escape && quote != Some('\'') {
            // At the end it means nothing.
            if let Some(next) = chars.next() {
                current.push(c);
                current.push(next);
            }
            continue;
        }
        match quote {
            None if matches!(c, '\'' | '"') => quote = Some(c),
            Some(open) if c == open => quote = None,
            _ => {}
        }
        current.push(c);
    }
    words.extend(word.filter(|word| !word.is_empty()));
    words
}

/// A name before a blank and the value behind it: the old form of ENV and LABEL.
pub(super) fn name_and_rest(text: &str) -> Option<(&str, &str)> {
    let at = text.find(is_blank)?;
    Some((&text[..at], text[at..].trim_start_matches(is_blank)))
}

/// What a text that begins with `[` is.
pub(super) enum Json {
    /// A list of strings.
    Strings(Vec<String>),
    /// A list of something else.
    NotStrings,
    /// A list of strings, and something behind it: engines differ in what they make of it.
    Trailing(String),
    /// No JSON: an ordinary text.
    No,
}

/// Reads the JSON form.
pub(super) fn json(text: &str) -> Json {
    let text = text.trim_start();
    if !text.starts_with('[') {
        return Json::No;
    }
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Vec<serde_json::Value>>();
    let Some(Ok(list)) = values.next() else { return Json::No };
    let behind = text[values.byte_offset()..].trim();
    let strings = list
        .into_iter()
        .map(|value| match value {
            serde_json::Value::String(text) => Some(text),
            serde_json::Value::Null
            | serde_json::Value::Bool(_)
            | serde_json::Value::Number(_)
            | serde_json::Value::Array(_)
            | serde_json::Value::Object(_) => None,
        })
        .collect::<Option<Vec<_>>>();
    match strings {
        None if behind.is_empty() => Json::NotStrings,
        // A test, as in `RUN [ 1 ] && …`, is no list of anything.
        None => Json::No,
        Some(strings) if behind.is_empty() => Json::Strings(strings),
        Some(_) => Json::Trailing(behind.to_owned()),
    }
}

/// Whether a text has the JSON form.
pub(super) fn is_json(text: &str) -> bool {
    matches!(json(text), Json::Strings(_) | Json::Trailing(_))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("--a=1 --b x y", &["--a=1", "--b"], "x y")]
    #[case("--a='1 2' x", &["--a=1 2"], "x")]
    #[case("--a=1\\ 2 x", &["--a=1 2"], "x")]
    #[case("-- --a x", &[], "--a x")]
    #[case("x --a", &[], "x --a")]
    #[case("--a", &["--a"], "")]
    #[case("-a x", &[], "-a x")]
    fn flags_come_first(#[case] text: &str, #[case] expected: &[&str], #[case] rest: &str) {
        let (found, behind) = flags(text, '\\');
        assert_eq!(
            (found.as_slice(), behind),
            (
                expected.iter().map(ToString::to_string).collect::<Vec<_>>().as_slice(),
                rest
            )
        );
    }

    #[rstest]
    #[case("a=1 b=2", &["a=1", "b=2"])]
    #[case("a='1 2' b=\"3 4\"", &["a='1 2'", "b=\"3 4\""])]
    #[case("a=1\\ 2", &["a=1\\ 2"])]
    #[case("a='\\' b", &["a='\\'", "b"])]
    #[case("a=\"\\\" b\"", &["a=\"\\\" b\""])]
    #[case("a\\", &["a"])]
    #[case("''", &["''"])]
    fn quoted_words(#[case] text: &str, #[case] expected: &[&str]) {
        assert_eq!(quoted(text, '\\'), expected);
    }

    #[rstest]
    #[case("[\"a\", \"b\"]", "strings")]
    #[case("[]", "strings")]
    #[case("[\"a\"] b", "trailing")]
    #[case("[\"a\", 1]", "others")]
    #[case("['a']", "no")]
    #[case("[ -f x ] && y", "no")]
    #[case("[ 1 ] && y", "no")]
    #[case("[\"a\",]", "no")]
    #[case("x", "no")]
    fn forms(#[case] text: &str, #[case] expected: &str) {
        let found = match json(text) {
            Json::Strings(_) => "strings",
            Json::NotStrings => "others",
            Json::Trailing(_) => "trailing",
            Json::No => "no",
        };
        assert_eq!(found, expected);
    }
}
