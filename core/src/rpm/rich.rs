//! Boolean dependencies: `(a and (b or c >= 2))`.
//!
//! Here they are read, written and walked. Whether one is met is a question about a repository, and answered there.
//! Source: rpm's manual, "Boolean Dependencies".

use std::fmt;
use std::str::FromStr;

use super::dependency::BadDependency;
use super::{Dependency, Evr};

/// A boolean dependency, as in `(a and (b or c))`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Requirement {
    /// One capability.
    Plain(Dependency),
    /// A boolean dependency.
    Rich(Rich),
}

/// The longest text that is read.
pub const LONGEST: usize = 16 * 1024;
/// How deep parentheses may stand in parentheses.
pub const DEEPEST: usize = 32;

impl Rich {
    /// All plain dependencies in it, from left to right.
    pub fn leaves(&self) -> Vec<&Dependency> {
        let mut found = Vec::new();
        self.walk(&mut |rich| {
            if let Self::Plain(dependency) = rich {
                found.push(dependency);
            }
        });
        found
    }

    /// Calls for itself, then for all in it, from left to right.
    pub fn walk<'a>(&'a self, visit: &mut impl FnMut(&'a Self)) {
        visit(self);
        for inner in self.children() {
            inner.walk(visit);
        }
    }

    /// What it is made of, from left to right.
    pub fn children(&self) -> Vec<&Self> {
        match self {
            Self::Plain(_) => Vec::new(),
            Self::And(all) | Self::Or(all) | Self::With(all) => all.iter().collect(),
            Self::If(then, condition, other) | Self::Unless(then, condition, other) => {
                let mut all = vec![&**then, &**condition];
                all.extend(other.as_deref());
                all
            }
            Self::Without(one, not) => vec![one, not],
        }
    }
}

impl Requirement {
    /// What a header or metadata says: a name that begins with `(` is a boolean dependency.
    ///
    /// # Errors
    /// It begins so and is none.
    pub fn of_parts(name: &str, versions: Option<(super::Comparison, Evr)>) -> Result<Self, BadDependency> {
        if name.starts_with('(') {
            return name.parse().map(Self::Rich);
        }
        Ok(Self::Plain(Dependency {
            name: name.to_owned(),
            versions,
        }))
    }

    /// All plain dependencies in it, from left to right.
    pub fn leaves(&self) -> Vec<&Dependency> {
        match self {
            Self::Plain(dependency) => vec![dependency],
            Self::Rich(rich) => rich.leaves(),
        }
    }

    /// The plain dependency, if it is one.
    pub fn plain(&self) -> Option<&Dependency> {
        match self {
            Self::Plain(dependency) => Some(dependency),
            Self::Rich(_) => None,
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(dependency) => fmt::Display::fmt(dependency, f),
            Self::Rich(rich) => fmt::Display::fmt(rich, f),
        }
    }
}

impl FromStr for Requirement {
    type Err = BadDependency;
    fn from_str(text: &str) -> Result<Self, BadDependency> {
        if text.trim_start().starts_with('(') {
            text.parse().map(Self::Rich)
        } else {
            text.parse().map(Self::Plain)
        }
    }
}

impl fmt::Display for Rich {
    /// Always in parentheses: so it stands in a header.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        match self {
            Self::Plain(dependency) => fmt::Display::fmt(dependency, f)?,
            Self::And(all) => chain(f, all, "and")?,
            Self::Or(all) => chain(f, all, "or")?,
            Self::With(all) => chain(f, all, "with")?,
            Self::If(then, condition, other) => conditional(f, "if", [then, condition], other.as_deref())?,
            Self::Unless(then, condition, other) => conditional(f, "unless", [then, condition], other.as_deref())?,
            Self::Without(one, not) => {
                one.operand(f)?;
                f.write_str(" without ")?;
                not.operand(f)?;
            }
        }
        f.write_str(")")
    }
}

impl Rich {
    /// A part of something: only what is not plain needs parentheses.
    fn operand(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(dependency) => fmt::Display::fmt(dependency, f),
            Self::And(_) | Self::Or(_) | Self::If(..) | Self::Unless(..) | Self::With(_) | Self::Without(..) => {
                fmt::Display::fmt(self, f)
            }
        }
    }
}

fn chain(f: &mut fmt::Formatter<'_>, all: &[Rich], word: &str) -> fmt::Result {
    for (at, one) in all.iter().enumerate() {
        if at > 0 {
            write!(f, " {word} ")?;
        }
        one.operand(f)?;
    }
    Ok(())
}

fn conditional(
    f: &mut fmt::Formatter<'_>,
    word: &str,
    [then, condition]: [&Rich; 2],
    other: Option<&Rich>,
) -> fmt::Result {
    then.operand(f)?;
    write!(f, " {word} ")?;
    condition.operand(f)?;
    if let Some(other) = other {
        f.write_str(" else ")?;
        other.operand(f)?;
    }
    Ok(())
}

impl FromStr for Rich {
    type Err = BadDependency;
    fn from_str(text: &str) -> Result<Self, BadDependency> {
        let bad = |rule| BadDependency::new(text, rule);
        if text.len() > LONGEST {
            return Err(bad("it is longer than 16 KiB"));
        }
        let mut reader = Reader {
            rest: text.trim_ascii(),
        };
        let rich = reader.group(0).map_err(bad)?;
        if !reader.rest.is_empty() {
            return Err(bad("something follows the last ')'"));
        }
        Ok(rich)
    }
}

