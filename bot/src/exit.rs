//! What a run ends with: the one place that makes exit codes out of results and errors.

use std::process::ExitCode;

use windlass_core::refusal::Refusal;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// Refused, or failed.
    Failed,
    /// The command line makes no sense.
    Usage,
    /// The environment is broken: the bot is away, something cannot be read or written.
    Environment,
    /// What a command ended with that was run for the caller.
    Command(u8),
}

impl Exit {
    /// The number that the shell sees.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Environment => 3,
            Self::Command(code) => code,
        }
    }

    /// What a number means; an unknown one is a failure.
    pub fn from_code(code: u8) -> Self {
        match code {
            0 => Self::Done,
            2 => Self::Usage,
            3 => Self::Environment,
            _ => Self::Failed,
        }
    }

    /// What an error means: a refusal is 1, bad usage 2, and what the machine could not do 3.
    pub fn of(error: &anyhow::Error) -> Self {
        for cause in error.chain() {
            if cause.is::<Refusal>() {
                return Self::Failed;
            }
            if cause.is::<Usage>() || cause.is::<clap::Error>() {
                return Self::Usage;
            }
            if cause.is::<Broken>() || cause.is::<std::io::Error>() || cause.is::<rusqlite::Error>() {
                return Self::Environment;
            }
        }
        Self::Failed
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// A command line that parses and still makes no sense (exit code 2).
#[derive(Debug, thiserror::Error)]
#[error("{message}{}", hint_lines(hint.as_deref()))]
pub struct Usage {
    message: String,
    hint: Option<String>,
}

/// Something that the machine does not offer: the bot does not answer, a file cannot be written (exit code 3).
#[derive(Debug, thiserror::Error)]
#[error("{message}{}", hint_lines(hint.as_deref()))]
pub struct Broken {
    message: String,
    hint: Option<String>,
}

/// Implements the constructors that both errors have.
macro_rules! with_hint {
    ($name:ident) => {
        impl $name {
            /// The error, without a way out.
            pub fn new(message: impl Into<String>) -> Self {
                Self {
                    message: message.into(),
                    hint: None,
                }
            }

            /// The same error with the way out.
            #[must_use]
            pub fn hint(mut self, hint: impl Into<String>) -> Self {
                self.hint = Some(hint.into());
                self
            }
        }
    };
}
with_hint!(Usage);
with_hint!(Broken);

fn hint_lines(hint: Option<&str>) -> String {
    hint.map_or_else(String::new, |hint| format!("\n\nhint: {hint}"))
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn each_kind_of_error_has_its_code() {
        let refused = anyhow::Error::new(Refusal::new("no_task", "there is no task 7")).context("task show");
        assert_eq!(Exit::of(&refused), Exit::Failed);
        assert_eq!(Exit::of(&Usage::new("what?").into()), Exit::Usage);
        assert_eq!(Exit::of(&Broken::new("away").into()), Exit::Environment);
        let io = std::fs::read("/nonexistent/file").context("reading it").unwrap_err();
        assert_eq!(Exit::of(&io), Exit::Environment);
        assert_eq!(Exit::of(&anyhow::anyhow!("odd")), Exit::Failed);
    }

    #[test]
    fn a_hint_stands_after_a_blank_line() {
        let error = Broken::new("the bot does not answer").hint("windlass serve");
        assert_eq!(error.to_string(), "the bot does not answer\n\nhint: windlass serve");
    }
}
