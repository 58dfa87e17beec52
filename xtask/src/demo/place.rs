//! Where the demonstration plays: one folder with the server, a home for each person, an ssh server, and a client's empty root.
//!
//! Commands are run by a shell as a person types them, with paths below the folder, so that what is shown is what was run.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use windlass_tests::bot::Bot;
use windlass_tests::gpg::{Agent, GpgHome};
use windlass_tests::lab::Machine;
use windlass_tests::pipeline::free_port;
use windlass_tests::process::{Cmd, Ran, quoted};
use windlass_tests::programs::{Programs, profile_folder};
use windlass_tests::sshd::Sshd;

use super::interrupt;
use super::show::{Keep, Show};

/// The people: the name, the full name, the address.
pub(super) const PEOPLE: [(&str, &str, &str); 3] = [
    ("alice", "Alice Archer", "alice@example.org"),
    ("bob", "Bob Baker", "bob@example.org"),
    ("carol", "Carol Cooper", "carol@example.org"),
];

/// What the demonstration makes in its folder.
const MADE: [&str; 12] = [
    "srv", "image", "sshd", "bin", "alice", "bob", "carol", "client", "lab", ".ssh", "as", "start",
];

/// The folder, and what runs in it until this is dropped.
pub(super) struct Place {
    // What runs ends before the folder goes.
    pub(super) bot: Option<Bot>,
    sshd: Option<Sshd>,
    /// The lab's devices, where there are such.
    pub(super) machines: Vec<Machine>,
    agents: Vec<Agent>,
    /// What prints.
    pub(super) show: Show,
    /// The folder.
    pub(super) dir: PathBuf,
    /// Where packages are served.
    pub(super) port: u16,
    programs: Programs,
    path: String,
}

impl Place {
    /// Makes the folder ready: programs where they are found, homes for everybody.
    pub(super) fn make(dir: &Path, show: Show) -> anyhow::Result<Self> {
        if let Some(there) = MADE.iter().find(|name| dir.join(name).exists()) {
            bail!(
                "'{there}' is in {} already\n\nhint: remove it, or name another folder",
                dir.display()
            );
        }
        let programs = Programs::in_folder(&profile_folder()?)?;
        let bin = dir.join("bin");
        std::fs::create_dir_all(&bin)?;
        for program in [&programs.windlass, &programs.hook, &programs.shell] {
            let name = program.file_name().context("a program has a name")?;
            std::os::unix::fs::symlink(program, bin.join(name))?;
        }
        // ssh looks for its configuration where the system says that one is at home, and asks no HOME.
        let ssh = crate::packages::find("ssh").context("ssh is there")?;
        script(
            &bin.join("ssh"),
            &format!(
                "exec {} -F \"$HOME/.ssh/config\" \"$@\"\n",
                quoted(&ssh.to_string_lossy())
            ),
        )?;
        let path = std::env::var("PATH").unwrap_or_default();
        let mut place = Self {
            bot: None,
            sshd: None,
            machines: Vec::new(),
            agents: Vec::new(),
            show,
            dir: dir.to_owned(),
            port: free_port()?,
            path: format!("{}:{path}:/usr/sbin:/sbin", bin.display()),
            programs,
        };
        for (name, full_name, address) in PEOPLE {
            let home = dir.join(name);
            windlass_tests::people::private_folder(&home.join(".ssh"))?;
            // Not .gnupg: there all three would ask the one agent that the Unix user has in /run/user.
            let gpg = GpgHome::at(home.join("gnupg"))?;
            place.agents.push(Agent::of(&gpg));
            let git = format!(
                "[user]\n\tname = {full_name}\n\temail = {address}\n[init]\n\tdefaultBranch = main\n\
                 [advice]\n\tdetachedHead = false\n"
            );
            std::fs::write(home.join(".gitconfig"), git)?;
        }
        Ok(place)
    }

    /// The server's configuration.
    pub(super) fn config(&self) -> PathBuf {
        self.dir.join("srv/windlass.toml")
    }

    /// Who somebody is to the programs that he runs.
    fn environment(&self, who: &str) -> Vec<(&'static str, String)> {
        let home = if who == "admin" {
            self.dir.clone()
        } else {
            self.dir.join(who)
        };
        let mut environment = vec![
            ("PATH", self.path.clone()),
            ("HOME", home.display().to_string()),
            ("GIT_CONFIG_NOSYSTEM", "1".to_owned()),
            ("GIT_TERMINAL_PROMPT", "0".to_owned()),
        ];
        if who == "admin" {
            environment.push(("WINDLASS_CONFIG", self.config().display().to_string()));
        } else {
            environment.push(("GNUPGHOME", home.join("gnupg").display().to_string()));
        }
        environment
    }

    /// A command as somebody types it at home, or in the folder `below` it.
    fn command(&self, who: &str, below: &str, typed: &str) -> Cmd {
        let home = if who == "admin" { &self.dir } else { &self.dir.join(who) };
        let shell = Cmd::new("bash").args(["-c", typed]).dir(home.join(below));
        let environment = self.environment(who).into_iter();
        environment.fold(shell, |shell, (name, value)| shell.env(name, value))
    }

    /// Runs a command of somebody's and shows it, whatever comes of it. `who` may name a folder below the home: `alice/libwind`.
    pub(super) fn run(&mut self, who: &str, typed: &str, keep: Keep) -> anyhow::Result<Ran> {
        if interrupt::told() {
            bail!("interrupted");
        }
        let (name, below) = who.split_once('/').unwrap_or((who, ""));
        if !matches!(keep, Keep::Unseen) {
            self.show.typed(&who.replace('/', ":"), typed);
        }
        let ran = self.command(name, below, typed).run()?;
        self.show.ran(name, typed, &ran, keep);
        Ok(ran)
    }

