//! The one grammar of commands, for ssh, the command line and HTTP.
//!
//! [`Command::parse`] takes words and gives a checked [`Command`] or what to print: usage, help, a near match. The bot's
//! command line flattens the same type. What a command means is decided elsewhere: here is only its form. [`split`] makes
//! words of the one line that sshd hands over, without a shell.

mod acl;
mod device;
mod examples;
mod flags;
mod job;
mod render;
pub mod split;
mod task;
mod words;

use clap::{Args, Subcommand};

pub use self::acl::{AclArgs, AclChange, PushersArgs, PushersChange};
pub use self::device::{DeviceCommand, NightlyCommand, Span};
pub use self::flags::{ReadFlags, WriteFlags};
pub use self::job::JobCommand;
pub use self::task::{Addition, DepsChange, Switch, TaskCommand};
pub use self::words::{BuildItem, BuildItems, SourceArg, TaskRef, Which};

use crate::escape::{escaped, is_plain};
use crate::id::{PackageName, RepositoryName, RequestId, TagName, UserName};
use crate::reason::Reason;

/// What a person asks for.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Make, fill, run and explain tasks
    #[command(subcommand, arg_required_else_help = true, disable_help_subcommand = true)]
    Task(TaskCommand),
    /// Build tags: a new task with these tags, and run it
    #[command(after_help = examples::BUILD)]
    Build(BuildArgs),
    /// Show what is done after tasks have landed, try it again, give it up
    #[command(subcommand, arg_required_else_help = true, disable_help_subcommand = true)]
    Job(JobCommand),
    /// Show the lab's devices, reserve them, say how they are
    #[command(subcommand, arg_required_else_help = true, disable_help_subcommand = true)]
    Device(DeviceCommand),
    /// Show or change who may touch a package, or who is in a group
    #[command(after_help = examples::ACL)]
    Acl(AclArgs),
    /// Judge a tag as a push would, without pushing
    #[command(after_help = examples::CHECK)]
    Check(CheckArgs),
    /// Make a source repository of one's own
    #[command(after_help = examples::INIT_REPO)]
    InitRepo(InitRepoArgs),
    /// Show or change who may push to a source repository
    #[command(after_help = examples::PUSHERS)]
    Pushers(PushersArgs),
}

/// `build [-b REPOSITORY] [-m REASON] SOURCE TAG [SOURCE TAG]…`
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct BuildArgs {
    /// The repository to build for; the configured default when left out
    #[arg(short = 'b', long = "branch", value_name = "REPOSITORY")]
    pub repository: Option<RepositoryName>,
    /// Why, for those who read the history
    #[arg(short = 'm', long, value_name = "REASON", allow_hyphen_values = true)]
    pub reason: Option<Reason>,
    /// Stop after the checks, land nothing
    #[arg(long)]
    pub test_only: bool,
    /// What to build, in this order.
    #[command(flatten)]
    pub items: BuildItems,
    /// Flags of every command that writes.
    #[command(flatten)]
    pub flags: WriteFlags,
}

/// `check REPO TAG`
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct CheckArgs {
    /// The source repository: NAME (one's own), USER/NAME, shared/NAME
    pub source: SourceArg,
    /// The tag
    pub tag: TagName,
    /// Flags of every command that reads.
    #[command(flatten)]
    pub flags: ReadFlags,
}

/// `init-repo NAME`
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct InitRepoArgs {
    /// The new repository's name; `.git` may be left out
    pub name: PackageName,
    /// Flags of every command that writes.
    #[command(flatten)]
    pub flags: WriteFlags,
}

/// What is printed instead of running a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// The text: help, or what is wrong with the words.
    pub text: String,
    /// 0 for help that was asked for (it goes to stdout), 2 for a mistake (to stderr).
    pub exit: u8,
}

/// Where a command is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// By the bot: it concerns tasks or access lists.
    Bot,
    /// At the ssh door: it concerns source repositories alone.
    Door,
}

