//! A set-up for one user with one repository for two architectures, and running the program in it.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::packages::packages;

/// A directory with the configuration, and where the packages are.
pub(crate) struct World {
    root: tempfile::TempDir,
    settings: String,
    packages: PathBuf,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ran {
    /// Nothing when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) killed: bool,
}

/// A running daemon. Dropped, it is killed.
pub(crate) struct Bot {
    child: Child,
    log: Receiver<String>,
    pub(crate) address: String,
}

impl World {
    /// A world without its repository yet; nothing where there are no packages to be had.
    pub(crate) fn empty(settings: &str) -> Option<Self> {
        let packages = packages()?;
        let root = tempfile::Builder::new()
            .prefix("w-")
            .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
            .unwrap();
        let world = Self {
            root,
            settings: settings.to_owned(),
            packages,
        };
        for directory in ["people", "git/people", "git/shared", "spool", "run", "state"] {
            std::fs::create_dir_all(world.path(directory)).unwrap();
        }
        std::fs::write(world.path("people/alice.toml"), "roles = ['superuser']\n").unwrap();
        world.configure();
        Some(world)
    }

    /// The same with the repository made, and the packages of `one` in it.
    pub(crate) fn filled(settings: &str) -> Option<Self> {
        let world = Self::empty(settings)?;
        world.done(&["repo", "init"]);
        world.done(&["repo", "import", &world.tree("one")]);
        Some(world)
    }

    fn configure(&self) {
        let user = windlass::layout::unix::user_name(rustix::process::geteuid().as_raw());
        let config = format!(
            "[paths]\nroot = '{}'\n[users]\ngit = '{user}'\nbot = '{user}'\nlocal = 'alice'\n\
             [http]\nlisten = '127.0.0.1:0'\ntimeout = '2s'\nmax_connections = 8\n\
             [[repository]]\nname = 'main'\narchitectures = ['x86_64', 'i586']\n{}",
            self.root.path().display(),
            self.settings
        );
        std::fs::write(self.path("windlass.toml"), config).unwrap();
    }

    /// A copy of the whole world, with nothing running in it.
    pub(crate) fn copy(&self) -> Self {
        let root = tempfile::Builder::new()
            .prefix("w-")
            .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
            .unwrap();
        let copied = Command::new("cp")
            .arg("-a")
            .arg(self.root.path().join("."))
            .arg(root.path())
            .status();
        assert!(copied.unwrap().success());
        let world = Self {
            root,
            settings: self.settings.clone(),
            packages: self.packages.clone(),
        };
        world.configure();
        world
    }

    pub(crate) fn path(&self, below: impl AsRef<Path>) -> PathBuf {
        self.root.path().join(below)
    }

    /// Something of the repository.
    pub(crate) fn repo(&self, below: impl AsRef<Path>) -> PathBuf {
        self.path("repos/main").join(below)
    }

    /// A tree of packages.
    pub(crate) fn tree(&self, name: &str) -> String {
        self.packages.join(name).display().to_string()
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .arg("--config")
            .arg(self.path("windlass.toml"))
            .args(words)
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Ran {
        ended(&self.command(words).output().unwrap())
    }

    /// The same, killed at a point.
    pub(crate) fn run_to(&self, point: &str, words: &[&str]) -> Ran {
        ended(&self.command(words).env("WINDLASS_CRASH_AT", point).output().unwrap())
    }

    /// Runs what must succeed; its data.
    pub(crate) fn done(&self, words: &[&str]) -> String {
        let ran = self.run(words);
        assert_eq!(ran.code, Some(0), "{words:?}: {}{}", ran.out, ran.err);
        ran.out
    }

    /// Runs what must fail; what it says.
    pub(crate) fn fails(&self, words: &[&str], code: i32) -> String {
        let ran = self.run(words);
        assert_eq!(ran.code, Some(code), "{words:?}: {}{}", ran.out, ran.err);
        ran.err
    }

    pub(crate) fn json(&self, words: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.done(words)).unwrap()
    }

