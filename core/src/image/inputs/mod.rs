//! Everything that can change an image, as one digest and as a label that can be read back.
//!
//! An image is up to date when the digest of its inputs is the one on its label. Why it is not, the other label tells: the
//! inputs themselves, by name, so that [`difference()`] can say "file src/a.c changed" or "base … moved". With many files that
//! label would not stay small: beyond [`LABEL`] bytes, directories stand there in place of their files, the largest first.
//!
//! Order counts for bases alone; everything else is sorted, so that a walk through a directory may come in any order.

mod difference;
mod label;

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::name::Digest;

pub use difference::{Difference, difference, told};
pub use label::{BadLabel, LABEL, Recorded};

/// What an input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The Dockerfile, in its canonical form.
    Dockerfile,
    /// A base: an own image by its digest, a foreign one by what it is resolved to.
    Base,
    /// The platform that the image is for; its name is the input's name.
    Platform,
    /// The stage that is built.
    Target,
    /// The user that is added.
    User,
    /// A build argument that the Dockerfile declares.
    Argument,
    /// Another option that changes the result.
    Option,
    /// The script that is run in the context before the build.
    Pre,
    /// A file that the script made.
    PreOutput,
    /// A file that is put into the context.
    Extra,
    /// The executable that is put into the image.
    Executable,
    /// A library that the executable needs.
    Library,
    /// A file of the context that COPY, ADD or a mount names.
    File,
    /// Something that ADD fetches.
    Address,
    /// A package of our repositories that would be installed now; its stamp is the version.
    Package,
}

impl Kind {
    /// All of them, in the order in which they are counted.
    pub const ALL: [Self; 15] = [
        Self::Dockerfile,
        Self::Base,
        Self::Platform,
        Self::Target,
        Self::User,
        Self::Argument,
        Self::Option,
        Self::Pre,
        Self::PreOutput,
        Self::Extra,
        Self::Executable,
        Self::Library,
        Self::File,
        Self::Address,
        Self::Package,
    ];

    /// The word for programs, as it stands on labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dockerfile => "dockerfile",
            Self::Base => "base",
            Self::Platform => "platform",
            Self::Target => "target",
            Self::User => "user",
            Self::Argument => "argument",
            Self::Option => "option",
            Self::Pre => "pre",
            Self::PreOutput => "pre-output",
            Self::Extra => "extra",
            Self::Executable => "executable",
            Self::Library => "library",
            Self::File => "file",
            Self::Address => "address",
            Self::Package => "package",
        }
    }

    /// The words for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Dockerfile => "Dockerfile",
            Self::Base => "base",
            Self::Platform => "platform",
            Self::Target => "target",
            Self::User => "user",
            Self::Argument => "build argument",
            Self::Option => "option",
            Self::Pre => "script",
            Self::PreOutput => "file made by the script",
            Self::Extra => "extra file",
            Self::Executable => "executable",
            Self::Library => "library",
            Self::File => "file",
            Self::Address => "address",
            Self::Package => "package",
        }
    }

    fn plural(self) -> String {
        match self {
            Self::PreOutput => "files made by the script".to_owned(),
            Self::Library => "libraries".to_owned(),
            Self::Address => "addresses".to_owned(),
            Self::Dockerfile
            | Self::Base
            | Self::Platform
            | Self::Target
            | Self::User
            | Self::Argument
            | Self::Option
            | Self::Pre
            | Self::Extra
            | Self::Executable
            | Self::File
            | Self::Package => format!("{}s", self.title()),
        }
    }

    fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// Whether there is one at most, which is known by its name.
    fn is_single(self) -> bool {
        matches!(self, Self::Platform | Self::Target | Self::User)
    }
}

/// What an input is at the moment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stamp {
    /// A digest of its content.
    Digest(Digest),
    /// A short text that anybody may see: a version. Never a build argument: those can be secrets.
    Text(String),
}

