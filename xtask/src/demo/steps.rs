//! The steps of the demonstration, in order.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::Serialize;
use windlass_tests::bot::Bot;
use windlass_tests::gpg::{Agent, GpgHome};
use windlass_tests::process::{Cmd, Ran};
use windlass_tests::programs::{Programs, profile_folder};
use windlass_tests::sshd::Sshd;

use crate::say;

/// The folders that a demonstration makes.
pub(super) const FOLDERS: [&str; 4] = ["srv", "alice", "sshd", "hello"];

/// One command and what came of it.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    /// What it is for.
    why: String,
    /// As one would type it.
    command: String,
    /// What it printed.
    stdout: String,
    /// What it said on the side.
    stderr: String,
    /// How it ended.
    exit: i32,
}

/// What was played so far.
pub(super) struct Steps {
    dir: PathBuf,
    path: String,
    print: bool,
    /// The commands.
    pub(super) shown: Vec<Shown>,
}

impl Steps {
    /// A command of Alice's, whose home is the folder `alice`.
    fn command(&self, words: &[&str]) -> anyhow::Result<Cmd> {
        let (program, args) = words.split_first().context("a command has a program")?;
        let home = self.dir.join("alice");
        Ok(Cmd::new(program)
            .args(args)
            .dir(&self.dir)
            .env("PATH", &self.path)
            .env("HOME", &home)
            .env("GNUPGHOME", home.join(".gnupg"))
            .env("GIT_CONFIG_NOSYSTEM", "1"))
    }

    /// Runs a command and shows it.
    fn run(&mut self, why: &str, words: &[&str]) -> anyhow::Result<Ran> {
        let command = self.command(words)?;
        let ran = command.run()?;
        self.show(why, &ran);
        Ok(ran)
    }

    /// Runs a command that has to go well, and shows it.
    fn ok(&mut self, why: &str, words: &[&str]) -> anyhow::Result<Ran> {
        self.run(why, words)?.ok()
    }

    fn show(&mut self, why: &str, ran: &Ran) {
        if self.print {
            if !why.is_empty() {
                say::data(format_args!("\n# {why}"));
            }
            say::data(format_args!("$ {}", ran.shown));
            // As on a terminal: what git repeats from the server ends in blanks.
            for line in ran.out().lines().chain(ran.err().lines()) {
                say::data(line.trim_end_matches("\u{1b}[K").trim_end());
            }
            if ran.code() != 0 {
                say::data(format_args!("[exit code {}]", ran.code()));
            }
        }
        self.shown.push(Shown {
            why: why.to_owned(),
            command: ran.shown.clone(),
            stdout: ran.out(),
            stderr: ran.err(),
            exit: ran.code(),
        });
    }
}

