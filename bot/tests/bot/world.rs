//! A set-up for one user in a directory of its own, with the real program as its bot.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use windlass_core::id::{RequestId, TaskId, UserName};
use windlass_hooks::wire::{Body, Frame, Request, random_request_id};

/// How long anything may take before the test has failed.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);

/// The directory, and the configuration in it.
pub(crate) struct World {
    root: tempfile::TempDir,
}

/// A running bot. Dropped, it is killed.
pub(crate) struct Bot {
    child: Child,
    log: Receiver<String>,
    seen: Vec<String>,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Reply {
    pub(crate) accepted: Option<RequestId>,
    pub(crate) task: Option<TaskId>,
    pub(crate) out: String,
    pub(crate) err: String,
    /// Nothing when the connection ended before.
    pub(crate) exit: Option<u8>,
}

impl World {
    /// Alice and bob; alice may do everything.
    pub(crate) fn new() -> Self {
        Self::with("")
    }

    /// A set-up in which nobody is known yet.
    pub(crate) fn empty() -> Self {
        let world = Self::new();
        for name in ["alice", "bob"] {
            std::fs::remove_file(world.path(&format!("people/{name}.toml"))).unwrap();
        }
        world
    }

    /// The same, with more in the configuration.
    pub(crate) fn with(more: &str) -> Self {
        let root = tempfile::Builder::new().prefix("windlass-").tempdir().unwrap();
        let path = root.path();
        for directory in ["people", "git/people", "git/shared", "spool", "run", "state"] {
            std::fs::create_dir_all(path.join(directory)).unwrap();
        }
        std::fs::write(path.join("people/alice.toml"), "roles = ['superuser']\n").unwrap();
        std::fs::write(path.join("people/bob.toml"), "").unwrap();
        let user = windlass::layout::unix::user_name(rustix::process::geteuid().as_raw());
        let config = format!(
            "[paths]\nroot = '{}'\n[users]\ngit = '{user}'\nbot = '{user}'\nlocal = 'alice'\n[[repository]]\nname = 'main'\n{more}",
            path.display()
        );
        std::fs::write(path.join("windlass.toml"), config).unwrap();
        Self { root }
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.root.path().join(below)
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
        command
            .env_clear()
            .arg("--config")
            .arg(self.path("windlass.toml"))
            .args(words);
        command
    }

    /// Starts the bot and waits until it serves.
    pub(crate) fn start(&self) -> Bot {
        let mut bot = self.start_unchecked();
        bot.log_line("serving at");
        bot
    }

    pub(crate) fn start_unchecked(&self) -> Bot {
        Bot::spawn(&mut self.command(&["serve"]))
    }

    pub(crate) fn connect(&self) -> std::io::Result<UnixStream> {
        let stream = UnixStream::connect(self.path("run/bot.sock"))?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        Ok(stream)
    }

    /// Sends a request and reads the answer to its end, or to where it breaks off.
    pub(crate) fn send(&self, request: &Request) -> Reply {
        let Ok(mut stream) = self.connect() else {
            return Reply::default();
        };
        if stream.write_all(&request.to_line().unwrap()).is_err() {
            return Reply::default();
        }
        read_reply(stream)
    }

    /// A command for alice, under a new request id.
    pub(crate) fn ask(&self, words: &[&str]) -> Reply {
        self.send(&request(words))
    }

    /// The whole journal checks out; how many rows it has.
    pub(crate) fn verify(&self) -> u64 {
        let output = self.command(&["journal", "verify", "--json"]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let report: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(report["whole"], true, "{text}");
        report["rows"].as_u64().unwrap()
    }

    /// How many rows of a kind the journal has.
    pub(crate) fn count(&self, kind: &str) -> usize {
        let output = self.command(&["journal", "show", "--json"]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let rows = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        rows.filter(|row| row["kind"] == kind).count()
    }
}

impl Bot {
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, log) = channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self {
            child,
            log,
            seen: Vec::new(),
        }
    }

    /// Waits for a line of the log that has this in it.
    pub(crate) fn log_line(&mut self, part: &str) -> String {
        let until = Instant::now() + DEADLINE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let line = self.log.recv_timeout(left);
            let line = line.unwrap_or_else(|_| panic!("no line with '{part}' in the log:\n{}", self.seen.join("\n")));
            self.seen.push(line.clone());
            if line.contains(part) {
                return line;
            }
        }
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.child)
    }

    /// Asks it to stop and waits for its end; the exit code.
    pub(crate) fn stop(mut self) -> Option<i32> {
        rustix::process::kill_process(self.pid(), rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap().code()
    }

    /// Waits for its end; the exit code and the log.
    pub(crate) fn ended(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().unwrap().code();
        self.seen.extend(self.log.iter());
        (code, self.seen.join("\n"))
    }
}

impl Drop for Bot {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn read_reply(stream: UnixStream) -> Reply {
    let mut reply = Reply::default();
    for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
        match Frame::parse(&line) {
            Ok(Frame::Out(text)) => reply.out.push_str(&text),
            Ok(Frame::Err(text)) => reply.err.push_str(&text),
            Ok(Frame::Accepted { request, task }) => {
                reply.accepted = Some(request);
                reply.task = task;
            }
            Ok(Frame::Exit(code)) => reply.exit = Some(code),
            // Cut off in the middle of a line: the bot is dead.
            Err(_) => break,
        }
    }
    reply
}

/// Whatever comes until the other side closes.
pub(crate) fn read_all(mut stream: UnixStream) -> String {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

pub(crate) fn request(words: &[&str]) -> Request {
    request_of("alice", random_request_id().unwrap(), words)
}

pub(crate) fn request_of(user: &str, id: RequestId, words: &[&str]) -> Request {
    let user: UserName = user.parse().unwrap();
    let argv = words.iter().map(|word| (*word).to_owned()).collect();
    Request::new(id, Timestamp::now(), user, Body::Command { argv })
}

/// A directory's names, sorted.
pub(crate) fn names(directory: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
