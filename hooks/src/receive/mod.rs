//! A push, seen from git's hooks: `pre-receive` judges while the objects are in quarantine and refuses or claims, `post-receive` hands
//! over what was asked for.
//!
//! Whatever cannot be read or understood refuses the push: a hook fails closed.

mod chain;
mod context;
mod input;
mod post;
mod pre;
mod refs;
mod report;

use std::ffi::OsString;
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};

pub use chain::{ChainError, programs};
pub use input::{BadInput, Update, parse};
pub use post::post_receive;
pub use pre::pre_receive;
pub use refs::{Change, check, shown};
pub use report::Refused;

use crate::settings::{DEFAULT_FILE, Settings};
pub use context::Context;

/// The exit code of a push that passes.
pub const PASSED: u8 = 0;
/// The exit code of a push that is refused.
pub const REFUSED: u8 = 1;
/// The exit code of a call that is none.
pub const USAGE: u8 = 2;
/// The exit code of a hook whose surroundings are broken. To git it is a refusal like any other.
pub const BROKEN: u8 = 3;

/// The hooks that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// Before anything is accepted.
    PreReceive,
    /// After the refs were written.
    PostReceive,
}

impl Hook {
    /// All of them, as `install` puts them.
    pub const ALL: [Self; 2] = [Self::PreReceive, Self::PostReceive];

    /// The name that git has for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::PreReceive => "pre-receive",
            Self::PostReceive => "post-receive",
        }
    }
}

const HELP: &str = "\
windlass-hook: what git runs when somebody pushes

usage: windlass-hook [--config FILE] pre-receive|post-receive

git calls it through the stubs that `windlass hooks install` writes, with what was pushed on
standard input. Exit codes: 0 passes, 1 refused, 2 wrong usage, 3 surroundings broken (refuses too).
";

/// What the words on the command line ask for.
enum Asked {
    Hook { config: PathBuf, hook: Hook },
    Print(&'static str),
}

/// The program `windlass-hook`: words, git's environment and standard input; text to standard error; the exit code.
pub fn main(words: impl IntoIterator<Item = OsString>) -> u8 {
    // What cannot be written to a client that hung up is not worth stopping for.
    let mut err = io::LineWriter::new(io::stderr().lock());
    let (config, hook) = match asked(words) {
        Ok(Asked::Hook { config, hook }) => (config, hook),
        Ok(Asked::Print(text)) => {
            let _ = io::stdout().write_all(text.as_bytes());
            return PASSED;
        }
        Err(what) => {
            let _ = write!(err, "windlass-hook: {what}\n\nhint: windlass-hook --help\n");
            return USAGE;
        }
    };
    match run(&config, hook, &mut err) {
        Ok(code) => code,
        Err(error) => {
            let _ = report_broken(hook, &error, &mut err);
            BROKEN
        }
    }
}

fn asked(words: impl IntoIterator<Item = OsString>) -> Result<Asked, String> {
    let mut config = PathBuf::from(DEFAULT_FILE);
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        match word.to_str() {
            Some("--config") => config = words.next().ok_or("--config needs a file")?.into(),
            Some("--help" | "-h") => return Ok(Asked::Print(HELP)),
            Some("--version" | "-V") => {
                return Ok(Asked::Print(concat!("windlass-hook ", env!("CARGO_PKG_VERSION"), "\n")));
            }
            Some(name) => {
                let hook = Hook::ALL.into_iter().find(|hook| hook.name() == name);
                let hook =
                    hook.ok_or_else(|| format!("there is no hook '{}' here", windlass_core::escape::escaped(name)))?;
                return Ok(Asked::Hook { config, hook });
            }
            None => return Err("a word is not UTF-8".to_owned()),
        }
    }
    Err("which hook?".to_owned())
}

fn run(config: &Path, hook: Hook, err: &mut impl Write) -> anyhow::Result<u8> {
    // Read before anything else: git waits until it has written all.
    let mut input = Vec::new();
    io::stdin().lock().read_to_end(&mut input)?;
    let settings = Settings::load(config)?;
    let context = Context::of_hook(settings)?;
    match hook {
        Hook::PreReceive => pre_receive(&context, &input, err),
        Hook::PostReceive => post_receive(&context, &input, err),
    }
}

fn report_broken(hook: Hook, error: &anyhow::Error, err: &mut impl Write) -> io::Result<()> {
    match hook {
        Hook::PreReceive => {
            writeln!(
                err,
                "windlass: this push cannot be judged, so that nothing of it is taken: {error:#}"
            )?;
            write!(
                err,
                "\nhint: this is the server's fault and not yours; tell its administrator: windlass doctor\n"
            )
        }
        Hook::PostReceive => {
            writeln!(
                err,
                "windlass: the push is in, but what you asked for with it could not be handed over: {error:#}"
            )?;
            write!(
                err,
                "\nhint: the server looks for such pushes by itself; if nothing comes of it: ssh HOST build SOURCE TAG\n"
            )
        }
    }
}
