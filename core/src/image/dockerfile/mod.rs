//! Dockerfiles: parsed as Docker's builders parse them, with all problems of a file at once.
//!
//! ```
//! use windlass_core::image::Dockerfile;
//!
//! let file = Dockerfile::parse("FROM scratch AS a\nCOPY x /x\nFROM scratch\nCOPY --from=a /x /y\n").unwrap();
//! assert_eq!(file.stages.len(), 2);
//! let wrong = Dockerfile::parse("FROM scratch\nCOPI x /x\n").unwrap_err();
//! assert_eq!(wrong.to_string(), "line 2: 'COPI' is no instruction\n\nhint: did you mean COPY?");
//! ```
//!
//! How it is read: `logical` makes whole instructions of lines, `word` and `flags` part them, `read` says what they are:
//! [`instruction`]s. What they mean together: [`scope`] fills variables in, [`bases`] names what a file stands on,
//! [`sources`] what it takes from its context; [`Dockerfile::canonical`] is what digests are made of, [`seed`] what the
//! script made them of whose place this took.
//!
//! Stricter than some engine, on purpose: text behind a JSON form, `COPY --from` a later stage, two stages of one name (engines
//! differ in what they make of these), unknown instructions behind ONBUILD, flags of ARG and STOPSIGNAL, a RUN without a command.

pub mod arguments;
pub mod bases;
mod canonical;
mod duration;
mod expand;
mod flags;
mod heredoc;
pub mod instruction;
pub mod limits;
mod logical;
mod mount;
mod pattern;
mod problem;
mod read;
pub mod scope;
pub mod seed;
pub mod sources;
mod stage;
mod triggers;
mod word;

pub use arguments::{Arguments, Platform};
pub use bases::{Base, By, Ground};
pub use expand::Variables;
pub use heredoc::Heredoc;
pub use instruction::{CommandLine, Instruction, Kind};
pub use logical::Directives;
pub use problem::{Lines, Problem, Problems};
pub use scope::Scope;
pub use sources::ContextSource;
pub use stage::{From, Stage};

use instruction::Run;
use read::Read;

/// A Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile {
    /// What its first lines say to the parser.
    pub directives: Directives,
    /// The ARGs above the first FROM; nothing else may stand there.
    pub globals: Vec<Instruction>,
    /// The stages, at least one.
    pub stages: Vec<Stage>,
}

impl Dockerfile {
    /// Reads a Dockerfile.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of its lines.
    pub fn parse(text: &str) -> Result<Self, Problems> {
        if text.len() > limits::FILE {
            let most = limits::FILE;
            let problem = Problem::new(
                Lines::one(1),
                format!("the file has {} bytes, more than {most}", text.len()),
            );
            return Err(problem.hint("what is that large is copied").into());
        }
        let logical::Read {
            directives,
            instructions,
            mut problems,
        } = logical::read(text);
        let mut globals = Vec::new();
        let mut stages: Vec<Stage> = Vec::new();
        let mut first = true;
        for logical in instructions {
            let lines = logical.lines;
            let read = read::instruction(logical, directives.escape, &mut problems);
            // Whether something stands above the first FROM is told once.
            let outside = stages.is_empty() && std::mem::take(&mut first);
            match read {
                Some(Read::From(from)) => {
                    if let Some(twice) = stages
                        .iter()
                        .find(|stage| from.name.is_some() && stage.name() == from.name.as_deref())
                    {
                        let problem = format!("{} stands twice, on {} first", twice.title(), twice.from.lines);
                        problems.push(Problem::new(lines, problem).hint("give it another name"));
                    }
                    stages.push(Stage {
                        index: stages.len(),
                        from,
                        instructions: Vec::new(),
                    });
                }
                Some(Read::Other(kind)) => match stages.last_mut() {
                    Some(stage) => stage.instructions.push(Instruction { lines, kind }),
                    None if matches!(kind, Kind::Arg(_)) => {
                        globals.push(Instruction { lines, kind });
                        first = true;
                    }
                    None if outside => {
                        let name = kind.name();
                        let problem = Problem::new(lines, format!("{name} stands above the first FROM"));
                        problems.push(problem.hint("only ARG may: begin with FROM"));
                    }
                    None => {}
                },
                None => {}
            }
        }
        if stages.is_empty() && problems.is_empty() {
            let what = if globals.is_empty() {
                "the file has no instructions"
            } else {
                "the file has no FROM"
            };
            problems.push(Problem::new(Lines::one(1), what).hint("begin with FROM image, or FROM scratch"));
        }
        Problems::unless_none(problems)?;
        Ok(Self {
            directives,
            globals,
            stages,
        })
    }

    /// As [`parse`](Self::parse), for the bytes of a file, which may be no text.
    ///
    /// # Errors
    /// Everything that is wrong with it; where it is no UTF-8, the line on which that begins.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Problems> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::parse(text),
            Err(error) => {
                let line = bytes[..error.valid_up_to()].split(|byte| *byte == b'\n').count();
                let line = u32::try_from(line).unwrap_or(u32::MAX);
                let problem = Problem::new(Lines::one(line), "the file is no UTF-8 text");
                Err(problem.hint("save it as UTF-8").into())
            }
        }
    }

    /// The stage that the file's result is: the last one.
    ///
    /// # Panics
    /// Never: [`parse`](Self::parse) refuses a file without stages.
    pub fn last(&self) -> &Stage {
        self.stages.last().expect("parse refuses a file without stages")
    }

    /// The stage of a name, or of a number.
    pub fn stage(&self, name: &str) -> Option<&Stage> {
        let name = name.to_lowercase();
        let named = self.stages.iter().rev().find(|stage| stage.name() == Some(&name));
        named.or_else(|| self.stages.get(name.parse::<usize>().ok()?))
    }

    /// All RUNs, in order, with the stage in which each stands.
    pub fn runs(&self) -> impl Iterator<Item = (&Stage, Lines, &Run)> {
        self.stages
            .iter()
            .flat_map(|stage| stage.runs().map(move |(lines, run)| (stage, lines, run)))
    }
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
