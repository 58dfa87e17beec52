//! What changed since an image was built, in words.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use super::label::{Mark, Recorded};
use super::{Input, Inputs, Kind};
use crate::escape::escaped;

/// One thing that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "change")]
pub enum Difference {
    /// It was not there when the image was built.
    Added {
        /// What it is.
        kind: Kind,
        /// Its name.
        name: String,
    },
    /// It is not there any more.
    Removed {
        /// What it was.
        kind: Kind,
        /// Its name.
        name: String,
    },
    /// It is another one than then.
    Changed {
        /// What it is.
        kind: Kind,
        /// Its name; of what is known by its name, the new one.
        name: String,
        /// What it was, shortened.
        from: String,
        /// What it is.
        to: String,
    },
    /// One or several inputs below a directory changed; the label does not say which.
    Below {
        /// What they are.
        kind: Kind,
        /// The directory, with its slash; `/` is everything.
        directory: String,
        /// How many there were.
        before: usize,
        /// How many there are.
        now: usize,
    },
    /// The bases stand in another order.
    Order,
}

impl Serialize for Kind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added { kind, name } => write!(f, "{} {} is new", kind.title(), escaped(name)),
            Self::Removed { kind, name } => write!(f, "{} {} is gone", kind.title(), escaped(name)),
            Self::Changed { kind, name, from, to } => match kind {
                Kind::Dockerfile => f.write_str("the Dockerfile changed"),
                Kind::Base => write!(f, "base {} moved: {} → {}", escaped(name), escaped(from), escaped(to)),
                Kind::Package => write!(f, "package {}: {} → {}", escaped(name), escaped(from), escaped(to)),
                Kind::Platform | Kind::Target | Kind::User => {
                    write!(
                        f,
                        "the {} is {} now, it was {}",
                        kind.title(),
                        escaped(to),
                        escaped(from)
                    )
                }
                Kind::Argument
                | Kind::Option
                | Kind::Pre
                | Kind::PreOutput
                | Kind::Extra
                | Kind::Executable
                | Kind::Library
                | Kind::File
                | Kind::Address => write!(f, "{} {} changed", kind.title(), escaped(name)),
            },
            Self::Below {
                kind,
                directory,
                before,
                now,
            } => {
                match directory.as_str() {
                    "/" => write!(f, "the {} changed", kind.plural())?,
                    below => write!(f, "a {} in {} changed", kind.title(), escaped(below))?,
                }
                if before == now {
                    write!(f, " (one or several of {now})")
                } else {
                    write!(f, " (there were {before}, there are {now})")
                }
            }
            Self::Order => f.write_str("the bases stand in another order"),
        }
    }
}

/// What changed since the image was built; nothing, as far as its label tells, where the list is empty.
pub fn difference(then: &Recorded, now: &Inputs) -> Vec<Difference> {
    let mut found = Vec::new();
    for kind in Kind::ALL {
        let recorded = then.0.get(&kind).map(Vec::as_slice).unwrap_or_default();
        of_kind(kind, recorded, now.of(kind), &mut found);
    }
    found
}

fn of_kind(kind: Kind, then: &[(String, Mark)], now: &[Input], found: &mut Vec<Difference>) {
    let is_fold = |mark: &Mark| matches!(mark, Mark::Below { .. });
    let mut folds: BTreeMap<&str, (&Mark, Vec<&Input>)> = BTreeMap::new();
    let mut single: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (name, mark) in then {
        if is_fold(mark) {
            folds.insert(name, (mark, Vec::new()));
        } else {
            single.entry(name).or_default().insert(shown(mark));
        }
    }
    let mut new: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for input in now {
        // What stands on the label by itself is compared by itself.
        let fold = if single.contains_key(input.name.as_str()) {
            None
        } else {
            above(&input.name, &folds)
        };
        match fold.and_then(|fold| folds.get_mut(fold)) {
            Some((_, inputs)) => inputs.push(input),
            None => {
                new.entry(&input.name)
                    .or_default()
                    .insert(shown(&Mark::of(&input.stamp)));
            }
        }
    }
    let before = found.len();
    let text = |marks: &BTreeSet<String>| marks.iter().cloned().collect::<Vec<_>>().join(" and ");
    for (name, marks) in &single {
        match new.get(name) {
            None => found.push(Difference::Removed {
                kind,
                name: (*name).to_owned(),
            }),
            Some(others) if others == marks => {}
            Some(others) => found.push(Difference::Changed {
                kind,
                name: (*name).to_owned(),
                from: text(marks),
                to: text(others),
            }),
        }
    }
    for name in new.keys().filter(|name| !single.contains_key(*name)) {
        found.push(Difference::Added {
            kind,
            name: (*name).to_owned(),
        });
    }
    if kind.is_single() {
        pair(kind, before, found);
    }
    for (directory, (mark, inputs)) in folds {
        let is = Mark::of_all(inputs.iter().copied());
        if let (Mark::Below { count, .. }, true) = (mark, *mark != is) {
            found.push(Difference::Below {
                kind,
                directory: directory.to_owned(),
                before: *count,
                now: inputs.len(),
            });
        }
    }
    let unfolded = then.iter().all(|(_, mark)| !is_fold(mark));
    if kind == Kind::Base && unfolded && found.len() == before {
        let was = then.iter().map(|(name, mark)| (name.as_str(), shown(mark)));
        let is = now
            .iter()
            .map(|input| (input.name.as_str(), shown(&Mark::of(&input.stamp))));
        if !was.eq(is) {
            found.push(Difference::Order);
        }
    }
}

/// The nearest directory above a name that the label has in place of what is in it.
fn above<'f>(name: &str, folds: &BTreeMap<&'f str, (&Mark, Vec<&Input>)>) -> Option<&'f str> {
    let known = |prefix: &str| folds.get_key_value(prefix).map(|(known, _)| *known);
    let slashes = name.char_indices().rev().filter(|(_, c)| *c == '/');
    let mut directories = slashes
        .map(|(at, _)| &name[..=at])
        .filter(|directory| *directory != "/");
    directories.find_map(known).or_else(|| known("/"))
}

/// What is known by its name has changed, where one is gone and one is new.
fn pair(kind: Kind, from: usize, found: &mut Vec<Difference>) {
    if let [
        Difference::Removed { name: was, .. },
        Difference::Added { name: is, .. },
    ] = &found[from..]
    {
        let changed = Difference::Changed {
            kind,
            name: is.clone(),
            from: was.clone(),
            to: is.clone(),
        };
        found.truncate(from);
        found.push(changed);
    }
}

fn shown(mark: &Mark) -> String {
    match mark {
        Mark::Text(text) => text.clone(),
        Mark::Digits(digits) | Mark::Below { digits, .. } => digits.clone(),
    }
}

/// The first of them as lines, and how many more there are.
pub fn told(differences: &[Difference], most: usize) -> Vec<String> {
    let mut lines: Vec<String> = differences.iter().take(most).map(ToString::to_string).collect();
    let more = differences.len().saturating_sub(most);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines
}
