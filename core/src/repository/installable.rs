//! Which packages of a repository cannot be installed at all.
//!
//! A package is installable if there is a set of packages that stands together and has it: everything that they require is met among
//! them, nothing conflicts or obsoletes, no name is there twice. That is the question that libsolv's `installcheck` answers.

use std::collections::HashSet;
use std::rc::Rc;

use super::solve::{Form, Id, Pool, Wish, Witness, choose, why_not};
use super::{Universe, Unresolvable};

/// The repository's own packages that cannot be installed, by name, with the reasons.
///
/// Nearly all packages are found installable by installing them together as far as that goes; the rest is decided by the solver, one
/// by one, and what it found for one counts for all that are in it.
pub fn uninstallable(universe: &Universe<'_>) -> Vec<Unresolvable> {
    uninstallable_with(universe, &mut |_, _| {})
}

/// The same, telling how far it is: how many of how many packages are done.
pub fn uninstallable_with(universe: &Universe<'_>, progress: &mut dyn FnMut(usize, usize)) -> Vec<Unresolvable> {
    let layers = std::iter::once(universe.own).chain(universe.bases.iter().map(AsRef::as_ref));
    let pool = Pool::of(layers.collect(), universe.arch);
    let own = pool.of_layers(1);
    let mut good: HashSet<Id> = HashSet::new();
    let mut bad: HashSet<Id> = HashSet::new();
    let mut together = Witness::default();
    let mut found = Vec::new();
    for (done, id) in own.iter().copied().enumerate() {
        progress(done, own.len());
        if good.contains(&id) {
            continue;
        }
        let came = together
            .add(&pool, id, &bad)
            .or_else(|| Witness::default().add(&pool, id, &bad))
            .or_else(|| choose(&pool, &[id], &[]));
        if let Some(came) = came {
            good.extend(came);
            continue;
        }
        bad.insert(id);
        let name = pool.package(id).nevra();
        let wish = Wish {
            text: crate::escape::escaped(&name),
            form: Form::Have(Rc::from([id])),
        };
        found.push(Unresolvable {
            wanted: name,
            reasons: why_not(&pool, &[wish]),
        });
    }
    progress(own.len(), own.len());
    found
}

#[cfg(test)]
mod tests;
