//! After a start: commits that a kill cut off are finished or put back, before anything else runs. Runs that were cut off need
//! nothing here: nothing of them is alive, and the queue starts them again.

use windlass_core::repository::record::Cause;

use super::commit::end_commit;
use crate::repository::{Repositories, RepositoryError, recover_all};
use crate::writer::Handle;

/// Looks at every repository once, and puts on record what became of the tasks that were being committed.
///
/// # Errors
/// A disk or the journal cannot be read or written.
pub fn recover(repositories: &Repositories, writer: &Handle) -> Result<(), RepositoryError> {
    recover_all(repositories, writer, |world, cause, ending| match cause {
        Cause::Task { task } => end_commit(world, *task, None, ending, None),
        Cause::Init { .. } | Cause::Import { .. } | Cause::Rollback { .. } | Cause::Resign { .. } => Vec::new(),
    })
}
