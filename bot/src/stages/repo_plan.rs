//! Stage repo-plan: what the task adds to its repository and removes from it.

use std::fs;

use windlass_core::id::{ArchName, RepositoryName};
use windlass_core::repository::{Brought, Content, Plan, plan};
use windlass_core::task::Fault;

use super::{Context, StageError, StageLog};

/// Computes the plan, keeps it in the run's directory, and tells it in the log.
///
/// # Errors
/// [`StageError::Failed`] where what the subtasks bring makes no plan, [`StageError::Infrastructure`] where it cannot be kept.
pub fn run(
    context: &Context,
    repository: &RepositoryName,
    architectures: &[ArchName],
    present: &Content,
    brought: &[Brought],
    log: &mut StageLog,
) -> Result<Plan, StageError> {
    let plan = plan(repository, architectures, present, brought).map_err(|problems| StageError::Failed {
        fault: Fault::Package,
        problems,
    })?;
    let view = plan.view();
    log.line(view.to_string());
    let path = context.dir.plan();
    let cannot = |error: &dyn std::fmt::Display| {
        StageError::infrastructure(format!("the plan cannot be kept in {}: {error}", path.display()))
    };
    let text = serde_json::to_string_pretty(&view).map_err(|error| cannot(&error))?;
    fs::write(&path, text).map_err(|error| cannot(&error))?;
    Ok(plan)
}
