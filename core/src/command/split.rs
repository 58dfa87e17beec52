//! One line, as sshd hands it over in `SSH_ORIGINAL_COMMAND`, made words, without a shell.
//!
//! Blanks divide words; `'…'` and `"…"` hold them together; outside of single quotes a backslash takes the next character
//! as it is (inside of double quotes only before `"`, `\`, `$` and `` ` ``, as a shell has it). Nothing is expanded: `$(id)`,
//! `*`, `;` are characters like others. Characters that cannot be printed are refused, so that what is on record is what
//! was asked.

use std::fmt::Write as _;

use crate::escape::is_plain;

/// The longest line taken, in bytes.
pub const LONGEST: usize = 64 * 1024;

/// Why a line is not made words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadLine {
    /// It is longer than [`LONGEST`]; how long.
    #[error("the command has {0} bytes, more than {LONGEST}")]
    TooLong(usize),
    /// It is not UTF-8.
    #[error("the command is not UTF-8")]
    NotUtf8,
    /// A control, format or invisible character; which.
    #[error("the command has the character \\u{{{0:x}}}, which cannot be printed")]
    NotPrintable(u32),
    /// A quote is opened and not closed; which.
    #[error("the command has a {0} without its other half")]
    OpenQuote(char),
    /// It ends in a backslash.
    #[error("the command ends in a backslash")]
    OpenBackslash,
}

/// The words of a line.
///
/// # Errors
/// The line is too long, not UTF-8, not printable, or a quote in it is not closed.
pub fn split(line: &[u8]) -> Result<Vec<String>, BadLine> {
    if line.len() > LONGEST {
        return Err(BadLine::TooLong(line.len()));
    }
    let line = std::str::from_utf8(line).map_err(|_| BadLine::NotUtf8)?;
    if let Some(bad) = line.chars().find(|&c| c != '\t' && !is_plain(c)) {
        return Err(BadLine::NotPrintable(u32::from(bad)));
    }
    let mut words = Vec::new();
    // The word being read; `''` is a word, blanks are none.
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' => words.extend(word.take()),
            '\'' => single_quoted(&mut chars, word.get_or_insert_default())?,
            '"' => double_quoted(&mut chars, word.get_or_insert_default())?,
            '\\' => word
                .get_or_insert_default()
                .push(chars.next().ok_or(BadLine::OpenBackslash)?),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    // A quoted tab would reach a terminal later.
    if words.iter().any(|word| word.contains('\t')) {
        return Err(BadLine::NotPrintable(9));
    }
    Ok(words)
}

fn single_quoted(chars: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), BadLine> {
    loop {
        match chars.next() {
            Some('\'') => return Ok(()),
            Some(c) => word.push(c),
            None => return Err(BadLine::OpenQuote('\'')),
        }
    }
}

fn double_quoted(chars: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), BadLine> {
    loop {
        match chars.next() {
            Some('"') => return Ok(()),
            Some('\\') => match chars.next() {
                Some(c @ ('"' | '\\' | '$' | '`')) => word.push(c),
                Some(c) => word.extend(['\\', c]),
                None => return Err(BadLine::OpenQuote('"')),
            },
            Some(c) => word.push(c),
            None => return Err(BadLine::OpenQuote('"')),
        }
    }
}

/// Words as one line, which [`split`] (and a shell) makes the same words again.
pub fn join<S: AsRef<str>>(words: impl IntoIterator<Item = S>) -> String {
    let mut line = String::new();
    for word in words {
        let word = word.as_ref();
        if !line.is_empty() {
            line.push(' ');
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "+,-./:=@_%^#".contains(c);
        if !word.is_empty() && word.chars().all(plain) && !word.starts_with('#') {
            line.push_str(word);
        } else {
            // Writing to a String cannot fail.
            let _ = write!(line, "'{}'", word.replace('\'', r"'\''"));
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("task  new", &["task", "new"])]
    #[case(" \t ", &[])]
    #[case("run -m 'a  b'", &["run", "-m", "a  b"])]
    #[case(r#"run -m "it's $HOME \"x\" \n""#, &["run", "-m", r#"it's $HOME "x" \n"#])]
    #[case(r"a\ b ''", &["a b", ""])]
    #[case("x;rm -rf / $(id) `id` *>y", &["x;rm", "-rf", "/", "$(id)", "`id`", "*>y"])]
    fn words(#[case] line: &str, #[case] expected: &[&str]) {
        assert_eq!(split(line.as_bytes()).unwrap(), expected);
    }

    #[rstest]
    #[case(b"a 'b".as_slice(), BadLine::OpenQuote('\''))]
    #[case(b"a \"b\\\"", BadLine::OpenQuote('"'))]
    #[case(b"a\\", BadLine::OpenBackslash)]
    #[case(b"a\nb", BadLine::NotPrintable(10))]
    #[case(b"a\0b", BadLine::NotPrintable(0))]
    #[case("a\u{202e}b".as_bytes(), BadLine::NotPrintable(0x202e))]
    #[case(b"'a\tb'", BadLine::NotPrintable(9))]
    #[case(b"a\xffb", BadLine::NotUtf8)]
    fn refused(#[case] line: &[u8], #[case] expected: BadLine) {
        assert_eq!(split(line), Err(expected));
    }

    #[test]
    fn a_long_line_is_refused() {
        assert_eq!(split(&vec![b'a'; LONGEST + 1]), Err(BadLine::TooLong(LONGEST + 1)));
    }

    #[test]
    fn any_bytes_are_words_or_an_error() {
        bolero::check!().with_type::<Vec<u8>>().for_each(|line| {
            if let Ok(words) = split(line) {
                assert!(words.iter().all(|word| word.chars().all(is_plain)));
                assert_eq!(
                    split(join(&words).as_bytes()).as_ref(),
                    Ok(&words),
                    "quoting round-trips"
                );
            }
        });
    }

    proptest::proptest! {
        #[test]
        fn quoting_round_trips(words in proptest::collection::vec(r#"[a-z '"\\$`*;#é]{0,6}"#, 0..6)) {
            proptest::prop_assert_eq!(split(join(&words).as_bytes()), Ok(words));
        }
    }
}