impl Command {
    /// Makes a command of words. The first is `task`, `build`, …: no program name.
    ///
    /// # Errors
    /// Help that was asked for, or what is wrong with the words, ready to be printed.
    pub fn parse<I, S>(words: I) -> Result<Self, Usage>
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        let words: Vec<String> = words.into_iter().map(Into::into).collect();
        if let Some(word) = words.iter().find(|word| !word.chars().all(is_plain)) {
            return Err(Usage {
                text: format!("error: '{}' has a character that cannot be printed\n", escaped(word)),
                exit: 2,
            });
        }
        let mut grammar = grammar();
        let mistaken = neither_id_nor_word(&grammar, &words);
        let parsed = grammar
            .try_get_matches_from_mut(&words)
            .and_then(|matches| <Self as clap::FromArgMatches>::from_arg_matches(&matches));
        parsed.map_err(|error| {
            let error = match mistaken {
                Some(better) if error.use_stderr() => better,
                _ => error,
            };
            // Usage is that of the command meant, not of the whole grammar.
            let exit = if error.use_stderr() { 2 } else { 0 };
            let text = error.format(deepest(&mut grammar, &words)).render().to_string();
            Usage { text, exit }
        })
    }

    /// Whether it only reads.
    pub fn is_read(&self) -> bool {
        self.write_flags().is_none()
    }

    /// Whether the answer is wanted as JSON.
    pub fn json(&self) -> bool {
        self.read_flags().is_some_and(|flags| flags.json) || self.any_write_flags().is_some_and(|flags| flags.json)
    }

    /// Whether nothing is to be changed.
    pub fn dry_run(&self) -> bool {
        self.write_flags().is_some_and(|flags| flags.dry_run)
    }

    /// The request id that the caller chose.
    pub fn request_id(&self) -> Option<&RequestId> {
        self.write_flags().and_then(|flags| flags.request_id.as_ref())
    }

    /// Where it is carried out.
    pub fn place(&self) -> Place {
        match self {
            Self::Task(_) | Self::Build(_) | Self::Job(_) | Self::Device(_) | Self::Acl(_) => Place::Bot,
            Self::Check(_) | Self::InitRepo(_) | Self::Pushers(_) => Place::Door,
        }
    }

    /// Whether the bot need not be there: such a request waits in the spool.
    pub fn can_wait(&self) -> bool {
        matches!(self, Self::Build(build) if !build.flags.dry_run)
    }
}

/// The grammar as clap has it: for help pages and completions.
pub fn grammar() -> clap::Command {
    Command::augment_subcommands(clap::Command::new("windlass"))
        .about("A merge queue for package repositories")
        .no_binary_name(true)
        .term_width(100)
        .color(clap::ColorChoice::Never)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .after_help(examples::ALL)
}

/// The command that the words name, as far as they do.
fn deepest<'a>(grammar: &'a mut clap::Command, words: &[String]) -> &'a mut clap::Command {
    match words.split_first() {
        Some((word, rest)) if grammar.find_subcommand(word).is_some() => {
            deepest(grammar.find_subcommand_mut(word).expect("it was found just now"), rest)
        }
        _ => grammar,
    }
}

/// Where a task's number may be left out before a word (`task add [ID] repo …`), what stands there can be neither. clap
/// takes it for the number and complains about what follows; this says what is wrong, with a near match.
fn neither_id_nor_word(grammar: &clap::Command, words: &[String]) -> Option<clap::Error> {
    let [task, verb, rest @ ..] = words else { return None };
    let command = grammar.find_subcommand(task)?.find_subcommand(verb)?;
    let wanted: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
    let value_of_an_option = |at: usize| at > 0 && rest[at - 1] == "--request-id";
    let given = (0..rest.len())
        .find(|&at| !rest[at].starts_with('-') && !value_of_an_option(at))
        .map(|at| &rest[at])?;
    if wanted.is_empty() || wanted.contains(&given.as_str()) || given.parse::<crate::id::TaskId>().is_ok() {
        return None;
    }
    let mut text = format!("'{given}' is neither a task's number nor one of {}", wanted.join(", "));
    let near = wanted
        .iter()
        .map(|word| (strsim::jaro(word, given), word))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    if let Some((_, word)) = near.filter(|(likeness, _)| *likeness > 0.7) {
        text.push_str("\n\n  tip: a similar word exists: '");
        text.push_str(word);
        text.push('\'');
    }
    Some(clap::Error::raw(clap::error::ErrorKind::InvalidSubcommand, text))
}

/// Resolves what a person typed against who he is.
impl BuildArgs {
    /// The sources and tags, made whole for this caller.
    pub fn resolved(&self, caller: &UserName) -> Vec<(crate::id::SourcePath, TagName)> {
        self.items
            .0
            .iter()
            .map(|item| (item.source.resolve(caller), item.tag.clone()))
            .collect()
    }
}

#[cfg(test)]
pub(crate) mod strategies;
#[cfg(test)]
mod tests;
