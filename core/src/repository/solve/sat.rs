//! The choice itself, by resolvo: rules as requirements, constraints and conditions that its SAT solver understands.
//!
//! * All packages of one name are versions of which one at most is chosen.
//! * A set of packages is one version set a name, a choice between names a union.
//! * `All` inside `Any` becomes a *node*: a thing to choose that is no package and asks for its parts.
//! * `x or not y` (from `x if y`) becomes a conditional requirement. Its condition is a *gate*: a node that each package of `y` asks for, so that
//!   it is there exactly when one of them is.
//!
//! resolvo drops a condition that came true before the clause was made and is undone later (0.12.2), so a solution is checked before it is
//! believed; where it does not hold, conditions are written out as choices ([`Conditions::AsChoices`]), which is always right, but prefers
//! less of what is newest.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Display;
use std::rc::Rc;

use resolvo::{
    Candidates, Condition, ConditionId, ConditionalRequirement, Dependencies, DependencyProvider,
    HintDependenciesAvailable, Interner, KnownDependencies, LogicalOperator, NameId, Problem, SolvableId, Solver,
    SolverCache, StringId, UnsolvableOrCancelled, VersionSetId, VersionSetUnionId,
};

use super::Pool;
use super::form::{Form, Id};

/// How a rule that holds by the absence of something is told to resolvo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Conditions {
    /// As a condition: nothing is given up for it.
    AsConditions,
    /// As a choice between doing without the one and having the other.
    AsChoices,
}

/// Packages with which all of `wanted` holds, or nothing where there are none. `must` are packages that have to be among them.
pub(super) fn choose(pool: &Pool<'_>, must: &[Id], wanted: &[Form], conditions: Conditions) -> Option<Vec<Id>> {
    let book = RefCell::new(Book::default());
    let provider = Provider {
        pool,
        book: &book,
        conditions,
    };
    provider.make_gates(wanted);
    let mut dependencies = KnownDependencies::default();
    for id in must {
        provider.tell(&Form::Have(Rc::from([*id])), &mut dependencies);
    }
    for form in wanted {
        provider.tell(form, &mut dependencies);
    }
    let problem = Problem::new()
        .requirements(dependencies.requirements)
        .constraints(dependencies.constrains);
    let solved = Solver::new(provider).solve(problem);
    match solved {
        Ok(solvables) => {
            let book = book.borrow();
            Some(solvables.into_iter().filter_map(|one| book.package(one)).collect())
        }
        Err(UnsolvableOrCancelled::Unsolvable(_) | UnsolvableOrCancelled::Cancelled(_)) => None,
    }
}

/// What has been given a number for resolvo.
#[derive(Default)]
struct Book {
    solvables: Vec<Thing>,
    of_package: HashMap<Id, SolvableId>,
    names: Vec<Vec<SolvableId>>,
    of_name: HashMap<Id, NameId>,
    sets: Vec<(NameId, Rc<[SolvableId]>)>,
    known_sets: HashMap<(NameId, Rc<[SolvableId]>), VersionSetId>,
    unions: Vec<Vec<VersionSetId>>,
    conditions: Vec<Condition>,
    gates: HashMap<Rc<[Id]>, SolvableId>,
    /// The gates that a package opens.
    opened: HashMap<Id, Vec<SolvableId>>,
    /// A name without candidates.
    nothing: Option<NameId>,
}

/// What can be chosen.
#[derive(Clone)]
enum Thing {
    Package(NameId, Id),
    /// No package, but what asks for this.
    Node(NameId, Form),
}

impl Book {
    fn package(&self, solvable: SolvableId) -> Option<Id> {
        match self.thing(solvable) {
            Thing::Package(_, id) => Some(*id),
            Thing::Node(..) => None,
        }
    }

    fn thing(&self, solvable: SolvableId) -> &Thing {
        &self.solvables[solvable.into_raw() as usize]
    }

    fn name(&self, solvable: SolvableId) -> NameId {
        match self.thing(solvable) {
            Thing::Package(name, _) | Thing::Node(name, _) => *name,
        }
    }

    fn new_name(&mut self) -> NameId {
        self.names.push(Vec::new());
        NameId::from_raw(number(self.names.len() - 1))
    }

    fn add(&mut self, name: NameId, thing: Thing) -> SolvableId {
        let solvable = SolvableId::from_raw(number(self.solvables.len()));
        self.solvables.push(thing);
        self.names[name.into_raw() as usize].push(solvable);
        solvable
    }

    /// A node with a name of its own.
    fn node(&mut self, form: Form) -> SolvableId {
        let name = self.new_name();
        self.add(name, Thing::Node(name, form))
    }

    fn set(&mut self, name: NameId, members: Vec<SolvableId>) -> VersionSetId {
        let members: Rc<[SolvableId]> = members.into();
        let key = (name, members);
        if let Some(known) = self.known_sets.get(&key) {
            return *known;
        }
        let id = VersionSetId(number(self.sets.len()));
        self.sets.push(key.clone());
        self.known_sets.insert(key, id);
        id
    }

