//! `windlass init`: asks, or takes flags; shows the plan; makes users, directories and files as they are to be.

use std::io::{BufRead as _, IsTerminal as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use windlass_core::id::{RepositoryName, UserName};
use windlass_core::refusal::Refusal;
use windlass_hooks::settings::DEFAULT_FILE;
use windlass_templates::{ConfigValues, RepositoryValues, SshdValues, UnitValues};

use super::{Context, Run};
use crate::config::Config;
use crate::exit::{Broken, Exit, Usage};
use crate::layout::plan::{Plan, Step};
use crate::layout::unix::Account;
use crate::layout::{authorized_keys, directories, is_one_user};

/// Arguments of `windlass init`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
On a terminal it asks what is not given. A second run changes nothing, and says so; a file that
was edited is never overwritten: the difference is shown instead.

Examples:
  windlass init                             # asks
  windlass init --dry-run                   # prints the plan for a server in /var/lib/windlass
  windlass init --yes --repository sisyphus --repository p11
  windlass init --yes --one-user alice      # for trying it out, all as yourself")]
pub struct Args {
    /// The directory below which everything stands [default: /var/lib/windlass, for one user ~/windlass]
    #[arg(long, value_name = "ROOT")]
    dir: Option<PathBuf>,
    /// One Unix user, who runs this, plays all parts; pushes by path are NAME's
    #[arg(long, value_name = "NAME", conflicts_with_all = ["git_user", "bot_user"])]
    one_user: Option<UserName>,
    /// The Unix user of ssh door and hooks
    #[arg(long, value_name = "USER", default_value = "git")]
    git_user: String,
    /// The Unix user of the daemon
    #[arg(long, value_name = "USER", default_value = "windlass")]
    bot_user: String,
    /// A package repository that tasks can be for; the first one is the default [default: main]
    #[arg(long, value_name = "NAME")]
    repository: Vec<RepositoryName>,
    /// The architectures of the repositories [default: this machine's]
    #[arg(long, value_name = "ARCH")]
    architecture: Vec<String>,
    /// Where the unit for systemd goes; for one user it is written only if this is given
    #[arg(long, value_name = "DIR")]
    unit_dir: Option<PathBuf>,
    /// Where the ssh server's snippet goes; for one user it is written only if this is given
    #[arg(long, value_name = "DIR")]
    sshd_dir: Option<PathBuf>,
    /// Leave files that were edited as they are, and do the rest
    #[arg(long)]
    keep_edited: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// Print the plan and change nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
}

impl Run for Args {
    fn run(mut self, context: &mut Context) -> anyhow::Result<Exit> {
        let asks = !self.yes && std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        if !asks && !self.yes && !self.dry_run {
            return Err(Usage::new("this is no terminal, so nothing can be asked")
                .hint("`windlass init --yes …` takes the answers from the flags, `--dry-run` prints the plan")
                .into());
        }
        if asks {
            self.ask(context)?;
        }
        let (config, plan) = self.plan(context)?;
        context
            .output
            .line(format!("{}, below {}:", self.title(), config.paths.root.display()))?;
        for line in plan.lines() {
            context.output.line(format!("  {line}"))?;
        }
        let edited = plan.edited();
        for (path, difference) in &edited {
            context.output.line(format!(
                "\n{} was edited ('-' is there, '+' would be written):",
                path.display()
            ))?;
            context.output.data(difference)?;
        }
        if !edited.is_empty() && !self.keep_edited && !self.dry_run {
            let names: Vec<String> = edited.iter().map(|(path, _)| format!("'{}'", path.display())).collect();
            return Err(Refusal::new(
                "edited",
                format!("not overwritten, since it was edited: {}", names.join(", ")),
            )
            .hint("nothing was changed; `--keep-edited` keeps it and does the rest, or move it away")
            .into());
        }
        if self.dry_run {
            context.output.say("\nNothing was changed (--dry-run).");
            return Ok(Exit::Done);
        }
        if plan.is_settled() {
            context.output.say("\nNothing to do: everything is as it is to be.");
            return Ok(Exit::Done);
        }
        if asks && !yes(context, "\nDo it?")? {
            context.output.say("Nothing was changed.");
            return Ok(Exit::Failed);
        }
        self.may(&config)?;
        let count = plan.execute()?;
        context
            .output
            .say(format!("\nDone: {count} of {} steps.", plan.steps.len()));
        let next = self.next_commands(&config, &self.config_file(context, &config.paths.root));
        context.output.data(next)?;
        Ok(Exit::Done)
    }
}

impl Args {
    fn title(&self) -> &'static str {
        if self.one_user.is_some() {
            "Windlass for one user"
        } else {
            "Windlass for a server"
        }
    }

    /// Asks for what was not given.
    fn ask(&mut self, context: &mut Context) -> anyhow::Result<()> {
        let own = Account::own();
        if self.one_user.is_none() {
            context.output.say("Windlass can be set up\n  1  for one user on one machine, to try it out\n  2  as a server, with the Unix users 'git' and 'windlass' (needs root)");
            let default = if own.uid == 0 { "2" } else { "1" };
            if ask(context, "Which?", default)? == "1" {
                let default = if own.user.parse::<UserName>().is_ok() {
                    own.user.as_str()
                } else {
                    "me"
                };
                self.one_user = Some(ask_parsed(context, "Your name as a packager?", default)?);
            }
        }
        if self.dir.is_none() {
            let default = self.root()?.display().to_string();
            let answer = ask(context, "Below which directory?", &default)?;
            self.dir = Some(std::path::absolute(answer).context("the directory cannot be made out")?);
        }
        if self.repository.is_empty() {
            self.repository = vec![ask_parsed(context, "The package repository's name?", "main")?];
        }
        Ok(())
    }

    fn root(&self) -> anyhow::Result<PathBuf> {
        if let Some(dir) = &self.dir {
            return std::path::absolute(dir).context("--dir cannot be made out");
        }
        if self.one_user.is_some() {
            let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
            let home = home.ok_or_else(|| Usage::new("HOME is not set").hint("--dir names the directory"))?;
            return Ok(PathBuf::from(home).join("windlass"));
        }
        Ok("/var/lib/windlass".into())
    }

    /// Where the configuration goes: the file named by --config, else the usual one.
    fn config_file(&self, context: &Context, root: &Path) -> PathBuf {
        let named = &context.global.config;
        if self.one_user.is_some() && named == Path::new(DEFAULT_FILE) {
            return root.join("windlass.toml");
        }
        std::path::absolute(named).unwrap_or_else(|_| named.clone())
    }

    /// What is to be so, compared with what is there.
    fn plan(&self, context: &Context) -> anyhow::Result<(Config, Plan)> {
        let root = self.root()?;
        let file = self.config_file(context, &root);
        let (text, made) = self.configuration(&root, &file)?;
        // What somebody wrote into his configuration counts, also for where things are.
        let config = match std::fs::read_to_string(&file) {
            Ok(there) if self.keep_edited && there != text => Config::parse(&there, &file)?,
            Ok(_) | Err(_) => made,
        };
        let mut steps = Vec::new();
        if !is_one_user(&config.users) {
            steps.extend(users(&config));
        }
        steps.extend(directories(&config.paths).into_iter().map(Step::Directory));
        steps.push(Step::File {
            path: file.clone(),
            content: text,
            mode: 0o644,
            what: "the configuration",
        });
        let units = self
            .unit_dir
            .clone()
            .or_else(|| self.server_only("/etc/systemd/system"));
        if let Some(directory) = units {
            steps.push(Step::File {
                path: directory.join("windlass.service"),
                content: unit(&config, &file)?,
                mode: 0o644,
                what: "the daemon's unit",
            });
        }
        let snippets = self
            .sshd_dir
            .clone()
            .or_else(|| self.server_only("/etc/ssh/sshd_config.d"));
        if let Some(directory) = snippets {
            let snippet = windlass_templates::sshd_snippet(&SshdValues {
                git_user: config.users.git.clone(),
                authorized_keys: authorized_keys(&config.paths).display().to_string(),
            })?;
            steps.push(Step::File {
                path: directory.join("50-windlass.conf"),
                content: snippet,
                mode: 0o644,
                what: "the ssh door",
            });
        }
        let plan = Plan::compare(&config.users, steps)?;
        Ok((config, plan))
    }

    fn server_only(&self, directory: &str) -> Option<PathBuf> {
        self.one_user.is_none().then(|| directory.into())
    }

    fn configuration(&self, root: &Path, file: &Path) -> anyhow::Result<(String, Config)> {
        let root = root
            .to_str()
            .ok_or_else(|| Usage::new("the directory's name is not UTF-8"))?;
        let own = Account::own();
        let (git_user, bot_user) = match self.one_user {
            Some(_) => (own.user.clone(), own.user),
            None => (self.git_user.clone(), self.bot_user.clone()),
        };
        if self.one_user.is_none() && git_user == bot_user {
            return Err(Usage::new(format!("--git-user and --bot-user are both '{git_user}'"))
                .hint("`--one-user NAME` is the set-up in which one Unix user plays all parts")
                .into());
        }
        let names: Vec<String> = match self.repository.as_slice() {
            [] => vec!["main".to_owned()],
            given => given.iter().map(ToString::to_string).collect(),
        };
        let architectures = match self.architecture.as_slice() {
            [] => vec![std::env::consts::ARCH.to_owned()],
            given => given.to_vec(),
        };
        let text = windlass_templates::windlass_toml(&ConfigValues {
            root: root.to_owned(),
            git_user,
            bot_user,
            local: self.one_user.as_ref().map(ToString::to_string),
            repositories: names
                .into_iter()
                .map(|name| RepositoryValues {
                    name,
                    architectures: architectures.clone(),
                })
                .collect(),
        })?;
        let config = Config::parse(&text, file)?;
        Ok((text, config))
    }

    /// Whether this process may do it.
    fn may(&self, config: &Config) -> anyhow::Result<()> {
        let own = Account::own();
        if self.one_user.is_none() && own.uid != 0 {
            return Err(Broken::new(format!(
                "a server has the Unix users '{}' and '{}', which only root can set up",
                config.users.git, config.users.bot
            ))
            .hint("run it by sudo, or try it out for yourself: `windlass init --one-user NAME`")
            .into());
        }
        Ok(())
    }

    /// What a person does next, as commands that can be copied.
    fn next_commands(&self, config: &Config, file: &Path) -> String {
        let person = "--address alice@example.org --openpgp alice.asc --ssh alice.pub";
        let mut lines = vec!["\nNext:".to_owned()];
        let mut add = |command: &str, why: &str| lines.push(format!("  {command:<58}  # {why}"));
        if let Some(name) = &self.one_user {
            let path = windlass_templates::sh_quoted(&file.display().to_string());
            add(
                &format!("export WINDLASS_CONFIG={path}"),
                "this set-up, not the machine's",
            );
            add(
                &format!("windlass people add {name} --address … --openpgp FILE"),
                "who you are",
            );
            add("windlass serve", "the daemon, in another terminal");
            add("windlass init-repo hello", "a source repository to push to");
            add("windlass doctor", "whether all is well");
        } else {
            if file != Path::new(DEFAULT_FILE) {
                let path = windlass_templates::sh_quoted(&file.display().to_string());
                add(&format!("export WINDLASS_CONFIG={path}"), "not the usual place");
            }
            add(
                "systemctl daemon-reload && systemctl enable --now windlass",
                "the daemon",
            );
            add("sshd -t && systemctl reload ssh", "the ssh door");
            add("windlass people add alice --full-name 'Alice' \\", "who may push");
            lines.push(format!("      {person}"));
            let mut add = |command: &str, why: &str| lines.push(format!("  {command:<58}  # {why}"));
            add(
                &format!("ssh {}@HOST init-repo hello", config.users.git),
                "a source repository, as alice",
            );
            add("windlass doctor", "whether all is well");
        }
        lines.join("\n") + "\n"
    }
}