impl Stamp {
    /// The digest of a text that nobody is to see.
    pub fn hidden(text: &str) -> Self {
        Self::Digest(Digest::of(text.as_bytes()))
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digest(digest) => f.write_str(digest.short()),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// One input.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Input {
    /// What it is.
    pub kind: Kind,
    /// Its name: a path from the context's root, an image's name, an argument's.
    pub name: String,
    /// What it is at the moment.
    pub stamp: Stamp,
}

/// What stands at a path, as an image takes it over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content<'a> {
    /// A file.
    File {
        /// Its permission bits.
        mode: u32,
        /// SHA-256 of its bytes.
        sha256: [u8; 32],
    },
    /// A symbolic link, and where it leads.
    Link(&'a [u8]),
    /// A directory: what is in it are inputs of their own.
    Directory {
        /// Its permission bits.
        mode: u32,
    },
}

impl Input {
    /// An input whose content has a digest.
    pub fn new(kind: Kind, name: impl Into<String>, digest: Digest) -> Self {
        Self {
            kind,
            name: name.into(),
            stamp: Stamp::Digest(digest),
        }
    }

    /// An input that is a short text; see [`Stamp::Text`].
    pub fn text(kind: Kind, name: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            kind,
            name: name.into(),
            stamp: Stamp::Text(text.into()),
        }
    }

    /// An input that is known by its name: a platform, a target, a user.
    pub fn named(kind: Kind, name: impl Into<String>) -> Self {
        Self::text(kind, name, "")
    }

    /// What stands at a path.
    pub fn path(kind: Kind, path: impl Into<String>, content: &Content<'_>) -> Self {
        let mut hash = Sha256::new();
        match content {
            Content::File { mode, sha256 } => {
                hash.update(b"file\0");
                hash.update((mode & 0o7777).to_le_bytes());
                hash.update(sha256);
            }
            Content::Link(target) => {
                hash.update(b"link\0");
                hash.update(target);
            }
            Content::Directory { mode } => {
                hash.update(b"directory\0");
                hash.update((mode & 0o7777).to_le_bytes());
            }
        }
        Self::new(kind, path, Digest::from_sha256(&hash.finalize().into()))
    }
}

/// Everything that can change an image.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inputs(Vec<Input>);

impl FromIterator<Input> for Inputs {
    /// Sorts them, bases excepted, which stay in order; what stands twice counts once.
    fn from_iter<T: IntoIterator<Item = Input>>(inputs: T) -> Self {
        let mut inputs: Vec<Input> = inputs.into_iter().collect();
        let key = |input: &Input| (input.kind, input.kind != Kind::Base);
        inputs.sort_by(|one, other| match (key(one), key(other)) {
            ((a, true), (b, true)) if a == b => one.cmp(other),
            (a, b) => a.cmp(&b),
        });
        let mut seen = std::collections::BTreeSet::new();
        inputs.retain(|input| input.kind != Kind::Base || seen.insert((input.name.clone(), input.stamp.clone())));
        inputs.dedup();
        Self(inputs)
    }
}

impl Inputs {
    /// One digest over all of them: each with its kind, name and stamp, every text with its length before it.
    pub fn digest(&self) -> Digest {
        let mut hash = Hash::new("windlass inputs 1");
        hash.number(self.0.len());
        for input in &self.0 {
            hash.text(input.kind.as_str());
            hash.input(input);
        }
        hash.digest()
    }

    /// Them, in the order in which they are counted.
    pub fn iter(&self) -> std::slice::Iter<'_, Input> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those of one kind, in order.
    fn of(&self, kind: Kind) -> &[Input] {
        let begin = self.0.partition_point(|input| input.kind < kind);
        let end = self.0.partition_point(|input| input.kind <= kind);
        &self.0[begin..end]
    }
}

impl<'a> IntoIterator for &'a Inputs {
    type Item = &'a Input;
    type IntoIter = std::slice::Iter<'a, Input>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// SHA-256 over texts, each with its length before it.
struct Hash(Sha256);

impl Hash {
    fn new(what: &str) -> Self {
        let mut hash = Self(Sha256::new());
        hash.text(what);
        hash
    }

    fn number(&mut self, number: usize) {
        self.0.update((number as u64).to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len());
        self.0.update(text.as_bytes());
    }

    fn input(&mut self, input: &Input) {
        self.text(&input.name);
        match &input.stamp {
            Stamp::Digest(digest) => {
                self.0.update([0]);
                self.text(digest.digits());
            }
            Stamp::Text(text) => {
                self.0.update([1]);
                self.text(text);
            }
        }
    }

    fn digest(self) -> Digest {
        Digest::from_sha256(&self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests;
