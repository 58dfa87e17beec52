//! `.dockerignore`: which files of a context an engine never sees.
//!
//! Patterns are anchored at the context's root; the last one that matches a path, or a directory above it, decides; `!`
//! brings back; `**` is any number of directories. Lines that begin with `#` are comments; spaces around a pattern, slashes
//! at its ends, `.` and `..` in it do not count. A slash at the end does not mean "directories only": that is git's rule.
//!
//! Where engines' releases differ, the newest one is followed: a file that `!` brings back is there although everything
//! above it was excluded (Docker 20.10's client leaves it out behind a pattern with a wildcard).

use super::dockerfile::sources::What;
use super::dockerfile::{Lines, Problem, Problems};
use super::glob::{Glob, Stars};

/// The most bytes of an ignore file.
pub const FILE: usize = 1 << 20;
/// The most patterns of an ignore file.
pub const PATTERNS: usize = 10_000;

/// Which files are left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ignore {
    rules: Vec<Rule>,
    brings_back: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    glob: Glob,
    brings_back: bool,
}

impl Ignore {
    /// Reads an ignore file; an empty one leaves nothing out.
    ///
    /// # Errors
    /// Patterns that are none, with their lines.
    pub fn parse(text: &str) -> Result<Self, Problems> {
        let mut ignore = Self::default();
        let mut problems = Vec::new();
        if text.len() > FILE {
            let problem = Problem::new(Lines::one(1), format!("the ignore file has more than {FILE} bytes"));
            return Err(problem.hint("exclude directories, not each of their files").into());
        }
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (line, number) in text.split('\n').zip(1..) {
            if line.starts_with('#') {
                continue;
            }
            let line = line.trim();
            let (pattern, brings_back) = match line.strip_prefix('!') {
                Some(pattern) => (pattern.trim(), true),
                None => (line, false),
            };
            if pattern.is_empty() {
                if brings_back {
                    let problem = Problem::new(Lines::one(number), "'!' brings nothing back");
                    problems.push(problem.hint("write the pattern behind it"));
                }
                continue;
            }
            if ignore.rules.len() == PATTERNS {
                let problem = Problem::new(Lines::one(number), format!("there are more than {PATTERNS} patterns"));
                problems.push(problem.hint("exclude directories, not each of their files"));
                break;
            }
            // Neither the root itself nor anything above it is ever asked about.
            let Some(pattern) = cleaned(pattern) else { continue };
            match Glob::new(&pattern, Stars::Double) {
                Ok(glob) => ignore.rules.push(Rule { glob, brings_back }),
                Err(rule) => {
                    let problem = Problem::new(Lines::one(number), format!("'{line}' is no pattern: {rule}"));
                    problems.push(problem.hint("a backslash takes a character's meaning away: \\["));
                }
            }
        }
        ignore.brings_back = ignore.rules.iter().any(|rule| rule.brings_back);
        Problems::unless_none(problems)?;
        Ok(ignore)
    }

    /// Whether a file or a directory is left out. The path is relative to the context's root, without `.` and `..`.
    ///
    /// A directory that is left out may contain files that are not: see [`all_below`](Self::all_below).
    pub fn excludes(&self, path: &str) -> bool {
        let mut out = false;
        for rule in &self.rules {
            if rule.brings_back == out && rule.glob.matches(path) {
                out = !rule.brings_back;
            }
        }
        out
    }

    /// Whether everything below a directory is left out with it, so that nobody need look there.
    pub fn all_below(&self, directory: &str) -> bool {
        if !self.excludes(directory) {
            return false;
        }
        // A pattern can only bring back what begins as it does.
        !self.rules.iter().filter(|rule| rule.brings_back).any(|rule| {
            let beginning = rule.glob.beginning();
            let beginning = beginning.as_bytes();
            let below = format!("{directory}/");
            let both = beginning.len().min(below.len());
            beginning[..both] == below.as_bytes()[..both]
        })
    }

