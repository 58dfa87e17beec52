//! Brings a backup back: proven whole first, then put in place, what was there moved aside and never removed.
//!
//! The journal comes last: until it stands there, no bot would see a half-restored server as a whole one.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use windlass_hooks::settings::Settings;

use super::manifest::Manifest;
use super::{CLAIMS, CONFIG, JOURNAL, KEYS, PEOPLE, SPOOL, copy_directory, copy_file};
use crate::exit::Broken;
use crate::journal::{Head, Sqlite};
use crate::layout::files::{Permissions, mend};
use crate::layout::{Accounts, Part};
use crate::serve::StateLock;

/// What to do about a state that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It is left alone, and the restore refused.
    Keep,
    /// It is moved aside.
    MoveAside,
}

/// One part of a backup and where it goes.
#[derive(Debug, Clone)]
struct Step {
    from: PathBuf,
    to: PathBuf,
    kind: Kind,
    /// Where what stands there now is moved to.
    aside: Option<PathBuf>,
}

/// What a part is, and hence whose it becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Config,
    People,
    Claims,
    Spool,
    Keys,
    Journal,
}

/// A restore, checked and ready.
#[derive(Debug, Clone)]
pub struct Plan {
    steps: Vec<Step>,
    head: Head,
    settings: Settings,
}

impl Plan {
    /// Proves that a backup is whole, and plans what goes where. `config` is the configuration's place; where there is
    /// none yet, the backup's is put there.
    ///
    /// # Errors
    /// The backup is not whole; or something is there already and is to be kept.
    pub fn new(backup: &Path, config: &Path, settings: &Settings, existing: Existing) -> anyhow::Result<Self> {
        let head = check(backup)?;
        let paths = &settings.paths;
        let stamp = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let mut steps = Vec::new();
        let parts = [
            (CONFIG, config.to_owned(), Kind::Config),
            (PEOPLE, paths.people(), Kind::People),
            (CLAIMS, paths.claims(), Kind::Claims),
            (SPOOL, paths.spool(), Kind::Spool),
            (KEYS, paths.keys(), Kind::Keys),
            (JOURNAL, paths.journal(), Kind::Journal),
        ];
        let mut in_the_way = Vec::new();
        for (name, to, kind) in parts {
            let from = backup.join(name);
            let there = is_there(&to);
            // The same configuration, or another one that the administrator wrote for this machine, stays.
            if !from.exists() || (kind == Kind::Config && there) {
                continue;
            }
            if there {
                in_the_way.push(to.display().to_string());
            }
            let aside = there.then(|| {
                let mut aside = to.clone().into_os_string();
                aside.push(format!(".before-{stamp}"));
                PathBuf::from(aside)
            });
            steps.push(Step { from, to, kind, aside });
        }
        if existing == Existing::Keep && !in_the_way.is_empty() {
            bail!(
                Broken::new(format!("there is a state already: {}", in_the_way.join(", ")))
                    .hint("--force moves it aside, and removes nothing")
            );
        }
        Ok(Self {
            steps,
            head,
            settings: settings.clone(),
        })
    }

    /// The plan in lines.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for step in &self.steps {
            if let Some(aside) = &step.aside {
                lines.push(format!("move  {}  to {}", step.to.display(), aside.display()));
            }
            lines.push(format!("copy  {}  from {}", step.to.display(), step.from.display()));
        }
        lines
    }

    /// The head of the journal that comes back.
    pub fn head(&self) -> Head {
        self.head
    }

    /// Does it. The bot must be stopped.
    pub fn execute(&self) -> anyhow::Result<()> {
        let accounts = Accounts::of(&self.settings.users)?;
        let _lock = StateLock::take(&self.settings.paths.state())?;
        for step in &self.steps {
            step.execute(&accounts)?;
        }
        let report = Sqlite::open_read_only(&self.settings.paths.journal())?.verify(Some(&self.head))?;
        if let Some(finding) = report.findings.first() {
            bail!("the journal was restored and is not whole: {finding}");
        }
        Ok(())
    }
}

