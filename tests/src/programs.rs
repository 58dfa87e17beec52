//! Where the programs under test are: beside the executable that runs now, and not older than their source.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, bail};

/// The three programs of Windlass, as built.
#[derive(Debug, Clone)]
pub struct Programs {
    /// The daemon and command line.
    pub windlass: PathBuf,
    /// The hooks.
    pub hook: PathBuf,
    /// The ssh door.
    pub shell: PathBuf,
}

impl Programs {
    /// Those in the profile's folder in which this very executable lies.
    ///
    /// # Errors
    /// One is missing or older than the source: building tests alone does not build them.
    pub fn built() -> anyhow::Result<Self> {
        let programs = Self::in_folder(&profile_folder()?)?;
        let root = workspace()?;
        let newest = ["core/src", "hooks/src", "bot/src", "templates"]
            .iter()
            .map(|part| newest_source(&root.join(part)))
            .collect::<anyhow::Result<Vec<_>>>()?
            .into_iter()
            .flatten()
            .max();
        let built = programs.windlass.metadata()?.modified()?;
        if let Some((changed, file)) = newest
            && changed > built
        {
            bail!(
                "{} is older than {}\n\nhint: cargo build --workspace",
                programs.windlass.display(),
                file.display()
            );
        }
        Ok(programs)
    }

    /// Those in this folder.
    pub fn in_folder(folder: &Path) -> anyhow::Result<Self> {
        let find = |name: &str| {
            let path = folder.join(name);
            if path.is_file() {
                Ok(path)
            } else {
                bail!("{} is missing\n\nhint: cargo build --workspace", path.display())
            }
        };
        Ok(Self {
            windlass: find("windlass")?,
            hook: find("windlass-hook")?,
            shell: find("windlass-shell")?,
        })
    }
}

/// `target/debug`, or wherever this executable was built into.
pub fn profile_folder() -> anyhow::Result<PathBuf> {
    let exe = std::env::current_exe()?;
    let folder = exe.parent().context("an executable lies in a folder")?;
    Ok(if folder.ends_with("deps") {
        folder.parent().context("deps lies in the profile's folder")?.to_owned()
    } else {
        folder.to_owned()
    })
}

/// The workspace's root.
pub fn workspace() -> anyhow::Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(here.parent().context("this crate lies in the workspace")?.to_owned())
}

fn newest_source(dir: &Path) -> anyhow::Result<Option<(SystemTime, PathBuf)>> {
    let mut newest = None;
    for entry in std::fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let path = entry?.path();
        let found = if path.is_dir() {
            newest_source(&path)?
        } else if path.extension().is_some_and(|ext| ext == "rs" || ext == "sql") {
            Some((path.metadata()?.modified()?, path))
        } else {
            None
        };
        newest = newest.max(found);
    }
    Ok(newest)
}
