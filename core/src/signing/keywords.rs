//! What a tag's message says to Windlass: lines like `[windlass repo=NAME]`.
//!
//! Known is `repo`: the source repository to which the tag is bound. What is not known is ignored, unless it begins with
//! `!`: that demands to be understood, and so the tag is refused.

use super::reason;
use crate::id::SourcePath;
use crate::refusal::Refusal;

const OPEN: &[u8] = b"[windlass";

/// The keywords of one message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Keywords {
    /// The source repository to which the tag is bound: a bare name, or a path.
    pub repo: Option<String>,
}

impl Keywords {
    /// Reads all of a message's keywords, and tells what is wrong with them.
    pub fn read(message: &[u8]) -> (Self, Vec<Refusal>) {
        let mut keywords = Self::default();
        let mut wrong = Vec::new();
        for line in message.split(|byte| *byte == b'\n') {
            let line = line.trim_ascii();
            let Some(rest) = line.strip_prefix(OPEN) else { continue };
            if rest.first().is_some_and(|byte| !matches!(byte, b' ' | b']')) {
                continue;
            }
            let words = rest
                .strip_suffix(b"]")
                .and_then(|words| std::str::from_utf8(words).ok());
            let Some(words) = words else {
                wrong.push(reason::bad_keyword(line, "it does not end in ']', or is not UTF-8"));
                continue;
            };
            for word in words.split_ascii_whitespace() {
                if let Err(refusal) = keywords.take(word, line) {
                    wrong.push(refusal);
                }
            }
        }
        (keywords, wrong)
    }

    fn take(&mut self, word: &str, line: &[u8]) -> Result<(), Refusal> {
        let (demanded, bare) = match word.strip_prefix('!') {
            Some(bare) => (true, bare),
            None => (false, word),
        };
        let (key, value) = bare.split_once('=').unwrap_or((bare, ""));
        if key != "repo" {
            return if demanded {
                Err(reason::unknown_keyword(word))
            } else {
                Ok(())
            };
        }
        if value.is_empty() {
            return Err(reason::bad_keyword(
                line,
                "'repo=' wants the name of a source repository",
            ));
        }
        if self.repo.is_some() {
            return Err(reason::bad_keyword(line, "'repo=' stands there twice"));
        }
        self.repo = Some(value.to_owned());
        Ok(())
    }

    /// Whether the tag may be in this source repository.
    pub fn allow(&self, source: &SourcePath) -> bool {
        let Some(bound) = &self.repo else { return true };
        let bare = bound.strip_suffix(".git").unwrap_or(bound);
        let bare = bare.strip_prefix('/').unwrap_or(bare);
        let full = source.as_str().strip_suffix(".git").unwrap_or(source.as_str());
        let short = full
            .strip_prefix("people/")
            .and_then(|rest| rest.split_once("/packages/"))
            .map(|(user, name)| format!("{user}/{name}"));
        bare == source.name() || bare == full || short.as_deref() == Some(bare)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("1.0\n\n[windlass repo=hello]\n", Some("hello"), None)]
    #[case("1.0\n\n  [windlass !repo=hello colour=red]  \n", Some("hello"), None)]
    #[case("1.0\n[windlass]\n", None, None)]
    #[case("1.0 [windlass repo=hello]\n", None, None)]
    #[case("[windlasses !x]\n", None, None)]
    #[case("[windlass !colour=red]\n", None, Some("unknown_keyword"))]
    #[case("[windlass repo=hello\n", None, Some("bad_keyword"))]
    #[case("[windlass repo=]\n", None, Some("bad_keyword"))]
    #[case("[windlass repo=a]\n[windlass repo=b]\n", Some("a"), Some("bad_keyword"))]
    fn words(#[case] message: &str, #[case] repo: Option<&str>, #[case] code: Option<&str>) {
        let (keywords, wrong) = Keywords::read(message.as_bytes());
        assert_eq!(keywords.repo.as_deref(), repo);
        assert_eq!(wrong.first().map(|refusal| &*refusal.code), code);
    }

    #[rstest]
    #[case("hello", true)]
    #[case("hello.git", true)]
    #[case("alice/hello", true)]
    #[case("people/alice/packages/hello.git", true)]
    #[case("/people/alice/packages/hello", true)]
    #[case("bob/hello", false)]
    #[case("shared/hello", false)]
    #[case("hell", false)]
    fn bindings(#[case] bound: &str, #[case] allowed: bool) {
        let keywords = Keywords {
            repo: Some(bound.to_owned()),
        };
        assert_eq!(
            keywords.allow(&"people/alice/packages/hello.git".parse().unwrap()),
            allowed
        );
    }
}
