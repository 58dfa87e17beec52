//! Patterns for file names, as the shell's `case` has them: `*`, `?`, `[…]`, and a backslash that takes a meaning away.

/// A pattern.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Glob {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Part {
    /// Any number of any characters.
    Any,
    /// One character.
    One,
    /// This character.
    Is(u32),
    /// One of these, or none of these.
    Set { negated: bool, ranges: Vec<(u32, u32)> },
}

impl Glob {
    /// Reads a pattern; every text is one.
    pub fn new(text: &str) -> Self {
        let chars: Vec<char> = text.chars().collect();
        let mut parts = Vec::new();
        let mut at = 0;
        while let Some(c) = chars.get(at) {
            at += 1;
            let part = match c {
                '*' if parts.last() == Some(&Part::Any) => continue,
                '*' => Part::Any,
                '?' => Part::One,
                '\\' if at < chars.len() => {
                    at += 1;
                    Part::Is(u32::from(chars[at - 1]))
                }
                '[' => match set(&chars[at..]) {
                    Some((set, used)) => {
                        at += used;
                        set
                    }
                    None => Part::Is(u32::from('[')),
                },
                c => Part::Is(u32::from(*c)),
            };
            parts.push(part);
        }
        Self {
            text: text.to_owned(),
            parts,
        }
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The only name that it matches, if there is only one.
    pub fn literal(&self) -> Option<String> {
        let one = |part: &Part| match part {
            Part::Is(c) => char::from_u32(*c),
            Part::Any | Part::One | Part::Set { .. } => None,
        };
        self.parts.iter().map(one).collect()
    }

    /// Whether a name matches; `*` matches slashes, too.
    pub fn matches(&self, name: &[u8]) -> bool {
        let name = units(name);
        let (mut at, mut part) = (0, 0);
        // Where the last `*` stands, and how far it has reached.
        let mut star: Option<(usize, usize)> = None;
        while at < name.len() {
            match self.parts.get(part) {
                Some(Part::Any) => {
                    star = Some((part, at));
                    part += 1;
                }
                Some(other) if other.takes(name[at]) => {
                    at += 1;
                    part += 1;
                }
                Some(_) | None => match star {
                    Some((star_part, reached)) => {
                        star = Some((star_part, reached + 1));
                        at = reached + 1;
                        part = star_part + 1;
                    }
                    None => return false,
                },
            }
        }
        self.parts[part..].iter().all(|part| *part == Part::Any)
    }
}

impl Part {
    fn takes(&self, unit: u32) -> bool {
        match self {
            Self::Any => false,
            Self::One => true,
            Self::Is(c) => *c == unit,
            Self::Set { negated, ranges } => {
                *negated != ranges.iter().any(|(low, high)| (*low..=*high).contains(&unit))
            }
        }
    }
}

/// The characters of a name; a byte that is no UTF-8 is one beyond them all.
fn units(name: &[u8]) -> Vec<u32> {
    let mut units = Vec::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        units.extend(chunk.valid().chars().map(u32::from));
        units.extend(chunk.invalid().iter().map(|byte| 0x0011_0000 + u32::from(*byte)));
    }
    units
}

/// The set behind a `[`, and how many characters it takes with its `]`.
fn set(chars: &[char]) -> Option<(Part, usize)> {
    let negated = matches!(chars.first(), Some('!' | '^'));
    let mut at = usize::from(negated);
    let begin = at;
    let mut ranges = Vec::new();
    loop {
        let mut c = *chars.get(at)?;
        at += 1;
        if c == ']' && at > begin + 1 {
            return Some((Part::Set { negated, ranges }, at));
        }
        if c == '[' && chars.get(at) == Some(&':') {
            let name: String = chars[at + 1..].iter().take_while(|c| c.is_ascii_lowercase()).collect();
            let end = at + 1 + name.len();
            if chars.get(end) == Some(&':') && chars.get(end + 1) == Some(&']') {
                ranges.extend(class(&name)?);
                at = end + 2;
                continue;
            }
        }
        if c == '\\' {
            c = *chars.get(at)?;
            at += 1;
        }
        let low = u32::from(c);
        let mut high = low;
        if chars.get(at) == Some(&'-') && chars.get(at + 1).is_some_and(|c| *c != ']') {
            at += 1;
            if chars.get(at) == Some(&'\\') {
                at += 1;
            }
            high = u32::from(*chars.get(at)?);
            at += 1;
        }
        ranges.push((low, high));
    }
}