    fn single(&mut self, solvable: SolvableId) -> VersionSetId {
        let name = self.name(solvable);
        self.set(name, vec![solvable])
    }

    fn members(&self, set: VersionSetId) -> (NameId, &[SolvableId]) {
        let (name, members) = &self.sets[set.0 as usize];
        (*name, members)
    }
}

/// Answers resolvo's questions.
struct Provider<'p, 'a> {
    pool: &'p Pool<'a>,
    book: &'p RefCell<Book>,
    conditions: Conditions,
}

impl Provider<'_, '_> {
    /// A package's number for resolvo; all of its name get one with it.
    fn solvable(&self, id: Id) -> SolvableId {
        if let Some(known) = self.book.borrow().of_package.get(&id) {
            return *known;
        }
        let group = self.pool.named(id);
        let book = &mut *self.book.borrow_mut();
        let name = book.new_name();
        for one in group.iter() {
            let solvable = book.add(name, Thing::Package(name, *one));
            book.of_package.insert(*one, solvable);
            book.of_name.insert(*one, name);
        }
        book.of_package[&id]
    }

    /// A set of packages as one version set a name, in order.
    fn sets(&self, ids: &[Id]) -> Vec<VersionSetId> {
        let mut names: Vec<(NameId, Vec<SolvableId>)> = Vec::new();
        let mut places: HashMap<NameId, usize> = HashMap::new();
        for id in ids {
            let solvable = self.solvable(*id);
            let name = self.book.borrow().of_name[id];
            let place = *places.entry(name).or_insert_with(|| {
                names.push((name, Vec::new()));
                names.len() - 1
            });
            names[place].1.push(solvable);
        }
        let mut book = self.book.borrow_mut();
        names
            .into_iter()
            .map(|(name, members)| book.set(name, members))
            .collect()
    }

    /// Gates for all conditions that packages here may ask for. They have to be known before the first package is asked what it needs.
    fn make_gates(&self, wanted: &[Form]) {
        if self.conditions == Conditions::AsChoices {
            return;
        }
        for form in wanted {
            self.gates_of(form);
        }
        for id in self.pool.with_rich_dependencies() {
            for rule in self.pool.rules(id).iter() {
                self.gates_of(&rule.form);
            }
        }
    }

    fn gates_of(&self, form: &Form) {
        match form {
            Form::Have(_) | Form::Lack(_) => {}
            Form::All(parts) => parts.iter().for_each(|part| self.gates_of(part)),
            Form::Any(parts) => {
                for part in parts {
                    match part {
                        Form::Lack(set) => self.make_gate(set),
                        Form::Have(_) | Form::All(_) | Form::Any(_) => self.gates_of(part),
                    }
                }
            }
        }
    }

    fn make_gate(&self, set: &Rc<[Id]>) {
        let book = &mut *self.book.borrow_mut();
        if book.gates.contains_key(set) {
            return;
        }
        let gate = book.node(Form::always());
        book.gates.insert(Rc::clone(set), gate);
        for id in set.iter() {
            book.opened.entry(*id).or_default().push(gate);
        }
    }

    /// Adds to what somebody asks for that a form holds.
    fn tell(&self, form: &Form, dependencies: &mut KnownDependencies) {
        match form {
            Form::Have(set) => {
                let sets = self.sets(set);
                dependencies.requirements.push(self.one_of(sets).into());
            }
            Form::Lack(set) => dependencies.constrains.extend(self.all_but(set)),
            Form::All(parts) => parts.iter().for_each(|part| self.tell(part, dependencies)),
            Form::Any(parts) => self.tell_any(parts, dependencies),
        }
    }

    fn tell_any(&self, parts: &[Form], dependencies: &mut KnownDependencies) {
        let mut choices = Vec::new();
        let mut absent = Vec::new();
        for part in parts {
            match (part, self.conditions) {
                (Form::Have(set), _) => choices.extend(self.sets(set)),
                (Form::Lack(set), Conditions::AsConditions) => absent.push(Rc::clone(set)),
                (Form::Lack(_), Conditions::AsChoices) | (Form::All(_) | Form::Any(_), _) => {
                    let book = &mut *self.book.borrow_mut();
                    let node = book.node(part.clone());
                    choices.push(book.single(node));
                }
            }
        }
        if self.conditions == Conditions::AsChoices {
            // Doing without comes first: as a rule nobody asks for the other.
            choices.sort_by_key(|set| {
                let book = self.book.borrow();
                let first = book.members(*set).1.first().copied();
                !first.is_some_and(|one| matches!(book.thing(one), Thing::Node(_, Form::Lack(_))))
            });
        }
        let mut requirement: ConditionalRequirement = self.one_of(choices).into();
        for set in absent {
            let book = &mut *self.book.borrow_mut();
            let Some(gate) = book.gates.get(&set).copied() else {
                continue;
            };
            let set = book.single(gate);
            let condition = push_condition(book, Condition::Requirement(set));
            requirement.condition = Some(match requirement.condition {
                None => condition,
                Some(other) => push_condition(book, Condition::Binary(LogicalOperator::And, other, condition)),
            });
        }
        dependencies.requirements.push(requirement);
    }