/// Plays all steps in this folder.
pub(super) fn play(dir: &Path, print: bool) -> anyhow::Result<Steps> {
    let programs = profile_folder()?;
    Programs::in_folder(&programs)?;
    let path = std::env::var("PATH").unwrap_or_default();
    let mut steps = Steps {
        dir: dir.to_owned(),
        path: format!("{}:{path}", programs.display()),
        print,
        shown: Vec::new(),
    };
    let root = dir.join("srv");
    let root = root.to_str().context("the folder's name is UTF-8")?;
    let config = format!("{root}/windlass.toml");

    steps.ok(
        "A server, in its set-up for one user.",
        &["windlass", "init", "--yes", "--one-user", "admin", "--dir", root],
    )?;

    let gpg = GpgHome::at(dir.join("alice/.gnupg"))?;
    let _agent = Agent::of(&gpg);
    windlass_tests::people::private_folder(&dir.join("alice/.ssh"))?;
    steps.ok(
        "Alice makes a key to sign with, and one to log in with.",
        &[
            "gpg",
            "--batch",
            "--passphrase",
            "",
            "--quick-generate-key",
            "Alice Archer <alice@example.org>",
            "ed25519",
            "sign",
            "1y",
        ],
    )?;
    steps.ok(
        "",
        &[
            "ssh-keygen",
            "-q",
            "-t",
            "ed25519",
            "-N",
            "",
            "-C",
            "alice",
            "-f",
            "alice/.ssh/id_ed25519",
        ],
    )?;
    steps.ok(
        "",
        &[
            "gpg",
            "--armor",
            "--output",
            "alice/certificate.asc",
            "--export",
            "alice@example.org",
        ],
    )?;
    steps.ok(
        "The administrator says who she is.",
        &[
            "windlass",
            "--config",
            &config,
            "people",
            "add",
            "alice",
            "--address",
            "alice@example.org",
            "--openpgp",
            "alice/certificate.asc",
            "--ssh",
            "alice/.ssh/id_ed25519.pub",
        ],
    )?;

    // A server would have these two run by the system.
    let serve = steps.command(&["windlass", "--config", &config, "serve"])?;
    let bot = Bot::start(
        &serve,
        &Path::new(root).join("run/bot.sock"),
        &dir.join("srv/serve.log"),
    )?;
    let sshd = Sshd::start(&dir.join("sshd"), &Path::new(root).join("git/.ssh/authorized_keys"), "")?;
    set_up_client(dir, &sshd)?;

    steps.ok(
        "She makes a source repository on the server, and has something to build.",
        &["ssh", "-F", "alice/.ssh/config", "windlass", "init-repo", "hello"],
    )?;
    steps.ok("", &["git", "clone", "--quiet", "ssh://windlass/hello", "hello"])?;
    std::fs::write(dir.join("hello/hello.spec"), SPEC)?;
    steps.ok("", &["git", "-C", "hello", "add", "hello.spec"])?;
    steps.ok("", &["git", "-C", "hello", "commit", "--quiet", "-m", "hello 1.0"])?;

    steps.ok(
        "A tag that nobody signed is refused.",
        &["git", "-C", "hello", "tag", "-a", "-m", "1.0", "1.0-alt1"],
    )?;
    let refused = steps.run(
        "",
        &[
            "git", "-C", "hello", "push", "-o", "build", "origin", "main", "1.0-alt1",
        ],
    )?;
    if refused.code() == 0 || !refused.err().contains("[unsigned]") {
        bail!("an unsigned tag was not refused: {refused}");
    }

    steps.ok(
        "The signed one passes, and becomes a task.",
        &["git", "-C", "hello", "tag", "-s", "-f", "-m", "1.0", "1.0-alt1"],
    )?;
    steps.ok(
        "",
        &[
            "git", "-C", "hello", "push", "-o", "build", "origin", "main", "1.0-alt1",
        ],
    )?;
    steps.ok(
        "The task that came of it.",
        &["ssh", "-F", "alice/.ssh/config", "windlass", "task", "show", "1"],
    )?;
    steps.ok("", &["ssh", "-F", "alice/.ssh/config", "windlass", "task", "why", "1"])?;
    steps.ok(
        "Every decision is in the journal, each row sealed by the next.",
        &["windlass", "--config", &config, "journal", "verify"],
    )?;
    bot.stop()?;
    Ok(steps)
}

const SPEC: &str = "\
Name: hello
Version: 1.0
Release: alt1
Summary: Says hello
License: MIT
BuildArch: noarch

%description
Says hello.

%files
";

/// What a person's own machine would have: a name for the server, and who one is.
fn set_up_client(dir: &Path, sshd: &Sshd) -> anyhow::Result<()> {
    let me = Cmd::new("id").arg("-un").run()?.ok()?.line();
    let ssh = format!(
        "Host windlass\n\tHostName 127.0.0.1\n\tPort {}\n\tUser {me}\n\tIdentityFile {}\n\tIdentitiesOnly yes\n\
         \tUserKnownHostsFile {}\n\tBatchMode yes\n\tLogLevel ERROR\n",
        sshd.port,
        dir.join("alice/.ssh/id_ed25519").display(),
        sshd.known_hosts.display(),
    );
    let config = dir.join("alice/.ssh/config");
    std::fs::write(&config, ssh)?;
    let git = format!(
        "[user]\n\tname = Alice Archer\n\temail = alice@example.org\n[init]\n\tdefaultBranch = main\n[core]\n\tsshCommand = ssh -F {}\n",
        config.display()
    );
    std::fs::write(dir.join("alice/.gitconfig"), git)?;
    Ok(())
}
