//! A stage: a FROM and what follows it.

use super::instruction::{CommandLine, Instruction, Run};
use super::problem::Lines;

/// The line with which a stage begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct From {
    /// Where it stands.
    pub lines: Lines,
    /// The base as it is written, with its variables.
    pub base: String,
    /// `--platform=`, as it is written.
    pub platform: Option<String>,
    /// `AS`, in small letters: names of stages do not know case.
    pub name: Option<String>,
}

/// A stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Its number, from 0.
    pub index: usize,
    /// How it begins.
    pub from: From,
    /// What follows, in order.
    pub instructions: Vec<Instruction>,
}

impl Stage {
    /// Its name, where it has one.
    pub fn name(&self) -> Option<&str> {
        self.from.name.as_deref()
    }

    /// How it is called in messages: its name, or its number.
    pub fn title(&self) -> String {
        match self.name() {
            Some(name) => format!("stage {name}"),
            None => format!("stage {}", self.index),
        }
    }

    /// Its RUNs: what an engine is needed for. Those of ONBUILD are not among them.
    pub fn runs(&self) -> impl Iterator<Item = (Lines, &Run)> {
        self.instructions
            .iter()
            .filter_map(|instruction| Some((instruction.lines, instruction.kind.as_run()?)))
    }
}

impl CommandLine {
    /// The words of the command as an image's configuration has them: the shell form behind its shell.
    pub fn words(&self, shell: &[String]) -> Vec<String> {
        match self {
            Self::Exec(words) => words.clone(),
            Self::Shell(text) if text.is_empty() => Vec::new(),
            Self::Shell(text) => shell.iter().cloned().chain([text.clone()]).collect(),
        }
    }
}