    /// Runs a command that has to go well.
    pub(super) fn ok(&mut self, who: &str, typed: &str, keep: Keep) -> anyhow::Result<Ran> {
        let ran = self.run(who, typed, keep)?;
        if ran.code() != 0 {
            bail!("{who}$ {typed}\n{}{}", ran.out(), ran.err());
        }
        Ok(ran)
    }

    /// Runs a command that has to fail with this text.
    pub(super) fn refused(&mut self, who: &str, typed: &str, text: &str, keep: Keep) -> anyhow::Result<Ran> {
        let ran = self.run(who, typed, keep)?;
        if ran.code() == 0 || !(ran.err() + &ran.out()).contains(text) {
            bail!("expected '{text}' of\n{who}$ {typed}\n{}{}", ran.out(), ran.err());
        }
        Ok(ran)
    }

    /// Starts the daemon; a server would have it run by the system.
    pub(super) fn start_bot(&mut self) -> anyhow::Result<()> {
        let typed = "windlass serve 2> srv/serve.log &";
        self.show.typed("admin", typed);
        let serve = Cmd::new(&self.programs.windlass).arg("serve").dir(&self.dir);
        let environment = self.environment("admin").into_iter();
        let serve = environment.fold(serve, |serve, (name, value)| serve.env(name, value));
        let socket = self.dir.join("srv/run/bot.sock");
        self.bot = Some(Bot::start(&serve, &socket, &self.dir.join("srv/serve.log"))?);
        Ok(())
    }

    /// Starts the ssh server, and tells everybody's ssh where it is.
    pub(super) fn start_sshd(&mut self) -> anyhow::Result<()> {
        let sshd = Sshd::start(
            &self.dir.join("sshd"),
            &self.dir.join("srv/git/.ssh/authorized_keys"),
            "",
        )?;
        let me = Cmd::new("id").arg("-un").run()?.ok()?.line();
        for (name, ..) in PEOPLE {
            let home = self.dir.join(name);
            let text = format!(
                "Host windlass\n\tHostName 127.0.0.1\n\tPort {}\n\tUser {me}\n\tIdentityFile {}\n\tIdentitiesOnly yes\n\
                 \tUserKnownHostsFile {}\n\tBatchMode yes\n\tLogLevel ERROR\n",
                sshd.port,
                home.join(".ssh/id_ed25519").display(),
                sshd.known_hosts.display(),
            );
            std::fs::write(home.join(".ssh/config"), text)?;
        }
        self.sshd = Some(sshd);
        Ok(())
    }

    /// Writes the two scripts with which one goes on by hand where the demonstration ended.
    pub(super) fn write_scripts(&self) -> anyhow::Result<()> {
        use std::fmt::Write as _;
        let dir = quoted(&self.dir.to_string_lossy());
        let sshd = crate::packages::find("sshd").context("sshd is there")?;
        let start = format!(
            "# Starts the demonstration's server again, the ssh door and the daemon; Ctrl-C ends both.\n\
             cd {dir} || exit\n\
             {} -D -e -f sshd/sshd_config 2>> sshd/sshd.log & door=$!\n\
             ./as admin windlass serve & daemon=$!\n\
             trap \"kill $door $daemon\" EXIT\n\
             trap 'exit 0' INT TERM\n\
             wait $daemon\n",
            quoted(&sshd.to_string_lossy()),
        );
        script(&self.dir.join("start"), &start)?;
        let mut text = format!(
            "# Runs a command, or a shell, as one of the demonstration's people: as admin|alice|bob|carol [COMMAND…]\n\
             who=${{1:?as whom? admin, alice, bob or carol}}; shift\n\
             cd {dir} || exit\n\
             case $who in\n"
        );
        for who in ["admin", "alice", "bob", "carol"] {
            write!(text, "{who})")?;
            for (name, value) in self.environment(who) {
                write!(text, " export {name}={};", quoted(&value))?;
            }
            let home = if who == "admin" { "." } else { who };
            writeln!(text, " cd {home} ;;")?;
        }
        text.push_str("*) echo \"there is nobody called '$who' here\" >&2; exit 2 ;;\nesac\n");
        text.push_str("[ $# -gt 0 ] || set -- env PS1=\"$who:\\\\W\\\\$ \" bash --norc\nexec \"$@\"\n");
        script(&self.dir.join("as"), &text)
    }

    /// Ends what runs, in good order.
    pub(super) fn stop(&mut self) -> anyhow::Result<()> {
        self.sshd = None;
        self.agents.clear();
        let stopped = match self.bot.take() {
            Some(bot) => bot.stop(),
            None => Ok(()),
        };
        self.machines.clear();
        stopped
    }

    /// Removes what was made, as far as it was, and nothing else.
    pub(super) fn remove(dir: &Path) -> anyhow::Result<()> {
        for name in MADE {
            let path = dir.join(name);
            let gone = if path.is_dir() {
                std::fs::remove_dir_all(&path)
            } else {
                std::fs::remove_file(&path)
            };
            match gone {
                // It did not come so far.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                gone => gone.with_context(|| format!("cannot remove {}", path.display()))?,
            }
        }
        Ok(())
    }
}

fn script(path: &Path, body: &str) -> anyhow::Result<()> {
    std::fs::write(path, format!("#!/bin/sh\n{body}"))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?;
    Ok(())
}
