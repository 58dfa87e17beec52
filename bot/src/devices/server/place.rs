//! For whom something is on offer, and what a path stands for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use windlass_core::escape::escaped;

/// The most bytes of a label.
const MOST_LABEL: usize = 64;

/// The name of a device, a board or a file, as it stands in a path: letters, digits and `._-`, not beginning with a dot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Label(String);

/// A text that is no [`Label`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{}' cannot stand in an address\n\nhint: letters, digits, '.', '_' and '-', not beginning with a dot, {MOST_LABEL} at most", escaped(.0))]
pub struct NotALabel(String);

/// For whom something is on offer.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// Whoever asks.
    #[default]
    Anybody,
    /// Devices with this board.
    Board(Label),
    /// This device.
    Device(Label),
}

/// What a path stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Omaha.
    Update(Target),
    /// A file.
    File(Target, Label),
}

impl Label {
    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Label {
    type Err = NotALabel;

    fn from_str(text: &str) -> Result<Self, NotALabel> {
        let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let good = !text.is_empty() && text.len() <= MOST_LABEL && !text.starts_with('.') && text.bytes().all(is_good);
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotALabel(text.to_owned()))
        }
    }
}

impl TryFrom<String> for Label {
    type Error = NotALabel;

    fn try_from(text: String) -> Result<Self, NotALabel> {
        text.parse()
    }
}

impl From<Label> for String {
    fn from(label: Label) -> Self {
        label.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Target {
    /// Below which path its addresses are, with the slash at the end: a device is given `http://HOST` + this + `update`.
    pub fn path(&self) -> String {
        match self {
            Self::Anybody => "/".to_owned(),
            Self::Board(name) => format!("/board/{name}/"),
            Self::Device(name) => format!("/device/{name}/"),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anybody => f.write_str("anybody"),
            Self::Board(name) => write!(f, "board {name}"),
            Self::Device(name) => write!(f, "device {name}"),
        }
    }
}

impl Place {
    /// Reads the path of an address.
    pub(super) fn parse(path: &str) -> Option<Self> {
        // Clients put two slashes where a base address ends in one.
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let (target, last) = match parts.as_slice() {
            [last] => (Target::Anybody, last),
            ["board", name, last] => (Target::Board(name.parse().ok()?), last),
            ["device", name, last] => (Target::Device(name.parse().ok()?), last),
            _ => return None,
        };
        Some(match *last {
            "update" => Self::Update(target),
            file => Self::File(target, file.parse().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("/update", Some("anybody update"))]
    #[case("/update.gz", Some("anybody update.gz"))]
    #[case("//stateful.image.gz", Some("anybody stateful.image.gz"))]
    #[case("/board/x86-generic/update", Some("board x86-generic update"))]
    #[case("/device/lab-7/update.gz", Some("device lab-7 update.gz"))]
    #[case("/", None)]
    #[case("", None)]
    #[case("/board/update", None)]
    #[case("/update/x", None)]
    #[case("/device/../update", None)]
    #[case("/../etc/passwd", None)]
    #[case("/..", None)]
    #[case("/.hidden", None)]
    #[case("/a%2fb", None)]
    #[case("/device/a%00/update", None)]
    #[case("/device/a/b/update", None)]
    fn paths(#[case] path: &str, #[case] expected: Option<&str>) {
        let shown = Place::parse(path).map(|place| match place {
            Place::Update(target) => format!("{target} update"),
            Place::File(target, file) => format!("{target} {file}"),
        });
        assert_eq!(shown.as_deref(), expected);
    }

    #[test]
    fn a_targets_path_leads_to_it() {
        for target in [
            Target::Anybody,
            Target::Board("eve".parse().unwrap()),
            Target::Device("lab-7".parse().unwrap()),
        ] {
            let path = format!("{}update", target.path());
            assert_eq!(Place::parse(&path), Some(Place::Update(target)));
        }
    }
}
