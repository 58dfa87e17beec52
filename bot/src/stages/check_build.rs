//! Stage check-build: what was built agrees across architectures and inside the task.

use windlass_core::repository::{Brought, Problem, agree};
use windlass_core::task::Fault;

use super::{StageError, StageLog};

/// Looks over all that the subtasks of a task bring; what their author should know comes back.
///
/// # Errors
/// [`StageError::Failed`] with all that is wrong.
pub fn run(brought: &[Brought], log: &mut StageLog) -> Result<Vec<Problem>, StageError> {
    let agreement = agree(brought);
    for note in &agreement.notes {
        log.line(format!("note: {note}"));
    }
    if agreement.is_good() {
        log.line("what was built agrees");
        return Ok(agreement.notes);
    }
    Err(StageError::Failed {
        fault: Fault::Package,
        problems: agreement.problems,
    })
}
