//! One thing wrong with a configuration: where, what, and how to mend it; and how a list of them is shown.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Serialize;
use windlass_core::escape::escaped;

/// One thing wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// How many characters of the line it concerns, at least 1.
    pub width: usize,
    /// What is wrong, with the value.
    pub message: String,
    /// How to mend it, where that is known.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem at a range of bytes of the text.
    pub fn at(text: &str, span: Range<usize>, message: impl Into<String>) -> Self {
        let start = text.floor_char_boundary(span.start);
        let before = &text[..start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let end = text.floor_char_boundary(span.end).clamp(start, line_end);
        Self {
            line: before.matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            width: text[start..end].chars().count().max(1),
            message: message.into(),
            hint: None,
        }
    }

    /// The same problem with the way to mend it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// All that is wrong with one file; shown with the lines concerned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.render())]
pub struct Problems {
    /// The file.
    pub file: PathBuf,
    /// Its text, to show the lines.
    pub text: String,
    /// In the order of the file, never empty.
    pub problems: Vec<Problem>,
}

impl Problems {
    fn render(&self) -> String {
        render(&self.file, &self.text, &self.problems)
    }
}

/// Shows problems with the lines that they concern, without a line end at the last.
pub fn render(file: &Path, text: &str, problems: &[Problem]) -> String {
    let mut out = String::new();
    for (index, problem) in problems.iter().enumerate() {
        let gap = if index == 0 { "" } else { "\n\n" };
        let file = escaped(&file.display().to_string());
        let line = text.lines().nth(problem.line - 1).unwrap_or_default();
        let shown: String = line
            .chars()
            .take(160)
            .map(|c| if c == '\t' { ' ' } else { c })
            .collect();
        let gutter = problem.line.to_string();
        let blank = " ".repeat(gutter.len());
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "{gap}{file}:{}:{}: {}\n  {gutter} | {}",
            problem.line,
            problem.column,
            problem.message,
            escaped(&shown)
        );
        if problem.column <= 160 {
            let room = (shown.chars().count() + 1).saturating_sub(problem.column).max(1);
            let marks = "^".repeat(problem.width.min(room));
            let _ = write!(out, "\n  {blank} | {}{marks}", " ".repeat(problem.column - 1));
        }
        if let Some(hint) = &problem.hint {
            let _ = write!(out, "\nhint: {hint}");
        }
    }
    out
}
