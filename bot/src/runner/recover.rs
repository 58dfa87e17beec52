//! After a start: commits that a kill cut off are finished or put back, before anything else runs. Runs that were cut off need
//! nothing here: nothing of them is alive, and the queue starts them again.

use windlass_core::repository::record::{Cause, LogEntry};
use windlass_core::task::Task;
use windlass_hooks::settings::Paths;

use super::commit::end_commit;
use crate::repository::{Repositories, RepositoryError, recover_all};
use crate::stages::RunDir;
use crate::writer::Handle;

/// Looks at every repository once, and puts on record what became of the tasks that were being committed.
///
/// # Errors
/// A disk or the journal cannot be read or written.
pub fn recover(repositories: &Repositories, writer: &Handle, paths: &Paths) -> Result<(), RepositoryError> {
    recover_all(repositories, writer, |world, cause, ending| match cause {
        Cause::Task { task } => end_commit(world, *task, None, ending, None),
        Cause::Init { .. } | Cause::Import { .. } | Cause::Rollback { .. } | Cause::Resign { .. } => Vec::new(),
    })?;
    // The task that landed last may have been about to clear up.
    let names: Vec<_> = repositories.iter().map(|one| one.name().clone()).collect();
    let tasks = paths.tasks();
    let landed = writer.call_blocking(move |state| {
        let world = state.world();
        let last = |name| world.repository(name).and_then(|record| record.log.last());
        let task = |entry: &LogEntry| match &entry.cause {
            Cause::Task { task } => world.task(*task),
            Cause::Init { .. } | Cause::Import { .. } | Cause::Rollback { .. } | Cause::Resign { .. } => None,
        };
        let run = |task: &Task| {
            let progress = task.progress.as_deref()?;
            Some(RunDir::of(&tasks, task.id, progress.try_number, progress.iteration))
        };
        Ok(names
            .iter()
            .filter_map(last)
            .filter_map(task)
            .filter_map(run)
            .collect::<Vec<_>>())
    })?;
    for run in landed {
        run.drop_packages();
    }
    Ok(())
}