    /// Starts the daemon and waits until it serves.
    pub(crate) fn start(&self) -> Bot {
        let mut child = self.command(&["serve"]).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, log) = channel();
        std::thread::spawn(move || {
            // Read to the end, whoever listens: a full pipe would stop the daemon.
            for line in stderr.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let mut bot = Bot {
            child,
            log,
            address: String::new(),
        };
        bot.line("serving at");
        let line = bot.line("repositories are served at http://");
        let (_, rest) = line.split_once("http://").unwrap();
        rest.split_once("/repos").unwrap().0.clone_into(&mut bot.address);
        bot
    }

    /// The number of the newest generation; 0 before there is one.
    pub(crate) fn current(&self) -> u64 {
        match std::fs::read_link(self.repo("current")) {
            Ok(target) => target.file_name().unwrap().to_str().unwrap().parse().unwrap(),
            Err(_) => 0,
        }
    }

    /// What is listed, as directory, name and version.
    pub(crate) fn listed(&self) -> BTreeSet<String> {
        let rows = self.json(&["repo", "ls", "--json"]);
        let text = |row: &serde_json::Value, key: &str| row[key].as_str().unwrap().to_owned();
        rows.as_array()
            .unwrap()
            .iter()
            .map(|row| format!("{}/{}-{}", text(row, "directory"), text(row, "name"), text(row, "evr")))
            .collect()
    }

    /// Repository and journal are whole, nothing temporary is there, and there is one secret key.
    pub(crate) fn is_whole(&self, what: &str) {
        let journal = self.json(&["journal", "verify", "--json"]);
        assert_eq!(journal["whole"], true, "{what}: {journal}");
        for file in files(&self.path("repos"))
            .into_iter()
            .chain(files(&self.path("state/keys")))
        {
            let name = file.file_name().unwrap().to_str().unwrap();
            let is_temporary = name.starts_with(".new") || name.ends_with(".unverified") || name.contains(".staging");
            assert!(!is_temporary && name != ".current.new", "{what}: {}", file.display());
        }
        assert!(!self.repo(".staging").exists(), "{what}");
        let secret = |path: &&PathBuf| path.extension().is_some_and(|extension| extension == "key");
        let keys = files(&self.path("state/keys"));
        let secrets = keys.iter().filter(secret).count();
        if self.current() == 0 {
            assert_eq!(secrets, 0, "{what}: {keys:?}");
            assert!(!self.repo("key.asc").exists(), "{what}");
            return;
        }
        assert_eq!(secrets, 1, "{what}: {keys:?}");
        let verified = self.run(&["repo", "verify", "--all"]);
        assert_eq!(verified.code, Some(0), "{what}: {}", verified.err);
        let log = self.json(&["repo", "log", "--json"]);
        assert_eq!(log[0]["generation"], self.current(), "{what}");
    }
}

impl Bot {
    /// Waits for a line of the log that has this in it.
    pub(crate) fn line(&mut self, part: &str) -> String {
        loop {
            let line = self.log.recv_timeout(Duration::from_mins(1));
            let line = line.unwrap_or_else(|_| panic!("no line with '{part}' in the log"));
            if line.contains(part) {
                return line;
            }
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Asks it to stop.
    pub(crate) fn terminate(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }

    /// Asks it to stop and waits for its end; the exit code.
    pub(crate) fn stop(mut self) -> Option<i32> {
        self.terminate();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Bot {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn ended(output: &Output) -> Ran {
    Ran {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
        killed: output.status.signal() == Some(9),
    }
}

/// Every file and link below a directory.
pub(crate) fn files(root: &Path) -> Vec<PathBuf> {
    let (mut pending, mut found) = (vec![root.to_owned()], Vec::new());
    while let Some(directory) = pending.pop() {
        for entry in std::fs::read_dir(&directory).into_iter().flatten() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                pending.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

/// The only file below a directory whose path ends so.
pub(crate) fn the_file(root: &Path, part: &str) -> PathBuf {
    let all = files(root);
    let mut found = all.iter().filter(|path| path.to_str().unwrap().contains(part));
    match (found.next(), found.next()) {
        (Some(one), None) => one.clone(),
        _ => panic!("not one file with '{part}': {all:#?}"),
    }
}
