//! The checks that look at what is on record: versions that were ever there, and who may do what.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use windlass_core::repository::Plan;
use windlass_core::task::{Denied, Stage};

use super::{Halt, Walk};
use crate::stages::{StageError, StageLog, check_acl, rebuild, repo_vercheck};

impl Walk<'_> {
    pub(super) fn vercheck(&self, plan: Plan, log: &mut StageLog) -> Result<Plan, Halt> {
        rebuild::grows(&plan).map_err(|error| self.halt(Stage::RepoVercheck, error))?;
        // On the writer's thread: what is on record of a repository is too much to copy.
        let plan = Arc::new(plan);
        let asked = Arc::clone(&plan);
        let problems = self
            .runner
            .writer
            .call_blocking(move |state| {
                Ok(repo_vercheck::problems(
                    &asked,
                    state.world().repository(&asked.repository),
                ))
            })
            .map_err(|error| self.halt(Stage::RepoVercheck, StageError::infrastructure(error.to_string())))?;
        repo_vercheck::run(problems, log).map_err(|error| self.halt(Stage::RepoVercheck, error))?;
        Ok(Arc::try_unwrap(plan).unwrap_or_else(|plan| Plan::clone(&plan)))
    }

    pub(super) fn acl(&self, plan: &Plan, log: &mut StageLog) -> Result<Vec<Denied>, Halt> {
        let stage = Stage::CheckAcl;
        // People and groups as they are at this moment; the tags were judged a moment ago, and are once more at the commit.
        let facts = self
            .runner
            .sources
            .facts(&BTreeSet::new(), Timestamp::now())
            .map_err(|error| self.halt(stage, StageError::infrastructure(error.to_string())))?;
        let (plan, id) = (plan.clone(), self.job.task.id);
        let denied = self
            .runner
            .writer
            .call_blocking(move |state| {
                let task = state.world().task(id);
                Ok(task.map(|task| check_acl::run(state.world(), &facts, task, &plan)))
            })
            .map_err(|error| self.halt(stage, StageError::infrastructure(error.to_string())))?
            .unwrap_or_default();
        for denied in &denied {
            log.line(format!(
                "subtask {}: {} may not be touched",
                denied.subtask, denied.package
            ));
        }
        if denied.is_empty() {
            log.line("everybody may do what he does");
        }
        Ok(denied)
    }
}
