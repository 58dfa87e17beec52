//! A world in which packages are built and land: two architectures, repositories that are made and served, and what a story
//! asks of its tasks.

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::clone::Clone;
use crate::people::Person;
use crate::process::Ran;
use crate::programs::Programs;
use crate::world::World;
use crate::{demo, wait};

/// How long a task may take: on two loaded processors, builds for two architectures.
pub const TASK: Duration = Duration::from_mins(4);

/// The programs without which nothing is built.
const NEEDED: [&str; 7] = ["rpmbuild", "bwrap", "gcc", "make", "dnf", "zypper", "createrepo_c"];

/// Why packages cannot be built on this machine, if they cannot.
pub fn cannot_build() -> Option<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = |name: &str| std::env::split_paths(&path).any(|dir| dir.join(name).is_file());
    let missing: Vec<&str> = NEEDED.into_iter().filter(|name| !there(name)).collect();
    (!missing.is_empty()).then(|| format!("these programs are missing: {}", missing.join(", ")))
}

/// Where a server may listen: free now.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

impl World {
    /// A world whose repositories are for two architectures, made and served over HTTP.
    pub fn that_builds() -> anyhow::Result<Self> {
        Self::that_builds_with(|_| Ok(()))
    }

    /// The same, with a look at its settings before anything runs.
    pub fn that_builds_with(settings: impl FnOnce(&Self) -> anyhow::Result<()>) -> anyhow::Result<Self> {
        Self::that_builds_by(Programs::built()?, settings)
    }

    /// The same with these programs.
    pub fn that_builds_by(
        programs: Programs,
        settings: impl FnOnce(&Self) -> anyhow::Result<()>,
    ) -> anyhow::Result<Self> {
        let mut world = Self::empty_for(programs, &["x86_64", "i586"])?;
        world.set("http", "listen", &format!("\"127.0.0.1:{}\"", free_port()?))?;
        settings(&world)?;
        for repository in ["main", "stable"] {
            world.windlass(["repo", "init", "-b", repository]).run()?.ok()?;
        }
        world.populate()?;
        Ok(world)
    }

    /// Where packages are served, without the slash at the end.
    pub fn url(&self) -> anyhow::Result<String> {
        let text = std::fs::read_to_string(self.config())?;
        let listen = text.lines().find_map(|line| line.strip_prefix("listen = "));
        let address = listen.context("the world serves packages")?.trim_matches('"');
        Ok(format!("http://{address}"))
    }

    /// Where a repository lies.
    pub fn repository_dir(&self, name: &str) -> PathBuf {
        self.root().join("repos").join(name)
    }

    /// A source repository with a version of one of the demonstration's packages in it, signed and tagged, not pushed.
    pub fn demo_package(&self, person: &Person, name: &str, version: &str) -> anyhow::Result<Clone> {
        let clone = self.source(person, name)?;
        self.demo_version(&clone, name, version)?;
        Ok(clone)
    }

    /// Lays a version of one of the demonstration's packages out in a working copy; commits, signs and tags it.
    pub fn demo_version(&self, clone: &Clone, name: &str, version: &str) -> anyhow::Result<()> {
        demo::lay_out(name, version, &clone.dir)?;
        clone.commit_all(&format!("{name} {version}"))?;
        clone.tag(version)?;
        Ok(())
    }

    /// An empty source repository, made over ssh, and a working copy of it.
    pub fn source(&self, person: &Person, name: &str) -> anyhow::Result<Clone> {
        self.ssh(person, &["init-repo", name])?.ok()?;
        self.clone_of(person, &format!("people/{}/packages/{name}.git", person.name))
    }

    /// Waits for the end of a task's run over ssh; gives what `task wait` said.
    pub fn wait_for(&self, person: &Person, task: u64) -> anyhow::Result<Ran> {
        let wait = self.ssh_command(person, &["task", "wait", &task.to_string()])?;
        let ran = wait.limit(TASK).run()?;
        Ok(self.note(ran).read())
    }

    /// All that is known of a task, as `task show --json` has it.
    pub fn task(&self, task: u64) -> anyhow::Result<serde_json::Value> {
        let ran = self.windlass(["task", "show", &task.to_string(), "--json"]);
        let json = ran.run()?.ok()?.json()?;
        Ok(if json["task"].is_object() {
            json["task"].clone()
        } else {
            json
        })
    }

    /// A task's state.
    pub fn state(&self, task: u64) -> anyhow::Result<String> {
        let shown = self.task(task)?;
        let state = shown["state"].as_str();
        Ok(state.with_context(|| format!("no state in {shown}"))?.to_owned())
    }

    /// Waits until a task's run has ended; it has to end in this state.
    pub fn ends(&self, person: &Person, task: u64, state: &str) -> anyhow::Result<Ran> {
        let said = self.wait_for(person, task)?;
        let is = self.state(task)?;
        if is != state {
            let show = self.windlass(["task", "show", &task.to_string()]).run()?;
            bail!("task {task} is {is}, expected {state}:\n{said}\n{show}");
        }
        Ok(said)
    }

    /// Waits until a task is in this state, whatever comes before it.
    pub fn reaches(&self, task: u64, state: &str) -> anyhow::Result<()> {
        let what = format!("task {task} to be {state}");
        wait::until_within(TASK, &what, || Ok((self.state(task)? == state).then_some(())))
    }

    /// Pushes a tag to be built and waits until it has landed; gives the task.
    pub fn lands(&self, clone: &Clone, tag: &str) -> anyhow::Result<u64> {
        let task = self.pushed_task(clone, &["-o", "build", "main", tag])?;
        self.ends(&clone.person, task, "done")?;
        Ok(task)
    }

    /// Pushes something that becomes a task; gives its number.
    pub fn pushed_task(&self, clone: &Clone, words: &[&str]) -> anyhow::Result<u64> {
        let ran = clone.push(words)?.ok()?;
        let said = ran.err();
        let number = said.split("task ").nth(1).map(|rest| {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            digits.parse()
        });
        number
            .with_context(|| format!("no task is named: {ran}"))?
            .with_context(|| format!("no task is named: {ran}"))
    }

    /// The packages of a repository on one architecture, or `source`, as name-version-release.arch.
    pub fn listed(&self, repository: &str, arch: &str) -> anyhow::Result<Vec<String>> {
        let ran = self.windlass(["repo", "ls", "-b", repository, "--arch", arch, "--json"]);
        let json = ran.run()?.ok()?.json()?;
        let list = json.as_array().with_context(|| format!("no list: {json}"))?;
        let text = |package: &serde_json::Value, key: &str| package[key].as_str().unwrap_or_default().to_owned();
        let mut names: Vec<String> = list
            .iter()
            .map(|package| {
                format!(
                    "{}-{}.{}",
                    text(package, "name"),
                    text(package, "evr"),
                    text(package, "arch")
                )
            })
            .collect();
        names.sort();
        Ok(names)
    }

    /// The generation that a repository is at.
    pub fn generation(&self, repository: &str) -> anyhow::Result<u64> {
        let current = std::fs::read_link(self.repository_dir(repository).join("current"))?;
        let number = current
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.parse().ok());
        number.with_context(|| format!("'{}' names no generation", current.display()))
    }
}