    /// Whether it leaves nothing out.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

/// Where the ignore file of a Dockerfile is looked for, in order; the first one that is there counts, alone.
///
/// The first name stands beside the Dockerfile (`tool.Dockerfile` has `tool.Dockerfile.dockerignore`), the second one in the
/// context's root. Docker's classic builder knows the second one only, its successor and Podman both.
pub fn files_for(dockerfile: &str) -> (String, &'static str) {
    (format!("{dockerfile}.dockerignore"), ".dockerignore")
}

impl What {
    /// Whether a file of the context, by its path from the root, is taken by it.
    ///
    /// A pattern that is none (a `[` without its `]`) takes everything: the engine refuses it.
    pub fn covers(&self, path: &str) -> bool {
        match self {
            Self::Path(own) if own == "." => true,
            Self::Path(own) => path
                .strip_prefix(own.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            Self::Pattern(pattern) => Glob::new(pattern, Stars::Single).map_or(true, |glob| glob.matches(path)),
            Self::Address(_) => false,
            Self::Everything { .. } => true,
        }
    }
}

/// The pattern as Go's `filepath.Clean` leaves it, without a slash before it; nothing where it is the root or above it.
fn cleaned(pattern: &str) -> Option<String> {
    let rooted = pattern.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in pattern.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                if parts.pop().is_none() && !rooted {
                    return None;
                }
            }
            part => parts.push(part),
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("a\n", &["a", "a/b"], &["b", "b/a"])]
    #[case("/a\n", &["a", "a/b"], &["b/a"])]
    #[case("a/\n", &["a", "a/b"], &["b"])]
    #[case("./a/../b\n", &["b"], &["a"])]
    #[case("../a\n", &[], &["a"])]
    #[case("/../a\n", &["a"], &["b"])]
    #[case(".\n/\n\n", &[], &["a"])]
    #[case("# a\n #b\n", &["#b"], &["a", "# a"])]
    #[case("  a  \r\n", &["a"], &["a  "])]
    #[case("\u{feff}a\n", &["a"], &[])]
    #[case("*.o\n", &["x.o"], &["d/x.o"])]
    #[case("**/*.o\n", &["x.o", "d/e/x.o"], &["x.c"])]
    #[case("*\n!a\n", &["b"], &["a", "a/b"])]
    #[case("d\n!d/a\n", &["d", "d/b"], &["d/a", "d/a/x"])]
    #[case("d\n! d/a\n", &["d/b"], &["d/a"])]
    #[case("!a\na\n", &["a"], &[])]
    #[case("*\n!**/keep\n", &["a", "a/b"], &["keep", "a/keep", "a/b/keep"])]
    #[case("a\n!a/b\na/b/c\n", &["a/x", "a/b/c"], &["a/b", "a/b/x"])]
    #[case("\\!a\n", &["!a"], &["a"])]
    #[case("", &[], &["a"])]
    fn what_is_left_out(#[case] text: &str, #[case] out: &[&str], #[case] within: &[&str]) {
        let ignore = Ignore::parse(text).unwrap();
        for path in out {
            assert!(ignore.excludes(path), "{text:?} {path}");
        }
        for path in within {
            assert!(!ignore.excludes(path), "{text:?} {path}");
        }
    }

    #[rstest]
    #[case("d\n", "d", true)]
    #[case("d\n", "e", false)]
    #[case("d\n!d/a\n", "d", false)]
    #[case("d\ne\n!e/a\n", "d", true)]
    #[case("d\n!**/a\n", "d", false)]
    #[case("d\n!*/a\n", "d", false)]
    #[case("d\n!d*/a\n", "d", false)]
    #[case("d\n!d/x/y\n", "d/x", false)]
    #[case("d\n!d/x/y\n", "d/z", true)]
    #[case("*\n!d\n", "d", false)]
    fn where_nobody_need_look(#[case] text: &str, #[case] directory: &str, #[case] all: bool) {
        assert_eq!(Ignore::parse(text).unwrap().all_below(directory), all);
    }

