//! Where repoclosure means something else than we do, and what.

use std::sync::Arc;

use windlass_core::repository::Index;
use windlass_core::rpm::{Package, Requirement, Rich};

/// What repoclosure takes for met: it asks libsolv who provides a boolean dependency, and that means by all words but `with` and
/// `without` the providers of any part that may be asked for (`pool_whatprovides`). So of `(a and b)` one is enough, and `(a if b)`
/// asks for `a`, whether there is a `b` or not.
pub(crate) fn repoclosure_sees<'i>(index: &'i Index, rich: &Rich) -> Vec<&'i Arc<Package>> {
    let either = |lists: Vec<Vec<&'i Arc<Package>>>| lists.into_iter().flatten().collect::<Vec<_>>();
    match rich {
        Rich::Plain(plain) => index.providers(plain),
        Rich::And(all) | Rich::Or(all) => either(all.iter().map(|one| repoclosure_sees(index, one)).collect()),
        Rich::If(then, _, other) | Rich::Unless(then, _, other) => {
            let parts = std::iter::once(then).chain(other);
            either(parts.map(|one| repoclosure_sees(index, one)).collect())
        }
        Rich::With(all) => {
            let mut lists = all.iter().map(|one| repoclosure_sees(index, one));
            let mut found = lists.next().unwrap_or_default();
            for list in lists {
                found.retain(|package| list.iter().any(|one| Arc::ptr_eq(one, package)));
            }
            found
        }
        Rich::Without(one, not) => {
            let not = repoclosure_sees(index, not);
            let mut found = repoclosure_sees(index, one);
            found.retain(|package| !not.iter().any(|one| Arc::ptr_eq(one, package)));
            found
        }
    }
}

/// Whether both mean the same by a requirement.
pub(crate) fn is_agreed(requirement: &Requirement) -> bool {
    let Requirement::Rich(rich) = requirement else {
        return true;
    };
    let mut agreed = true;
    rich.walk(&mut |one| agreed &= !matches!(one, Rich::And(_) | Rich::If(..) | Rich::Unless(..)));
    agreed
}
