//! The world of a story: one server in a temporary folder, its sshd, its bot, and the people who use it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use tempfile::TempDir;

use crate::bot::Bot;
use crate::clock;
use crate::clone::{Clone, git_of};
use crate::gpg::{Agent, GpgHome};
use crate::keystore;
use crate::normal::normalised;
use crate::outcome::{Ledger, Pushed};
use crate::people::{ALICE, BOB, CAROL, Home, Person, Signs};
use crate::process::{Cmd, Ran};
use crate::programs::Programs;
use crate::settings;
use crate::sshd::Sshd;
use crate::unix::Accounts;

/// A server in its one-user set-up and the people who know it. Everything ends when it is dropped.
#[derive(Debug)]
pub struct World {
    // Dropped in this order: those who run first, the folder last.
    bot: Option<Bot>,
    sshd: Option<Sshd>,
    agents: Vec<Agent>,
    homes: BTreeMap<&'static str, Home>,
    programs: Programs,
    config: PathBuf,
    ledger: Ledger,
    spool_may_be_full: bool,
    accounts: Option<Accounts>,
    dir: TempDir,
}

impl World {
    /// A server with bot and sshd running, on which Alice, Bob and Carol are known.
    pub fn new() -> anyhow::Result<Self> {
        Self::with(|_| Ok(()))
    }

    /// The same, with a look at its settings before anything runs.
    pub fn with(settings: impl FnOnce(&Self) -> anyhow::Result<()>) -> anyhow::Result<Self> {
        let mut world = Self::empty()?;
        settings(&world)?;
        world.populate()?;
        Ok(world)
    }

    /// Makes everybody known and starts everything.
    pub(crate) fn populate(&mut self) -> anyhow::Result<()> {
        self.enrol_everybody()?;
        self.start_sshd()?;
        self.start_bot()
    }

    /// Makes everybody known: who the server's own account stands for, and the three who push.
    pub fn enrol_everybody(&mut self) -> anyhow::Result<()> {
        let admin = [
            "people",
            "add",
            "admin",
            "--address",
            "admin@example.org",
            "--role",
            "superuser",
        ];
        self.windlass(admin).run()?.ok()?;
        for person in [&ALICE, &BOB, &CAROL] {
            self.enrol(person)?;
        }
        Ok(())
    }

    /// A server that `windlass init` just made: nobody is known, nothing runs.
    pub fn empty() -> anyhow::Result<Self> {
        Self::empty_of(Programs::built()?)
    }

    /// The same with these programs.
    pub fn empty_of(programs: Programs) -> anyhow::Result<Self> {
        Self::empty_in(&std::env::temp_dir(), programs)
    }

