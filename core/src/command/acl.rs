//! `acl` and `pushers`: a list, then what to do with it, then whom.

use clap::builder::StyledStr;
use clap::error::ErrorKind;
use clap::{ArgMatches, Args, FromArgMatches, ValueEnum};

use super::{SourceArg, WriteFlags};
use crate::access::{Subject, Who};
use crate::id::{RepositoryName, UserName};

/// `acl REPOSITORY PACKAGE|@GROUP show|add|del|leader|replace [WHO…]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AclArgs {
    /// The binary repository whose list it is.
    pub repository: RepositoryName,
    /// The package or the group.
    pub subject: Subject,
    /// What to do.
    pub change: AclChange,
    /// Flags of every command that writes.
    pub flags: WriteFlags,
}

/// What to do with an access list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AclChange {
    /// Show it.
    Show,
    /// Add these members.
    Add(Vec<Who>),
    /// Take these off.
    Del(Vec<Who>),
    /// Make this one the leader.
    Leader(Who),
    /// Replace it whole: the leader first, then the members.
    Replace(Vec<Who>),
}

/// `pushers SOURCE show|add|del [USER…]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushersArgs {
    /// The source repository.
    pub source: SourceArg,
    /// What to do.
    pub change: PushersChange,
    /// Flags of every command that writes.
    pub flags: WriteFlags,
}

/// What to do with the list of those who may push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushersChange {
    /// Show it.
    Show,
    /// These may push from now on.
    Add(Vec<UserName>),
    /// These may no longer.
    Del(Vec<UserName>),
}

#[derive(Args)]
struct AclWords {
    /// The binary repository
    repository: RepositoryName,
    /// The source package, or @GROUP
    #[arg(value_name = "PACKAGE|@GROUP")]
    subject: Subject,
    /// What to do with its list
    #[arg(value_enum)]
    what: AclVerb,
    /// Names, @GROUPs, @everybody; @nobody as the leader marks an orphan
    #[arg(value_name = "WHO")]
    who: Vec<Who>,
    #[command(flatten)]
    flags: WriteFlags,
}

#[derive(Clone, Copy, ValueEnum)]
enum AclVerb {
    /// Show the leader and the members
    Show,
    /// Add members
    Add,
    /// Take members off
    Del,
    /// Name the leader
    Leader,
    /// Replace the whole list: leader first
    Replace,
}

#[derive(Args)]
struct PushersWords {
    /// The source repository: NAME (one's own), USER/NAME, shared/NAME
    source: SourceArg,
    /// What to do with the list
    #[arg(value_enum)]
    what: PushersVerb,
    /// User names
    #[arg(value_name = "USER")]
    who: Vec<UserName>,
    #[command(flatten)]
    flags: WriteFlags,
}

#[derive(Clone, Copy, ValueEnum)]
enum PushersVerb {
    /// Show who may push
    Show,
    /// Let them push
    Add,
    /// No longer
    Del,
}

fn wrong_number(text: &str) -> clap::Error {
    clap::Error::raw(ErrorKind::WrongNumberOfValues, StyledStr::from(text.to_owned()))
}

fn some<T>(verb: &str, who: Vec<T>) -> Result<Vec<T>, clap::Error> {
    if who.is_empty() {
        Err(wrong_number(&format!("'{verb}' needs at least one name")))
    } else {
        Ok(who)
    }
}

fn none<T>(who: &[T]) -> Result<(), clap::Error> {
    if who.is_empty() {
        Ok(())
    } else {
        Err(wrong_number("'show' takes no names"))
    }
}

impl TryFrom<AclWords> for AclArgs {
    type Error = clap::Error;
    fn try_from(words: AclWords) -> Result<Self, clap::Error> {
        let mut who = words.who;
        let change = match words.what {
            AclVerb::Show => none(&who).map(|()| AclChange::Show)?,
            AclVerb::Add => AclChange::Add(some("add", who)?),
            AclVerb::Del => AclChange::Del(some("del", who)?),
            AclVerb::Replace => AclChange::Replace(some("replace", who)?),
            AclVerb::Leader => match (who.pop(), who.is_empty()) {
                (Some(leader), true) => AclChange::Leader(leader),
                _ => return Err(wrong_number("'leader' needs exactly one name")),
            },
        };
        Ok(Self {
            repository: words.repository,
            subject: words.subject,
            change,
            flags: words.flags,
        })
    }
}

impl TryFrom<PushersWords> for PushersArgs {
    type Error = clap::Error;
    fn try_from(words: PushersWords) -> Result<Self, clap::Error> {
        let change = match words.what {
            PushersVerb::Show => none(&words.who).map(|()| PushersChange::Show)?,
            PushersVerb::Add => PushersChange::Add(some("add", words.who)?),
            PushersVerb::Del => PushersChange::Del(some("del", words.who)?),
        };
        Ok(Self {
            source: words.source,
            change,
            flags: words.flags,
        })
    }
}

/// Lets clap fill `$name` by way of `$words`, which has its arguments as they are typed.
macro_rules! by_way_of {
    ($name:ident, $words:ident) => {
        impl FromArgMatches for $name {
            fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
                $words::from_arg_matches(matches)?.try_into()
            }
            fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
                *self = Self::from_arg_matches(matches)?;
                Ok(())
            }
        }
        impl Args for $name {
            fn augment_args(command: clap::Command) -> clap::Command {
                $words::augment_args(command)
            }
            fn augment_args_for_update(command: clap::Command) -> clap::Command {
                $words::augment_args(command)
            }
        }
    };
}

by_way_of!(AclArgs, AclWords);
by_way_of!(PushersArgs, PushersWords);
