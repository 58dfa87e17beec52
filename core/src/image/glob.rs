//! Patterns for paths, as Go's `filepath.Match` has them, with `**` where ignore files have it.
//!
//! `*` and `?` stop at slashes, `[a-z]`, `[^a]`, a backslash takes a meaning away. A pattern matches a path, and with it
//! everything below. However many stars there are, a path is walked through once.

/// Whether `**` means directories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stars {
    /// `**` matches any number of directories: in ignore files.
    Double,
    /// `**` is `*`: in COPY and ADD.
    Single,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// This character.
    Is(char),
    /// One character that is no slash.
    One,
    /// Any number of characters that are no slashes.
    Any,
    /// One of these, or none of these; a slash, too.
    Set { negated: bool, ranges: Vec<(char, char)> },
    /// Nothing, or anything that ends in a slash.
    Directories,
    /// Anything.
    Everything,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    /// A path without anything special.
    Literal(String),
    Parts(Vec<Part>),
}

/// A pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Glob(Form);

/// The most bytes of a pattern.
pub(super) const LONGEST: usize = 4096;

impl Glob {
    /// Reads a pattern that was cleaned as a path is.
    pub(super) fn new(text: &str, stars: Stars) -> Result<Self, &'static str> {
        if text.len() > LONGEST {
            return Err("a pattern has at most 4096 bytes");
        }
        if !text.contains(['*', '?', '[', '\\']) {
            return Ok(Self(Form::Literal(text.to_owned())));
        }
        let mut parts = Vec::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            parts.push(match c {
                '*' if stars == Stars::Double && chars.next_if_eq(&'*').is_some() => {
                    chars.next_if_eq(&'/');
                    if chars.peek().is_none() {
                        Part::Everything
                    } else {
                        Part::Directories
                    }
                }
                '*' if parts.last() == Some(&Part::Any) => continue,
                '*' => Part::Any,
                '?' => Part::One,
                '[' => set(&mut chars)?,
                '\\' => Part::Is(chars.next().ok_or("a pattern cannot end in '\\'")?),
                c => Part::Is(c),
            });
        }
        Ok(Self(Form::Parts(parts)))
    }

    /// Whether the path, or a directory above it, matches.
    pub(super) fn matches(&self, path: &str) -> bool {
        match &self.0 {
            Form::Literal(own) => path
                .strip_prefix(own.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            Form::Parts(parts) => walk(parts, path),
        }
    }

    /// What every path that matches begins with.
    pub(super) fn beginning(&self) -> String {
        match &self.0 {
            Form::Literal(own) => own.clone(),
            Form::Parts(parts) => {
                let own = parts.iter().map_while(|part| match part {
                    Part::Is(c) => Some(*c),
                    Part::One | Part::Any | Part::Set { .. } | Part::Directories | Part::Everything => None,
                });
                own.collect()
            }
        }
    }
}

/// The set behind a `[`.
fn set(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Part, &'static str> {
    let open = "a '[' has no ']', or nothing before it";
    let one = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>| match chars.next() {
        None | Some('-' | ']') => Err(open),
        Some('\\') => chars.next().ok_or(open),
        Some(c) => Ok(c),
    };
    let negated = chars.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    while ranges.is_empty() || chars.next_if_eq(&']').is_none() {
        let low = one(chars)?;
        let high = if chars.next_if_eq(&'-').is_some() {
            one(chars)?
        } else {
            low
        };
        ranges.push((low, high));
    }
    Ok(Part::Set { negated, ranges })
}

/// How many of the parts may have been matched so far, as a set of bits.
struct States(Vec<u64>);

impl States {
    fn new(parts: &[Part]) -> Self {
        Self(vec![0; parts.len() / 64 + 1])
    }

    fn has(&self, at: usize) -> bool {
        self.0[at / 64] & (1 << (at % 64)) != 0
    }

    /// Adds a state that stays where it is.
    fn stay(&mut self, at: usize) {
        self.0[at / 64] |= 1 << (at % 64);
    }

    /// Adds a state that was come to, with those behind it that need no character.
    fn enter(&mut self, mut at: usize, parts: &[Part]) {
        self.stay(at);
        while matches!(parts.get(at), Some(Part::Any | Part::Directories | Part::Everything)) {
            at += 1;
            self.stay(at);
        }
    }

