//! Installing as one goes, without ever taking back a choice: quick, and where it succeeds what stands there is a proof that everything
//! in it can be installed. Where it does not, nothing is known.

use std::collections::{HashMap, HashSet};

use super::Pool;
use super::form::{Form, Id};

/// Packages that stand together, with all that they ask for.
#[derive(Default)]
pub(in crate::repository) struct Witness {
    installed: HashSet<Id>,
    /// What must not come, since something installed excludes it, and how often.
    excluded: HashMap<Id, u32>,
    /// What was done since the last success, to be taken back.
    done: Vec<Step>,
    /// How many packages may still be tried within this attempt: without a limit, trying could take for ever.
    left: u32,
}

enum Step {
    Installed(Id),
    Excluded(Id),
}

/// How many packages are tried in one attempt.
const TRIED: u32 = 10_000;

/// How deep one need may lead to another within one attempt.
const DEEPEST: usize = 400;

impl Witness {
    /// Installs a package and what it asks for beside what is there, if that goes without thinking. Gives what came with it.
    pub(in crate::repository) fn add(&mut self, pool: &Pool<'_>, id: Id, hopeless: &HashSet<Id>) -> Option<Vec<Id>> {
        self.done.clear();
        self.left = TRIED;
        if self.install(pool, id, hopeless, 0) {
            let came = self.done.iter().filter_map(|step| match step {
                Step::Installed(id) => Some(*id),
                Step::Excluded(_) => None,
            });
            return Some(came.collect());
        }
        self.back_to(0);
        None
    }

    /// Whether it is there.
    pub(in crate::repository) fn has(&self, id: Id) -> bool {
        self.installed.contains(&id)
    }

    fn back_to(&mut self, length: usize) {
        while self.done.len() > length {
            match self.done.pop() {
                Some(Step::Installed(id)) => {
                    self.installed.remove(&id);
                }
                Some(Step::Excluded(id)) => {
                    if let Some(count) = self.excluded.get_mut(&id) {
                        *count -= 1;
                        if *count == 0 {
                            self.excluded.remove(&id);
                        }
                    }
                }
                None => {}
            }
        }
    }

    fn install(&mut self, pool: &Pool<'_>, id: Id, hopeless: &HashSet<Id>, depth: usize) -> bool {
        if self.has(id) {
            return true;
        }
        if depth > DEEPEST || self.excluded.contains_key(&id) || hopeless.contains(&id) {
            return false;
        }
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            return false;
        }
        self.installed.insert(id);
        self.done.push(Step::Installed(id));
        let same_name = pool.named(id);
        let others: Vec<Id> = same_name.iter().copied().filter(|other| *other != id).collect();
        self.exclude(&others)
            && pool
                .rules(id)
                .iter()
                .all(|rule| self.meet(pool, &rule.form, hopeless, depth))
    }

    fn exclude(&mut self, ids: &[Id]) -> bool {
        for id in ids {
            if self.has(*id) {
                return false;
            }
            *self.excluded.entry(*id).or_default() += 1;
            self.done.push(Step::Excluded(*id));
        }
        true
    }

    fn meet(&mut self, pool: &Pool<'_>, form: &Form, hopeless: &HashSet<Id>, depth: usize) -> bool {
        match form {
            Form::Have(set) => {
                set.iter().any(|id| self.has(*id))
                    || set.iter().any(|id| {
                        let before = self.done.len();
                        let came = self.install(pool, *id, hopeless, depth + 1);
                        if !came {
                            self.back_to(before);
                        }
                        came
                    })
            }
            Form::Lack(set) => self.exclude(set),
            Form::All(parts) => parts.iter().all(|part| self.meet(pool, part, hopeless, depth)),
            Form::Any(parts) => {
                // What costs nothing first: packages that are there, then doing without something.
                let there = |part: &&Form| matches!(part, Form::Have(set) if set.iter().any(|id| self.has(*id)));
                if parts.iter().any(|part| there(&part)) {
                    return true;
                }
                let without = |part: &&Form| matches!(part, Form::Lack(_));
                let (first, second): (Vec<&Form>, Vec<&Form>) = parts.iter().partition(without);
                first.into_iter().chain(second).any(|part| {
                    let before = self.done.len();
                    let met = self.meet(pool, part, hopeless, depth);
                    if !met {
                        self.back_to(before);
                    }
                    met
                })
            }
        }
    }
}
