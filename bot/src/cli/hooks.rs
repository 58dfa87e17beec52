//! `windlass hooks`: puts the hooks into source repositories, takes them out, says how they stand.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::json;
use windlass_core::escape::escaped;
use windlass_core::id::{SourcePath, UserName};
use windlass_core::refusal::Refusal;
use windlass_hooks::install::{HookState, Installation, Status, Step};

use super::{Context, Run, hooks_path};
use crate::config::Config;
use crate::exit::{Broken, Exit, Usage};
use crate::layout::{Accounts, Part, program, sources};

/// Arguments of `windlass hooks`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Put the hooks and the settings that belong to them into repositories
    #[command(after_help = "\
A hook that is there already is kept as hooks/NAME.d/50-as-it-was and run after ours; the first
refusal wins. A second run does nothing.

Examples:
  windlass hooks install alice/hello shared/gcc
  windlass hooks install --all --dry-run
  windlass hooks install /srv/git/hello.git
  windlass hooks install --hooks-path /usr/share/windlass/hooks --all")]
    Install {
        #[command(flatten)]
        which: Which,
        /// Write the hooks into DIR once, and have the repositories use them by core.hooksPath
        #[arg(long, value_name = "DIR")]
        hooks_path: Option<PathBuf>,
        /// Print the steps and change nothing
        #[arg(long, short = 'n')]
        dry_run: bool,
    },
    /// Take the hooks out; kept ones get their place back
    #[command(after_help = "\
Examples:
  windlass hooks uninstall alice/hello --dry-run
  windlass hooks uninstall --all /srv/git")]
    Uninstall {
        #[command(flatten)]
        which: Which,
        /// Print the steps and change nothing
        #[arg(long, short = 'n')]
        dry_run: bool,
    },
    /// Say whether every push is judged
    #[command(after_help = "\
Exit code 1 when a push to one of them would not be judged, or a setting is not as it is to be.

Examples:
  windlass hooks status
  windlass hooks status alice/hello --json | jq .[].hooks")]
    Status {
        #[command(flatten)]
        which: Which,
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
}

/// Which repositories.
#[derive(Debug, clap::Args)]
struct Which {
    /// Directories of bare repositories, or source repositories by name
    #[arg(value_name = "REPO")]
    repos: Vec<PathBuf>,
    /// All bare repositories below ROOT [default: the configured one]
    #[arg(long, value_name = "ROOT", num_args = 0..=1, conflicts_with = "repos")]
    #[expect(
        clippy::option_option,
        reason = "clap's word for an option whose value may be left out"
    )]
    all: Option<Option<PathBuf>>,
}

impl Which {
    /// The directories, sorted.
    fn directories(&self, config: &Config) -> anyhow::Result<Vec<PathBuf>> {
        let root = config.paths.git();
        if self.repos.is_empty() {
            let below = match &self.all {
                Some(Some(below)) => below.clone(),
                Some(None) | None => root,
            };
            let found = sources::below(&below)?;
            if found.is_empty() {
                return Err(Refusal::new(
                    "no_such_source",
                    format!("there is no bare repository below '{}'", below.display()),
                )
                .hint("`windlass init-repo NAME` makes one")
                .into());
            }
            return Ok(found);
        }
        self.repos.iter().map(|repo| one(&root, repo)).collect()
    }
}

/// The directory of one repository, as it was typed.
fn one(root: &Path, typed: &Path) -> anyhow::Result<PathBuf> {
    let nobody = "nobody".parse::<UserName>()?;
    let named = SourcePath::resolve(&typed.to_string_lossy(), &nobody)
        .ok()
        .map(|source| root.join(source.as_str()));
    let candidates = [Some(typed.to_owned()), Some(typed.join(".git")), named];
    let found = candidates
        .into_iter()
        .flatten()
        .find(|path| sources::is_repository(path));
    let found = found.ok_or_else(|| {
        let shown = escaped(&typed.display().to_string());
        Refusal::new(
            "no_such_source",
            format!(
                "'{shown}' is no git repository here, nor one below '{}'",
                root.display()
            ),
        )
        .hint("as in `windlass hooks install alice/hello`, or the path of a directory")
    })?;
    found
        .canonicalize()
        .with_context(|| format!("cannot look at '{}'", found.display()))
}

