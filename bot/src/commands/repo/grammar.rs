//! The words of `windlass repo …` that change a repository.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use windlass_core::command::{Usage, WriteFlags};
use windlass_core::id::{Generation, RepositoryName};

/// Which repository is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct Which {
    /// The repository; the configured default when left out
    #[arg(short = 'b', long, value_name = "REPOSITORY")]
    pub repository: Option<RepositoryName>,
}

/// What changes a repository.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Write {
    /// What it holds.
    #[command(flatten)]
    Content(ContentWrite),
    /// Change the signing key
    #[command(subcommand, arg_required_else_help = true, disable_help_subcommand = true)]
    Key(KeyWrite),
}

/// What changes which packages and generations a repository has.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum ContentWrite {
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
    /// Make a new generation with the content of an old one
    #[command(after_help = "\
Examples:
  windlass repo rollback 41 --dry-run
  windlass repo rollback 41
  windlass repo rollback 41 --take-over    # after somebody else wrote there; what is unknown is moved aside")]
    Rollback(RollbackArgs),
    /// Remove generations that are kept no longer, and packages that no other one names
    #[command(after_help = "\
Examples:
  windlass repo gc --dry-run
  windlass repo gc -b sisyphus")]
    Gc(GcArgs),
}

/// `repo init`
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct InitArgs {
    /// Which one.
    #[command(flatten)]
    pub which: Which,
    /// Flags of every command that writes.
    #[command(flatten)]
    pub flags: WriteFlags,
}

/// `repo import DIR`
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ImportArgs {
    /// The tree: packages in any layout, for any of the architectures, source packages too
    #[arg(value_name = "DIR")]
    pub tree: PathBuf,
    /// Which one.
    #[command(flatten)]
    pub which: Which,
    /// Take all versions of a package, not the newest alone
    #[arg(long)]
    pub all_versions: bool,
    /// Leave out what cannot be read
    #[arg(long)]
    pub skip_bad: bool,
    /// Advisories for clients: a file of updateinfo XML, in place of those that there are
    #[arg(long, value_name = "FILE")]
    pub updateinfo: Option<PathBuf>,
    /// Flags of every command that writes.
    #[command(flatten)]
    pub flags: WriteFlags,
}

/// `repo rollback N`
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct RollbackArgs {
    /// The generation whose content comes back
    #[arg(value_name = "N", value_parser = generation)]
    pub to: Generation,
    /// Which one.
    #[command(flatten)]
    pub which: Which,
    /// Move aside what somebody else wrote, and go on from generation N
    #[arg(long)]
    pub take_over: bool,
    /// Flags of every command that writes.
    #[command(flatten)]
    pub flags: WriteFlags,
}

/// `repo gc`
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct GcArgs {
    /// Which one.
    #[command(flatten)]
    pub which: Which,
    /// Flags of every command that writes.
    #[command(flatten)]
    pub flags: WriteFlags,
}

/// `repo key …`, where it changes something.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum KeyWrite {
    /// Make a new key, sign every package and the metadata with it, as one new generation; the old secret key is removed
    #[command(after_help = "\
Clients get the new key with the old one from the address in their configuration, and are asked to accept it.

Examples:
  windlass repo key rotate --dry-run
  windlass repo key rotate")]
    Rotate(RotateArgs),
}

/// `repo key rotate`
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct RotateArgs {
    /// Which one.
    #[command(flatten)]
    pub which: Which,
    /// Flags of every command that writes.
    #[command(flatten)]
    pub flags: WriteFlags,
}

/// Reads a generation's number.
pub(crate) fn generation(text: &str) -> Result<Generation, String> {
    match text.parse() {
        Ok(number) if number > 0 && !text.starts_with('+') => Ok(Generation(number)),
        _ => Err("a generation is a whole number from 1 up".to_owned()),
    }
}

/// The words after `repo`.
#[derive(Debug, Parser)]
#[command(name = "windlass repo", no_binary_name = true, disable_help_subcommand = true)]
struct Line {
    #[command(subcommand)]
    write: Write,
}

