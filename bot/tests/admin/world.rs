//! A machine of one user below a directory: programs, configuration, home, and running the program in it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A directory with the programs, and all that they make.
pub(crate) struct World {
    directory: TempDir,
}

/// How a run ended. Paths of the world are shown as `WORLD`, its user and group as `ME`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Everything for a snapshot.
    pub(crate) fn all(&self) -> String {
        format!("{}---- stderr, exit code {}\n{}", self.stdout, self.code, self.stderr)
    }
}

impl World {
    /// The programs alone. Hooks and ssh door are stand-ins: nothing here is pushed.
    pub(crate) fn bare() -> Self {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let world = Self { directory };
        for made in ["bin", "home"] {
            std::fs::create_dir(world.path(made)).unwrap();
        }
        // A link of its own, so that the program finds its neighbours where it stands.
        std::fs::hard_link(env!("CARGO_BIN_EXE_windlass"), world.path("bin/windlass")).unwrap();
        for name in ["windlass-hook", "windlass-shell"] {
            let path = world.path("bin").join(name);
            std::fs::write(&path, "#!/bin/sh\nexit 0\n").unwrap();
            mode(&path, 0o755);
        }
        world
    }

    /// Set up for one user, alice.
    pub(crate) fn new() -> Self {
        let world = Self::bare();
        let done = world.windlass(["init", "--yes", "--one-user", "alice", "--architecture", "x86_64"]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        world
    }

    /// A path in it.
    pub(crate) fn path(&self, below: impl AsRef<Path>) -> PathBuf {
        self.directory.path().canonicalize().unwrap().join(below)
    }

    /// A path in the set-up.
    pub(crate) fn root(&self, below: impl AsRef<Path>) -> PathBuf {
        self.path("home/windlass").join(below)
    }

    /// Runs the program; what it needs stands in the environment, nothing else does.
    pub(crate) fn windlass<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Ran {
        let mut command = Command::new(self.path("bin/windlass"));
        command.args(words).stdin(Stdio::null()).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap());
        command.env("HOME", self.path("home"));
        command.env("WINDLASS_CONFIG", self.root("windlass.toml"));
        command.current_dir(self.path("home"));
        let output = command.output().unwrap();
        Ran {
            code: output.status.code().unwrap(),
            stdout: self.shown(&output.stdout),
            stderr: self.shown(&output.stderr),
        }
    }

    /// Makes alice known, with the keys of the fixtures.
    pub(crate) fn add_alice(&self) {
        let (pgp, ssh) = (fixture("alice.asc"), fixture("alice.pub"));
        self.done([
            "people",
            "add",
            "alice",
            "--address",
            "alice@example.org",
            "--openpgp",
            &pgp,
            "--ssh",
            &ssh,
        ]);
    }

    /// As [`Self::windlass`], for what must succeed; its data.
    pub(crate) fn done<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> String {
        let ran = self.windlass(words);
        assert_eq!(ran.code, 0, "{}", ran.all());
        ran.stdout
    }

    fn shown(&self, bytes: &[u8]) -> String {
        let own = rustix::process::geteuid().as_raw();
        let (user, group) = (
            name("/etc/passwd", own),
            name("/etc/group", rustix::process::getegid().as_raw()),
        );
        String::from_utf8_lossy(bytes)
            .replace(self.path("").to_str().unwrap().trim_end_matches('/'), "WORLD")
            .replace(&format!("{user}:{group}"), "ME")
    }

    /// Makes a bare source repository of alice's, without hooks.
    pub(crate) fn repository(&self, name: &str) -> PathBuf {
        let path = self.root(format!("git/people/alice/packages/{name}.git"));
        self.git(["init", "--quiet", "--bare", "--template=", path.to_str().unwrap()]);
        path
    }

    /// Runs git, which must succeed; its data.
    pub(crate) fn git<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> String {
        let mut command = Command::new("git");
        command
            .args(words)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap());
        command.env("HOME", self.path("home")).env("GIT_CONFIG_NOSYSTEM", "1");
        for role in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{role}_NAME"), "Alice")
                .env(format!("GIT_{role}_EMAIL"), "alice@example.org");
            command.env(format!("GIT_{role}_DATE"), "1735776000 +0000");
        }
        let output = command.output().unwrap();
        assert!(
            output.status.success(),
            "git: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }
}

/// The text with blanks between columns made two: how wide a column is depends on names and paths.
pub(crate) fn squeezed(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let indent = line.len() - line.trim_start().len();
        let columns: Vec<&str> = line
            .trim_start()
            .split("  ")
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .collect();
        format!("{}{}\n", &line[..indent], columns.join("  "))
    });
    lines.collect()
}

/// The name of a user or group id.
fn name(file: &str, id: u32) -> String {
    let text = std::fs::read_to_string(file).unwrap();
    let line = text
        .lines()
        .find(|line| line.split(':').nth(2) == Some(id.to_string().as_str()));
    line.map_or_else(|| id.to_string(), |line| line.split(':').next().unwrap().to_owned())
}

/// Sets a mode.
pub(crate) fn mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// The mode's twelve bits.
pub(crate) fn mode_of(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    path.symlink_metadata().unwrap().permissions().mode() & 0o7777
}

/// A file that stands beside the tests.
pub(crate) fn fixture(name: &str) -> String {
    format!("{}/tests/admin/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))
}