    /// The same below this folder.
    pub fn empty_in(base: &Path, programs: Programs) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("wl-").tempdir_in(base)?;
        let world = Self::nothing(dir, programs, None);
        world.init(&["x86_64"]).args(["--one-user", "admin"]).run()?.ok()?;
        Ok(world)
    }

    /// The same with these architectures.
    pub(crate) fn empty_for(programs: Programs, architectures: &[&str]) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("wl-").tempdir()?;
        let world = Self::nothing(dir, programs, None);
        world.init(architectures).args(["--one-user", "admin"]).run()?.ok()?;
        Ok(world)
    }

    /// A server with the three Unix users of a real one, bot and sshd running, on which Alice, Bob and Carol are known. Needs root.
    pub fn of_three_users() -> anyhow::Result<Self> {
        let built = Programs::built()?;
        let accounts = Accounts::named_after_this_process();
        let dir = tempfile::Builder::new().prefix("wl-").tempdir()?;
        open_to_all(dir.path())?;
        // Where the other users reach them, whatever the workspace lies in.
        let bin = dir.path().join("bin");
        std::fs::create_dir(&bin)?;
        for program in [&built.windlass, &built.hook, &built.shell] {
            std::fs::copy(program, bin.join(program.file_name().context("a program has a name")?))?;
        }
        let mut world = Self::nothing(dir, Programs::in_folder(&bin)?, Some(accounts));
        world.config = world.dir().join("etc/windlass.toml");
        for folder in ["etc", "units", "sshd.d"] {
            std::fs::create_dir(world.dir().join(folder))?;
        }
        let mut init = world.init(&["x86_64"]);
        if let Some(accounts) = &world.accounts {
            init = init.args(["--git-user", &accounts.git, "--bot-user", &accounts.bot]);
        }
        let init = init.arg("--unit-dir").arg(world.dir().join("units"));
        init.arg("--sshd-dir").arg(world.dir().join("sshd.d")).run()?.ok()?;
        world.set("users", "local", "\"admin\"")?;
        world.populate()?;
        Ok(world)
    }

    fn nothing(dir: TempDir, programs: Programs, accounts: Option<Accounts>) -> Self {
        Self {
            bot: None,
            sshd: None,
            agents: Vec::new(),
            homes: BTreeMap::new(),
            programs,
            config: dir.path().join("srv/windlass.toml"),
            ledger: Ledger::default(),
            spool_may_be_full: false,
            accounts,
            dir,
        }
    }

    /// `windlass init` without what says whose the server is.
    fn init(&self, architectures: &[&str]) -> Cmd {
        let mut init = Cmd::new(&self.programs.windlass).env("HOME", self.dir.path());
        if self.accounts.is_some() {
            init = init.arg("--config").arg(&self.config);
        }
        let init = init.args(["init", "--yes", "--repository", "main", "--repository", "stable"]);
        let architectures = architectures.iter().flat_map(|arch| ["--architecture", arch]);
        init.args(architectures).arg("--dir").arg(self.root())
    }

    /// The world's folder: the server's root, the people's homes, logs.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The server's root.
    pub fn root(&self) -> PathBuf {
        self.dir.path().join("srv")
    }

    /// The configuration.
    pub fn config(&self) -> PathBuf {
        self.config.clone()
    }

    /// The Unix users, of a world that has three.
    pub fn accounts(&self) -> Option<&Accounts> {
        self.accounts.as_ref()
    }

    /// The root of the source repositories.
    pub fn git_root(&self) -> PathBuf {
        self.root().join("git")
    }

    /// The spool.
    pub fn spool(&self) -> PathBuf {
        self.root().join("spool")
    }

    /// The bot's socket.
    pub fn socket(&self) -> PathBuf {
        self.root().join("run/bot.sock")
    }

    /// The programs under test.
    pub fn programs(&self) -> &Programs {
        &self.programs
    }

    /// Where this person's keys are.
    pub fn home(&self, person: &Person) -> anyhow::Result<&Home> {
        self.homes
            .get(person.name)
            .with_context(|| format!("{} is not part of this world", person.name))
    }

    /// Sets one key of the configuration, in place of its commented default.
    pub fn set(&self, section: &str, key: &str, value: &str) -> anyhow::Result<()> {
        settings::set(&self.config(), section, key, value)
    }

    /// The command line of the server's administrator.
    pub fn windlass<S: AsRef<std::ffi::OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Cmd {
        Cmd::new(&self.programs.windlass)
            .env("HOME", self.dir.path())
            .arg("--config")
            .arg(self.config())
            .args(words)
    }

    /// Gives a person a home and keys, without making him known to the server.
    pub fn invite(&mut self, person: &Person) -> anyhow::Result<Home> {
        let home = keystore::home_of(person, &self.dir.path().join(person.name))?;
        let config = format!(
            "[user]\n\tname = {}\n\temail = {}\n[init]\n\tdefaultBranch = main\n[core]\n\tsshCommand = ssh -F {}\n[advice]\n\tdetachedHead = false\n",
            person.full_name,
            person.address,
            home.dir.join(".ssh/config").display(),
        );
        let signing = if let (Signs::OpenPgp(_), Some(key)) = (person.signs, &home.openpgp) {
            self.agents.push(Agent::of(&GpgHome::at(home.gnupg())?));
            format!("[user]\n\tsigningKey = {key}\n")
        } else {
            let key = home.ssh_public();
            format!("[gpg]\n\tformat = ssh\n[user]\n\tsigningKey = {}\n", key.display())
        };
        std::fs::write(home.dir.join(".gitconfig"), config + &signing)?;
        self.homes.insert(person.name, home.clone());
        if self.sshd.is_some() {
            self.write_ssh_config(&home)?;
        }
        Ok(home)
    }

    /// Makes a person known to the server, with what he signs and logs in with.
    pub fn enrol(&mut self, person: &Person) -> anyhow::Result<Home> {
        let home = self.invite(person)?;
        let mut add = self
            .windlass(["people", "add", person.name, "--full-name", person.full_name])
            .args(["--address", person.address, "--ssh"])
            .arg(home.ssh_public());
        if home.openpgp.is_some() {
            add = add.arg("--openpgp").arg(home.certificate());
        }
        add.run()?.ok()?;
        Ok(home)
    }

    /// Starts the ssh server.
    pub fn start_sshd(&mut self) -> anyhow::Result<()> {
        let keys = self.authorized_keys();
        // Accounts without a password count as locked, unless PAM is asked.
        let more = if self.accounts.is_some() { "UsePAM yes" } else { "" };
        self.sshd = Some(Sshd::start(&self.dir.path().join("sshd"), &keys, more)?);
        for home in self.homes.values() {
            self.write_ssh_config(home)?;
        }
        Ok(())
    }

    /// The file with everybody's keys that `windlass keys` writes.
    pub fn authorized_keys(&self) -> PathBuf {
        self.git_root().join(".ssh/authorized_keys")
    }

    fn write_ssh_config(&self, home: &Home) -> anyhow::Result<()> {
        let sshd = self.sshd.as_ref().context("sshd runs")?;
        let me = match &self.accounts {
            Some(accounts) => accounts.git.clone(),
            None => Cmd::new("id").arg("-un").run()?.ok()?.line(),
        };
        let text = format!(
            "Host windlass\n\tHostName 127.0.0.1\n\tPort {}\n\tUser {me}\n\tIdentityFile {}\n\tIdentitiesOnly yes\n\
             \tUserKnownHostsFile {}\n\tHostKeyAlias [127.0.0.1]:{}\n\tBatchMode yes\n\tLogLevel ERROR\n",
            sshd.port,
            home.ssh_key().display(),
            sshd.known_hosts.display(),
            sshd.port,
        );
        std::fs::write(home.dir.join(".ssh/config"), text)?;
        Ok(())
    }

    /// How the bot is started.
    pub fn serve(&self) -> Cmd {
        let serve = self.windlass(["serve"]);
        match &self.accounts {
            Some(accounts) => serve.as_user(&accounts.bot),
            None => serve,
        }
    }

    /// Starts the bot and waits until it answers.
    pub fn start_bot(&mut self) -> anyhow::Result<()> {
        let bot = Bot::start(&self.serve(), &self.socket(), &self.dir.path().join("bot.log"))?;
        self.bot = Some(bot);
        Ok(())
    }

    /// Starts the bot, which dies at a point that the code names.
    pub fn start_bot_that_dies_at(&mut self, point: &str) -> anyhow::Result<()> {
        let serve = self.serve().env("WINDLASS_CRASH_AT", point);
        self.bot = Some(Bot::start(&serve, &self.socket(), &self.dir.path().join("bot.log"))?);
        Ok(())
    }

    /// Starts the bot with a clock that is so far ahead.
    pub fn start_bot_ahead(&mut self, by: std::time::Duration) -> anyhow::Result<()> {
        let serve = clock::ahead(self.serve(), by)?;
        self.bot = Some(Bot::start(&serve, &self.socket(), &self.dir.path().join("bot.log"))?);
        Ok(())
    }

    /// Waits until the bot has died by itself.
    pub fn bot_dies(&mut self, limit: std::time::Duration) -> anyhow::Result<()> {
        match self.bot.take() {
            Some(bot) => bot.dies(limit),
            None => bail!("the bot does not run"),
        }
    }

    /// Stops the bot in good order.
    pub fn stop_bot(&mut self) -> anyhow::Result<()> {
        match self.bot.take() {
            Some(bot) => bot.stop(),
            None => bail!("the bot does not run"),
        }
    }

    /// Kills the bot in the middle of whatever it does.
    pub fn kill_bot(&mut self) {
        if let Some(bot) = self.bot.take() {
            bot.kill();
        }
    }

    /// A command over ssh, as this person types it.
    pub fn ssh_command(&self, person: &Person, words: &[&str]) -> anyhow::Result<Cmd> {
        let home = self.home(person)?;
        Ok(Cmd::new("ssh")
            .env("HOME", &home.dir)
            .arg("-F")
            .arg(home.dir.join(".ssh/config"))
            .arg("windlass")
            .args(words))
    }

    /// Runs a command over ssh.
    pub fn ssh(&self, person: &Person, words: &[&str]) -> anyhow::Result<Pushed> {
        Ok(self.note(self.ssh_command(person, words)?.run()?))
    }

    /// Runs a command of the administrator.
    pub fn admin(&self, words: &[&str]) -> anyhow::Result<Pushed> {
        Ok(self.note(self.windlass(words).run()?))
    }

    /// Notes what has run: a failure must be looked at.
    pub fn note(&self, ran: Ran) -> Pushed {
        Pushed::new(ran, &self.ledger)
    }

    /// Makes a source repository over ssh, clones it, and puts a first commit there.
    pub fn repository(&self, person: &Person, name: &str) -> anyhow::Result<Clone> {
        self.ssh(person, &["init-repo", name])?.ok()?;
        let clone = self.clone_of(person, &format!("people/{}/packages/{name}.git", person.name))?;
        let spec = format!("Name: {name}\nVersion: 1.0\nRelease: alt1\nSummary: A demonstration\nLicense: MIT\n");
        clone.commit(&format!("{name}.spec"), &spec)?;
        clone.push(&["main"])?.ok()?;
        Ok(clone)
    }

    /// Clones a source repository.
    pub fn clone_of(&self, person: &Person, source: &str) -> anyhow::Result<Clone> {
        let home = self.home(person)?.clone();
        let dir = self
            .dir
            .path()
            .join(format!("{}-{}", person.name, source.replace('/', "-")));
        git_of(&home)
            .args(["clone", "--quiet", &format!("ssh://windlass/{source}")])
            .arg(&dir)
            .run()?
            .ok()?;
        Ok(Clone {
            person: *person,
            source: source.to_owned(),
            dir,
            home,
            ledger: self.ledger.clone(),
        })
    }

    /// The bare repository behind a working copy.
    pub fn bare(&self, clone: &Clone) -> PathBuf {
        self.git_root().join(&clone.source)
    }

    /// git in the bare repository behind a working copy, as the server's administrator runs it.
    pub fn git_in<S: AsRef<std::ffi::OsStr>>(&self, clone: &Clone, args: impl IntoIterator<Item = S>) -> Cmd {
        Cmd::new("git")
            .env("HOME", self.dir.path())
            .arg("-C")
            .arg(self.bare(clone))
            .args(args)
    }

    /// Takes git's own checks of pushed objects away, so that a story sees what the hook says of them.
    pub fn without_fsck(&self, clone: &Clone) -> anyhow::Result<()> {
        self.git_in(clone, ["config", "receive.fsckObjects", "false"])
            .run()?
            .ok()?;
        Ok(())
    }

    /// All tasks, oldest first, as `task ls --json` has them.
    pub fn tasks(&self) -> anyhow::Result<Vec<serde_json::Value>> {
        let states = "--state=new,awaiting,building,tested,failed,eperm,pending,committing,done,postponed,aborted";
        let ran = self.windlass(["task", "ls", "--json", states]).run()?.ok()?;
        let json = ran.json()?;
        let list = json.as_array().or_else(|| json["tasks"].as_array()).cloned();
        let mut list = list.with_context(|| format!("no list of tasks: {ran}"))?;
        list.sort_by_key(|task| task["task"].as_u64());
        Ok(list)
    }

    /// The names of the requests that wait in the spool.
    pub fn spooled(&self) -> anyhow::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(self.spool())? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name.strip_suffix(".json").is_some() && !name.starts_with('.') {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Lets the story end while requests wait in the spool.
    pub fn leave_spool(&mut self) {
        self.spool_may_be_full = true;
    }

    /// A text in which everything that differs from run to run has a name.
    pub fn normal(&self, text: &str) -> String {
        let mut known = vec![
            (self.root().display().to_string(), "ROOT".to_owned()),
            (self.dir.path().display().to_string(), "DIR".to_owned()),
        ];
        if let Some(folder) = self.programs.windlass.parent() {
            known.push((folder.display().to_string(), "BIN".to_owned()));
        }
        for (name, home) in &self.homes {
            if let Some(fingerprint) = &home.openpgp {
                known.push((fingerprint.clone(), format!("{}-KEY", name.to_uppercase())));
            }
        }
        normalised(text, &known)
    }

    /// All that the server would tell about its tasks, for a snapshot.
    pub fn report(&self) -> anyhow::Result<String> {
        let mut out = String::new();
        for task in self.tasks()? {
            let id = task["task"].to_string();
            let show = self.windlass(["task", "show", id.trim_matches('"')]).run()?.ok()?;
            out.push_str(&self.normal(&show.out()));
        }
        Ok(out)
    }
}

/// Lets other users look into a folder.
fn open_to_all(dir: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755))?)
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let mut left = self.ledger.unread();
        if !self.spool_may_be_full && self.root().exists() {
            left.extend(
                self.spooled()
                    .unwrap_or_default()
                    .into_iter()
                    .map(|name| format!("in the spool: {name}")),
            );
        }
        assert!(left.is_empty(), "nobody looked at:\n{}", left.join("\n"));
    }
}
