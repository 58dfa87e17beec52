//! What is wrong with a Dockerfile: every problem with its line, the value and the way out, all of them at once.

use std::fmt;

use serde::Serialize;

use crate::escape::escaped;

/// The lines of the file on which something stands, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Lines {
    /// The first of them.
    pub first: u32,
    /// The last of them; continuations and heredocs belong to their instruction.
    pub last: u32,
}

impl Lines {
    /// One line.
    pub fn one(line: u32) -> Self {
        Self {
            first: line,
            last: line,
        }
    }
}

impl fmt::Display for Lines {
    /// `line 7`: where it begins, which is where an editor is sent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.first)
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
pub struct Problem {
    /// Where.
    pub lines: Lines,
    /// What, with the value; one line, escaped.
    pub message: String,
    /// The way out, when there is one.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem without a hint.
    pub fn new(lines: Lines, message: impl AsRef<str>) -> Self {
        let mut message = escaped(message.as_ref());
        if message.chars().count() > LONGEST {
            message = message.chars().take(LONGEST).collect();
            message.push('…');
        }
        Self {
            lines,
            message,
            hint: None,
        }
    }

    /// The same problem with the way out.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.lines, self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, "\n\nhint: {hint}")?;
        }
        Ok(())
    }
}

/// Messages are cut after this many characters.
const LONGEST: usize = 300;

/// Everything that is wrong with a file, in the order of its lines; at least one problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// As many are told as this; a file that is no Dockerfile has one on every line.
    pub const MOST: usize = 50;

    /// Nothing, where the list is empty.
    pub(in crate::image) fn unless_none(mut problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() {
            return Ok(());
        }
        problems.sort_by_key(|problem| problem.lines);
        problems.truncate(Self::MOST);
        Err(Self(problems))
    }

    /// Them, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    /// One problem as it is; several, one a line, each with its hint behind it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [problem] = self.0.as_slice() {
            return fmt::Display::fmt(problem, f);
        }
        for (place, problem) in self.0.iter().enumerate() {
            let end = if place == 0 { "" } else { "\n" };
            write!(f, "{end}{}: {}", problem.lines, problem.message)?;
            if let Some(hint) = &problem.hint {
                write!(f, " ({hint})")?;
            }
        }
        Ok(())
    }
}
