//! `images.lock`: which digest each foreign base stands for, until somebody moves it.
//!
//! ```toml
//! version = 1
//!
//! [[base]]
//! name = "docker.io/library/debian:12"
//! digest = "sha256:…"
//! ```
//!
//! Written sorted, so that two people who lock different bases do not meet in one line. Images of our own are not locked:
//! they move with what they are made from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::name::{Digest, ImageName};

/// The file's name.
pub const FILE_NAME: &str = "images.lock";
/// The most bytes of the file.
pub const LARGEST: usize = 1 << 20;

const VERSION: u32 = 1;
const HEAD: &str = "# What the foreign bases of images stand for. `windlass image lock update` moves them.\n";

/// Foreign bases and their digests.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lock(BTreeMap<ImageName, Digest>);

/// Why a text is no lock.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadLock {
    /// It is no TOML, or has other keys.
    #[error(
        "{FILE_NAME} cannot be read: {0}\n\nhint: mend it, or remove it: `windlass image lock update` writes a new one"
    )]
    Unreadable(String),
    /// A later release wrote it.
    #[error("{FILE_NAME} has version {0}, and this program knows version {VERSION}\n\nhint: take the newer program")]
    Newer(u32),
    /// An entry cannot stand.
    #[error("{FILE_NAME}: {name}: {why}\n\nhint: {hint}")]
    Entry {
        /// The base's name.
        name: String,
        /// Why not.
        why: &'static str,
        /// The way out.
        hint: &'static str,
    },
    /// It is too large.
    #[error("{FILE_NAME} has more than {LARGEST} bytes\n\nhint: remove bases that no image names")]
    TooLarge,
}

/// What setting a base changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It was not there.
    Added,
    /// It stood for another digest.
    Moved {
        /// That one.
        from: Digest,
    },
    /// Nothing.
    Same,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    #[serde(default)]
    base: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    digest: Digest,
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl Lock {
    /// Reads the file's text.
    ///
    /// # Errors
    /// Where it is none.
    pub fn parse(text: &str) -> Result<Self, BadLock> {
        if text.len() > LARGEST {
            return Err(BadLock::TooLarge);
        }
        let unreadable = |error: toml::de::Error| BadLock::Unreadable(error.to_string().trim_end().to_owned());
        // A later version may have keys that are unknown here: its number is told, not they.
        if let Ok(Versioned { version }) = toml::from_str(text)
            && version != VERSION
        {
            return Err(BadLock::Newer(version));
        }
        let file: File = toml::from_str(text).map_err(unreadable)?;
        let mut lock = Self::default();
        for Entry { name, digest } in file.base {
            let bad = |why, hint| BadLock::Entry {
                name: crate::escape::escaped(&name),
                why,
                hint,
            };
            let image = ImageName::foreign(&name)
                .map_err(|bad_name| bad("it is no image name", bad_name.hint))
                .and_then(|image| {
                    check(&image)
                        .map(|()| image)
                        .map_err(|why| bad(why, "remove the entry"))
                })?;
            if lock.0.insert(image, digest).is_some() {
                return Err(bad("it stands twice", "keep one of the entries"));
            }
        }
        Ok(lock)
    }

    /// The file's text.
    ///
    /// # Panics
    /// Never: names and digests are always TOML.
    pub fn print(&self) -> String {
        let entry = |(name, digest): (&ImageName, &Digest)| Entry {
            name: name.to_string(),
            digest: digest.clone(),
        };
        let file = File {
            version: VERSION,
            base: self.0.iter().map(entry).collect(),
        };
        let body = toml::to_string(&file).expect("numbers, names and digests are always TOML");
        format!("{HEAD}{body}")
    }

    /// What a base stands for. A name that has a digest itself stands for that.
    pub fn get<'a>(&'a self, name: &'a ImageName) -> Option<&'a Digest> {
        name.digest().or_else(|| self.0.get(name))
    }

    /// The name with its digest, where it is locked.
    pub fn pinned(&self, name: &ImageName) -> Option<ImageName> {
        Some(name.with_digest(self.get(name)?.clone()))
    }

    /// Sets what a base stands for.
    ///
    /// # Errors
    /// Where it may not stand here: an image of our own, or a name that has a digest itself.
    pub fn set(&mut self, name: &ImageName, digest: Digest) -> Result<Change, BadLock> {
        check(name).map_err(|why| BadLock::Entry {
            name: name.to_string(),
            why,
            hint: "lock foreign bases alone",
        })?;
        Ok(match self.0.get_mut(name) {
            None => {
                self.0.insert(name.clone(), digest);
                Change::Added
            }
            Some(known) if *known == digest => Change::Same,
            Some(known) => Change::Moved {
                from: std::mem::replace(known, digest),
            },
        })
    }

    /// Removes the bases that nobody names any more; gives their names.
    pub fn keep(&mut self, named: impl Fn(&ImageName) -> bool) -> Vec<ImageName> {
        let gone: Vec<ImageName> = self.0.keys().filter(|name| !named(name)).cloned().collect();
        for name in &gone {
            self.0.remove(name);
        }
        gone
    }

    /// All bases, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&ImageName, &Digest)> {
        self.0.iter()
    }
}

