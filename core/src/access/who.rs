//! Whom an access list names, and what it is a list of.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::{BadId, GroupName, PackageName, UserName};

/// One entry of an access list.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Who {
    /// A person.
    User(UserName),
    /// The people of a group, `@NAME`.
    Group(GroupName),
    /// `@everybody`: opens what the list is for.
    Everybody,
    /// `@nobody`: as the leader, marks an orphan.
    Nobody,
}

impl FromStr for Who {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        match text.strip_prefix('@') {
            Some("everybody") => Ok(Self::Everybody),
            Some("nobody") => Ok(Self::Nobody),
            Some(group) => group.parse().map(Self::Group),
            None => text.parse().map(Self::User),
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => f.pad(name.as_str()),
            Self::Group(name) => f.pad(&format!("@{name}")),
            Self::Everybody => f.pad("@everybody"),
            Self::Nobody => f.pad("@nobody"),
        }
    }
}

impl TryFrom<String> for Who {
    type Error = BadId;
    fn try_from(text: String) -> Result<Self, BadId> {
        text.parse()
    }
}

impl From<Who> for String {
    fn from(who: Who) -> String {
        who.to_string()
    }
}

/// What an access list is for: a package, or a group of people (`@NAME`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Subject {
    /// The list says who may touch this source package.
    Package(PackageName),
    /// The list says who is in this group.
    Group(GroupName),
}

impl FromStr for Subject {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        match text.strip_prefix('@') {
            Some("everybody" | "nobody") => Err(BadId {
                what: "group",
                value: text.to_owned(),
                rule: "@everybody and @nobody have no list of their own",
            }),
            Some(group) => group.parse().map(Self::Group),
            None => text.parse().map(Self::Package),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Package(name) => f.pad(name.as_str()),
            Self::Group(name) => f.pad(&format!("@{name}")),
        }
    }
}

impl TryFrom<String> for Subject {
    type Error = BadId;
    fn try_from(text: String) -> Result<Self, BadId> {
        text.parse()
    }
}

impl From<Subject> for String {
    fn from(subject: Subject) -> String {
        subject.to_string()
    }
}
