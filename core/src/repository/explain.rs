//! How unmet requirements are told to those who package.

use std::collections::BTreeMap;
use std::fmt;

use super::{Missing, Problem, Unmet, Why};
use crate::escape::escaped;
use crate::id::ArchName;

/// How many packages are named before the rest is counted.
const NAMED: usize = 12;

impl Missing {
    /// Why it is not there, in one sentence.
    pub fn sentence(&self) -> String {
        self.sentence_on(&escaped(&self.dependency))
    }

    /// The same, with another word for what is missing.
    fn sentence_on(&self, dependency: &str) -> String {
        match &self.why {
            Why::Nobody => format!("nothing provides {dependency}"),
            Why::Similar { package, provides } | Why::OtherVersion { package, provides } => format!(
                "nothing provides {dependency}; {} provides {}",
                escaped(package),
                escaped(provides)
            ),
            Why::NotByOne => format!("no one package meets {dependency}"),
            Why::Goes {
                package,
                replaced_by,
                provides,
            } => {
                let until_now = format!("{} provides {dependency} until now", escaped(package));
                match (replaced_by, provides) {
                    (None, _) => format!("{until_now}, and this task removes that package"),
                    (Some(new), None) => {
                        format!(
                            "{until_now}, and this task puts {} in its place, which does not",
                            escaped(new)
                        )
                    }
                    (Some(new), Some(provides)) => format!(
                        "{until_now}, and this task puts {} in its place, which provides {}",
                        escaped(new),
                        escaped(provides)
                    ),
                }
            }
        }
    }
}

impl Unmet {
    /// The way out.
    pub fn hint(&self) -> String {
        let source = escaped(self.source.as_deref().unwrap_or(&self.name));
        let Some(missing) = self.missing.first() else {
            return format!("mend what {source} requires");
        };
        let dependency = escaped(&missing.dependency);
        match (&missing.why, self.comes) {
            (Why::Goes { replaced_by: None, .. }, false) => gone_hint(&source),
            (Why::Goes { .. } | Why::Similar { .. }, false) => {
                format!("rebuild what needs it in this task: `task add rebuild {source}`")
            }
            (Why::Goes { .. }, true) => format!(
                "the two do not go together: take back what removes {dependency}, or let {source} do without it"
            ),
            (Why::Similar { .. }, true) => {
                format!("{source} was built with another version: build it after what provides it now, in this task")
            }
            (Why::OtherVersion { package, .. }, _) => format!(
                "add a version that fits to the task (there is {}), or change what {source} requires",
                escaped(package)
            ),
            (Why::Nobody | Why::NotByOne, _) => {
                format!("add a package that provides {dependency} to the task, or let {source} do without it")
            }
        }
    }
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} needs {}", escaped(&self.package), escaped(&self.requirement))?;
        for (at, missing) in self.missing.iter().enumerate() {
            f.write_str(if at == 0 { ": " } else { "; " })?;
            if missing.dependency == self.requirement {
                f.write_str(&missing.sentence_on("it"))?;
            } else {
                f.write_str(&missing.sentence())?;
            }
        }
        Ok(())
    }
}

/// The same as problems of a task: what goes from under many packages is told once, with all that need it and how to rebuild them.
pub fn unmet_problems(arch: &ArchName, unmets: &[Unmet]) -> Vec<Problem> {
    let mut going: BTreeMap<&Missing, Vec<&Unmet>> = BTreeMap::new();
    let mut problems = Vec::new();
    for unmet in unmets {
        match unmet.missing.as_slice() {
            [one] if matches!(one.why, Why::Goes { .. }) && !unmet.comes && one.dependency == unmet.requirement => {
                going.entry(one).or_default().push(unmet);
            }
            _ => problems.push(
                Problem::new("unmet_dependency", unmet.to_string())
                    .on(arch)
                    .hint(unmet.hint()),
            ),
        }
    }
    for (missing, needing) in going {
        let message = match needing.as_slice() {
            [one] => one.to_string(),
            many => format!(
                "{}; needed by {}",
                missing.sentence(),
                listed(many.iter().map(|u| &u.package))
            ),
        };
        let mut sources: Vec<&String> = needing
            .iter()
            .map(|unmet| unmet.source.as_ref().unwrap_or(&unmet.name))
            .collect();
        sources.sort_unstable();
        sources.dedup();
        let sources: Vec<String> = sources.into_iter().map(|source| escaped(source)).collect();
        let sources = sources.join(" ");
        let hint = match &missing.why {
            Why::Goes { replaced_by: None, .. } => gone_hint(&sources),
            Why::Goes { .. } | Why::Nobody | Why::Similar { .. } | Why::OtherVersion { .. } | Why::NotByOne => {
                format!("rebuild what needs it in this task: `task add rebuild {sources}`")
            }
        };
        problems.push(Problem::new("unmet_dependency", message).on(arch).hint(hint));
    }
    problems
}

/// The way out where something is removed and nothing comes for it.
fn gone_hint(sources: &str) -> String {
    format!("keep it, add another package that provides it, or remove what needs it too: `task add del {sources}`")
}

fn listed<'a>(names: impl ExactSizeIterator<Item = &'a String>) -> String {
    let count = names.len();
    let mut text = names
        .take(NAMED)
        .map(|name| escaped(name))
        .collect::<Vec<_>>()
        .join(", ");
    if count > NAMED {
        use std::fmt::Write as _;
        // Writing to a String cannot fail.
        let _ = write!(text, " and {} more", count - NAMED);
    }
    text
}