impl Run for Args {
    fn run(self, context: &mut Context) -> anyhow::Result<Exit> {
        let config = context.config()?;
        match self.action {
            Action::Install {
                which,
                hooks_path: Some(directory),
                dry_run,
            } => install_shared(context, &config, &which, &directory, dry_run),
            Action::Install {
                which,
                hooks_path: None,
                dry_run,
            } => {
                must_be_named(&which, "install")?;
                if let Some(exit) = as_git(context, &config)? {
                    return Ok(exit);
                }
                let installation = installation(context, &config)?;
                each(context, &config, &which, dry_run, &installation, |git_dir| {
                    Ok(installation.plan(git_dir)?)
                })
            }
            Action::Uninstall { which, dry_run } => {
                must_be_named(&which, "uninstall")?;
                if let Some(exit) = as_git(context, &config)? {
                    return Ok(exit);
                }
                let installation = installation(context, &config)?;
                each(context, &config, &which, dry_run, &installation, |git_dir| {
                    let hooks = git_dir.join("hooks");
                    if hooks.is_symlink() {
                        return Err(Refusal::new(
                            "shared_hooks",
                            format!("'{}' is shared with others", hooks.display()),
                        )
                        .hint(format!(
                            "rm '{}' && git -C '{}' config --unset-all core.hooksPath",
                            hooks.display(),
                            git_dir.display()
                        ))
                        .into());
                    }
                    Ok(installation.plan_removal(git_dir))
                })
            }
            Action::Status { which, json } => status(context, &config, &which, json),
        }
    }
}

fn must_be_named(which: &Which, word: &str) -> anyhow::Result<()> {
    if which.repos.is_empty() && which.all.is_none() {
        return Err(Usage::new("no repository is named")
            .hint(format!("`windlass hooks {word} REPO…`, or `--all` for every one"))
            .into());
    }
    Ok(())
}

/// The stubs' program and configuration.
fn installation(context: &Context, config: &Config) -> anyhow::Result<Installation> {
    Ok(Installation {
        program: program("windlass-hook")?,
        config: std::path::absolute(&context.global.config)?,
        max_input_size: config.push.max_input_size,
    })
}

/// The repositories are the git user's, who may lay links in them that lead anywhere: root works on them as that user.
/// Gives the exit code of the run as that user, or nothing if this process is the one to do it.
pub(super) fn as_git(context: &Context, config: &Config) -> anyhow::Result<Option<Exit>> {
    as_part(context, config, Part::Git, &config.paths.git())
}

/// Runs this very command line as the bot's user where root runs it: what it makes is the bot's.
pub(super) fn as_bot(context: &Context, config: &Config) -> anyhow::Result<Option<Exit>> {
    as_part(context, config, Part::Bot, &config.paths.state())
}

fn as_part(context: &Context, config: &Config, part: Part, home: &Path) -> anyhow::Result<Option<Exit>> {
    let accounts = Accounts::of(&config.users)?;
    let git = accounts.part(part);
    if !rustix::process::geteuid().is_root() || git.uid == 0 {
        return Ok(None);
    }
    let own = std::env::current_exe().context("cannot tell where this program stands")?;
    let mut command = std::process::Command::new(own);
    command
        .args(context.arguments.iter().skip(1))
        .env("HOME", home)
        .uid(git.uid)
        .gid(git.gid);
    let status = command
        .status()
        .map_err(|error| Broken::new(format!("cannot run this program as the user '{}': {error}", git.user)))?;
    Ok(Some(
        status
            .code()
            .and_then(|code| u8::try_from(code).ok())
            .map_or(Exit::Failed, Exit::from_code),
    ))
}

/// Plans for each repository, prints the steps, and does them.
fn each(
    context: &mut Context,
    config: &Config,
    which: &Which,
    dry_run: bool,
    installation: &Installation,
    plan: impl Fn(&Path) -> anyhow::Result<Vec<Step>>,
) -> anyhow::Result<Exit> {
    let directories = which.directories(config)?;
    let (mut changed, mut failed) = (0, 0);
    for git_dir in &directories {
        let done = plan(git_dir).and_then(|steps| {
            for step in &steps {
                context.output.line(format!("{}: {step}", shown(config, git_dir)))?;
            }
            changed += usize::from(!steps.is_empty());
            if dry_run {
                Ok(())
            } else {
                Ok(installation.apply(git_dir, &steps)?)
            }
        });
        if let Err(error) = done {
            failed += 1;
            context
                .output
                .say(format!("windlass: {}: {error:#}", shown(config, git_dir)));
        }
    }
    let of = directories.len();
    context.output.say(match (changed, failed, dry_run) {
        (0, 0, _) => format!("Nothing to do: {of} of {of} repositories are as they are to be."),
        (_, 0, true) => format!("{changed} of {of} repositories would be changed (--dry-run)."),
        (_, 0, false) => format!("{changed} of {of} repositories changed."),
        (_, _, _) => format!("{failed} of {of} repositories failed."),
    });
    Ok(if failed == 0 { Exit::Done } else { Exit::Environment })
}

