//! Who is who: one person is one file, `people/NAME.toml`, and this is the one place that says so.
//!
//! Here is what such a file holds and how it is read from text; which files there are is the caller's knowledge.

use serde::{Deserialize, Serialize};

use crate::escape::{escaped, is_plain};
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
    #[serde(default, deserialize_with = "addresses")]
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

/// The longest address that mail allows (RFC 5321, section 4.5.3.1.3, without its brackets).
const LONGEST_ADDRESS: usize = 254;

/// Checks that a text can be somebody's address: `LOCAL@DOMAIN` without blanks, brackets and what is not shown.
///
/// # Errors
/// Why it cannot.
pub fn check_address(address: &str) -> Result<(), String> {
    let bad = |why: &str| Err(format!("'{}' is no address: {why}", escaped(address)));
    if address.len() > LONGEST_ADDRESS {
        return bad("it is longer than 254 bytes");
    }
    let plain = |c: char| is_plain(c) && !c.is_whitespace() && !matches!(c, '<' | '>' | ',' | '"');
    if !address.chars().all(plain) {
        return bad("it has a blank, a bracket, a comma or a quote in it");
    }
    match address.rsplit_once('@') {
        Some((local, domain)) if !local.is_empty() && !domain.is_empty() && !local.contains('@') => Ok(()),
        Some(_) | None => bad("LOCAL@DOMAIN is what one looks like"),
    }
}

fn addresses<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let addresses = Vec::<String>::deserialize(deserializer)?;
    for address in &addresses {
        check_address(address).map_err(serde::de::Error::custom)?;
    }
    Ok(addresses)
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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("alice@example.org", true)]
    #[case("Jörg.O'Neil+x@bücher.example", true)]
    #[case("alice", false)]
    #[case("@example.org", false)]
    #[case("alice@", false)]
    #[case("a@b@c", false)]
    #[case("a b@c", false)]
    #[case("<alice@example.org>", false)]
    #[case("a\u{202e}@c", false)]
    fn addresses_are_checked(#[case] address: &str, #[case] good: bool) {
        assert_eq!(check_address(address).is_ok(), good);
        let text = toml::to_string(&std::collections::BTreeMap::from([("addresses", [address])])).unwrap();
        assert_eq!(Person::from_toml("alice".parse().unwrap(), &text).is_ok(), good);
    }

    #[test]
    fn a_file_is_read_strictly() {
        let alice: UserName = "alice".parse().unwrap();
        let text = "full_name = 'Alice'\naddresses = ['alice@example.org']\n[[ssh]]\nkey = 'ssh-ed25519 AAAA'\n";
        let person = Person::from_toml(alice.clone(), text).unwrap();
        assert!(person.has_address("ALICE@example.org"));
        assert_eq!(person.ssh[0].uses, [SshUse::Login, SshUse::Sign]);
        let again = Person::from_toml(alice.clone(), &toml::to_string(&person).unwrap()).unwrap();
        assert_eq!(again, person);
        for bad in [
            "colour = 'red'",
            "roles = ['king']",
            "name = 'bob'",
            "[[ssh]]\nkey = 'x'\nuses = ['eat']",
        ] {
            assert!(Person::from_toml(alice.clone(), bad).is_err(), "{bad}");
        }
    }
}
