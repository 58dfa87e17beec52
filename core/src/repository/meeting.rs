//! Whether a requirement can be met in a universe, and which parts of it cannot.
//!
//! Every package is taken as if it could be installed beside every other; what excludes each other is a question for
//! [`super::uninstallable`]. Of boolean dependencies:
//!
//! * `(a if b)`: wherever `b` can be there, `a` has to be; where nothing provides `b` nothing is asked. dnf's repoclosure asks for `a`
//!   in both cases; rpm, which installs the package without `b`, does not.
//! * `(a and b)`: both; dnf's repoclosure is content with one of them.
//! * `(a unless b)`: `a`, since one can do without `b`; with `else c` also `c` where `b` can be there.
//! * `with` and `without` are questions to one package.

use std::collections::HashMap;
use std::sync::Arc;

use super::Universe;
use crate::rpm::{Dependency, Package, Requirement, Rich};

/// Answers for one universe, each question looked up once.
pub(super) struct Meeting<'a> {
    universe: Universe<'a>,
    known: HashMap<&'a Requirement, bool>,
}

impl<'a> Meeting<'a> {
    pub(super) fn of(universe: &Universe<'a>) -> Self {
        Self {
            universe: *universe,
            known: HashMap::new(),
        }
    }

    /// Whether a requirement can be met.
    pub(super) fn is_met(&mut self, requirement: &'a Requirement) -> bool {
        if let Some(known) = self.known.get(requirement) {
            return *known;
        }
        let met = is_met(&self.universe, requirement);
        self.known.insert(requirement, met);
        met
    }
}

/// Whether a requirement can be met.
pub(super) fn is_met(universe: &Universe<'_>, requirement: &Requirement) -> bool {
    match requirement {
        Requirement::Plain(wanted) => universe.provides(wanted),
        Requirement::Rich(rich) => rich_is_met(universe, rich),
    }
}

fn rich_is_met(universe: &Universe<'_>, rich: &Rich) -> bool {
    let met = |rich: &Rich| rich_is_met(universe, rich);
    match rich {
        Rich::Plain(wanted) => universe.provides(wanted),
        Rich::And(all) => all.iter().all(met),
        Rich::Or(all) => all.iter().any(met),
        Rich::If(then, condition, other) => {
            if met(condition) {
                met(then)
            } else {
                other.as_deref().is_none_or(met)
            }
        }
        Rich::Unless(then, condition, other) => met(then) || (met(condition) && other.as_deref().is_some_and(met)),
        Rich::With(_) | Rich::Without(..) => !meeting_alone(universe, rich).is_empty(),
    }
}

/// The packages that meet something alone: what `with` and `without` are about.
pub(super) fn meeting_alone<'a>(universe: &Universe<'a>, rich: &Rich) -> Vec<&'a Arc<Package>> {
    let among = |found: &[&Arc<Package>], package: &Arc<Package>| found.iter().any(|one| Arc::ptr_eq(one, package));
    match rich {
        Rich::Plain(wanted) => universe.providers(wanted),
        // rpmbuild takes no `and` inside `with`; from one package it can only mean the same.
        Rich::With(all) | Rich::And(all) => {
            let mut all = all.iter();
            let mut found = all.next().map_or_else(Vec::new, |one| meeting_alone(universe, one));
            for one in all {
                let others = meeting_alone(universe, one);
                found.retain(|package| among(&others, package));
            }
            found
        }
        Rich::Or(all) => {
            let mut found: Vec<&Arc<Package>> = Vec::new();
            for one in all {
                for package in meeting_alone(universe, one) {
                    if !among(&found, package) {
                        found.push(package);
                    }
                }
            }
            found
        }
        Rich::Without(one, not) => {
            let not = meeting_alone(universe, not);
            let mut found = meeting_alone(universe, one);
            found.retain(|package| !among(&not, package));
            found
        }
        // Conditions are about what is installed, not about one package.
        Rich::If(then, _, _) | Rich::Unless(then, _, _) => meeting_alone(universe, then),
    }
}

/// What of an unmet requirement is not there.
pub(super) fn missing<'r>(universe: &Universe<'_>, requirement: &'r Requirement) -> Vec<Lacking<'r>> {
    let mut found = Vec::new();
    match requirement {
        Requirement::Plain(wanted) => found.push(Lacking::Plain(wanted)),
        Requirement::Rich(rich) => lacking(universe, rich, &mut found),
    }
    found.dedup();
    found
}

/// A part that is not there.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Lacking<'r> {
    /// Nobody provides it.
    Plain(&'r Dependency),
    /// Each part of it is there, and no package has them as it is wanted.
    OnePackage(&'r Rich),
}

fn lacking<'r>(universe: &Universe<'_>, rich: &'r Rich, found: &mut Vec<Lacking<'r>>) {
    if rich_is_met(universe, rich) {
        return;
    }
    match rich {
        Rich::Plain(wanted) => found.push(Lacking::Plain(wanted)),
        Rich::And(all) | Rich::Or(all) => {
            for one in all {
                lacking(universe, one, found);
            }
        }
        Rich::If(then, condition, other) => {
            let part = if rich_is_met(universe, condition) {
                Some(then)
            } else {
                other.as_ref()
            };
            if let Some(one) = part {
                lacking(universe, one, found);
            }
        }
        Rich::Unless(then, condition, other) => {
            lacking(universe, then, found);
            if rich_is_met(universe, condition)
                && let Some(one) = other
            {
                lacking(universe, one, found);
            }
        }
        Rich::With(all) => {
            let before = found.len();
            for one in all {
                lacking(universe, one, found);
            }
            if found.len() == before {
                found.push(Lacking::OnePackage(rich));
            }
        }
        Rich::Without(one, _) => {
            let before = found.len();
            lacking(universe, one, found);
            if found.len() == before {
                found.push(Lacking::OnePackage(rich));
            }
        }
    }
}
