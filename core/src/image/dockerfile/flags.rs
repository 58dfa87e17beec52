//! The `--flag=value` words of instructions: each instruction has a closed list.

use super::problem::{Lines, Problem};
use crate::refusal::nearest;

/// What may follow a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// Nothing, `true` or `false`.
    Switch,
    /// One value.
    Text,
    /// One value, and the flag may stand several times.
    Many,
}

/// The flags that were found.
#[derive(Debug, Default)]
pub(super) struct Flags(Vec<(&'static str, String)>);

impl Flags {
    /// Reads the words; everything that is wrong becomes a problem.
    pub(super) fn read(
        words: &[String],
        known: &[(&'static str, Takes)],
        instruction: &str,
        lines: Lines,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let mut found = Self::default();
        for word in words {
            let text = word.strip_prefix("--").unwrap_or(word);
            let (name, value) = match text.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (text, None),
            };
            let Some((name, takes)) = known.iter().find(|(known, _)| *known == name) else {
                let problem = Problem::new(lines, format!("{instruction} has no flag --{name}"));
                problems.push(problem.hint(known_ones(name, known, instruction)));
                continue;
            };
            if *takes != Takes::Many && found.0.iter().any(|(other, _)| other == name) {
                let problem = Problem::new(lines, format!("the flag --{name} stands twice"));
                problems.push(problem.hint("keep one of them"));
                continue;
            }
            let value = match (takes, value) {
                (Takes::Switch, None) => "true".to_owned(),
                (Takes::Switch, Some(value)) => {
                    let value = value.to_ascii_lowercase();
                    if !matches!(value.as_str(), "true" | "false") {
                        let problem = Problem::new(lines, format!("--{name}={value}: true or false is expected"));
                        problems.push(problem.hint(format!("--{name} by itself means true")));
                    }
                    value
                }
                (Takes::Text | Takes::Many, Some(value)) => value.to_owned(),
                (Takes::Text | Takes::Many, None) => {
                    let problem = Problem::new(lines, format!("the flag --{name} has no value"));
                    problems.push(problem.hint(format!("write --{name}=VALUE, without spaces")));
                    continue;
                }
            };
            found.0.push((name, value));
        }
        found
    }

    /// A flag's value.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(other, _)| *other == name)?;
        Some(self.0.remove(at).1)
    }

    /// All values of a flag.
    pub(super) fn many(&mut self, name: &str) -> Vec<String> {
        std::iter::from_fn(|| self.text(name)).collect()
    }

    /// Whether a switch is on, where it stands.
    pub(super) fn switch(&mut self, name: &str) -> Option<bool> {
        self.text(name).map(|value| value == "true")
    }
}

fn known_ones(typed: &str, known: &[(&'static str, Takes)], instruction: &str) -> String {
    let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    if let Some(name) = nearest(typed, &names) {
        return format!("did you mean --{name}?");
    }
    if names.is_empty() {
        return format!("{instruction} has no flags; `--` before the words says so");
    }
    format!("it has --{}", names.join(", --"))
}