/// One set of stubs for many repositories.
fn install_shared(
    context: &mut Context,
    config: &Config,
    which: &Which,
    directory: &Path,
    dry_run: bool,
) -> anyhow::Result<Exit> {
    let directory = std::path::absolute(directory)?;
    let installation = installation(context, config)?;
    if !dry_run {
        for path in hooks_path::write_stubs(&directory, &installation)? {
            context.output.line(format!("write {}", path.display()))?;
        }
    }
    if let Some(exit) = as_git(context, config)? {
        return Ok(exit);
    }
    let (mut changed, mut failed) = (0, 0);
    let directories = which.directories(config)?;
    for git_dir in &directories {
        let name = shown(config, git_dir);
        let done = hooks_path::plan(git_dir, &directory, &installation).and_then(|steps| {
            changed += usize::from(!steps.is_empty());
            for step in &steps {
                context.output.line(format!("{name}: {step}"))?;
                if !dry_run {
                    hooks_path::apply(git_dir, step)?;
                }
            }
            let settings = installation.plan(git_dir)?;
            let settings: Vec<Step> = settings.into_iter().filter(is_setting).collect();
            if dry_run {
                Ok(())
            } else {
                Ok(installation.apply(git_dir, &settings)?)
            }
        });
        if let Err(error) = done {
            failed += 1;
            match error.downcast_ref::<Refusal>() {
                Some(refusal) => context.output.refusal(refusal),
                None => context.output.say(format!("windlass: {name}: {error:#}")),
            }
        }
    }
    context.output.say(format!(
        "{changed} of {} repositories to use {}, {failed} failed.",
        directories.len(),
        directory.display()
    ));
    Ok(if failed == 0 { Exit::Done } else { Exit::Failed })
}

/// Whether a step changes a setting of git's and no hook.
fn is_setting(step: &Step) -> bool {
    match step {
        Step::Set { .. } | Step::Add { .. } => true,
        Step::Keep { .. }
        | Step::PutAside { .. }
        | Step::WriteStub { .. }
        | Step::Unset { .. }
        | Step::Remove { .. }
        | Step::Restore { .. } => false,
    }
}

/// A repository's name below the configured root, or its path.
fn shown(config: &Config, git_dir: &Path) -> String {
    let root = config.paths.git();
    let root = root.canonicalize().unwrap_or(root);
    escaped(&git_dir.strip_prefix(root).unwrap_or(git_dir).display().to_string())
}

fn status(context: &mut Context, config: &Config, which: &Which, as_json: bool) -> anyhow::Result<Exit> {
    let installation = installation(context, config)?;
    let (mut values, mut bad) = (Vec::new(), 0);
    let directories = which.directories(config)?;
    for git_dir in &directories {
        let name = shown(config, git_dir);
        let status = installation.status(git_dir)?;
        bad += usize::from(!status.is_good());
        if as_json {
            values.push(as_value(&name, &status));
            continue;
        }
        let word = if status.is_good() {
            "good"
        } else if status.judges() {
            "judges, but"
        } else {
            "OPEN"
        };
        context.output.line(format!("{name}: {word}"))?;
        for line in status_lines(&status) {
            context.output.line(format!("  {line}"))?;
        }
    }
    if as_json {
        context.output.json(&values)?;
    } else if bad > 0 {
        context.output.say(format!(
            "\n{bad} of {} repositories are not as they are to be.\n\nhint: windlass hooks install --all",
            directories.len()
        ));
    }
    Ok(if bad == 0 { Exit::Done } else { Exit::Failed })
}

/// What is not as it is to be, one thing a line.
fn status_lines(status: &Status) -> Vec<String> {
    let mut lines: Vec<String> = status
        .hooks
        .iter()
        .filter(|(_, state)| *state != HookState::Good)
        .map(|(hook, state)| format!("{}: {}", hook.name(), state.meaning()))
        .collect();
    lines.extend(status.hooks_elsewhere.iter().map(|path| {
        format!(
            "core.hooksPath leads elsewhere: '{}'",
            escaped(&path.display().to_string())
        )
    }));
    lines.extend(status.settings.iter().map(|difference| {
        let found = if difference.found.is_empty() {
            "not set".to_owned()
        } else {
            difference.found.join(", ")
        };
        format!("{}: {}, to be {}", difference.key, escaped(&found), difference.wanted)
    }));
    lines.extend(
        status
            .broken_chain
            .iter()
            .map(|why| format!("chained hooks refuse every push: {}", escaped(why))),
    );
    lines
}

fn as_value(name: &str, status: &Status) -> serde_json::Value {
    let hooks: serde_json::Map<String, serde_json::Value> = status
        .hooks
        .iter()
        .map(|(hook, state)| (hook.name().to_owned(), json!(state.meaning())))
        .collect();
    json!({
        "repository": name,
        "judges": status.judges(),
        "good": status.is_good(),
        "hooks": hooks,
        "hooks_elsewhere": status.hooks_elsewhere,
        "broken_chain": status.broken_chain,
        "settings": status.settings.iter().map(|difference| json!({
            "key": difference.key,
            "found": difference.found,
            "wanted": difference.wanted,
        })).collect::<Vec<_>>(),
    })
}
