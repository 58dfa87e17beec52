//! What one step came to, and the table of all of them.

use std::fmt;
use std::time::Duration;

/// What one step came to.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// The step, as the table names it.
    pub(crate) name: String,
    /// How many checks passed.
    pub(crate) passed: usize,
    /// How many failed.
    pub(crate) failed: usize,
    /// What was not run, each with its reason.
    pub(crate) skipped: Vec<String>,
    /// How long it took.
    pub(crate) took: Duration,
    /// What else to know.
    pub(crate) note: String,
}

impl Outcome {
    /// A step that passes or fails as a whole.
    pub(crate) fn check(name: &str, success: bool, took: Duration) -> Self {
        Self {
            name: name.to_owned(),
            passed: usize::from(success),
            failed: usize::from(!success),
            took,
            ..Self::default()
        }
    }

    /// A step that was not run.
    pub(crate) fn skipped(name: &str, why: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            skipped: vec![why.into()],
            ..Self::default()
        }
    }
}

/// Everything that ran. Its text is the table, the reasons for what was skipped, and one last line with the sums.
#[derive(Debug, Default)]
pub(crate) struct Report {
    outcomes: Vec<Outcome>,
}

impl Report {
    /// Takes one more step in.
    pub(crate) fn add(&mut self, outcome: Outcome) {
        self.outcomes.push(outcome);
    }

    /// How many checks failed.
    pub(crate) fn failed(&self) -> usize {
        self.outcomes.iter().map(|outcome| outcome.failed).sum()
    }

    /// How many were not run.
    pub(crate) fn skipped(&self) -> usize {
        self.outcomes.iter().map(|outcome| outcome.skipped.len()).sum()
    }

    fn passed(&self) -> usize {
        self.outcomes.iter().map(|outcome| outcome.passed).sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self
            .outcomes
            .iter()
            .map(|outcome| outcome.name.len())
            .max()
            .unwrap_or(0)
            .max(4);
        writeln!(f, "\n{:width$}  passed  failed  skipped   seconds", "what")?;
        for outcome in &self.outcomes {
            write!(
                f,
                "{:width$}  {:6}  {:6}  {:7}  {:8.1}",
                outcome.name,
                outcome.passed,
                outcome.failed,
                outcome.skipped.len(),
                outcome.took.as_secs_f64()
            )?;
            if !outcome.note.is_empty() {
                write!(f, "  {}", outcome.note)?;
            }
            writeln!(f)?;
        }
        writeln!(f)?;
        for outcome in &self.outcomes {
            for why in &outcome.skipped {
                writeln!(f, "skipped: {}: {why}", outcome.name)?;
            }
        }
        write!(f, "{} passed, {} failed", self.passed(), self.failed())?;
        match self.skipped() {
            0 => Ok(()),
            skipped => write!(f, ", {skipped} skipped"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_stands_alone_and_sums_up() {
        let mut report = Report::default();
        report.add(Outcome::check("format", true, Duration::from_secs(1)));
        report.add(Outcome::check("lints", false, Duration::from_secs(2)));
        assert_eq!(report.to_string().lines().last(), Some("1 passed, 1 failed"));
        report.add(Outcome::skipped("stories", "no sshd"));
        let text = report.to_string();
        assert_eq!(text.lines().last(), Some("1 passed, 1 failed, 1 skipped"));
        assert!(text.contains("\nskipped: stories: no sshd\n"));
    }
}
