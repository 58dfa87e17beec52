//! Choosing packages that can be installed together: what each asks for as rules over sets of packages, the choice by resolvo, and why
//! there is none.

mod form;
mod greedy;
mod pool;
mod sat;
mod why;

pub(super) use self::form::{Form, Id};
pub(super) use self::greedy::Witness;
pub(super) use self::pool::Pool;
pub(super) use self::why::{Wish, why_not};

use std::collections::HashSet;

use self::sat::Conditions;

/// Packages with which all of `wanted` holds, `must` among them, or nothing where there are none.
///
/// It is nothing but what that needs; the same question always has the same answer.
pub(super) fn choose(pool: &Pool<'_>, must: &[Id], wanted: &[Form]) -> Option<Vec<Id>> {
    for conditions in [Conditions::AsConditions, Conditions::AsChoices] {
        let chosen: HashSet<Id> = sat::choose(pool, must, wanted, conditions)?.into_iter().collect();
        let needed = needed(pool, must, wanted, &chosen);
        for installed in [needed, chosen] {
            if stands(pool, must, wanted, &installed) {
                let mut found: Vec<Id> = installed.into_iter().collect();
                found.sort_by_key(|id| (&pool.package(*id).name, pool.rank(*id)));
                return Some(found);
            }
        }
    }
    None
}

/// Whether packages can stand together and have what is wanted.
pub(super) fn stands(pool: &Pool<'_>, must: &[Id], wanted: &[Form], installed: &HashSet<Id>) -> bool {
    let there = |id| installed.contains(&id);
    must.iter().all(|id| there(*id))
        && wanted.iter().all(|form| form.holds(&there))
        && installed.iter().all(|id| {
            pool.named(*id).iter().filter(|other| there(**other)).count() == 1
                && pool.rules(*id).iter().all(|rule| rule.form.holds(&there))
        })
}

/// What of the chosen packages is wanted, by itself or by others that are.
fn needed(pool: &Pool<'_>, must: &[Id], wanted: &[Form], chosen: &HashSet<Id>) -> HashSet<Id> {
    let mut found: HashSet<Id> = HashSet::new();
    let mut open: Vec<Id> = must.to_vec();
    let add = |form: &Form, open: &mut Vec<Id>| {
        form.each_have(&mut |set| open.extend(set.iter().copied().filter(|id| chosen.contains(id))));
    };
    for form in wanted {
        add(form, &mut open);
    }
    while let Some(id) = open.pop() {
        if found.insert(id) {
            for rule in pool.rules(id).iter() {
                add(&rule.form, &mut open);
            }
        }
    }
    found
}
