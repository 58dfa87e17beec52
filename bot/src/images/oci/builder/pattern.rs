//! Patterns in the sources of COPY and ADD, as Go's `path.Match` has them: `*` and `?` within one part of a path, `[a-z]`, `[^a]`, and `\`
//! before a character that means itself. A name that begins with a dot is one like any other.

use super::super::tree::{Name, Tree, parts};

/// Whether a text has a character that makes it a pattern.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '[', '\\'])
}

/// A pattern that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the pattern cannot be read: a '[' without its ']', or a '\\' at the end")]
pub(super) struct BadPattern;

/// The names that a pattern stands for, in their order. Links in the middle are followed inside the tree.
pub(super) fn matches(tree: &Tree, pattern: &str) -> Result<Vec<Name>, BadPattern> {
    let mut found: Vec<Name> = vec![Vec::new()];
    for part in parts(pattern.as_bytes()) {
        let part = std::str::from_utf8(part).map_err(|_| BadPattern)?;
        let mut next = Vec::new();
        for name in found {
            let Ok(directory) = tree.resolve(&name) else { continue };
            if is_pattern(part) {
                // Read once even where nothing is there to be compared, so that a bad one is told.
                matches_part(part, "")?;
                for child in tree.children(&directory) {
                    if matches_part(part, &String::from_utf8_lossy(child))? {
                        next.push(super::super::tree::joined(&name, child));
                    }
                }
            } else if tree
                .look(&super::super::tree::joined(&directory, part.as_bytes()))
                .is_some()
            {
                next.push(super::super::tree::joined(&name, part.as_bytes()));
            }
        }
        found = next;
    }
    Ok(found)
}

/// Whether one part of a path is as one part of a pattern says.
fn matches_part(pattern: &str, name: &str) -> Result<bool, BadPattern> {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let tokens = tokens(&pattern)?;
    // Which beginnings of the name the tokens so far can stand for.
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    for token in &tokens {
        let mut next = vec![false; name.len() + 1];
        match token {
            Token::Any => {
                let mut open = false;
                for (at, was) in reached.iter().enumerate() {
                    open |= was;
                    next[at] = open;
                }
            }
            Token::One(set) => {
                for (at, c) in name.iter().enumerate() {
                    next[at + 1] = reached[at] && set.holds(*c);
                }
            }
        }
        reached = next;
    }
    Ok(reached[name.len()])
}

enum Token {
    /// `*`
    Any,
    One(Set),
}

/// What one character may be.
struct Set {
    ranges: Vec<(char, char)>,
    negated: bool,
}

impl Set {
    fn holds(&self, c: char) -> bool {
        self.ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != self.negated
    }
}

fn tokens(pattern: &[char]) -> Result<Vec<Token>, BadPattern> {
    let mut tokens = Vec::new();
    let mut rest = pattern.iter().copied().peekable();
    while let Some(c) = rest.next() {
        tokens.push(match c {
            '*' => Token::Any,
            '?' => Token::One(Set {
                ranges: Vec::new(),
                negated: true,
            }),
            '[' => {
                let negated = rest.next_if_eq(&'^').is_some();
                let mut ranges = Vec::new();
                while ranges.is_empty() || rest.peek() != Some(&']') {
                    let low = bracketed(&mut rest)?;
                    let high = if rest.next_if_eq(&'-').is_some() {
                        bracketed(&mut rest)?
                    } else {
                        low
                    };
                    ranges.push((low, high));
                }
                rest.next();
                Token::One(Set { ranges, negated })
            }
            '\\' => single(rest.next().ok_or(BadPattern)?),
            other => single(other),
        });
    }
    Ok(tokens)
}

fn single(c: char) -> Token {
    Token::One(Set {
        ranges: vec![(c, c)],
        negated: false,
    })
}

/// A character between brackets.
fn bracketed(rest: &mut impl Iterator<Item = char>) -> Result<char, BadPattern> {
    match rest.next() {
        Some('\\') => rest.next().ok_or(BadPattern),
        Some('-' | ']') | None => Err(BadPattern),
        Some(c) => Ok(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_match_as_in_go() {
        for (pattern, name, want) in [
            ("abc", "abc", true),
            ("*", "", true),
            ("*", ".hidden", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b", "a", false),
            ("?", "ü", true),
            ("?", "", false),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("[^a-c]x", "dx", true),
            ("[\\]a]", "]", true),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("[a-]", "", false),
        ] {
            let got = matches_part(pattern, name);
            if pattern == "[a-]" {
                assert_eq!(got, Err(BadPattern));
            } else {
                assert_eq!(got, Ok(want), "{pattern} {name}");
            }
        }
        for bad in ["[", "[a", "[]a]", "[-x]", "a\\"] {
            assert_eq!(matches_part(bad, "a"), Err(BadPattern), "{bad}");
        }
    }

    #[test]
    fn a_long_pattern_takes_no_time() {
        let pattern = "*a".repeat(200);
        assert_eq!(matches_part(&pattern, &"a".repeat(190)), Ok(false));
    }
}
