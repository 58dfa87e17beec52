//! One checked type for every name that crosses a seam.
//!
//! A value of such a type is well formed: whoever holds one need not check it again. Parsing is the only way in
//! (`FromStr`, serde goes through it), `Display` and `as_str` the only ways out.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::escape::escaped;

/// A name that is not well formed, with what it was to be and why it is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{value}' is no {what}: {rule}")]
pub struct BadId {
    /// What the value was to be, as in "user name".
    pub what: &'static str,
    /// The value as given, escaped.
    pub value: String,
    /// The rule that it breaks.
    pub rule: &'static str,
}

fn bad(what: &'static str, value: &str, rule: &'static str) -> BadId {
    let mut value = escaped(value);
    if value.chars().count() > 80 {
        value = value.chars().take(80).collect();
        value.push('…');
    }
    BadId { what, value, rule }
}

/// Implements the traits that every textual id has, from one check function.
macro_rules! textual {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl FromStr for $name {
            type Err = BadId;
            fn from_str(value: &str) -> Result<Self, BadId> {
                let check: fn(&str) -> bool = $check;
                if check(value) { Ok(Self(value.to_owned())) } else { Err(bad($what, value, $rule)) }
            }
        }
        impl TryFrom<String> for $name {
            type Error = BadId;
            fn try_from(value: String) -> Result<Self, BadId> {
                value.parse()
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

fn is_word(value: &str, extra: &[u8], longest: usize) -> bool {
    let bytes = value.as_bytes();
    bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.len() <= longest
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || extra.contains(b))
        && !value.contains("..")
}

fn is_lower_hex(value: &str, length: usize) -> bool {
    value.len() == length && value.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

textual!(
    /// A person's short name: the file `people/NAME.toml`, the directory `people/NAME/packages/`.
    UserName, "user name", "lower-case letters, digits, '_' and '-', a letter first, at most 32 characters",
    |v| is_word(v, b"_-", 32) && v.as_bytes()[0].is_ascii_lowercase() && !v.bytes().any(|b| b.is_ascii_uppercase())
);
textual!(
    /// The name of an access group, without the `@`.
    GroupName, "group name", "letters, digits, '_', '+', '-', '.', a letter or digit first, at most 64 characters",
    |v| is_word(v, b"_+-.", 64)
);
textual!(
    /// The name of a source or binary package, as rpm has it.
    PackageName, "package name", "letters, digits, '.', '_', '+', '-', a letter or digit first, at most 200 characters",
    |v| is_word(v, b"._+-", 200)
);
textual!(
    /// The name of a binary package repository.
    RepositoryName, "repository name", "letters, digits, '.', '_', '-', a letter or digit first, at most 64 characters",
    |v| is_word(v, b"._-", 64)
);
textual!(
    /// The name of a configured container image: `[[image]] name`.
    ImageId, "image's name", "letters, digits, '.', '_', '-', a letter or digit first, at most 64 characters",
    |v| is_word(v, b"._-", 64)
);
textual!(
    /// The name of a lab device: `[[device]] name`.
    DeviceName, "device's name", "letters, digits, '.', '_', '-', a letter or digit first, at most 64 characters",
    |v| is_word(v, b"._-", 64)
);
textual!(
    /// The name of a configured payload: `[[payload]] name`.
    PayloadName, "payload's name", "letters, digits, '.', '_', '-', a letter or digit first, at most 64 characters",
    |v| is_word(v, b"._-", 64)
);
textual!(
    /// The name of a configured nightly run: `[[nightly]] name`.
    NightlyName, "nightly run's name", "letters, digits, '.', '_', '-', a letter or digit first, at most 64 characters",
    |v| is_word(v, b"._-", 64)
);
textual!(
    /// An architecture's name, as rpm has it.
    ArchName, "architecture", "letters, digits, '_', a letter first, at most 32 characters",
    |v| is_word(v, b"_", 32) && v.as_bytes()[0].is_ascii_alphabetic()
);
textual!(
    /// An SHA-1 object id, 40 lower-case hexadecimal digits.
    ObjectId, "object id", "40 lower-case hexadecimal digits",
    |v| is_lower_hex(v, 40)
);
textual!(
    /// Identifies one request, whoever repeats it: `r-` and 16 to 64 hexadecimal digits.
    RequestId, "request id", "'r-' and 16 to 64 lower-case hexadecimal digits",
    |v| v.strip_prefix("r-").is_some_and(|hex| (16..=64).contains(&hex.len()) && is_lower_hex(hex, hex.len()))
);
textual!(
    /// A key's fingerprint: OpenPGP in upper-case hexadecimal digits, SSH as `SHA256:…`.
    Fingerprint, "fingerprint", "upper-case hexadecimal digits (40 or 64), or 'SHA256:' and base64",
    |v| v.strip_prefix("SHA256:").map_or_else(
        || matches!(v.len(), 40 | 64) && v.bytes().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b)),
        |b64| b64.len() == 43 && b64.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/".contains(&b)),
    )
);
textual!(
    /// A tag's name without `refs/tags/`. Stricter than git: ASCII letters, digits and `.+~^_-/` only, since the name
    /// goes into file names, mails and terminals.
    TagName, "tag name",
    "letters, digits and '.+~^_-/', each part beginning with a letter or digit, no '..', no part ending in '.lock' or '.', at most 200 characters",
    |v| v.len() <= 200 && v.split('/').all(|part| is_word(part, b".+~^_-", 200)
        && !part.ends_with('.') && std::path::Path::new(part).extension().is_none_or(|e| e != "lock"))
        && !v.starts_with("refs/")
);
textual!(
    /// A source repository below the root of the git side: `people/USER/packages/NAME.git` or `shared/NAME.git`.
    SourcePath, "source repository", "'people/USER/packages/NAME.git' or 'shared/NAME.git'",
    |v| {
        let parts: Vec<&str> = v.split('/').collect();
        let name = match parts.as_slice() {
            ["people", user, "packages", name] if user.parse::<UserName>().is_ok() => name,
            ["shared", name] => name,
            _ => return false,
        };
        name.strip_suffix(".git").is_some_and(|n| n.parse::<PackageName>().is_ok())
    }
);

impl SourcePath {
    /// What a person typed, made whole: `NAME` is the caller's own, `USER/NAME` is USER's, `shared/NAME` is shared;
    /// a full path is taken as it is. `.git` may be left out, a leading `/` is ignored.
    ///
    /// # Errors
    /// When a part is no user or package name.
    pub fn resolve(typed: &str, caller: &UserName) -> Result<Self, BadId> {
        let trimmed = typed.strip_prefix('/').unwrap_or(typed);
        let bare = trimmed.strip_suffix(".git").unwrap_or(trimmed);
        let parts: Vec<&str> = bare.split('/').collect();
        let full = match parts.as_slice() {
            [name] => format!("people/{caller}/packages/{name}.git"),
            ["shared", name] => format!("shared/{name}.git"),
            ["people", user, "packages", name] | [user, name] => format!("people/{user}/packages/{name}.git"),
            _ => {
                return Err(bad(
                    "source repository",
                    typed,
                    "NAME, USER/NAME, shared/NAME or a full path",
                ));
            }
        };
        full.parse().map_err(|_| {
            bad(
                "source repository",
                typed,
                "NAME, USER/NAME, shared/NAME or a full path",
            )
        })
    }

    /// The person in whose directory it stands; nobody for a shared one.
    pub fn owner(&self) -> Option<UserName> {
        let mut parts = self.0.split('/');
        (parts.next() == Some("people"))
            .then(|| parts.next().and_then(|user| user.parse().ok()))
            .flatten()
    }

    /// The last part, without `.git`.
    pub fn name(&self) -> &str {
        let last = self.0.rsplit('/').next().unwrap_or_default();
        last.strip_suffix(".git").unwrap_or(last)
    }
}

impl TagName {
    /// The full name of the reference, `refs/tags/NAME`.
    pub fn reference(&self) -> String {
        format!("refs/tags/{}", self.0)
    }
}

/// Implements a number that only grows, starting at 1.
macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub struct $name(NonZeroU64);

        impl $name {
            /// The first number.
            pub const FIRST: Self = Self(NonZeroU64::MIN);

            /// The next number.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }

            /// The number itself.
            pub fn get(self) -> u64 {
                self.0.get()
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(value: &str) -> Result<Self, BadId> {
                let digits = value.strip_prefix('#').unwrap_or(value);
                if digits.is_empty() || digits.starts_with('0') || !digits.bytes().all(|b| b.is_ascii_digit()) {
                    return Err(bad($what, value, "a whole number from 1 up"));
                }
                digits
                    .parse()
                    .map(Self)
                    .map_err(|_| bad($what, value, "a whole number from 1 up"))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

numbered!(
    /// A task's number. Numbers only grow, starting at 1.
    TaskId,
    "task number"
);
numbered!(
    /// A job's number. Numbers only grow, starting at 1.
    JobId,
    "job number"
);

/// A subtask's number within its task, starting at 1. A number is never given twice in one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SubtaskNumber(pub u32);

impl FromStr for SubtaskNumber {
    type Err = BadId;
    fn from_str(value: &str) -> Result<Self, BadId> {
        match value.parse() {
            Ok(number) if number > 0 && !value.starts_with('+') => Ok(Self(number)),
            _ => Err(bad("subtask number", value, "a whole number from 1 up")),
        }
    }
}

impl fmt::Display for SubtaskNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The number of an immutable state of a binary repository; 0 is the empty repository before its first commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(pub u64);

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("1.0-alt1", true)]
    #[case("v1.0~rc1^git5-1", true)]
    #[case("upstream/1.0", true)]
    #[case("-x", false)]
    #[case("--upload-pack=touch", false)]
    #[case("$(id)", false)]
    #[case("a..b", false)]
    #[case("a/.b", false)]
    #[case("a.lock", false)]
    #[case("refs/tags/x", false)]
    #[case("a\u{202e}b", false)]
    #[case("a b", false)]
    #[case("", false)]
    fn tag_names(#[case] name: &str, #[case] good: bool) {
        assert_eq!(name.parse::<TagName>().is_ok(), good, "{name:?}");
    }

    #[rstest]
    #[case("hello", Some("people/alice/packages/hello.git"))]
    #[case("hello.git", Some("people/alice/packages/hello.git"))]
    #[case("bob/hello", Some("people/bob/packages/hello.git"))]
    #[case("/people/bob/packages/hello.git", Some("people/bob/packages/hello.git"))]
    #[case("shared/gcc", Some("shared/gcc.git"))]
    #[case("../hello", None)]
    #[case("people/../../etc", None)]
    #[case("-x", None)]
    #[case("a/b/c", None)]
    #[case("", None)]
    fn sources(#[case] typed: &str, #[case] full: Option<&str>) {
        let alice: UserName = "alice".parse().unwrap();
        let found = SourcePath::resolve(typed, &alice).ok();
        assert_eq!(found.as_ref().map(SourcePath::as_str), full);
    }

    #[rstest]
    #[case("kiosk-1.lab", true)]
    #[case("-oProxyCommand=x", false)]
    #[case("a/b", false)]
    #[case("..", false)]
    fn device_names(#[case] name: &str, #[case] good: bool) {
        assert_eq!(name.parse::<DeviceName>().is_ok(), good, "{name:?}");
    }

    #[test]
    fn a_bad_name_is_told_escaped_with_its_rule() {
        let error = "al\u{1b}[2Jice".parse::<UserName>().unwrap_err().to_string();
        assert_eq!(
            error,
            "'al\\u{1b}[2Jice' is no user name: lower-case letters, digits, '_' and '-', a letter first, at most 32 characters"
        );
    }

    #[test]
    fn serde_goes_through_the_check() {
        assert!(serde_json::from_str::<UserName>("\"alice\"").is_ok());
        assert!(serde_json::from_str::<UserName>("\"../x\"").is_err());
    }
}
