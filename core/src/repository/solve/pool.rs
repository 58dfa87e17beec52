//! The packages that can be chosen from, numbered as they are met, and what each of them asks for.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use super::form::{Form, Id};
use crate::id::ArchName;
use crate::repository::{Index, runs_on};
use crate::rpm::{Dependency, Package, Requirement, Rich};

/// The packages that can be chosen from.
pub(in crate::repository) struct Pool<'a> {
    layers: Vec<&'a Index>,
    arch: &'a ArchName,
    known: RefCell<Known<'a>>,
}

#[derive(Default)]
struct Known<'a> {
    packages: Vec<(&'a Arc<Package>, u32)>,
    /// Packages by their address: one package is one value.
    ids: HashMap<*const Package, Id>,
    names: HashMap<&'a str, Rc<[Id]>>,
    providers: HashMap<Dependency, Rc<[Id]>>,
    rules: HashMap<Id, Rc<[Rule<'a>]>>,
}

/// One thing that a package asks for.
#[derive(Debug, Clone)]
pub(super) struct Rule<'a> {
    /// What has to hold where the package is there.
    pub(super) form: Form,
    /// Where that comes from.
    pub(super) origin: Origin<'a>,
}

/// What a package says, of which a rule was made.
#[derive(Debug, Clone, Copy)]
pub(super) enum Origin<'a> {
    /// It requires this.
    Requires(&'a Requirement),
    /// It conflicts with this.
    Conflicts(&'a Requirement),
    /// It obsoletes this.
    Obsoletes(&'a Dependency),
}

impl<'a> Pool<'a> {
    /// The packages of these indexes that are for a machine. One of an earlier index shadows those of the same name in later ones.
    pub(in crate::repository) fn of(layers: Vec<&'a Index>, arch: &'a ArchName) -> Self {
        Self {
            layers,
            arch,
            known: RefCell::default(),
        }
    }

    /// All packages of the first layers that count.
    pub(in crate::repository) fn of_layers(&self, first: usize) -> Vec<Id> {
        let mut found = Vec::new();
        for layer in 0..first.min(self.layers.len()) {
            for package in self.layers[layer].packages() {
                if self.counts(layer, package) {
                    found.push(self.id(layer, package));
                }
            }
        }
        found
    }

    /// All packages with boolean dependencies.
    pub(super) fn with_rich_dependencies(&self) -> Vec<Id> {
        let mut found = Vec::new();
        for (layer, index) in self.layers.iter().enumerate() {
            for package in index.with_rich_dependencies() {
                if self.counts(layer, package) {
                    found.push(self.id(layer, package));
                }
            }
        }
        found
    }

    fn counts(&self, layer: usize, package: &Package) -> bool {
        let shadows = |index: &&Index| index.named(&package.name).any(|other| runs_on(&other.arch, self.arch));
        runs_on(&package.arch, self.arch) && !self.layers[..layer].iter().any(shadows)
    }

    fn id(&self, layer: usize, package: &'a Arc<Package>) -> Id {
        let known = &mut *self.known.borrow_mut();
        *known.ids.entry(Arc::as_ptr(package)).or_insert_with(|| {
            let id = number(known.packages.len());
            known.packages.push((package, number(layer)));
            id
        })
    }

    pub(in crate::repository) fn package(&self, id: Id) -> &'a Arc<Package> {
        self.known.borrow().packages[id as usize].0
    }

    /// What is preferred comes first: an earlier layer, then a name, then the newest version.
    pub(super) fn rank(&self, id: Id) -> (u32, &'a str, std::cmp::Reverse<&'a crate::rpm::Evr>, &'a str) {
        let (package, layer) = self.known.borrow().packages[id as usize];
        (layer, &package.name, std::cmp::Reverse(&package.evr), &package.arch)
    }

    /// All of one name, which exclude each other.
    pub(super) fn named(&self, id: Id) -> Rc<[Id]> {
        let name = self.package(id).name.as_str();
        if let Some(known) = self.known.borrow().names.get(name) {
            return Rc::clone(known);
        }
        let mut found = Vec::new();
        for (layer, index) in self.layers.iter().enumerate() {
            for package in index.named(name) {
                if self.counts(layer, package) {
                    found.push(self.id(layer, package));
                }
            }
        }
        found.sort_by_key(|id| self.rank(*id));
        let found: Rc<[Id]> = found.into();
        self.known.borrow_mut().names.insert(name, Rc::clone(&found));
        found
    }

    /// Those that meet a dependency, the preferred first: earlier layer, one that has the wanted name itself, newest version.
    pub(super) fn providers(&self, wanted: &Dependency) -> Rc<[Id]> {
        if let Some(known) = self.known.borrow().providers.get(wanted) {
            return Rc::clone(known);
        }
        let mut found = Vec::new();
        for (layer, index) in self.layers.iter().enumerate() {
            for package in index.providers(wanted) {
                if self.counts(layer, package) {
                    found.push(self.id(layer, package));
                }
            }
        }
        found.sort_by_key(|id| {
            let (layer, name, version, arch) = self.rank(*id);
            (layer, name != wanted.name, name, version, arch)
        });
        let found: Rc<[Id]> = found.into();
        self.known
            .borrow_mut()
            .providers
            .insert(wanted.clone(), Rc::clone(&found));
        found
    }

    /// What a package asks for; what holds anyway is left out.
    pub(super) fn rules(&self, id: Id) -> Rc<[Rule<'a>]> {
        if let Some(known) = self.known.borrow().rules.get(&id) {
            return Rc::clone(known);
        }
        let package = self.package(id);
        let mut rules = Vec::new();
        let mut add = |form: Form, origin| {
            if !form.is_always() {
                rules.push(Rule { form, origin });
            }
        };
        for requirement in &package.requires {
            add(self.form(requirement).seen_by(id), Origin::Requires(requirement));
        }
        for conflict in &package.conflicts {
            add(self.form(conflict).negated().spares(id), Origin::Conflicts(conflict));
        }
        for obsolete in &package.obsoletes {
            let gone: Rc<[Id]> = (self.providers(&Dependency::any(obsolete.name.clone())).iter().copied())
                .filter(|other| *other != id && replaces(obsolete, self.package(*other)))
                .collect();
            add(Form::Lack(gone).simple(), Origin::Obsoletes(obsolete));
        }
        let rules: Rc<[Rule<'a>]> = rules.into();
        self.known.borrow_mut().rules.insert(id, Rc::clone(&rules));
        rules
    }

    /// What a requirement asks for.
    pub(in crate::repository) fn form(&self, requirement: &Requirement) -> Form {
        match requirement {
            Requirement::Plain(wanted) => Form::Have(self.providers(wanted)),
            // What nobody would write is not worked out, and so not met.
            Requirement::Rich(rich) if size(rich) > LARGEST => Form::Any(Vec::new()),
            Requirement::Rich(rich) => self.rich(rich).simple(),
        }
    }

    /// As rpm defines it: `a if b else c` is `(a or not b) and (c or b)`, `a unless b else c` is `(a and not b) or (c and b)`.
    fn rich(&self, rich: &Rich) -> Form {
        let each = |all: &[Rich]| all.iter().map(|one| self.rich(one)).collect();
        match rich {
            Rich::Plain(wanted) => Form::Have(self.providers(wanted)),
            Rich::And(all) => Form::All(each(all)),
            Rich::Or(all) => Form::Any(each(all)),
            Rich::If(then, condition, other) => {
                let condition = self.rich(condition);
                let first = Form::Any(vec![self.rich(then), condition.negated()]);
                match other {
                    None => first,
                    Some(other) => Form::All(vec![first, Form::Any(vec![self.rich(other), condition])]),
                }
            }
            Rich::Unless(then, condition, other) => {
                let condition = self.rich(condition);
                let first = Form::All(vec![self.rich(then), condition.negated()]);
                match other {
                    None => first,
                    Some(other) => Form::Any(vec![first, Form::All(vec![self.rich(other), condition])]),
                }
            }
            Rich::With(_) | Rich::Without(..) => Form::Have(self.alone(rich)),
        }
    }

    /// The packages that meet something alone.
    fn alone(&self, rich: &Rich) -> Rc<[Id]> {
        match rich {
            Rich::Plain(wanted) => self.providers(wanted),
            Rich::With(all) | Rich::And(all) => {
                let sets: Vec<Rc<[Id]>> = all.iter().map(|one| self.alone(one)).collect();
                let Some((first, others)) = sets.split_first() else {
                    return Rc::default();
                };
                (first.iter().copied())
                    .filter(|id| others.iter().all(|set| set.contains(id)))
                    .collect()
            }
            Rich::Or(all) => {
                let mut found: Vec<Id> = Vec::new();
                for one in all {
                    for id in self.alone(one).iter() {
                        if !found.contains(id) {
                            found.push(*id);
                        }
                    }
                }
                found.into()
            }
            Rich::Without(one, not) => {
                let not = self.alone(not);
                let one = self.alone(one);
                one.iter().copied().filter(|id| !not.contains(id)).collect()
            }
            Rich::If(then, _, _) | Rich::Unless(then, _, _) => self.alone(then),
        }
    }
}

/// How many parts a boolean dependency may come to.
const LARGEST: usize = 10_000;

/// How many parts it comes to: a condition with `else` counts twice, so that nested ones grow quickly.
fn size(rich: &Rich) -> usize {
    let all = |parts: &[Rich]| parts.iter().fold(1, |sum: usize, part| sum.saturating_add(size(part)));
    match rich {
        Rich::Plain(_) => 1,
        Rich::And(parts) | Rich::Or(parts) | Rich::With(parts) => all(parts),
        Rich::Without(one, not) => size(one).saturating_add(size(not)),
        Rich::If(then, condition, other) | Rich::Unless(then, condition, other) => {
            let other = other.as_deref().map_or(0, size);
            (size(condition).saturating_mul(2))
                .saturating_add(size(then))
                .saturating_add(other)
        }
    }
}

/// Whether a package is replaced by one that obsoletes this: names of packages count, what they provide does not.
fn replaces(obsolete: &Dependency, package: &Package) -> bool {
    package.name == obsolete.name && obsolete.overlaps(&Dependency::exactly(package.name.clone(), package.evr.clone()))
}

fn number(count: usize) -> u32 {
    u32::try_from(count).expect("a repository has fewer than four thousand million packages")
}
