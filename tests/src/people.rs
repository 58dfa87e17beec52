//! The people of the stories: who they are, and the homes in which their keys lie.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// How somebody signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signs {
    /// With an OpenPGP key of this algorithm, as gpg names it.
    OpenPgp(&'static str),
    /// With the SSH key that also opens the door.
    Ssh,
}

/// Somebody in a story.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Person {
    /// The short name.
    pub name: &'static str,
    /// The full name.
    pub full_name: &'static str,
    /// The mail address, which is the tagger's.
    pub address: &'static str,
    /// How tags are signed.
    pub signs: Signs,
}

/// Signs with Ed25519.
pub const ALICE: Person = Person {
    name: "alice",
    full_name: "Alice Archer",
    address: "alice@example.org",
    signs: Signs::OpenPgp("ed25519"),
};

/// Signs with RSA of 4096 bits.
pub const BOB: Person = Person {
    name: "bob",
    full_name: "Bob Baker",
    address: "bob@example.org",
    signs: Signs::OpenPgp("rsa4096"),
};

/// Signs with an SSH key.
pub const CAROL: Person = Person {
    name: "carol",
    full_name: "Carol Cooper",
    address: "carol@example.org",
    signs: Signs::Ssh,
};

/// Nobody whom the server knows.
pub const MALLORY: Person = Person {
    name: "mallory",
    full_name: "Mallory Moore",
    address: "mallory@example.net",
    signs: Signs::OpenPgp("ed25519"),
};

impl Person {
    /// As a key and a tagger line have it.
    pub fn user_id(&self) -> String {
        format!("{} <{}>", self.full_name, self.address)
    }
}

/// Where one person's keys lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// The home folder: `.gitconfig`, `.ssh`, `gnupg`.
    pub dir: PathBuf,
    /// The OpenPGP key's fingerprint, of whoever has one.
    pub openpgp: Option<String>,
}

impl Home {
    /// The SSH key, private half.
    pub fn ssh_key(&self) -> PathBuf {
        self.dir.join(".ssh/id_ed25519")
    }

    /// The SSH key, public half.
    pub fn ssh_public(&self) -> PathBuf {
        self.dir.join(".ssh/id_ed25519.pub")
    }

    /// GnuPG's folder. Not `.gnupg`: in a home's default folder GnuPG asks the one agent that the Unix user has in /run/user,
    /// whoever's home it is.
    pub fn gnupg(&self) -> PathBuf {
        self.dir.join("gnupg")
    }

    /// The certificate, armored.
    pub fn certificate(&self) -> PathBuf {
        self.dir.join("certificate.asc")
    }
}

/// A folder that only its owner may enter; there already is fine.
pub fn private_folder(dir: &Path) -> anyhow::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| format!("cannot make {}", dir.display()))
}