impl Write {
    /// Makes a command of the words after `repo`.
    ///
    /// # Errors
    /// What is wrong with them, ready to be printed.
    pub fn parse(words: &[String]) -> Result<Self, Usage> {
        Line::try_parse_from(words)
            .map(|line| line.write)
            .map_err(|error| Usage {
                exit: if error.use_stderr() { 2 } else { 0 },
                text: error.render().to_string(),
            })
    }

    /// The words that [`Write::parse`] makes this of, with `repo` before them.
    pub fn words(&self) -> Vec<String> {
        let mut words = vec!["repo".to_owned()];
        let mut word = |word: &str| words.push(word.to_owned());
        match self {
            Self::Content(ContentWrite::Init(_)) => word("init"),
            Self::Content(ContentWrite::Import(args)) => {
                word("import");
                for (flag, set) in [("--all-versions", args.all_versions), ("--skip-bad", args.skip_bad)] {
                    if set {
                        word(flag);
                    }
                }
                if let Some(file) = &args.updateinfo {
                    word(&format!("--updateinfo={}", file.display()));
                }
            }
            Self::Content(ContentWrite::Rollback(args)) => {
                word("rollback");
                if args.take_over {
                    word("--take-over");
                }
            }
            Self::Content(ContentWrite::Gc(_)) => word("gc"),
            Self::Key(KeyWrite::Rotate(_)) => {
                word("key");
                word("rotate");
            }
        }
        if let Some(repository) = &self.which().repository {
            word(&format!("--repository={repository}"));
        }
        let flags = self.flags();
        for (flag, set) in [("--dry-run", flags.dry_run), ("--json", flags.json)] {
            if set {
                word(flag);
            }
        }
        if let Some(id) = &flags.request_id {
            word(&format!("--request-id={id}"));
        }
        match self {
            Self::Content(ContentWrite::Import(args)) => {
                word("--");
                word(&args.tree.display().to_string());
            }
            Self::Content(ContentWrite::Rollback(args)) => word(&args.to.to_string()),
            Self::Content(ContentWrite::Init(_) | ContentWrite::Gc(_)) | Self::Key(_) => {}
        }
        words
    }

    /// The repository that is meant.
    pub fn which(&self) -> &Which {
        match self {
            Self::Content(ContentWrite::Init(args)) => &args.which,
            Self::Content(ContentWrite::Import(args)) => &args.which,
            Self::Content(ContentWrite::Rollback(args)) => &args.which,
            Self::Content(ContentWrite::Gc(args)) => &args.which,
            Self::Key(KeyWrite::Rotate(args)) => &args.which,
        }
    }

    /// The flags of every command that writes.
    pub fn flags(&self) -> &WriteFlags {
        match self {
            Self::Content(ContentWrite::Init(args)) => &args.flags,
            Self::Content(ContentWrite::Import(args)) => &args.flags,
            Self::Content(ContentWrite::Rollback(args)) => &args.flags,
            Self::Content(ContentWrite::Gc(args)) => &args.flags,
            Self::Key(KeyWrite::Rotate(args)) => &args.flags,
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(&["init", "--repository=x", "--json"])]
    #[case(&["import", "--all-versions", "--skip-bad", "--updateinfo=/a b", "--dry-run", "--", "-odd"])]
    #[case(&["rollback", "--take-over", "--request-id=r-0123456789abcdef", "41"])]
    #[case(&["gc"])]
    #[case(&["key", "rotate"])]
    fn words_come_back(#[case] given: &[&str]) {
        let given: Vec<String> = given.iter().map(|word| (*word).to_owned()).collect();
        let write = Write::parse(&given).unwrap_or_else(|usage| panic!("{}", usage.text));
        assert_eq!(write.words()[1..], given);
    }

    #[rstest]
    #[case("0", false)]
    #[case("+1", false)]
    #[case("-1", false)]
    #[case("7", true)]
    fn generations(#[case] text: &str, #[case] good: bool) {
        assert_eq!(generation(text).is_ok(), good);
    }
}