/// The word between two parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    And,
    Or,
    If,
    Unless,
    Else,
    With,
    Without,
}

/// What is still to be read.
struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    /// From `(` to the `)` that belongs to it.
    fn group(&mut self, depth: usize) -> Result<Rich, &'static str> {
        if depth >= DEEPEST {
            return Err("parentheses stand more than 32 deep in each other");
        }
        self.rest = self
            .rest
            .strip_prefix('(')
            .ok_or("a boolean dependency begins with '('")?;
        let first = self.part(depth)?;
        let Some(word) = self.word()? else {
            return Ok(first);
        };
        match word {
            Word::And => self.chain(word, first, depth).map(Rich::And),
            Word::Or => self.chain(word, first, depth).map(Rich::Or),
            Word::With => self.chain(word, first, depth).map(Rich::With),
            Word::If | Word::Unless => {
                let second = self.part(depth)?;
                let other = match self.word()? {
                    None => None,
                    Some(Word::Else) => {
                        let other = self.part(depth)?;
                        self.end("only ')' follows what stands after 'else': add parentheses")?;
                        Some(Box::new(other))
                    }
                    Some(Word::And | Word::Or | Word::If | Word::Unless | Word::With | Word::Without) => {
                        return Err("only 'else' or ')' follows a condition: add parentheses");
                    }
                };
                let (first, second) = (Box::new(first), Box::new(second));
                Ok(if word == Word::If {
                    Rich::If(first, second, other)
                } else {
                    Rich::Unless(first, second, other)
                })
            }
            Word::Without => {
                let second = self.part(depth)?;
                self.end("only two parts are joined by 'without': add parentheses")?;
                Ok(Rich::Without(Box::new(first), Box::new(second)))
            }
            Word::Else => Err("'else' stands without 'if' or 'unless'"),
        }
    }

    /// The rest of a chain of one word, whose first part and first word are read.
    fn chain(&mut self, word: Word, first: Rich, depth: usize) -> Result<Vec<Rich>, &'static str> {
        let mut all = vec![first, self.part(depth)?];
        while let Some(next) = self.word()? {
            if next != word {
                return Err("only one of 'and', 'or', 'with' stands in one pair of parentheses: add parentheses");
            }
            all.push(self.part(depth)?);
        }
        Ok(all)
    }

    fn blanks(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }

    fn end(&mut self, rule: &'static str) -> Result<(), &'static str> {
        self.word()?.map_or(Ok(()), |_| Err(rule))
    }

    /// A word between two parts, or nothing at the closing `)`, which is taken.
    fn word(&mut self) -> Result<Option<Word>, &'static str> {
        self.blanks();
        if let Some(rest) = self.rest.strip_prefix(')') {
            self.rest = rest;
            return Ok(None);
        }
        let end = self
            .rest
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        let word = match word {
            "and" => Word::And,
            "or" => Word::Or,
            "if" => Word::If,
            "unless" => Word::Unless,
            "else" => Word::Else,
            "with" => Word::With,
            "without" => Word::Without,
            "" if rest.is_empty() => return Err("a ')' is missing at the end"),
            _ => return Err("between two parts stands one of 'and', 'or', 'if', 'unless', 'else', 'with', 'without'"),
        };
        self.rest = rest;
        Ok(Some(word))
    }

    /// A plain dependency, or another one in parentheses.
    fn part(&mut self, depth: usize) -> Result<Rich, &'static str> {
        self.blanks();
        if self.rest.starts_with('(') {
            let inner = self.group(depth + 1)?;
            return Ok(inner);
        }
        let name = self.token();
        if name.is_empty() {
            return Err(if self.rest.is_empty() {
                "a ')' is missing at the end"
            } else {
                "a part is empty"
            });
        }
        self.blanks();
        let signs = self
            .rest
            .find(|c: char| !matches!(c, '<' | '=' | '>'))
            .unwrap_or(self.rest.len());
        if signs == 0 {
            return Ok(Rich::Plain(Dependency::any(name)));
        }
        let (sign, rest) = self.rest.split_at(signs);
        let comparison = sign
            .parse()
            .map_err(|_| "a comparison is one of '<', '<=', '=', '>=', '>'")?;
        self.rest = rest;
        self.blanks();
        let version = self.token();
        if version.is_empty() {
            return Err("a version is missing after a comparison");
        }
        Ok(Rich::Plain(Dependency {
            name: name.to_owned(),
            versions: Some((comparison, Evr::of_text(version))),
        }))
    }

    /// Up to a blank, a comma, or a `)` that was not opened in it.
    fn token(&mut self) -> &'a str {
        let mut open = 0usize;
        let end = self
            .rest
            .find(|c: char| match c {
                '(' => {
                    open += 1;
                    false
                }
                ')' if open == 0 => true,
                ')' => {
                    open -= 1;
                    false
                }
                c => c.is_ascii_whitespace() || c == ',',
            })
            .unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest;
        token
    }
}

#[cfg(test)]
mod tests;
