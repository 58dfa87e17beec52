//! Who is who: one person is one file, `people/NAME.toml`, and this is the one place that says so.
//!
//! Here is what such a file holds and how it is read from text; which files there are is the caller's knowledge.

use serde::{Deserialize, Serialize};

use crate::id::UserName;

/// One person, as in `people/NAME.toml`. The name is the file's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// The short name; not in the file.
    #[serde(skip_deserializing, skip_serializing, default = "nobody")]
    pub name: UserName,
    /// The full name, for mails and pages.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub full_name: String,
    /// Mail addresses, one of which is a tagger's; compared without regard to ASCII case.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// The login at GitHub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub github: Option<String>,
    /// What the person may do beside packaging.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<Role>,
    /// Armored OpenPGP certificates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub openpgp: Vec<String>,
    /// SSH keys, for logging in and for signing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ssh: Vec<SshKey>,
}

fn nobody() -> UserName {
    "nobody".parse().expect("it is a well-formed name")
}

/// One SSH public key of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SshKey {
    /// As in a `.pub` file: type, base64, comment.
    pub key: String,
    /// What the key is taken for; both when not said.
    #[serde(default = "login_and_sign")]
    pub uses: Vec<SshUse>,
    /// A signature is taken only from this moment on (server time), as in `allowed_signers`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_after: Option<jiff::Timestamp>,
    /// A signature is taken only before this moment (server time), as in `allowed_signers`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_before: Option<jiff::Timestamp>,
}

fn login_and_sign() -> Vec<SshUse> {
    vec![SshUse::Login, SshUse::Sign]
}

/// What an SSH key is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SshUse {
    /// It opens the ssh door.
    Login,
    /// It signs tags.
    Sign,
}

/// What a person may do beside packaging.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// May approve and disapprove everything, change every access list, abort every task.
    Superuser,
    /// A program's account: its tags may be pushed by others where policy says so.
    Bot,
}

impl Person {
    /// Reads the text of `people/NAME.toml`.
    ///
    /// # Errors
    /// The text is no TOML, or has an unknown key or a bad value; the error names line and column.
    pub fn from_toml(name: UserName, text: &str) -> Result<Self, toml::de::Error> {
        let mut person: Self = toml::from_str(text)?;
        person.name = name;
        Ok(person)
    }

    /// Whether one of the person's addresses is this one.
    pub fn has_address(&self, address: &str) -> bool {
        self.addresses.iter().any(|own| own.eq_ignore_ascii_case(address))
    }

    /// Whether the person may do everything.
    pub fn is_superuser(&self) -> bool {
        self.roles.contains(&Role::Superuser)
    }
}
