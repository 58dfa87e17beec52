//! `windlass repo`: repositories made, filled, looked at, verified, brought back.
//!
//! What reads looks at the files itself. What writes is done by the bot where one runs, for the journal is the bot's; otherwise
//! here, by the same code, as the bot's user.

mod check;
mod client;
mod plan;
mod read;
mod show;
mod trial;
mod write;

use clap::Subcommand;
use windlass_core::id::RepositoryName;
use windlass_hooks::settings::Paths;

use super::{Context, Run};
use crate::commands::repo::{GcArgs, ImportArgs, InitArgs, KeyWrite, RollbackArgs, Which, Write};
use crate::exit::{Broken, Exit, Usage};
use crate::repository::{Repository, RepositoryError};

/// Arguments of `windlass repo`.
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true, disable_help_subcommand = true)]
pub struct Args {
    #[command(flatten)]
    caller: super::remote::Caller,
    #[command(subcommand)]
    action: Action,
}

/// What to do with it.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Make the repository: its signing key, and a first generation without packages
    #[command(after_help = "\
Examples:
  windlass repo init
  windlass repo init -b sisyphus --json")]
    Init(InitArgs),
    /// Take in an existing tree of packages, as one new generation
    #[command(after_help = "\
Of several versions of a package the newest is taken; older ones in the repository go. All packages are signed
with the repository's key, signatures that they have are taken off. Nothing is taken in where one cannot be read.

Examples:
  windlass repo import /srv/old-repository --dry-run
  windlass repo import /srv/old-repository
  windlass repo import RPMS/ --all-versions --skip-bad")]
    Import(ImportArgs),
    /// List the packages of a generation
    Ls(read::LsArgs),
    /// Show the generations: when and why each was made, what came and went
    Log(read::LogArgs),
    /// Show what changed from one generation to another
    Diff(read::DiffArgs),
    /// Show what a task would do to its repository, package by package
    Plan(plan::PlanArgs),
    /// Show what would become of the repository if these packages landed, and what stands against it
    Try(trial::TryArgs),
    /// Make a new generation with the content of an old one
    #[command(after_help = "\
Examples:
  windlass repo rollback 41 --dry-run
  windlass repo rollback 41
  windlass repo rollback 41 --take-over    # after somebody else wrote there; what is unknown is moved aside")]
    Rollback(RollbackArgs),
    /// Find requirements that nothing meets, and packages that cannot be installed, in any repositories
    Check(check::CheckArgs),
    /// Prove that all that clients can fetch is there, matches and is signed; exit code 1 when something is not
    Verify(read::VerifyArgs),
    /// Remove generations that are kept no longer, and packages that no other one names
    #[command(after_help = "\
Examples:
  windlass repo gc --dry-run
  windlass repo gc -b sisyphus")]
    Gc(GcArgs),
    /// Print what makes dnf or zypper use the repository
    ClientConfig(client::Args),
    /// Show the signing key, or change it
    #[command(subcommand, arg_required_else_help = true, disable_help_subcommand = true)]
    Key(Key),
}

/// `repo key …`
#[derive(Debug, Subcommand)]
pub enum Key {
    /// Print the public keys that clients get, the one in use first
    Show(client::KeyShowArgs),
    /// What changes it
    #[command(flatten)]
    Write(KeyWrite),
}

impl Run for Args {
    fn run(self, context: &mut Context) -> anyhow::Result<Exit> {
        let caller = &self.caller;
        match self.action {
            Action::Init(args) => write::carry_out(context, caller, Write::Init(args)),
            Action::Import(args) => write::carry_out(context, caller, Write::Import(args)),
            Action::Rollback(args) => write::carry_out(context, caller, Write::Rollback(args)),
            Action::Gc(args) => write::carry_out(context, caller, Write::Gc(args)),
            Action::Key(Key::Write(key)) => write::carry_out(context, caller, Write::Key(key)),
            Action::Key(Key::Show(args)) => client::show_keys(context, &args),
            Action::ClientConfig(args) => client::config(context, &args),
            Action::Try(args) => trial::show(context, &args),
            Action::Ls(args) => read::ls(context, &args),
            Action::Log(args) => read::log(context, &args),
            Action::Diff(args) => read::diff(context, &args),
            Action::Plan(args) => plan::plan(context, &args),
            Action::Check(args) => check::check(context, &args),
            Action::Verify(args) => read::verify(context, &args),
        }
    }
}

/// The repository that is meant, opened.
pub(super) fn open(context: &Context, which: &Which) -> anyhow::Result<Repository> {
    meant(context, which, Repository::open)
}

/// The same without a look at what is in it.
pub(super) fn unread(context: &Context, which: &Which) -> anyhow::Result<Repository> {
    meant(context, which, Repository::unread)
}

type Open = fn(&crate::config::Repository, &Paths) -> Result<Repository, RepositoryError>;

fn meant(context: &Context, which: &Which, open: Open) -> anyhow::Result<Repository> {
    let config = context.config()?;
    let settings = context.settings(&config);
    let name = named(&config, which)?;
    let known = config.repository(&name).ok_or_else(|| unknown(&config, &name))?;
    open(known, &settings.paths).map_err(failure)
}

fn named(config: &crate::config::Config, which: &Which) -> Result<RepositoryName, Usage> {
    which
        .repository
        .clone()
        .or_else(|| config.default_repository().cloned())
        .ok_or_else(|| Usage::new("no repository is configured").hint("add a [[repository]] to windlass.toml"))
}

fn unknown(config: &crate::config::Config, name: &RepositoryName) -> Usage {
    let names: Vec<&str> = config.repositories.iter().map(|other| other.name.as_str()).collect();
    Usage::new(format!("there is no repository '{name}'")).hint(format!("there are: {}", names.join(", ")))
}

/// What goes wrong with a repository, as the exit codes have it.
pub(super) fn failure(error: RepositoryError) -> anyhow::Error {
    let broken = error.is_infrastructure().then(|| Broken::new(error.to_string()));
    match (broken, error) {
        (_, RepositoryError::Refused(refusal)) => refusal.into(),
        (Some(broken), RepositoryError::File { error, .. }) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            broken.hint("run it as root or as the daemon's user").into()
        }
        (Some(broken), _) => broken.into(),
        (None, error) => anyhow::Error::msg(error.to_string()),
    }
}
