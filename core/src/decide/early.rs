//! What is refused before anything is built: a version that its repository would never take.
//!
//! It is repo-vercheck's own verdict, asked of what the spec certainly says. What macros keep unknown until the build is judged after it.

use std::collections::BTreeMap;

use super::draft::Draft;
use super::facts::GoodTag;
use crate::id::{PackageName, SubtaskNumber};
use crate::refusal::Refusal;
use crate::repository::{ArchPlan, Change, How, Plan, vercheck};

impl Draft<'_> {
    /// That the version of a tag may still come into the task's repository, by all that was ever in it.
    pub(super) fn version_may_come(
        &self,
        subtask: SubtaskNumber,
        package: &PackageName,
        good: &GoodTag,
    ) -> Result<(), Refusal> {
        let (Some(evr), Some(record)) = (&good.evr, self.scene.world.repository(&self.task.repository)) else {
            return Ok(());
        };
        let plan = Plan {
            repository: self.task.repository.clone(),
            base: record.generation,
            arches: BTreeMap::new(),
            source: ArchPlan::default(),
            changes: vec![Change {
                subtask,
                package: package.clone(),
                how: How::Build,
                before: None,
                after: Some(evr.clone()),
                tag: Some(good.object.clone()),
            }],
            warnings: Vec::new(),
        };
        match vercheck(&plan, record).into_iter().next() {
            None => Ok(()),
            Some(problem) => Err(Refusal {
                code: problem.code,
                message: problem.message,
                hint: problem.hint,
            }),
        }
    }
}
