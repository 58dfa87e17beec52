//! What a package requires, provides, conflicts with: plain and rich.

use super::Evr;

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
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Dependency {
    /// A capability's name, or a file's path where it begins with `/`.
    pub name: String,
    /// The versions; all of them where none are given.
    pub versions: Option<(Comparison, Evr)>,
}

/// A boolean dependency, as in `(a and (b or c))`.
/// Source: rpm's manual, "Boolean Dependencies".
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Rich {
    /// A plain one.
    Plain(Dependency),
    /// All of them.
    And(Vec<Self>),
    /// One of them.
    Or(Vec<Self>),
    /// The first if the second is met, else the third, if there is one.
    If(Box<Self>, Box<Self>, Option<Box<Self>>),
    /// The first unless the second is met, else the third, if there is one.
    Unless(Box<Self>, Box<Self>, Option<Box<Self>>),
    /// All of them, by one package.
    With(Vec<Self>),
    /// The first without the second, by one package.
    Without(Box<Self>, Box<Self>),
}

/// What has to be met.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Requirement {
    /// One capability.
    Plain(Dependency),
    /// A boolean dependency.
    Rich(Rich),
}