fn class(name: &str) -> Option<Vec<(u32, u32)>> {
    let ranges: &[(char, char)] = match name {
        "alpha" => &[('a', 'z'), ('A', 'Z')],
        "digit" => &[('0', '9')],
        "alnum" => &[('a', 'z'), ('A', 'Z'), ('0', '9')],
        "upper" => &[('A', 'Z')],
        "lower" => &[('a', 'z')],
        "xdigit" => &[('0', '9'), ('a', 'f'), ('A', 'F')],
        "space" => &[('\t', '\r'), (' ', ' ')],
        "punct" => &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')],
        _ => return None,
    };
    Some(
        ranges
            .iter()
            .map(|(low, high)| (u32::from(*low), u32::from(*high)))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("*.patch", "a.patch", true)]
    #[case("*.patch", "a.patch.gz", false)]
    #[case("*", "", true)]
    #[case("?", "é", true)]
    #[case("?", "", false)]
    #[case("docs/*", "docs/a/b.txt", true)]
    #[case("./*", "docs/a", false)]
    #[case("./*", "./a", true)]
    #[case("*/Makefile", "src/a/Makefile", true)]
    #[case("[a-c]x", "bx", true)]
    #[case("[!a-c]x", "bx", false)]
    #[case("[^a-c]x", "dx", true)]
    #[case("[]]x", "]x", true)]
    #[case("[a-]", "-", true)]
    #[case("[[:digit:]_]*", "7up", true)]
    #[case("[[:digit:]_]*", "up", false)]
    #[case("[a", "[a", true)]
    #[case("\\*", "*", true)]
    #[case("\\*", "x", false)]
    #[case("a\\", "a\\", true)]
    #[case("[\\]]", "]", true)]
    #[case("*a*b*c*", "xxaxxbxxcxx", true)]
    #[case("*a*b*c*", "xxaxxcxxbxx", false)]
    fn names(#[case] pattern: &str, #[case] name: &str, #[case] matches: bool) {
        assert_eq!(Glob::new(pattern).matches(name.as_bytes()), matches, "{pattern} {name}");
    }

    #[test]
    fn bytes_that_are_no_text_are_matched_too() {
        assert!(Glob::new("a?b").matches(b"a\xffb"));
        assert!(!Glob::new("a[!x]b").matches(b"axb"));
        assert!(Glob::new("*").matches(b"\xff\xfe"));
    }

    #[test]
    fn the_only_name_is_told() {
        assert_eq!(Glob::new("a.conf").literal().as_deref(), Some("a.conf"));
        assert_eq!(Glob::new("a\\*").literal().as_deref(), Some("a*"));
        assert_eq!(Glob::new("a*").literal(), None);
    }

    proptest! {
        #[test]
        fn a_name_with_everything_escaped_matches_itself_alone(name in "[ -~]{0,12}", other in "[ -~]{0,12}") {
            let escaped: String = name.chars().flat_map(|c| ['\\', c]).collect();
            prop_assert!(Glob::new(&escaped).matches(name.as_bytes()));
            prop_assert_eq!(Glob::new(&escaped).matches(other.as_bytes()), name == other);
        }

        #[test]
        fn many_stars_are_no_trouble(stars in 1..60_usize, length in 0..2000_usize) {
            let pattern = "*a".repeat(stars) + "b";
            prop_assert!(!Glob::new(&pattern).matches("a".repeat(length).as_bytes()));
        }

        #[test]
        fn nothing_breaks_it(pattern in ".{0,40}", name in prop::collection::vec(any::<u8>(), 0..60)) {
            let glob = Glob::new(&pattern);
            let _ = glob.matches(&name);
            if let Some(literal) = glob.literal() {
                prop_assert!(glob.matches(literal.as_bytes()));
            }
        }
    }
}
