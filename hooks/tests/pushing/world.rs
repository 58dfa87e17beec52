//! A server's directory with people, source repositories and hooks as installed, and clones that push to it: by path, or through the
//! ssh door with a stand-in for ssh.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use windlass_core::id::SourcePath;
use windlass_hooks::claims::Ledger;
use windlass_hooks::install::{Installation, init_repository};
use windlass_hooks::settings::Settings;
use windlass_hooks::spool::Spool;
use windlass_hooks::wire::Request;

/// The programs as they were built.
pub(crate) const HOOK: &str = env!("CARGO_BIN_EXE_windlass-hook");
pub(crate) const SHELL: &str = env!("CARGO_BIN_EXE_windlass-shell");

pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
}

/// What a push or a command left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap_or_else(|error| panic!("not UTF-8: {error}"));
        Self {
            code: output.status.code(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    #[track_caller]
    pub(crate) fn passed(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self
    }

    /// It was refused with this code, and said so in a way that a person can read.
    #[track_caller]
    pub(crate) fn refused(self, code: &str) -> Self {
        assert_ne!(self.code, Some(0), "{self:#?}");
        let told = self
            .err
            .lines()
            .any(|line| line.contains("windlass: refused: ") && line.trim_end().ends_with(&format!("[{code}]")));
        assert!(told, "not refused as {code}: {self:#?}");
        self
    }
}

impl World {
    /// With alice, bob, and alice's repository `hello`.
    pub(crate) fn new() -> Self {
        Self::with("")
    }

    /// With these sections in its configuration.
    pub(crate) fn with(sections: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let world = Self { dir };
        let root = world.path("");
        let text = format!(
            "[paths]\nroot = \"{}\"\n[users]\ngit = \"0\"\nbot = \"0\"\n{sections}\n",
            root.display()
        );
        std::fs::write(world.path("windlass.toml"), text).unwrap();
        for dir in ["people", "git", "spool", "run", "keys"] {
            std::fs::create_dir(world.path(dir)).unwrap();
        }
        for name in ["alice", "bob"] {
            world.person(name, "");
        }
        world.source("people/alice/packages/hello.git");
        world
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings::load(&self.path("windlass.toml")).unwrap()
    }

    pub(crate) fn ledger(&self) -> Ledger {
        Ledger::new(self.settings().paths.claims())
    }

    /// The requests that wait in the spool.
    pub(crate) fn spooled(&self) -> Vec<Request> {
        let spool = Spool::new(self.path("spool"));
        let me = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(self.path("spool")).unwrap());
        spool
            .entries()
            .unwrap()
            .iter()
            .map(|path| spool.read(path, &[me]).unwrap())
            .collect()
    }

    pub(crate) fn person(&self, name: &str, more: &str) {
        let key = self.path(&format!("keys/{name}"));
        run(Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"])
            .arg(&key))
        .passed();
        let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
        let text = format!(
            "addresses = [\"{name}@example.org\"]\n{more}\n[[ssh]]\nkey = \"{}\"\n",
            public.trim()
        );
        std::fs::write(self.path(&format!("people/{name}.toml")), text).unwrap();
    }

    pub(crate) fn installation(&self) -> Installation {
        let max_input_size = self.settings().push.max_input_size;
        Installation {
            program: HOOK.into(),
            config: self.path("windlass.toml"),
            max_input_size,
        }
    }

    /// Makes a source repository, with hooks.
    pub(crate) fn source(&self, path: &str) -> PathBuf {
        let path: SourcePath = path.parse().unwrap();
        init_repository(&self.path("git"), &path, &self.installation())
            .unwrap()
            .git_dir
    }

    pub(crate) fn hello(&self) -> PathBuf {
        self.path("git/people/alice/packages/hello.git")
    }

    /// A working copy of somebody's, with one commit.
    pub(crate) fn clone_of(&self, user: &str, name: &str) -> Work<'_> {
        let dir = self.path(&format!("work-{name}"));
        let work = Work {
            world: self,
            dir,
            user: user.to_owned(),
        };
        run(work
            .git_anywhere()
            .args(["init", "--quiet", "--initial-branch=main"])
            .arg(&work.dir))
        .passed();
        let key = self.path(&format!("keys/{user}"));
        for (name, value) in [
            ("user.name", OsStr::new(user)),
            ("user.email", OsStr::new(&format!("{user}@example.org"))),
            ("gpg.format", OsStr::new("ssh")),
            ("user.signingKey", key.as_os_str()),
        ] {
            run(work.git().arg("config").arg(name).arg(value)).passed();
        }
        work.commit("first");
        work
    }
}