fn check(name: &ImageName) -> Result<(), &'static str> {
    if name.is_local() {
        Err("an image of our own is not locked: it moves with what it is made from")
    } else if name.digest().is_some() {
        Err("it has a digest itself")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn digest(text: &str) -> Digest {
        Digest::of(text.as_bytes())
    }

    fn foreign(name: &str) -> ImageName {
        ImageName::foreign(name).unwrap()
    }

    #[test]
    fn what_is_set_is_written_and_read() {
        let mut lock = Lock::default();
        assert_eq!(lock.set(&foreign("debian:12"), digest("a")), Ok(Change::Added));
        assert_eq!(lock.set(&foreign("alpine"), digest("b")), Ok(Change::Added));
        assert_eq!(lock.set(&foreign("alpine"), digest("b")), Ok(Change::Same));
        let moved = lock.set(&foreign("debian:12"), digest("c"));
        assert_eq!(moved, Ok(Change::Moved { from: digest("a") }));
        insta::assert_snapshot!(lock.print(), @r#"
        # What the foreign bases of images stand for. `windlass image lock update` moves them.
        version = 1

        [[base]]
        name = "docker.io/library/alpine:latest"
        digest = "sha256:3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d"

        [[base]]
        name = "docker.io/library/debian:12"
        digest = "sha256:2e7d2c03a9507ae265ecf5b5356885a53393a2029d241394997265a1a25aefc6"
        "#);
        assert_eq!(Lock::parse(&lock.print()), Ok(lock.clone()));
        assert_eq!(lock.keep(|name| name == &foreign("alpine")), [foreign("debian:12")]);
        assert_eq!(lock.iter().count(), 1);
        assert_eq!(Lock::parse(&Lock::default().print()), Ok(Lock::default()));
    }

    #[test]
    fn names_are_pinned() {
        let mut lock = Lock::default();
        lock.set(&foreign("debian:12"), digest("a")).unwrap();
        let pinned = lock.pinned(&foreign("debian:12")).unwrap();
        assert_eq!(pinned.digest(), Some(&digest("a")));
        assert_eq!(lock.pinned(&foreign("debian:11")), None);
        let own = foreign("debian:11").with_digest(digest("d"));
        assert_eq!(lock.get(&own), Some(&digest("d")));
        assert!(lock.set(&own, digest("d")).is_err());
        assert!(lock.set(&"tool".parse().unwrap(), digest("d")).is_err());
    }

    #[rstest]
    #[case("", "missing field `version`")]
    #[case("version = 2\nother = 1\n", "has version 2")]
    #[case("version = 1\nbas = 1\n", "unknown field `bas`")]
    #[case(
        "version = 1\n[[base]]\nname = \"Debian\"\ndigest = \"DIGEST\"\n",
        "Debian: it is no image name"
    )]
    #[case(
        "version = 1\n[[base]]\nname = \"localhost/a\"\ndigest = \"DIGEST\"\n",
        "an image of our own"
    )]
    #[case(
        "version = 1\n[[base]]\nname = \"a\"\ndigest = \"sha256:0\"\n",
        "'sha256:0' is no digest"
    )]
    #[case(
        "version = 1\n[[base]]\nname = \"a\"\ndigest = \"DIGEST\"\n[[base]]\nname = \"docker.io/a\"\ndigest = \"DIGEST\"\n",
        "it stands twice"
    )]
    fn refused(#[case] text: &str, #[case] expected: &str) {
        let text = text.replace("DIGEST", digest("a").as_str());
        let told = Lock::parse(&text).unwrap_err().to_string();
        assert!(told.contains(expected), "{told}");
        assert!(told.contains("hint: "), "{told}");
    }
}