fn users(config: &Config) -> [Step; 2] {
    [
        Step::User {
            name: config.users.git.clone(),
            home: config.paths.git(),
            in_group_of: None,
            // sshd hands the forced command to the login shell; nologin would refuse it.
            shell: "/bin/sh",
        },
        Step::User {
            name: config.users.bot.clone(),
            home: config.paths.state(),
            in_group_of: Some(config.users.git.clone()),
            shell: "/usr/sbin/nologin",
        },
    ]
}

fn unit(config: &Config, file: &Path) -> anyhow::Result<String> {
    let program = std::env::current_exe()
        .and_then(std::fs::canonicalize)
        .context("cannot tell where this program stands")?;
    let socket = config.paths.socket();
    let written = [
        config.paths.state(),
        socket.parent().unwrap_or(Path::new("/")).to_owned(),
        config.paths.spool(),
        config.paths.repos(),
    ];
    let home = written
        .iter()
        .any(|path| path.starts_with("/home") || path.starts_with("/root"));
    let group_of = |user: &str| Account::named(user).map_or_else(|| user.to_owned(), |account| account.group);
    let [state, run, spool, repos] = written.map(|path| path.display().to_string());
    Ok(windlass_templates::service_unit(&UnitValues {
        program: program.display().to_string(),
        config: file.display().to_string(),
        bot_user: config.users.bot.clone(),
        bot_group: group_of(&config.users.bot),
        git_group: group_of(&config.users.git),
        state,
        run,
        spool,
        repos,
        home,
    })?)
}

fn ask(context: &mut Context, question: &str, default: &str) -> anyhow::Result<String> {
    context.output.talk(format!("{question} [{default}] "));
    let mut line = String::new();
    let count = std::io::stdin()
        .lock()
        .read_line(&mut line)
        .context("cannot read the answer")?;
    if count == 0 {
        return Err(Usage::new("no answer")
            .hint("`--yes` takes the answers from the flags")
            .into());
    }
    let answer = line.trim();
    Ok(if answer.is_empty() {
        default.to_owned()
    } else {
        answer.to_owned()
    })
}

fn ask_parsed<T>(context: &mut Context, question: &str, default: &str) -> anyhow::Result<T>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    loop {
        match ask(context, question, default)?.parse() {
            Ok(value) => return Ok(value),
            Err(error) => context.output.say(error.to_string()),
        }
    }
}

fn yes(context: &mut Context, question: &str) -> anyhow::Result<bool> {
    let answer = ask(context, question, "y/N")?;
    Ok(matches!(answer.to_lowercase().as_str(), "y" | "yes"))
}