    fn one_of(&self, mut sets: Vec<VersionSetId>) -> resolvo::Requirement {
        let book = &mut *self.book.borrow_mut();
        if sets.len() > 1 {
            let union = VersionSetUnionId(number(book.unions.len()));
            book.unions.push(sets);
            return union.into();
        }
        let only = sets.pop().unwrap_or_else(|| {
            let name = match book.nothing {
                Some(name) => name,
                None => book.new_name(),
            };
            book.nothing = Some(name);
            book.set(name, Vec::new())
        });
        only.into()
    }

    /// Of each name that a set has packages of: the others.
    fn all_but(&self, ids: &[Id]) -> Vec<VersionSetId> {
        let sets = self.sets(ids);
        let book = &mut *self.book.borrow_mut();
        let mut found = Vec::with_capacity(sets.len());
        for set in sets {
            let (name, members) = book.members(set);
            let others = (book.names[name.into_raw() as usize].iter().copied())
                .filter(|one| !members.contains(one))
                .collect();
            found.push(book.set(name, others));
        }
        found
    }
}

fn push_condition(book: &mut Book, condition: Condition) -> ConditionId {
    book.conditions.push(condition);
    ConditionId::new(number(book.conditions.len() - 1))
}

fn number(count: usize) -> u32 {
    u32::try_from(count).expect("there are fewer than four thousand million of them")
}

impl DependencyProvider for Provider<'_, '_> {
    async fn filter_candidates(&self, candidates: &[SolvableId], set: VersionSetId, inverse: bool) -> Vec<SolvableId> {
        let book = self.book.borrow();
        let (_, members) = book.members(set);
        (candidates.iter().copied())
            .filter(|one| members.contains(one) != inverse)
            .collect()
    }

    async fn get_candidates(&self, name: NameId) -> Option<Candidates> {
        let candidates = self.book.borrow().names[name.into_raw() as usize].clone();
        Some(Candidates {
            candidates,
            hint_dependencies_available: HintDependenciesAvailable::None,
            ..Candidates::default()
        })
    }

    async fn sort_candidates(&self, _: &SolverCache<Self>, solvables: &mut [SolvableId]) {
        // Numbers are given in the order of preference.
        solvables.sort_by_key(|one| one.into_raw());
    }

    async fn get_dependencies(&self, solvable: SolvableId) -> Dependencies {
        let thing = self.book.borrow().thing(solvable).clone();
        let mut dependencies = KnownDependencies::default();
        match thing {
            Thing::Node(_, form) => self.tell(&form, &mut dependencies),
            Thing::Package(_, id) => {
                for rule in self.pool.rules(id).iter() {
                    self.tell(&rule.form, &mut dependencies);
                }
                let opened = self.book.borrow().opened.get(&id).cloned().unwrap_or_default();
                for gate in opened {
                    let set = self.book.borrow_mut().single(gate);
                    dependencies.requirements.push(set.into());
                }
            }
        }
        Dependencies::Known(dependencies)
    }
}

/// Names for resolvo's own log; people are answered by `super::why`.
impl Interner for Provider<'_, '_> {
    type NameId = NameId;
    type SolvableId = SolvableId;

    fn display_solvable(&self, solvable: SolvableId) -> impl Display + '_ {
        match self.book.borrow().package(solvable) {
            Some(id) => self.pool.package(id).nevra(),
            None => format!("node {}", solvable.into_raw()),
        }
    }

    fn display_name(&self, name: NameId) -> impl Display + '_ {
        format!("name {}", name.into_raw())
    }

    fn display_version_set(&self, set: VersionSetId) -> impl Display + '_ {
        format!("set {}", set.0)
    }

    fn display_string(&self, string: StringId) -> impl Display + '_ {
        format!("text {}", string.0)
    }

    fn version_set_name(&self, set: VersionSetId) -> NameId {
        self.book.borrow().members(set).0
    }

    fn solvable_name(&self, solvable: SolvableId) -> NameId {
        self.book.borrow().name(solvable)
    }

    fn version_sets_in_union(&self, union: VersionSetUnionId) -> impl Iterator<Item = VersionSetId> {
        self.book.borrow().unions[union.0 as usize].clone().into_iter()
    }

    fn resolve_condition(&self, condition: ConditionId) -> Condition {
        self.book.borrow().conditions[condition.as_u32() as usize].clone()
    }
}
