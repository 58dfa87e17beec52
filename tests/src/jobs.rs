//! Jobs of a world, as its administrator sees them, and packages that cause them.

use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::{Clone, World, wait};

/// How long a job may take on a loaded machine, its second and third attempt included.
pub const JOB: Duration = Duration::from_mins(4);

/// A package with a program that says its version; it needs a shell at `/bin/busybox`.
pub fn spec(name: &str, version: &str) -> String {
    let (number, release) = version.split_once('-').unwrap_or((version, "alt1"));
    format!(
        "Name: {name}\n\
         Version: {number}\n\
         Release: {release}\n\
         Summary: A package of a story\n\
         License: MIT\n\
         BuildArch: noarch\n\
         AutoReqProv: no\n\
         %description\n\
         A package of a story.\n\
         %install\n\
         mkdir -p %buildroot/usr/bin\n\
         printf '#!/bin/busybox sh\\necho {name} {version}\\n' > %buildroot/usr/bin/{name}\n\
         chmod 755 %buildroot/usr/bin/{name}\n\
         %files\n\
         /usr/bin/{name}\n"
    )
}

impl World {
    /// Lands a version of a [`spec`]; gives the task.
    pub fn lands_spec(&self, clone: &Clone, name: &str, version: &str) -> anyhow::Result<u64> {
        clone.commit(&format!("{name}.spec"), &spec(name, version))?;
        clone.tag(version)?;
        self.lands(clone, version)
    }

    /// The jobs that a task caused, sorted by what they are about.
    pub fn jobs_of(&self, task: u64) -> anyhow::Result<Vec<Value>> {
        let task = format!("--task={task}");
        let list = self.admin(&["job", "ls", &task, "--json"])?.ok()?.json()?;
        let mut rows = list.as_array().context("a list of jobs")?.clone();
        rows.sort_by_key(|row| row["about"].as_str().unwrap_or_default().to_owned());
        Ok(rows)
    }

    /// What they are about.
    pub fn abouts(&self, task: u64) -> anyhow::Result<Vec<String>> {
        let rows = self.jobs_of(task)?;
        let about = |row: &Value| row["about"].as_str().unwrap_or_default().to_owned();
        Ok(rows.iter().map(about).collect())
    }

    /// All that is known of a job, as `job show --json` has it.
    pub fn job(&self, id: u64) -> anyhow::Result<Value> {
        self.admin(&["job", "show", &id.to_string(), "--json"])?.ok()?.json()
    }

    /// Waits until a job is in a state; gives it.
    pub fn job_reaches(&self, id: u64, state: &str) -> anyhow::Result<Value> {
        let mut last = Value::Null;
        let reached = wait::until_within(JOB, &format!("job {id} to be {state}"), || {
            last = self.job(id)?;
            let is = last["state"].as_str().unwrap_or_default();
            if is != state && matches!(is, "done" | "failed" | "cancelled" | "skipped") {
                bail!("job {id} is {is}: {last}");
            }
            Ok((is == state).then_some(()))
        });
        reached.with_context(|| format!("{last}\n{}", self.job_log(id)))?;
        Ok(last)
    }

    /// Waits until every job of a task is done.
    pub fn jobs_are_done(&self, task: u64) -> anyhow::Result<()> {
        for row in self.jobs_of(task)? {
            self.job_reaches(row["id"].as_u64().context("a number")?, "done")?;
        }
        Ok(())
    }

    /// Has an image or a payload built, and waits for it.
    pub fn job_built(&self, name: &str) -> anyhow::Result<Value> {
        let asked = self.admin(&["job", "build", name])?.ok()?.out();
        let id: u64 = asked.split(' ').nth(1).context("job N builds …")?.parse()?;
        self.job_reaches(id, "done")
    }

    /// What the last attempt at a job wrote.
    pub fn job_log(&self, id: u64) -> String {
        let said = self.admin(&["job", "show", &id.to_string(), "--log"]);
        said.map(|said| said.read().out()).unwrap_or_default()
    }
}
