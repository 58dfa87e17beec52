//! Stage repo-vercheck: versions grow, and what was ever in the repository never comes again as something else.

use windlass_core::repository::record::RepositoryRecord;
use windlass_core::repository::{Plan, Problem, vercheck};
use windlass_core::task::Fault;

use super::{StageError, StageLog};

/// What is wrong with a plan, by all that is on record of its repository.
pub fn problems(plan: &Plan, record: Option<&RepositoryRecord>) -> Vec<Problem> {
    record.map_or_else(
        || vercheck(plan, &RepositoryRecord::default()),
        |record| vercheck(plan, record),
    )
}

/// Says so.
///
/// # Errors
/// [`StageError::Failed`] where anything is wrong.
pub fn run(problems: Vec<Problem>, log: &mut StageLog) -> Result<(), StageError> {
    if problems.is_empty() {
        log.line("every version grows");
        return Ok(());
    }
    Err(StageError::Failed {
        fault: Fault::Package,
        problems,
    })
}