/// Proves that a backup is whole; its journal's head.
fn check(backup: &Path) -> anyhow::Result<Head> {
    let manifest = Manifest::read(backup)?;
    let differences = manifest.compare(backup)?;
    if !differences.is_empty() {
        bail!("the backup is not whole:\n  {}", differences.join("\n  "));
    }
    let head: Head = manifest.head.parse().context("the manifest's head")?;
    // Reading a database can leave files beside it: a look at a copy leaves the backup as it is.
    let scratch = tempfile::tempdir()?;
    let copy = scratch.path().join(JOURNAL);
    copy_file(&backup.join(JOURNAL), &copy)?;
    let report = Sqlite::open_read_only(&copy)?.verify(Some(&head))?;
    if let Some(finding) = report.findings.first() {
        bail!("the backup's journal is not whole: {finding}");
    }
    if report.head != head {
        bail!("the backup's journal ends at {}, its manifest says {head}", report.head);
    }
    Ok(head)
}

/// Whether there is something to lose at a path: a file, or a directory with something in it.
fn is_there(path: &Path) -> bool {
    match std::fs::read_dir(path) {
        Ok(mut entries) => {
            entries.any(|entry| entry.is_ok_and(|entry| !entry.file_name().as_encoded_bytes().starts_with(b".")))
        }
        Err(_) => std::fs::symlink_metadata(path).is_ok_and(|meta| !meta.is_dir()),
    }
}

impl Step {
    fn execute(&self, accounts: &Accounts) -> anyhow::Result<()> {
        if let Some(aside) = &self.aside {
            std::fs::rename(&self.to, aside)
                .with_context(|| format!("{} cannot be moved to {}", self.to.display(), aside.display()))?;
        }
        if self.kind == Kind::Journal {
            move_companions(&self.to, self.aside.as_deref())?;
        }
        let parent = self.to.parent().unwrap_or(Path::new("/"));
        std::fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
        let mut unverified = self.to.clone().into_os_string();
        unverified.push(".unverified");
        let unverified = PathBuf::from(unverified);
        clear(&unverified)?;
        if self.from.is_dir() {
            copy_directory(&self.from, &unverified)?;
            // An empty directory that `init` made gives way.
            clear(&self.to)?;
        } else {
            copy_file(&self.from, &unverified)?;
        }
        self.own(&unverified, accounts)?;
        std::fs::rename(&unverified, &self.to)
            .with_context(|| format!("{} cannot get its name", unverified.display()))?;
        File::open(parent)?.sync_all()?;
        Ok(())
    }

    /// Gives what was copied to whose it is.
    fn own(&self, path: &Path, accounts: &Accounts) -> anyhow::Result<()> {
        let (owner, group, directory, file) = match self.kind {
            Kind::Config => (Part::Admin, Part::Admin, 0o755, 0o644),
            Kind::People => (Part::Bot, Part::Git, 0o750, 0o640),
            Kind::Claims => (Part::Git, Part::Git, 0o750, 0o640),
            Kind::Spool => (Part::Git, Part::Git, 0o1730, 0o644),
            Kind::Keys | Kind::Journal => (Part::Bot, Part::Bot, 0o700, 0o600),
        };
        let mut pending = vec![path.to_owned()];
        while let Some(path) = pending.pop() {
            let is_directory = path.is_dir();
            if is_directory {
                for entry in std::fs::read_dir(&path)? {
                    pending.push(entry?.path());
                }
            }
            // The spool itself is the bot's, what lies in it is git's.
            let owner = if self.kind == Kind::Spool && is_directory {
                Part::Bot
            } else {
                owner
            };
            let wanted = Permissions {
                uid: accounts.part(owner).uid,
                gid: accounts.part(group).gid,
                mode: if is_directory { directory } else { file },
            };
            mend(&path, wanted).with_context(|| path.display().to_string())?;
        }
        Ok(())
    }
}

/// The files that a database in use has beside it go where it goes. Left behind without it they belong to nothing.
fn move_companions(from: &Path, to: Option<&Path>) -> anyhow::Result<()> {
    for suffix in ["-wal", "-shm"] {
        let with = |path: &Path| {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        };
        let stray = || {
            let mut name = with(from).into_os_string();
            name.push(".stray");
            PathBuf::from(name)
        };
        match std::fs::rename(with(from), to.map_or_else(stray, with)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| with(from).display().to_string());
            }
            _ => {}
        }
    }
    Ok(())
}

/// Removes what a restore that was cut off left, or an empty directory.
fn clear(path: &Path) -> anyhow::Result<()> {
    let removed = match std::fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(_) => Ok(()),
    };
    removed.with_context(|| path.display().to_string())
}
