//! What an address stands for. Only what is named here is ever opened: every part of a path is a checked name, and the path of
//! a file is put together from them anew.

use windlass_core::id::{ArchName, Generation, RepositoryName};

/// What an address stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The repository that is meant; it need not be there.
    pub(super) repository: RepositoryName,
    /// What of it.
    pub(super) what: What,
}

/// Something of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// The public keys.
    Key,
    /// Where one generation is, for one architecture.
    Mirrorlist,
    /// The file that makes dnf or zypper use it.
    Configuration,
    /// A file of a generation.
    File(Which, Kept),
}

/// A generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// The one that is the newest at this moment.
    Current,
    /// This one.
    Numbered(Generation),
}

/// A file of a generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kept {
    /// What the generation says of itself, or the signature of that.
    Manifest(&'static str),
    /// A file of `repodata`.
    Metadata {
        /// An architecture, or `source`.
        directory: ArchName,
        /// Its name.
        file: String,
    },
    /// A package of the pool.
    Package {
        /// An architecture, or `source`.
        directory: ArchName,
        /// The beginning of its digest.
        digest: String,
        /// Its name.
        file: String,
    },
}

impl Place {
    /// Reads the path of an address.
    pub(super) fn parse(path: &str) -> Option<Self> {
        let parts: Vec<String> = path
            .strip_prefix("/repos/")?
            .split('/')
            // Clients put two slashes where a base address ends in one.
            .filter(|part| !part.is_empty())
            .map(name)
            .collect::<Option<_>>()?;
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let (repository, rest) = parts.split_first()?;
        let what = match rest {
            ["key.asc"] => What::Key,
            ["mirrorlist"] => What::Mirrorlist,
            [file] if file.strip_suffix(".repo") == Some(repository) => What::Configuration,
            ["current", rest @ ..] => What::File(Which::Current, kept(rest)?),
            ["generations", number, rest @ ..] => What::File(Which::Numbered(numbered(number)?), kept(rest)?),
            _ => return None,
        };
        let repository = repository.parse().ok()?;
        Some(Self { repository, what })
    }
}

impl Kept {
    /// Whether what it names is always the same, in whichever generation it is looked for.
    pub(super) fn is_content_named(&self) -> bool {
        match self {
            Self::Manifest(_) => false,
            // The others are called by their digest.
            Self::Metadata { file, .. } => !file.starts_with("repomd.xml"),
            Self::Package { .. } => true,
        }
    }
}

fn kept(parts: &[&str]) -> Option<Kept> {
    let text = |text: &&str| (*text).to_owned();
    match parts {
        ["windlass.json"] => Some(Kept::Manifest("windlass.json")),
        ["windlass.json.asc"] => Some(Kept::Manifest("windlass.json.asc")),
        [directory, "repodata", file] => Some(Kept::Metadata {
            directory: directory.parse().ok()?,
            file: text(file),
        }),
        [directory, "packages", digest, file] => Some(Kept::Package {
            directory: directory.parse().ok()?,
            digest: text(digest),
            file: text(file),
        }),
        _ => None,
    }
}

fn numbered(text: &str) -> Option<Generation> {
    let number: u64 = text.parse().ok()?;
    // One address a generation: no sign, no leading zero.
    (number > 0 && number.to_string() == text).then_some(Generation(number))
}

/// A part of a path without its escapes, if it can be a name: visible ASCII, nothing hidden, no way up.
fn name(part: &str) -> Option<String> {
    let text = unescaped(part)?;
    let good = !text.is_empty()
        && text.len() <= 255
        && !text.starts_with('.')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"/\\".contains(&byte));
    good.then_some(text)
}

/// A text without its percent escapes.
pub(super) fn unescaped(part: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, after) = after.split_at_checked(2)?;
        let digits = std::str::from_utf8(digits).ok()?;
        // `from_str_radix` takes a sign, too.
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn what(path: &str) -> Option<What> {
        Place::parse(path).map(|place| place.what)
    }

    #[rstest]
    #[case("/repos/main/key.asc")]
    #[case("/repos/main/mirrorlist")]
    #[case("/repos/main/main.repo")]
    #[case("/repos/main/current/x86_64/repodata/repomd.xml")]
    #[case("/repos/main/current/x86_64//repodata/repomd.xml.asc")]
    #[case("/repos/main/current/source/packages/0123456789abcdef/a-1.0%5E1-1%2B2~rc.src.rpm")]
    #[case("/repos/main/generations/7/i586/repodata/abc-primary.xml.zst")]
    #[case("/repos/main/generations/7/windlass.json.asc")]
    fn is_served(#[case] path: &str) {
        assert!(Place::parse(path).is_some(), "{path}");
    }

    #[rstest]
    #[case("/")]
    #[case("/repos")]
    #[case("/repos/")]
    #[case("/repos/main")]
    #[case("/repos/main/other.repo")]
    #[case("/repos/main/.lock")]
    #[case("/repos/main/.staging/generation/x86_64/repodata/repomd.xml")]
    #[case("/repos/main/%2estaging/pooled.json")]
    #[case("/repos/../state/journal.sqlite")]
    #[case("/repos/%2e%2e/state/journal.sqlite")]
    #[case("/repos/main/current/../../state/keys")]
    #[case("/repos/main/current/x86_64/repodata/..%2f..%2fwindlass.json")]
    #[case("/repos/main/current/x86_64/repodata/%2e%2e")]
    #[case("/repos/main/current/x86_64/repodata/a%00b")]
    #[case("/repos/main/current/x86_64/repodata/a%0ab")]
    #[case("/repos/main/current/x86_64/repodata/a%5cb")]
    #[case("/repos/main/current/x86_64/repodata/a%c3%a4")]
    #[case("/repos/main/current/x86_64/repodata/a%2")]
    #[case("/repos/main/current/x86_64/repodata/a%+1")]
    #[case("/repos/main/current/x86_64/repodata")]
    #[case("/repos/main/current/x86_64/members.json")]
    #[case("/repos/main/current/../x86_64/repodata/repomd.xml")]
    #[case("/repos/main/generations/07/windlass.json")]
    #[case("/repos/main/generations/+7/windlass.json")]
    #[case("/repos/main/generations/0/windlass.json")]
    #[case("/repos/main/generations/7.unknown/windlass.json")]
    #[case("/repos/main/generations/99999999999999999999/windlass.json")]
    #[case("/repos/ma in/key.asc")]
    #[case("//etc/passwd")]
    fn is_not_served(#[case] path: &str) {
        assert_eq!(Place::parse(path), None, "{path}");
    }

    #[test]
    fn escapes_are_read_once() {
        let file = match what("/repos/main/current/x86_64/repodata/a%252e") {
            Some(What::File(Which::Current, Kept::Metadata { file, .. })) => file,
            other => panic!("{other:?}"),
        };
        assert_eq!(file, "a%2e");
    }
}
