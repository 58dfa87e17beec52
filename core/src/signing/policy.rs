//! What a server asks of a tag: which tags are judged, how strictly, and how large one may be.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::{TagName, UserName};

/// The rules by which tags are judged; `[signing]` of `windlass.toml` is read into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Tags with such names are for building, and judged.
    pub build_tags: TagPattern,
    /// What happens to the others; they are never built.
    pub other_tags: OtherTags,
    /// How far ahead of the server's clock a signature may be dated.
    pub future_tolerance: Duration,
    /// Takes certificates whose own signatures are made over SHA-1. Signatures over data are refused all the same.
    pub allow_sha1_self_signatures: bool,
    /// The largest tag object, in bytes.
    pub max_tag_size: u64,
    /// The largest signature, armor included, in bytes.
    pub max_signature_size: u64,
    /// Accounts of programs: their tags may be pushed by others, and they may push others' tags.
    pub bots: Vec<UserName>,
    /// Whether pusher, tagger and owner of the key are compared.
    pub identity: Identity,
    /// As of when a key must be good.
    pub moment: Moment,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            build_tags: TagPattern::default(),
            other_tags: OtherTags::Allow,
            future_tolerance: Duration::from_mins(5),
            allow_sha1_self_signatures: false,
            max_tag_size: 64 * 1024,
            max_signature_size: 16 * 1024,
            bots: Vec::new(),
            identity: Identity::Required,
            moment: Moment::Now,
        }
    }
}

/// What happens to a tag that is not for building.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OtherTags {
    /// It is let in unseen, so that upstream's tags can be pushed.
    #[default]
    Allow,
    /// Its structure and signature must be good, by whomever in the keyring.
    Signed,
    /// It is refused.
    Refuse,
}

/// Whether pusher, tagger and owner of the key are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Identity {
    /// They are one person, or the tag is refused.
    #[default]
    Required,
    /// Structure and signature alone are judged.
    Ignored,
}

/// As of when a key must be good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Moment {
    /// When the signature was made *and* now.
    #[default]
    Now,
    /// When the signature was made, and not compromised since: for the rebuild of an old tag. A key that has expired or
    /// was retired since is taken, one that was revoked as compromised (or without a reason) never.
    AtTheTime,
}

/// What a policy does with one tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Treatment {
    /// It is judged whole.
    Judge,
    /// Structure and signature are judged, whoever pushes it; it is never built.
    JudgeSignature,
    /// It passes unseen; it is never built.
    Pass,
    /// It is refused.
    Refuse,
}

impl Policy {
    /// What is done with a tag of this name; `build_asked` says that it was pushed with `-o build`.
    pub fn treatment(&self, name: &TagName, build_asked: BuildAsked) -> Treatment {
        if build_asked == BuildAsked::Yes || self.build_tags.matches(name.as_str()) {
            return Treatment::Judge;
        }
        match self.other_tags {
            OtherTags::Allow => Treatment::Pass,
            OtherTags::Signed => Treatment::JudgeSignature,
            OtherTags::Refuse => Treatment::Refuse,
        }
    }
}

/// Whether the pusher asked for a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildAsked {
    /// By `-o build`, `-o task` or the server's configuration.
    Yes,
    /// By nothing but the tag's name, if that.
    No,
}

/// A pattern over tag names: `*` stands for any characters but `/`, `?` for one of them, all else for itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TagPattern(String);

/// A pattern that no tag could match.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no pattern of tag names: characters of tag names ('A-Za-z0-9.+~^_-/'), '*' and '?', not empty")]
pub struct BadPattern(String);

impl TagPattern {
    /// Whether a name matches.
    pub fn matches(&self, name: &str) -> bool {
        matches(self.0.as_bytes(), name.as_bytes())
    }
}

/// Greedy matching with one point to come back to: linear in practice, quadratic at worst, never exponential.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                back = Some((p, n));
                p += 1;
                continue;
            }
            Some(b'?') if name[n] != b'/' => {
                p += 1;
                n += 1;
                continue;
            }
            Some(literal) if *literal == name[n] => {
                p += 1;
                n += 1;
                continue;
            }
            Some(_) | None => {}
        }
        match back {
            Some((star, from)) if name[from] != b'/' => {
                back = Some((star, from + 1));
                p = star + 1;
                n = from + 1;
            }
            Some(_) | None => return false,
        }
    }
    pattern[p..].iter().all(|rest| *rest == b'*')
}

impl Default for TagPattern {
    /// A version and a release: `*-*`.
    fn default() -> Self {
        Self("*-*".to_owned())
    }
}

impl FromStr for TagPattern {
    type Err = BadPattern;
    fn from_str(text: &str) -> Result<Self, BadPattern> {
        let good = !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b".+~^_-/*?".contains(&b));
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadPattern(crate::escape::escaped(text)))
        }
    }
}

impl TryFrom<String> for TagPattern {
    type Error = BadPattern;
    fn try_from(text: String) -> Result<Self, BadPattern> {
        text.parse()
    }
}

impl From<TagPattern> for String {
    fn from(pattern: TagPattern) -> Self {
        pattern.0
    }
}

impl fmt::Display for TagPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("*-*", "1.0-alt1", true)]
    #[case("*-*", "1.0", false)]
    #[case("*-*", "a-b-c", true)]
    #[case("*-*", "upstream/1.0-rc1", false)]
    #[case("*/*-*", "upstream/1.0-rc1", true)]
    #[case("v?.*-alt*", "v1.0-alt12", true)]
    #[case("v?.*-alt*", "v10.0-alt12", false)]
    #[case("*", "", true)]
    #[case("*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false)]
    #[case("**", "x", true)]
    fn patterns(#[case] pattern: &str, #[case] name: &str, #[case] matched: bool) {
        assert_eq!(pattern.parse::<TagPattern>().unwrap().matches(name), matched);
    }

    #[test]
    fn a_pattern_is_checked() {
        assert!("".parse::<TagPattern>().is_err());
        assert!("[a-z]".parse::<TagPattern>().is_err());
    }

    #[rstest]
    #[case("1.0-alt1", BuildAsked::No, OtherTags::Refuse, Treatment::Judge)]
    #[case("1.0", BuildAsked::Yes, OtherTags::Allow, Treatment::Judge)]
    #[case("1.0", BuildAsked::No, OtherTags::Allow, Treatment::Pass)]
    #[case("1.0", BuildAsked::No, OtherTags::Signed, Treatment::JudgeSignature)]
    #[case("1.0", BuildAsked::No, OtherTags::Refuse, Treatment::Refuse)]
    fn treatments(#[case] name: &str, #[case] asked: BuildAsked, #[case] other_tags: OtherTags, #[case] is: Treatment) {
        let policy = Policy {
            other_tags,
            ..Policy::default()
        };
        assert_eq!(policy.treatment(&name.parse().unwrap(), asked), is);
    }
}
