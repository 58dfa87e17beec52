//! The checksum that the script computed whose place this took: SHA-1 of the Dockerfile with a few lines taken away.
//!
//! Images that it built carry it as a label, and people compare it still. What it takes away: lines that are blank, and lines
//! that begin with `#`, in heredocs, too; a FROM that begins with the prefix of own images gives way to that image's
//! Dockerfile, treated in the same way. Lines end where Python ends them.

use sha1_checked::{Digest as _, Sha1};

use crate::escape::escaped;
use crate::hex::hex;

/// How deep own bases may stand on each other.
pub const DEPTH: usize = 100;

/// Why there is no such checksum.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoChecksum {
    /// An own base has no Dockerfile.
    #[error("there is no Dockerfile of the base {0}")]
    Missing(String),
    /// Own bases stand on each other in a circle.
    #[error("the bases stand on each other more than {DEPTH} deep: {0}")]
    TooDeep(String),
}

/// The text that is summed up.
///
/// `prefix` is what a line of an own base begins with, as in `FROM qemu/`; what follows it on the line is handed to `base`,
/// which gives that image's Dockerfile.
///
/// # Errors
/// Where a base has no Dockerfile, or the bases never end.
pub fn preprocessed<'t>(
    text: &str,
    prefix: &str,
    base: &mut dyn FnMut(&str) -> Option<std::borrow::Cow<'t, str>>,
) -> Result<String, NoChecksum> {
    let mut out = String::with_capacity(text.len());
    append(text, prefix, base, DEPTH, &mut out)?;
    Ok(out)
}

fn append<'t>(
    text: &str,
    prefix: &str,
    base: &mut dyn FnMut(&str) -> Option<std::borrow::Cow<'t, str>>,
    depth: usize,
    out: &mut String,
) -> Result<(), NoChecksum> {
    for line in lines(text) {
        if line.starts_with('#') || line.chars().all(is_space) {
            continue;
        }
        let Some(name) = line.strip_prefix(prefix).filter(|_| !prefix.is_empty()) else {
            out.push_str(line);
            out.push('\n');
            continue;
        };
        let depth = depth.checked_sub(1).ok_or_else(|| NoChecksum::TooDeep(escaped(name)))?;
        let below = base(name).ok_or_else(|| NoChecksum::Missing(escaped(name)))?;
        append(&below, prefix, base, depth, out)?;
    }
    Ok(())
}

/// SHA-1 of a text, in lower-case hexadecimal digits.
pub fn sha1(text: &str) -> String {
    hex(&Sha1::digest(text.as_bytes()))
}

/// Python's `splitlines`.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let ends = |c: char| matches!(c, '\n'..='\r' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}');
        let Some(at) = rest.find(ends) else {
            return Some(std::mem::take(&mut rest));
        };
        let line = &rest[..at];
        let end = &rest[at..];
        let width = if end.starts_with("\r\n") {
            2
        } else {
            end.chars().next().map_or(0, char::len_utf8)
        };
        rest = &end[width..];
        Some(line)
    })
}

/// What Python's `strip` takes away.
fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn plain(text: &str) -> String {
        preprocessed(text, "FROM own/", &mut |_| None).unwrap()
    }

    #[rstest]
    #[case("FROM a\n\n# c\n  # d\nRUN b\n", "FROM a\n  # d\nRUN b\n")]
    #[case("FROM a", "FROM a\n")]
    #[case("A\r\nB\rC\u{b}D\u{c}E\u{85}F\u{2028}G\u{1c}H", "A\nB\nC\nD\nE\nF\nG\nH\n")]
    #[case(" \t\u{1f}\n\u{3000}\nA\n", "A\n")]
    #[case("", "")]
    fn lines_are_taken_away(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(plain(text), expected);
    }

    #[test]
    fn own_bases_are_put_in_their_place() {
        let mut base = |name: &str| match name {
            "one" => Some("# x\nFROM own/two\nRUN 1\n".into()),
            "two" => Some("FROM a\n".into()),
            _ => None,
        };
        let text = preprocessed("FROM own/one\nRUN 0\n", "FROM own/", &mut base).unwrap();
        assert_eq!(text, "FROM a\nRUN 1\nRUN 0\n");
        let missing = preprocessed("FROM own/three\n", "FROM own/", &mut base).unwrap_err();
        assert_eq!(missing, NoChecksum::Missing("three".to_owned()));
    }

    #[test]
    fn a_circle_ends() {
        let error = preprocessed("FROM own/a\n", "FROM own/", &mut |_| Some("FROM own/a\n".into())).unwrap_err();
        assert_eq!(error, NoChecksum::TooDeep("a".to_owned()));
    }

    #[test]
    fn sums_are_sha1() {
        // printf 'FROM a\n' | sha1sum
        assert_eq!(sha1(""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
        assert_eq!(sha1("FROM a\n").len(), 40);
    }
}
