//! The command line: one file a command, each with its arguments and what it does with them.
//!
//! A command is a type with clap's `Args` and [`Run`]; it has one line in [`Command`] and one in [`Command::run`].
//! What it returns, or the error that it ends with, becomes the exit code in [`crate::exit`].

pub mod acl;
pub mod backup;
pub mod build;
pub mod completions;
pub mod config;
pub mod device;
pub mod doctor;
pub mod evr;
pub mod gear;
pub mod hooks;
mod hooks_path;
pub mod image;
pub mod init;
pub mod job;
pub mod journal;
pub mod keys;
pub mod man;
pub mod payload;
pub mod people;
pub mod remote;
pub mod repo;
pub mod restore;
pub mod serve;
pub mod source;
pub mod tag;
pub mod task;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};
use windlass_hooks::settings::Settings;

use crate::config::{Config, ConfigError};
use crate::exit::{Broken, Exit};
use crate::output::Output;

/// A merge queue for package repositories: a signed tag is judged, built, tested and committed.
#[derive(Debug, Parser)]
#[command(
    name = "windlass",
    version,
    max_term_width = 100,
    disable_help_subcommand = true,
    after_help = "Exit codes: 0 done, 1 refused or failed, 2 usage, 3 environment broken (the bot is away, a file cannot be written)."
)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, clap::Args)]
pub struct Global {
    /// The configuration
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "WINDLASS_CONFIG",
        default_value = "/etc/windlass/windlass.toml"
    )]
    pub config: PathBuf,
}

/// The commands, in the order of the help.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Set Windlass up: users, directories, configuration, units
    Init(init::Args),
    /// Take in requests, decide and answer them: the bot
    Serve(serve::Args),
    /// Make, fill, run and explain tasks
    Task(task::Args),
    /// Build tags: a new task with these tags, and run it
    Build(build::Args),
    /// Show what is done after tasks have landed, try it again, give it up
    Job(job::Args),
    /// Flash the lab's devices, show them, reserve them, say how they are
    Device(device::Args),
    /// Show or change who may touch a package, or who is in a group
    Acl(acl::Args),
    /// Make a source repository of one's own
    #[command(name = "init-repo")]
    InitRepo(source::InitRepo),
    /// Show or change who may push to a source repository
    Pushers(source::Pushers),
    /// Judge a tag as a push by oneself would be
    Check(source::Check),
    /// Add, show, list and remove people
    People(people::Args),
    /// People's keys: add, list, remove, look over; the ssh door's file
    Keys(keys::Args),
    /// Put the hooks into source repositories, take them out, say how they stand
    Hooks(hooks::Args),
    /// Find every way in which hooks fail open, and what else is amiss; mend it
    Doctor(doctor::Args),
    /// Judge a tag without pushing it
    Tag(tag::Args),
    /// Make the source archive of a tag, or show what is in it
    Gear(gear::Args),
    /// Compare two versions as rpm does
    Evr(evr::Args),
    /// Check the configuration, or show what is in force
    Config(config::Args),
    /// Make, fill, look at and verify package repositories
    Repo(repo::Args),
    /// Build, run, move and clear away container images
    Image(image::Args),
    /// Make, show, verify and apply update payloads
    Payload(payload::Args),
    /// Show, check or rebuild the journal
    Journal(journal::Args),
    /// Copy all that cannot be made again into one directory
    Backup(backup::Args),
    /// Bring a backup back
    Restore(restore::Args),
    /// Print the completions for a shell
    Completions(completions::Args),
    /// Print the manual page, or write all of them into a directory
    Man(man::Args),
}

impl Command {
    fn run(self, context: &mut Context) -> anyhow::Result<Exit> {
        match self {
            Self::Init(args) => args.run(context),
            Self::Serve(args) => args.run(context),
            Self::Task(args) => args.run(context),
            Self::Build(args) => args.run(context),
            Self::Job(args) => args.run(context),
            Self::Device(args) => args.run(context),
            Self::Acl(args) => args.run(context),
            Self::InitRepo(args) => args.run(context),
            Self::Pushers(args) => args.run(context),
            Self::Check(args) => args.run(context),
            Self::People(args) => args.run(context),
            Self::Keys(args) => args.run(context),
            Self::Hooks(args) => args.run(context),
            Self::Doctor(args) => args.run(context),
            Self::Tag(args) => args.run(context),
            Self::Gear(args) => args.run(context),
            Self::Evr(args) => args.run(context),
            Self::Config(args) => args.run(context),
            Self::Repo(args) => args.run(context),
            Self::Image(args) => args.run(context),
            Self::Payload(args) => args.run(context),
            Self::Journal(args) => args.run(context),
            Self::Backup(args) => args.run(context),
            Self::Restore(args) => args.run(context),
            Self::Completions(args) => args.run(context),
            Self::Man(args) => args.run(context),
        }
    }
}

/// What a command has to work with.
pub struct Context {
    /// What stands before the command.
    pub global: Global,
    /// Where it writes.
    pub output: Output,
    /// The command line as given, the program's name first.
    pub arguments: Vec<OsString>,
}

impl Context {
    /// Reads the configuration strictly.
    ///
    /// # Errors
    /// It cannot be read ([`Broken`]), or is wrong: then everything that is wrong in it.
    pub fn config(&self) -> anyhow::Result<Config> {
        Config::load(&self.global.config).map_err(|error| match error {
            ConfigError::Read { path, error } => {
                let message = format!("cannot read the configuration '{}': {error}", path.display());
                let hint = if error.kind() == std::io::ErrorKind::NotFound {
                    "`windlass init` writes one; --config FILE or WINDLASS_CONFIG names another"
                } else {
                    "run it as root or as the daemon's user; --config FILE or WINDLASS_CONFIG names another"
                };
                Broken::new(message).hint(hint).into()
            }
            ConfigError::Wrong(problems) => problems.into(),
        })
    }
}

impl Context {
    /// What the git side reads of a configuration, all paths absolute.
    pub fn settings(&self, config: &Config) -> Settings {
        let file = std::path::absolute(&self.global.config).unwrap_or_else(|_| self.global.config.clone());
        let mut settings = config.settings();
        settings.settle(file.parent().unwrap_or(Path::new("/")));
        settings
    }
}

/// What the arguments of every command can do.
pub trait Run {
    /// Does it; the error says what happened and, after a blank line, how to mend it.
    fn run(self, context: &mut Context) -> anyhow::Result<Exit>;
}

/// Runs one command line, the program's name first.
pub fn main(arguments: Vec<OsString>) -> Exit {
    let mut output = Output::process();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // What is wrong with the bot's words is said as over ssh, where an omitted id is told from a mistyped word.
            if error.use_stderr()
                && error.kind() != clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
                && let Some(text) = remote::mistake(&arguments)
            {
                output.talk(text);
                return Exit::Usage;
            }
            return usage(&error, &mut output);
        }
    };
    let mut context = Context {
        global: cli.global,
        output,
        arguments,
    };
    cli.command.run(&mut context).unwrap_or_else(|error| {
        context.output.error(&error);
        Exit::of(&error)
    })
}

/// Help and version are data; everything else that clap says is talk about a mistake.
fn usage(error: &clap::Error, output: &mut Output) -> Exit {
    let text = error.render().to_string();
    if error.use_stderr() {
        output.talk(text);
        return Exit::Usage;
    }
    match output.data(text) {
        Ok(()) => Exit::Done,
        Err(_) => Exit::Environment,
    }
}

/// The whole grammar, for completions and man pages.
pub fn grammar() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_consistent() {
        grammar().debug_assert();
    }
}
