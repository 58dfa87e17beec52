//! The source repositories: where one lies, whose it is, who may push to it.
//!
//! Its owner is the person in whose directory it lies. Whom he names stands in the file `windlass-pushers` in the bare repository, one
//! name a line.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use windlass_core::escape::escaped;
use windlass_core::id::{SourcePath, UserName};
use windlass_core::refusal::Refusal;

use crate::caller::Caller;
use crate::claims::give_to_owner_of;

/// The file of those who may push beside the owner.
const PUSHERS: &str = "windlass-pushers";

/// A bare repository below the root of the source repositories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its name: the path below the root, after every symbolic link.
    pub path: SourcePath,
    /// Where it lies, absolute and without symbolic links.
    pub git_dir: PathBuf,
}

/// A source repository that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// There is none, or it lies elsewhere; ready to be told.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A file of it cannot be read or written.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

impl Source {
    /// The repository of this name. A symbolic link may lead to another place below the root, never out of it.
    pub fn find(root: &Path, path: &SourcePath) -> Result<Self, SourceError> {
        let typed = root.join(path.as_str());
        let missing = || {
            let refusal = Refusal::new("no_such_source", format!("there is no source repository {path}"));
            match path.owner() {
                Some(_) => refusal.hint(format!("its owner makes it: ssh HOST init-repo {}", path.name())),
                None => refusal.hint(format!("an administrator makes it: windlass init-repo {path}")),
            }
        };
        match typed.canonicalize() {
            Ok(git_dir) => Self::at(root, &git_dir),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Err(missing().into())
            }
            Err(error) => Err(SourceError::Io { path: typed, error }),
        }
    }

    /// The repository in this directory, which must lie below the root.
    pub fn at(root: &Path, git_dir: &Path) -> Result<Self, SourceError> {
        let real = |path: &Path| {
            path.canonicalize().map_err(|error| SourceError::Io {
                path: path.to_owned(),
                error,
            })
        };
        let (root, git_dir) = (real(root)?, real(git_dir)?);
        let below = git_dir.strip_prefix(&root).ok().and_then(Path::to_str);
        let Some(path) = below.and_then(|below| below.parse().ok()) else {
            let shown = escaped(&git_dir.to_string_lossy());
            return Err(Refusal::new(
                "no_such_source",
                format!("'{shown}' is no source repository below '{}'", root.display()),
            )
            .hint("source repositories are people/USER/packages/NAME.git and shared/NAME.git below paths.git")
            .into());
        };
        let source = Self { path, git_dir };
        if source.git_dir.join("HEAD").exists() && source.git_dir.join("objects").is_dir() {
            Ok(source)
        } else {
            Err(Refusal::new("no_such_source", format!("{} is no bare git repository", source.path)).into())
        }
    }

    /// Those whom the owner named, sorted. A line that is no user name is skipped: it names nobody.
    pub fn pushers(&self) -> Result<Vec<UserName>, SourceError> {
        let path = self.git_dir.join(PUSHERS);
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(|error| SourceError::Io { path, error })?,
        };
        let mut names: Vec<UserName> = text.lines().filter_map(|line| line.trim().parse().ok()).collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// Names those who may push beside the owner, all anew.
    pub fn set_pushers(&self, names: &[UserName]) -> Result<(), SourceError> {
        let path = self.git_dir.join(PUSHERS);
        let temporary = self.git_dir.join(format!(".{PUSHERS}-{}", std::process::id()));
        let write = || -> io::Result<()> {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o644)
                .open(&temporary)?;
            for name in names {
                writeln!(file, "{name}")?;
            }
            file.sync_all()?;
            give_to_owner_of(&self.git_dir, &temporary)?;
            std::fs::rename(&temporary, &path)?;
            std::fs::File::open(&self.git_dir)?.sync_all()
        };
        write().map_err(|error| SourceError::Io {
            path: path.clone(),
            error,
        })
    }

    /// Whether this person may push here: the owner, those whom he names, superusers.
    pub fn may_push(&self, caller: &Caller) -> Result<(), SourceError> {
        let owner = self.path.owner();
        if caller.superuser || owner.as_ref() == Some(&caller.name) || self.pushers()?.contains(&caller.name) {
            return Ok(());
        }
        let refusal = Refusal::new("may_not_push", format!("{} may not push to {}", caller.name, self.path));
        let who = owner.map_or_else(|| "an administrator".to_owned(), |owner| owner.to_string());
        Err(refusal
            .hint(format!("{who} may let you: pushers {} add {}", self.path, caller.name))
            .into())
    }

    /// Whether this person may say who else may push: the owner, superusers.
    pub fn may_name_pushers(&self, caller: &Caller) -> Result<(), Refusal> {
        if caller.superuser || self.path.owner().as_ref() == Some(&caller.name) {
            return Ok(());
        }
        let refusal = Refusal::new(
            "not_owner",
            format!(
                "{} is not {}'s: who may push is for its owner to say",
                self.path, caller.name
            ),
        );
        Err(match self.path.owner() {
            Some(owner) => refusal.hint(format!("ask {owner}")),
            None => refusal.hint("ask an administrator"),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn bare(at: &Path) {
        std::fs::create_dir_all(at.join("objects")).unwrap();
        std::fs::write(at.join("HEAD"), "ref: refs/heads/main\n").unwrap();
    }

    fn caller(name: &str, superuser: bool) -> Caller {
        Caller {
            name: name.parse().unwrap(),
            superuser,
        }
    }

    fn find(root: &Path, path: &str) -> Result<Source, SourceError> {
        Source::find(root, &path.parse().unwrap())
    }

    #[test]
    fn a_link_may_not_lead_out_of_the_root() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("git");
        let alices = root.join("people/alice/packages");
        bare(&alices.join("hello.git"));
        bare(&dir.path().join("outside/x.git"));
        bare(&root.join("elsewhere/y.git"));
        symlink(dir.path().join("outside/x.git"), alices.join("x.git")).unwrap();
        symlink(root.join("elsewhere/y.git"), alices.join("y.git")).unwrap();
        std::fs::create_dir_all(root.join("shared")).unwrap();
        symlink(alices.join("hello.git"), root.join("shared/hello.git")).unwrap();
        std::fs::create_dir_all(alices.join("empty.git")).unwrap();
        assert!(find(&root, "people/alice/packages/hello.git").is_ok());
        let shared = find(&root, "shared/hello.git").unwrap();
        assert_eq!(
            shared.path.as_str(),
            "people/alice/packages/hello.git",
            "rights go by the real place"
        );
        for bad in ["x", "y", "empty", "none"] {
            let error = find(&root, &format!("people/alice/packages/{bad}.git")).unwrap_err();
            assert!(
                matches!(error, SourceError::Refused(refusal) if refusal.code == "no_such_source"),
                "{bad}"
            );
        }
    }

    #[test]
    fn who_may_push() {
        let dir = tempfile::tempdir().unwrap();
        bare(&dir.path().join("people/alice/packages/hello.git"));
        bare(&dir.path().join("shared/gcc.git"));
        let hello = find(dir.path(), "people/alice/packages/hello.git").unwrap();
        let gcc = find(dir.path(), "shared/gcc.git").unwrap();
        assert!(hello.may_push(&caller("alice", false)).is_ok());
        assert!(hello.may_push(&caller("root", true)).is_ok());
        assert!(hello.may_push(&caller("bob", false)).is_err());
        assert!(gcc.may_push(&caller("alice", false)).is_err());
        hello.set_pushers(&["bob".parse().unwrap()]).unwrap();
        assert!(hello.may_push(&caller("bob", false)).is_ok());
        assert!(hello.may_name_pushers(&caller("bob", false)).is_err());
        assert!(hello.may_name_pushers(&caller("alice", false)).is_ok());
        std::fs::write(hello.git_dir.join(PUSHERS), "# friends\ncarol\n../x\n\nbob \n").unwrap();
        let names: Vec<String> = hello.pushers().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(names, ["bob", "carol"]);
    }
}
