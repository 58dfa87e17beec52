//! Variables along the instructions of a stage: what ARG and ENV set, and every instruction with them filled in.
//!
//! An ENV always wins over an ARG of the same name, as Docker's documentation, its classic builder and Podman have it; for
//! `BuildKit` an ARG below the ENV wins. Values of one ENV instruction see what was set before it, not each
//! other. In RUN, CMD, ENTRYPOINT, HEALTHCHECK, SHELL and ONBUILD nothing is filled in: there a shell does it, or the image
//! that is built on this one.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use super::arguments::{Arguments, Globals};
use super::expand::{BadWord, Lexer, Variables};
use super::instruction::{Argument, Instruction, Kind, Pair, Source, Transfer};
use super::problem::{Lines, Problem};

/// What is set at one place of a stage.
#[derive(Debug, Clone)]
pub struct Scope<'a> {
    arguments: &'a Arguments,
    globals: &'a Globals,
    lexer: Lexer,
    environment: BTreeMap<String, String>,
    declared: BTreeMap<String, Option<String>>,
    /// Names of ARGs that stand below an ENV of that name.
    disputed: BTreeSet<String>,
}

/// A scope, and whether it was asked for a variable that neither ARG nor ENV names, or of which engines differ.
struct Watched<'s, 'a> {
    scope: &'s Scope<'a>,
    missed: Cell<bool>,
}

impl Variables for Watched<'_, '_> {
    fn get(&self, name: &str) -> Option<&str> {
        let scope = self.scope;
        let known = scope.environment.contains_key(name) || scope.declared.contains_key(name);
        if !known || scope.disputed.contains(name) {
            self.missed.set(true);
        }
        self.scope.get(name)
    }
}

impl Variables for Scope<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        match self.environment.get(name) {
            Some(value) => Some(value),
            None => self.declared.get(name)?.as_deref(),
        }
    }
}

