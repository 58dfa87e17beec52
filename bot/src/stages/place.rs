//! Where a run leaves what it makes.
//!
//! ```text
//! tasks/ID/TRY.ITERATION/SUBTASK/pkg.tar
//!                        SUBTASK/ARCH/log, *.rpm
//!                        SUBTASK/STAGE.log     what a stage says of one subtask
//!                        STAGE.log             what it says of the task
//!                        plan.json
//! ```

use std::io;
use std::path::{Path, PathBuf};

use windlass_core::id::{ArchName, SubtaskNumber, TaskId};
use windlass_core::task::Stage;

/// The directory of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunDir {
    tasks: PathBuf,
    dir: PathBuf,
}

impl RunDir {
    /// The directory of a task's run below the directory of all tasks; nothing is made.
    pub fn of(tasks: &Path, task: TaskId, try_number: u32, iteration: u32) -> Self {
        Self {
            tasks: tasks.to_owned(),
            dir: tasks.join(task.to_string()).join(format!("{try_number}.{iteration}")),
        }
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// Makes it.
    ///
    /// # Errors
    /// The system refuses.
    pub fn make(&self) -> io::Result<()> {
        std::fs::create_dir_all(&self.dir)
    }

    /// A subtask's directory.
    pub fn subtask(&self, subtask: SubtaskNumber) -> PathBuf {
        self.dir.join(subtask.to_string())
    }

    /// What a subtask is built from.
    pub fn pkgtar(&self, subtask: SubtaskNumber) -> PathBuf {
        self.subtask(subtask).join("pkg.tar")
    }

    /// Where a subtask's packages of one architecture lie, and the log of their build.
    pub fn built(&self, subtask: SubtaskNumber, arch: &ArchName) -> PathBuf {
        self.subtask(subtask).join(arch.as_str())
    }

    /// What the task does to its repository.
    pub fn plan(&self) -> PathBuf {
        self.dir.join("plan.json")
    }

    /// The log of a stage: of all of it, of one subtask, of one subtask on one architecture.
    pub fn log(&self, stage: Stage, subtask: Option<SubtaskNumber>, arch: Option<&ArchName>) -> PathBuf {
        match (subtask, arch) {
            (Some(subtask), Some(arch)) if stage == Stage::Build => self.built(subtask, arch).join("log"),
            (Some(subtask), Some(arch)) => self.built(subtask, arch).join(format!("{stage}.log")),
            (Some(subtask), None) => self.subtask(subtask).join(format!("{stage}.log")),
            (None, Some(arch)) => self.dir.join(format!("{stage}.{arch}.log")),
            (None, None) => self.dir.join(format!("{stage}.log")),
        }
    }

    /// Removes the packages and archives of this run; what it said stays.
    pub fn drop_packages(&self) {
        drop_packages(&self.dir, DEPTH);
    }

    /// The same for all other runs of the task.
    pub fn drop_packages_of_others(&self) {
        let runs = self.dir.parent().map(std::fs::read_dir);
        for run in runs.into_iter().flatten().flatten().flatten() {
            if run.path() != self.dir {
                drop_packages(&run.path(), DEPTH);
            }
        }
    }

    /// A path of this run as it goes on record: relative to the directory of all tasks, so that it outlives a move.
    pub fn recorded(&self, path: &Path) -> String {
        path.strip_prefix(&self.tasks).unwrap_or(path).display().to_string()
    }
}

/// How deep packages lie below a run's directory.
const DEPTH: usize = 3;

fn drop_packages(dir: &Path, depth: usize) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            if depth > 1 {
                drop_packages(&path, depth - 1);
            }
        } else if path
            .extension()
            .is_some_and(|extension| extension == "rpm" || extension == "tar")
            && let Err(error) = std::fs::remove_file(&path)
        {
            // It only takes room.
            tracing::warn!(path = %path.display(), %error, "cannot be removed: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_lie_where_people_look_for_them() {
        let dir = RunDir::of(Path::new("/s/tasks"), "7".parse().unwrap(), 1, 2);
        let (one, arch) = (SubtaskNumber(1), "i586".parse().unwrap());
        let build = dir.log(Stage::Build, Some(one), Some(&arch));
        assert_eq!(build, Path::new("/s/tasks/7/1.2/1/i586/log"));
        assert_eq!(dir.recorded(&build), "7/1.2/1/i586/log");
        assert_eq!(
            dir.log(Stage::RepoPlan, None, None),
            Path::new("/s/tasks/7/1.2/repo-plan.log")
        );
        assert_eq!(dir.pkgtar(one), Path::new("/s/tasks/7/1.2/1/pkg.tar"));
    }
}
