//! The pattern that says which tags are versions to be built.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A pattern for tag names: `*` stands for any characters but `/`, `?` for one, everything else for itself. The whole name must match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TagPattern(String);

impl TagPattern {
    /// A pattern; any text is one.
    pub fn new(pattern: impl Into<String>) -> Self {
        Self(pattern.into())
    }

    /// Whether a tag's name, without `refs/tags/`, is matched. Takes time linear in pattern times name.
    pub fn matches(&self, name: &[u8]) -> bool {
        let pattern = self.0.as_bytes();
        let (mut p, mut n) = (0, 0);
        // Where to go on when a later byte does not fit: the last star, and what it has swallowed.
        let mut back: Option<(usize, usize)> = None;
        while n < name.len() {
            let fits = match pattern.get(p) {
                Some(b'*') => {
                    back = Some((p, n));
                    p += 1;
                    continue;
                }
                Some(b'?') => name[n] != b'/',
                Some(byte) => *byte == name[n],
                None => false,
            };
            if fits {
                p += 1;
                n += 1;
            } else if let Some((star, taken)) = back.filter(|(_, taken)| name[*taken] != b'/') {
                back = Some((star, taken + 1));
                p = star + 1;
                n = taken + 1;
            } else {
                return false;
            }
        }
        pattern[p..].iter().all(|byte| *byte == b'*')
    }
}

impl fmt::Display for TagPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("*-*", "1.0-alt1", true)]
    #[case("*-*", "v1.0", false)]
    #[case("*-*", "upstream/1.0-1", false)]
    #[case("*-*", "-", true)]
    #[case("*", "", true)]
    #[case("", "", true)]
    #[case("", "a", false)]
    #[case("build/*", "build/1.0-1", true)]
    #[case("build/*", "build/a/b", false)]
    #[case("*/v?.*-alt*", "x/v1.0-alt12", true)]
    #[case("*a*b", "aXbXab", true)]
    #[case("*a*b", "aXbXabc", false)]
    fn patterns(#[case] pattern: &str, #[case] name: &str, #[case] matched: bool) {
        assert_eq!(TagPattern::new(pattern).matches(name.as_bytes()), matched);
    }
}