impl<'a> Scope<'a> {
    /// The beginning of a stage whose base sets these variables.
    pub fn new(
        escape: char,
        arguments: &'a Arguments,
        globals: &'a Globals,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        Self {
            arguments,
            globals,
            lexer: Lexer::new(escape),
            environment: environment.into_iter().collect(),
            declared: BTreeMap::new(),
            disputed: BTreeSet::new(),
        }
    }

    /// What the image that is being made sets: its base's variables and those of ENV.
    pub fn environment(&self) -> &BTreeMap<String, String> {
        &self.environment
    }

    /// The arguments that a RUN sees here besides the environment.
    pub fn declared(&self) -> impl Iterator<Item = (&str, &str)> {
        let unless_set = |name: &&String| !self.environment.contains_key(*name);
        self.declared
            .iter()
            .filter(move |(name, _)| unless_set(name))
            .filter_map(|(name, value)| Some((name.as_str(), value.as_deref()?)))
    }

    /// A text of an instruction with everything filled in.
    ///
    /// # Errors
    /// Where it cannot be; said for these lines.
    pub fn fill(&self, text: &str, lines: Lines) -> Result<String, Problem> {
        match self.lexer.word(text, self) {
            Ok(word) => Ok(word.into_owned()),
            Err(bad) => Err(problem(&bad, text, lines)),
        }
    }

    /// As [`fill`](Self::fill); beside it, whether that is uncertain: it refers to a variable that neither ARG nor ENV names,
    /// so that the base decides, or to one that both do, so that the engine decides.
    pub(super) fn fill_watched(&self, text: &str, lines: Lines) -> Result<(String, bool), Problem> {
        let watched = Watched {
            scope: self,
            missed: Cell::new(false),
        };
        match self.lexer.word(text, &watched) {
            Ok(word) => Ok((word.into_owned(), watched.missed.get())),
            Err(bad) => Err(problem(&bad, text, lines)),
        }
    }

    /// The instruction with everything filled in; what ARG and ENV set holds from here on.
    ///
    /// # Errors
    /// Where a text of it cannot be filled in.
    pub fn step(&mut self, instruction: &Instruction) -> Result<Instruction, Problem> {
        let lines = instruction.lines;
        Ok(Instruction {
            lines,
            kind: self.kind(&instruction.kind, lines)?,
        })
    }

    /// As [`step`](Self::step), for what an ONBUILD says, too.
    ///
    /// # Errors
    /// Where a text of it cannot be filled in.
    pub fn kind(&mut self, kind: &Kind, lines: Lines) -> Result<Kind, Problem> {
        let all = |texts: &[String]| -> Result<Vec<String>, Problem> {
            texts.iter().map(|text| self.fill(text, lines)).collect()
        };
        Ok(match kind {
            Kind::Arg(declared) => Kind::Arg(self.declare(declared, lines)?),
            Kind::Env(pairs) => {
                let pairs = self.pairs(pairs, lines)?;
                for pair in &pairs {
                    self.environment.insert(pair.name.clone(), pair.value.clone());
                    self.disputed.remove(&pair.name);
                }
                Kind::Env(pairs)
            }
            Kind::Label(pairs) => Kind::Label(self.pairs(pairs, lines)?),
            Kind::Copy(copy) => {
                let mut copy = copy.clone();
                copy.transfer = self.transfer(&copy.transfer, lines)?;
                Kind::Copy(copy)
            }
            Kind::Add(add) => {
                let mut add = add.clone();
                add.transfer = self.transfer(&add.transfer, lines)?;
                add.checksum = add.checksum.map(|sum| self.fill(&sum, lines)).transpose()?;
                Kind::Add(add)
            }
            Kind::Expose(ports) => {
                let mut found = Vec::new();
                for port in ports {
                    let words = self.lexer.words(port, self);
                    found.extend(words.map_err(|bad| problem(&bad, port, lines))?);
                }
                Kind::Expose(found)
            }
            Kind::Volume(volumes) => Kind::Volume(all(volumes)?),
            Kind::Stopsignal(signal) => Kind::Stopsignal(self.fill(signal, lines)?),
            Kind::User(user) => Kind::User(self.fill(user, lines)?),
            Kind::Workdir(path) => Kind::Workdir(self.fill(path, lines)?),
            Kind::Cmd(_)
            | Kind::Entrypoint(_)
            | Kind::Healthcheck(_)
            | Kind::Maintainer(_)
            | Kind::Onbuild(_)
            | Kind::Run(_)
            | Kind::Shell(_) => kind.clone(),
        })
    }

    fn declare(&mut self, declared: &[Argument], lines: Lines) -> Result<Vec<Argument>, Problem> {
        let mut found = Vec::new();
        for argument in declared {
            let value = match (self.arguments.get(&argument.name), &argument.default) {
                (Some(given), _) => Some(given.to_owned()),
                (None, Some(default)) => Some(self.fill(default, lines)?),
                (None, None) => self.globals.get(&argument.name).map(str::to_owned),
            };
            self.declared.insert(argument.name.clone(), value.clone());
            if self.environment.contains_key(&argument.name) {
                self.disputed.insert(argument.name.clone());
            }
            found.push(Argument {
                name: argument.name.clone(),
                default: value,
            });
        }
        Ok(found)
    }

    fn pairs(&self, pairs: &[Pair], lines: Lines) -> Result<Vec<Pair>, Problem> {
        let fill = |pair: &Pair| {
            Ok(Pair {
                name: self.fill(&pair.name, lines)?,
                value: self.fill(&pair.value, lines)?,
            })
        };
        pairs.iter().map(fill).collect()
    }

    fn transfer(&self, transfer: &Transfer, lines: Lines) -> Result<Transfer, Problem> {
        let source = |source: &Source| {
            Ok(match source {
                Source::Path(path) => Source::Path(self.fill(path, lines)?),
                Source::Inline(heredoc) => {
                    let mut heredoc = heredoc.clone();
                    if heredoc.expands {
                        let body = self.lexer.for_bodies().word(&heredoc.content, self);
                        let body = body.map_err(|bad| problem(&bad, &heredoc.name, lines))?.into_owned();
                        heredoc.content = body;
                    }
                    Source::Inline(heredoc)
                }
            })
        };
        let maybe = |text: &Option<String>| text.as_ref().map(|text| self.fill(text, lines)).transpose();
        Ok(Transfer {
            sources: transfer.sources.iter().map(source).collect::<Result<_, _>>()?,
            destination: self.fill(&transfer.destination, lines)?,
            chown: maybe(&transfer.chown)?,
            chmod: maybe(&transfer.chmod)?,
            link: transfer.link,
            exclude: transfer.exclude.clone(),
        })
    }
}

fn problem(bad: &BadWord, text: &str, lines: Lines) -> Problem {
    Problem::new(lines, format!("in {text}: {}", bad.message)).hint(bad.hint)
}
