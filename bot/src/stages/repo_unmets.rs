//! Stage repo-unmets: the planned repository has no unmet dependency that the present one does not have.

use std::collections::BTreeMap;
use std::sync::Arc;

use windlass_core::id::ArchName;
use windlass_core::repository::{Content, Index, Plan, Universe, new_unmets, unmet_problems};
use windlass_core::task::Fault;

use super::{Context, StageError, StageLog};

/// Compares the repository as it is with what it would be, on each architecture. `bases` count beside it and never change.
///
/// # Errors
/// [`StageError::Failed`] with every new unmet dependency, [`StageError::Stopped`].
pub fn run(
    context: &Context,
    present: &Content,
    plan: &Plan,
    bases: &BTreeMap<ArchName, Vec<Arc<Index>>>,
    log: &mut StageLog,
) -> Result<(), StageError> {
    let after = present.with(plan);
    let nothing = (Index::default(), Vec::new());
    let mut problems = Vec::new();
    for (arch, changes) in &plan.arches {
        context.go_on()?;
        let bases = bases.get(arch).unwrap_or(&nothing.1);
        let universe = |of: &'_ Content| Some(of.arches.get(arch)?.clone());
        let (own_before, own_after) = (
            universe(present).unwrap_or_default(),
            universe(&after).unwrap_or_default(),
        );
        let unmets = new_unmets(
            &Universe {
                own: &own_before,
                bases,
                arch,
            },
            &Universe {
                own: &own_after,
                bases,
                arch,
            },
            changes,
        );
        log.line(format!("{arch}: {} new unmet dependencies", unmets.len()));
        problems.extend(unmet_problems(arch, &unmets));
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(StageError::Failed {
        fault: Fault::Package,
        problems,
    })
}
