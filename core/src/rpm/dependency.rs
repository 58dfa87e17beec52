//! What a package requires, provides, conflicts with: a name with a range of versions, and when two of them meet.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use super::Evr;
use crate::escape::escaped;

/// How versions are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `=`
    Equal,
    /// `>=`
    GreaterOrEqual,
    /// `>`
    Greater,
}

/// A name, with a range of versions or without: `libfoo >= 1:2.0`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Dependency {
    /// A capability's name, or a file's path where it begins with `/`.
    pub name: String,
    /// The versions; all of them where none are given.
    pub versions: Option<(Comparison, Evr)>,
}

/// A text that is no dependency.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{value}' is no dependency: {rule}")]
pub struct BadDependency {
    /// The text, escaped and cut.
    pub value: String,
    /// What it breaks.
    pub rule: &'static str,
}

impl BadDependency {
    pub(super) fn new(text: &str, rule: &'static str) -> Self {
        let mut value: String = text.chars().take(120).collect();
        if value.len() < text.len() {
            value.push('…');
        }
        Self {
            value: escaped(&value),
            rule,
        }
    }
}

impl Comparison {
    /// The sign.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Equal => "=",
            Self::GreaterOrEqual => ">=",
            Self::Greater => ">",
        }
    }

    /// Whether the range goes below its version.
    pub fn allows_less(self) -> bool {
        match self {
            Self::Less | Self::LessOrEqual => true,
            Self::Equal | Self::GreaterOrEqual | Self::Greater => false,
        }
    }

    /// Whether the version itself is in the range.
    pub fn allows_equal(self) -> bool {
        match self {
            Self::LessOrEqual | Self::Equal | Self::GreaterOrEqual => true,
            Self::Less | Self::Greater => false,
        }
    }

    /// Whether the range goes above its version.
    pub fn allows_greater(self) -> bool {
        match self {
            Self::GreaterOrEqual | Self::Greater => true,
            Self::Less | Self::LessOrEqual | Self::Equal => false,
        }
    }
}

impl Dependency {
    /// A name alone.
    pub fn any(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            versions: None,
        }
    }

    /// A name in one version.
    pub fn exactly(name: impl Into<String>, evr: Evr) -> Self {
        Self {
            name: name.into(),
            versions: Some((Comparison::Equal, evr)),
        }
    }

    /// Whether it names a file.
    pub fn is_path(&self) -> bool {
        self.name.starts_with('/')
    }

    /// Whether what is provided meets it: the names are the same and the ranges have a version in common, as rpm sees it.
    /// It makes no difference which of the two is required and which provided.
    pub fn is_met_by(&self, provide: &Self) -> bool {
        self.name == provide.name && self.overlaps(provide)
    }

    /// Whether the ranges have a version in common; the names are not looked at.
    ///
    /// A side without a version fits all. A side without a release fits every release of that version, provided that it takes
    /// the version itself. A missing epoch is 0.
    pub fn overlaps(&self, other: &Self) -> bool {
        let (Some((one, a)), Some((two, b))) = (&self.versions, &other.versions) else {
            return true;
        };
        if is_nothing(a) || is_nothing(b) {
            return true;
        }
        let order = a.compare_without_release(b);
        let order = match (release(a), release(b)) {
            (Some(a), Some(b)) => order.then_with(|| super::vercmp(a, b)),
            // The side that leaves the release open means all of them, if it means the version at all.
            (Some(_), None) if order.is_eq() && two.allows_equal() => return true,
            (None, Some(_)) if order.is_eq() && one.allows_equal() => return true,
            (Some(_) | None, Some(_) | None) => order,
        };
        match order {
            Ordering::Less => one.allows_greater() || two.allows_less(),
            Ordering::Greater => one.allows_less() || two.allows_greater(),
            Ordering::Equal => {
                (one.allows_equal() && two.allows_equal())
                    || (one.allows_less() && two.allows_less())
                    || (one.allows_greater() && two.allows_greater())
            }
        }
    }
}

/// A version that says nothing: rpm takes it for none.
fn is_nothing(evr: &Evr) -> bool {
    evr.epoch == 0 && evr.version.is_empty() && evr.release.is_none()
}

/// The release, where there is something in it.
fn release(evr: &Evr) -> Option<&str> {
    evr.release.as_deref().filter(|release| !release.is_empty())
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Comparison {
    type Err = BadDependency;
    fn from_str(text: &str) -> Result<Self, BadDependency> {
        // rpm takes the two-letter ones the other way round, too.
        Ok(match text {
            "<" => Self::Less,
            "<=" | "=<" => Self::LessOrEqual,
            "=" | "==" => Self::Equal,
            ">=" | "=>" => Self::GreaterOrEqual,
            ">" => Self::Greater,
            _ => {
                return Err(BadDependency::new(
                    text,
                    "a comparison is one of '<', '<=', '=', '>=', '>'",
                ));
            }
        })
    }
}

impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match &self.versions {
            Some((comparison, evr)) => write!(f, " {comparison} {evr}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Dependency {
    type Err = BadDependency;

    /// Reads `NAME` or `NAME COMPARISON VERSION`, parted by blanks.
    fn from_str(text: &str) -> Result<Self, BadDependency> {
        let mut words = text.split_ascii_whitespace();
        let name = match words.next() {
            None => return Err(BadDependency::new(text, "it is empty")),
            Some(name) if name.parse::<Comparison>().is_ok() => {
                return Err(BadDependency::new(text, "a name stands before the comparison"));
            }
            Some(name) => name.to_owned(),
        };
        let versions = match (words.next(), words.next(), words.next()) {
            (None, _, _) => None,
            (Some(comparison), Some(evr), None) => Some((
                comparison
                    .parse()
                    .map_err(|bad: BadDependency| BadDependency::new(text, bad.rule))?,
                Evr::of_text(evr),
            )),
            (Some(_), _, _) => {
                return Err(BadDependency::new(
                    text,
                    "write NAME, or NAME COMPARISON VERSION as in 'libfoo >= 1.2'",
                ));
            }
        };
        Ok(Self { name, versions })
    }
}

#[cfg(test)]
mod tests;