    fn clear(&mut self) {
        self.0.fill(0);
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(|bits| *bits == 0)
    }
}

fn walk(parts: &[Part], path: &str) -> bool {
    let (mut now, mut next) = (States::new(parts), States::new(parts));
    now.enter(0, parts);
    for c in path.chars() {
        if c == '/' && now.has(parts.len()) {
            return true;
        }
        for (at, part) in parts.iter().enumerate() {
            if !now.has(at) {
                continue;
            }
            match part {
                Part::Is(own) if *own == c => next.enter(at + 1, parts),
                Part::One if c != '/' => next.enter(at + 1, parts),
                Part::Any if c != '/' => next.enter(at, parts),
                Part::Set { negated, ranges }
                    if *negated != ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) =>
                {
                    next.enter(at + 1, parts);
                }
                Part::Directories => {
                    next.stay(at);
                    if c == '/' {
                        next.enter(at + 1, parts);
                    }
                }
                Part::Everything => next.enter(at, parts),
                Part::Is(_) | Part::One | Part::Any | Part::Set { .. } => {}
            }
        }
        if next.is_empty() {
            return false;
        }
        std::mem::swap(&mut now, &mut next);
        next.clear();
    }
    now.has(parts.len())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("a", "a", true)]
    #[case("a", "a/b", true)]
    #[case("a", "ab", false)]
    #[case("a/b", "a", false)]
    #[case("*", "a/b/c", true)]
    #[case("*.c", "a.c", true)]
    #[case("*.c", "d/a.c", false)]
    #[case("*/*.c", "d/a.c", true)]
    #[case("*/*.c", "d/e/a.c", false)]
    #[case("**/*.c", "a.c", true)]
    #[case("**/*.c", "d/e/a.c", true)]
    #[case("**/*.c", "d/e/a.o", false)]
    #[case("a/**/b", "a/b", true)]
    #[case("a/**/b", "a/x/y/b/c", true)]
    #[case("a/**/b", "a/xb", false)]
    #[case("a/**", "a/b/c", true)]
    #[case("a/**", "a", false)]
    #[case("**", "a/b", true)]
    #[case("**foo", "d/foo", true)]
    #[case("**foo", "xfoo", false)]
    #[case("a**b", "ab", true)]
    #[case("a**b", "axx/b", true)]
    #[case("a**b", "axxb", false)]
    #[case("a?", "ab", true)]
    #[case("a?", "a/", false)]
    #[case("[a-c]x", "bx", true)]
    #[case("[^a-c]x", "bx", false)]
    #[case("[^a-c]x", "/x", true)]
    #[case("[\\]]", "]", true)]
    #[case("[!a]", "!", true)]
    #[case("\\*", "*", true)]
    #[case("\\*", "x", false)]
    #[case("a.b", "axb", false)]
    #[case("é?", "éö", true)]
    fn paths(#[case] pattern: &str, #[case] path: &str, #[case] matches: bool) {
        let glob = Glob::new(pattern, Stars::Double).unwrap();
        assert_eq!(glob.matches(path), matches, "{pattern} {path}");
    }

    #[rstest]
    #[case("**/a", "x/a", true)]
    #[case("**/a", "a", false)]
    #[case("**/a", "x/y/a", false)]
    #[case("a*", "ab/c", true)]
    fn sources_have_no_double_stars(#[case] pattern: &str, #[case] path: &str, #[case] matches: bool) {
        let glob = Glob::new(pattern, Stars::Single).unwrap();
        assert_eq!(glob.matches(path), matches, "{pattern} {path}");
    }

    #[rstest]
    #[case("[")]
    #[case("[]")]
    #[case("[a")]
    #[case("[a-]")]
    #[case("[]a]")]
    #[case("[-a]")]
    #[case("a\\")]
    fn refused(#[case] pattern: &str) {
        assert!(Glob::new(pattern, Stars::Double).is_err());
    }

    #[test]
    fn many_stars_are_no_trouble() {
        let glob = Glob::new(&format!("{}b", "**/*a".repeat(200)), Stars::Double).unwrap();
        assert!(!glob.matches(&"a/".repeat(2000)));
    }
}
