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
use crate::commands::repo::{ContentWrite, KeyWrite, Which, Write};
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
    /// What changes it
    #[command(flatten)]
    Write(ContentWrite),
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
    /// Find requirements that nothing meets, and packages that cannot be installed, in any repositories
    Check(check::CheckArgs),
    /// Prove that all that clients can fetch is there, matches and is signed; exit code 1 when something is not
    Verify(read::VerifyArgs),
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
            Action::Write(write) => write::carry_out(context, caller, Write::Content(write)),
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