    #[test]
    fn bad_patterns_have_their_lines() {
        let told = Ignore::parse("a\n[\n!\nb\\\n").unwrap_err().to_string();
        assert_eq!(
            told.lines()
                .map(|line| line.split(" (").next().unwrap())
                .collect::<Vec<_>>(),
            [
                "line 2: '[' is no pattern: a '[' has no ']', or nothing before it",
                "line 3: '!' brings nothing back",
                "line 4: 'b\\' is no pattern: a pattern cannot end in '\\'",
            ]
        );
        assert!(Ignore::parse(&"a\n".repeat(PATTERNS + 1)).is_err());
        assert!(Ignore::parse(&"a".repeat(FILE + 1)).is_err());
    }

    #[rstest]
    #[case(What::Path(".".to_owned()), "a/b", true)]
    #[case(What::Path("a".to_owned()), "a/b", true)]
    #[case(What::Path("a".to_owned()), "ab", false)]
    #[case(What::Pattern("a*".to_owned()), "ab/c", true)]
    #[case(What::Pattern("a*/c".to_owned()), "ab/d", false)]
    #[case(What::Pattern("[".to_owned()), "x", true)]
    #[case(What::Address("https://x".to_owned()), "x", false)]
    #[case(What::Everything { written: String::new() }, "x", true)]
    fn what_a_source_takes(#[case] what: What, #[case] path: &str, #[case] covers: bool) {
        assert_eq!(what.covers(path), covers);
    }

    #[test]
    fn names() {
        assert_eq!(
            files_for("dir/tool.docker"),
            ("dir/tool.docker.dockerignore".to_owned(), ".dockerignore")
        );
    }

    fn patterns() -> impl Strategy<Value = String> {
        let pattern = "!?(a|b|\\*|\\*\\*|a\\*|\\?|\\[ab\\]|\\[\\^a\\])(/(a|b|\\*|\\*\\*|\\?b)){0,3}";
        prop::collection::vec(pattern, 0..6).prop_map(|patterns| patterns.join("\n"))
    }

    proptest! {
        #[test]
        fn below_what_is_wholly_left_out_nothing_is_left(
            text in patterns(),
            directory in "(a|b|ab)(/(a|b|ab)){0,2}",
            below in "(a|b|ab)(/(a|b|ab)){0,2}",
        ) {
            let ignore = Ignore::parse(&text).unwrap();
            if ignore.all_below(&directory) {
                prop_assert!(ignore.excludes(&directory));
                let path = format!("{directory}/{below}");
                prop_assert!(ignore.excludes(&path), "{:?} {}", text, path);
            }
        }

        #[test]
        fn without_anything_brought_back_what_is_below_goes_with_it(text in patterns(), path in "(a|b)(/(a|b)){0,3}") {
            let ignore = Ignore::parse(&text.replace('!', "")).unwrap();
            prop_assert_eq!(ignore.all_below(&path), ignore.excludes(&path));
            if ignore.excludes(&path) {
                let below = format!("{path}/x");
                prop_assert!(ignore.excludes(&below));
            }
        }

        #[test]
        fn the_last_pattern_decides(text in patterns(), path in "(a|b)(/(a|b)){0,3}") {
            let out = Ignore::parse(&format!("{text}\n{path}")).unwrap();
            prop_assert!(out.excludes(&path));
            let back = Ignore::parse(&format!("{text}\n!{path}")).unwrap();
            prop_assert!(!back.excludes(&path));
        }
    }

    #[test]
    fn fuzz_patterns() {
        bolero::check!().for_each(|bytes: &[u8]| {
            let Ok(text) = std::str::from_utf8(bytes) else { return };
            let Ok(ignore) = Ignore::parse(text) else { return };
            for path in ["a", "a/b", "a/b/c.d", "é/[x]"] {
                if ignore.all_below(path) {
                    assert!(ignore.excludes(path));
                }
            }
        });
    }
}
