//! The words of commands that are neither plain ids nor flags.

use std::fmt;
use std::str::FromStr;

use clap::builder::StyledStr;
use clap::error::ErrorKind;
use clap::{Arg, ArgMatches, Args, FromArgMatches};

use crate::id::{BadId, RequestId, SourcePath, SubtaskNumber, TagName, TaskId, UserName};

/// A source repository as a person typed it; it becomes a [`SourcePath`] once it is known who the person is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SourceArg(String);

impl SourceArg {
    /// The text as typed.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The whole path: a bare name is the caller's own.
    ///
    /// # Panics
    /// Never: the form was checked when the text was parsed.
    pub fn resolve(&self, caller: &UserName) -> SourcePath {
        SourcePath::resolve(&self.0, caller)
            .expect("its form was checked when it was parsed, and no caller changes that")
    }
}

impl FromStr for SourceArg {
    type Err = BadId;
    fn from_str(typed: &str) -> Result<Self, BadId> {
        // Whether the form is good depends on no caller: any well-formed name will do for the check.
        let anybody: UserName = "a".parse().expect("it is a well-formed name");
        SourcePath::resolve(typed, &anybody).map(|_| Self(typed.to_owned()))
    }
}

impl From<&SourcePath> for SourceArg {
    fn from(path: &SourcePath) -> Self {
        Self(path.as_str().to_owned())
    }
}

impl fmt::Display for SourceArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A task by its number, or by the request that made it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TaskRef {
    /// Its number.
    Id(TaskId),
    /// The request that made it, as printed when the bot was away.
    Request(RequestId),
}

impl FromStr for TaskRef {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        if text.starts_with("r-") {
            text.parse().map(Self::Request)
        } else {
            text.parse().map(Self::Id)
        }
    }
}

impl fmt::Display for TaskRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Request(id) => id.fmt(f),
        }
    }
}

/// Which subtasks a vote is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Which {
    /// One.
    One(SubtaskNumber),
    /// All that there are at that moment.
    All,
}

impl FromStr for Which {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        if text == "all" {
            return Ok(Self::All);
        }
        text.parse().map(Self::One).map_err(|error: BadId| BadId {
            rule: "a whole number from 1 up, or 'all'",
            ..error
        })
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(number) => number.fmt(f),
            Self::All => f.write_str("all"),
        }
    }
}

/// One thing to build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildItem {
    /// The source repository.
    pub source: SourceArg,
    /// The signed tag in it.
    pub tag: TagName,
}

/// What to build: `SOURCE TAG [SOURCE TAG]…`, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildItems(pub Vec<BuildItem>);

impl FromArgMatches for BuildItems {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let words: Vec<&String> = matches.get_many("items").into_iter().flatten().collect();
        let invalid = |text: String| clap::Error::raw(ErrorKind::ValueValidation, StyledStr::from(text));
        let items = words.chunks(2).map(|pair| match pair {
            [source, tag] => Ok(BuildItem {
                source: source.parse().map_err(|error| invalid(format!("{error}")))?,
                tag: tag.parse().map_err(|error| invalid(format!("{error}")))?,
            }),
            _ => Err(clap::Error::raw(
                ErrorKind::WrongNumberOfValues,
                StyledStr::from(format!(
                    "'{}' is given without a tag: what to build is SOURCE TAG [SOURCE TAG]…",
                    pair[0]
                )),
            )),
        });
        items.collect::<Result<_, _>>().map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for BuildItems {
    fn augment_args(command: clap::Command) -> clap::Command {
        command.arg(
            Arg::new("items")
                .value_name("SOURCE TAG")
                .help("A source repository (NAME of one's own, USER/NAME, shared/NAME) and a signed tag in it; again for more")
                .num_args(1..)
                .required(true),
        )
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}