pub(crate) struct Work<'a> {
    pub(crate) world: &'a World,
    pub(crate) dir: PathBuf,
    user: String,
}

impl Work<'_> {
    fn git_anywhere(&self) -> Command {
        let mut command = Command::new("git");
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.world.dir.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("LANG", "C.UTF-8")
            .env("WINDLASS_USER", &self.user);
        command
    }

    pub(crate) fn git(&self) -> Command {
        let mut command = self.git_anywhere();
        command.arg("-C").arg(&self.dir);
        command
    }

    pub(crate) fn commit(&self, message: &str) {
        run(self.git().args(["commit", "--quiet", "--allow-empty", "-m", message])).passed();
    }

    /// Signs a tag of the present commit.
    pub(crate) fn tag(&self, name: &str) {
        run(self.git().args(["tag", "-s", "-m", name, name])).passed();
    }

    /// Pushes by path to a repository of the server.
    pub(crate) fn push_to(&self, source: &Path, words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Ran {
        let (options, refs): (Vec<_>, Vec<_>) = words
            .into_iter()
            .partition(|word| word.as_ref().as_encoded_bytes().starts_with(b"-"));
        run(self.git().arg("push").args(options).arg(source).args(refs))
    }

    /// Pushes by path to alice's `hello`.
    pub(crate) fn push(&self, words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Ran {
        self.push_to(&self.world.hello(), words)
    }

    /// Runs git with a stand-in for ssh that ends in the ssh door.
    pub(crate) fn git_by_ssh(&self, words: &[&str]) -> Ran {
        let script = self.world.path(&format!("ssh-{}", self.user));
        let config = self.world.path("windlass.toml");
        // The last word is what ssh would hand over; the variables are what a hostile client would like to get through.
        let text = format!(
            "#!/bin/sh\nfor word; do :; done\nexport SSH_ORIGINAL_COMMAND=\"$word\" GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=core.hooksPath \
             GIT_CONFIG_VALUE_0=/nowhere WINDLASS_USER=root\nexec '{SHELL}' --config '{}' {}\n",
            config.display(),
            self.user
        );
        std::fs::write(&script, text).unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        run(self
            .git()
            .env("GIT_SSH_COMMAND", &script)
            .env("GIT_SSH_VARIANT", "simple")
            .args(words))
    }

    /// A command through the ssh door.
    pub(crate) fn ssh(&self, line: &str) -> Ran {
        let mut command = Command::new(SHELL);
        command
            .arg("--config")
            .arg(self.world.path("windlass.toml"))
            .arg(&self.user);
        // What a hostile client would like to get through.
        command.env("GIT_DIR", "/nowhere").env("GIT_TEMPLATE_DIR", "/nowhere");
        command
            .env("GIT_CONFIG_COUNT", "1")
            .env("GIT_CONFIG_KEY_0", "core.hooksPath")
            .env("GIT_CONFIG_VALUE_0", "/nowhere");
        run(command.env("SSH_ORIGINAL_COMMAND", line).env("WINDLASS_USER", "root"))
    }
}

pub(crate) fn run(command: &mut Command) -> Ran {
    Ran::of(command.output().unwrap())
}

/// The refs of a bare repository.
pub(crate) fn refs(git_dir: &Path) -> Vec<String> {
    let ran = run(Command::new("git")
        .arg("--git-dir")
        .arg(git_dir)
        .args(["for-each-ref", "--format=%(refname)"]))
    .passed();
    ran.out.lines().map(str::to_owned).collect()
}
