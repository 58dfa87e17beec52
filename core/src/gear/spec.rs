//! Reads name, epoch, version and release out of a spec's preamble, as far as they can be told without rpm.
//!
//! Only what `%define` and `%global` of the same spec say is expanded; everything else stays as it is written, and the value is
//! then not *certain*. A branch of an `%if` that nobody can decide here is read, but what it says is not certain either.

use std::collections::HashMap;

use crate::gear::macros::{Expanded, Expander, Macro};

/// What a spec's preamble says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preamble {
    /// `Name:`
    pub name: Option<Value>,
    /// `Epoch:`
    pub epoch: Option<Value>,
    /// `Version:`
    pub version: Option<Value>,
    /// `Release:`
    pub release: Option<Value>,
}

/// A tag's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// The text, with what could be expanded.
    pub text: String,
    /// Whether rpm is sure to see the same.
    pub certain: bool,
}

impl Preamble {
    /// Reads a spec. Nothing in it is an error: what cannot be told is not there.
    pub fn read(spec: &[u8]) -> Self {
        let mut reading = Reading::default();
        let text = String::from_utf8_lossy(spec);
        let mut lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
        while let Some(line) = lines.next() {
            let mut line = line.to_owned();
            let mut more = false;
            // What is longer than one line: a macro's body, Lua, a shell command.
            while line.ends_with('\\') || depth(&line) > 0 {
                let Some(next) = lines.next() else { break };
                more = true;
                if line.len() > LONGEST_LINE {
                    break;
                }
                line.push('\n');
                line.push_str(next);
            }
            if reading.take(&line, more) == Next::Ended {
                break;
            }
        }
        reading.preamble
    }

    /// Epoch, version and release, where all of them are certain.
    pub fn evr(&self) -> Option<String> {
        let certain = |value: &Value| value.certain.then(|| value.text.clone());
        let version = self.version.as_ref().and_then(certain)?;
        let release = self.release.as_ref().and_then(certain)?;
        let epoch = match &self.epoch {
            None => None,
            Some(epoch) => Some(certain(epoch)?),
        };
        Some(match epoch.as_deref() {
            None | Some("0") => format!("{version}-{release}"),
            Some(epoch) => format!("{epoch}:{version}-{release}"),
        })
    }
}

/// A line that goes on for longer than this is left alone.
const LONGEST_LINE: usize = 256 << 10;

/// How many `%{`, `%(` and `%[` of a line are open at its end. Braces within count, as rpm counts them.
fn depth(line: &str) -> usize {
    let bytes = line.as_bytes();
    let mut open: Vec<u8> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'%' if bytes.get(at + 1) == Some(&b'%') => at += 1,
            b'%' => {
                let close = match bytes.get(at + 1) {
                    Some(b'{') => Some(b'}'),
                    Some(b'(') => Some(b')'),
                    Some(b'[') => Some(b']'),
                    _ => None,
                };
                if let Some(close) = close {
                    open.push(close);
                    at += 1;
                }
            }
            byte if open.last() == Some(&byte) => {
                open.pop();
            }
            b'{' if open.last() == Some(&b'}') => open.push(b'}'),
            b'(' if open.last() == Some(&b')') => open.push(b')'),
            _ => {}
        }
        at += 1;
    }
    open.len()
}

/// Whether the lines of a branch count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Branch {
    Taken,
    NotTaken,
    Perhaps,
}

/// An `%if` with its branches.
#[derive(Debug)]
struct Condition {
    now: Branch,
    /// Whether one of its branches was certainly taken, so that no later one is.
    done: bool,
    /// Whether one of its branches may have been taken.
    perhaps: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Next {
    More,
    Ended,
}

#[derive(Debug, Default)]
struct Reading {
    preamble: Preamble,
    macros: HashMap<String, Macro>,
    conditions: Vec<Condition>,
    /// Something may have defined macros in a way that is not seen here.
    opaque: bool,
    work: usize,
}

impl Reading {
    fn branch(&self) -> Branch {
        let states = self.conditions.iter().map(|condition| condition.now);
        states.fold(Branch::Taken, |all, one| match (all, one) {
            (Branch::NotTaken, _) | (_, Branch::NotTaken) => Branch::NotTaken,
            (Branch::Perhaps, _) | (_, Branch::Perhaps) => Branch::Perhaps,
            (Branch::Taken, Branch::Taken) => Branch::Taken,
        })
    }

    fn take(&mut self, line: &str, several: bool) -> Next {
        let trimmed = line.trim();
        let (word, rest) = split_word(trimmed);
        if let Some(condition) = word.strip_prefix('%')
            && self.condition(condition, rest)
        {
            return Next::More;
        }
        let branch = self.branch();
        if branch == Branch::NotTaken {
            return Next::More;
        }
        if trimmed.starts_with('#') {
            self.forget_defined_in(trimmed);
            return Next::More;
        }
        match word {
            "%define" | "%global" => self.define(word == "%global", rest, branch, several),
            "%undefine" => {
                self.macros.insert(split_word(rest).0.to_owned(), Macro::Unknown);
            }
            _ if word.strip_prefix('%').is_some_and(is_section) => return Next::Ended,
            _ => {
                self.forget_defined_in(trimmed);
                if let Some((tag, value)) = trimmed.split_once(':') {
                    self.tag(tag.trim_end(), value.trim(), branch);
                }
            }
        }
        Next::More
    }

    /// Takes a line of an `%if`; says whether it was one.
    fn condition(&mut self, word: &str, rest: &str) -> bool {
        match word {
            "if" | "ifarch" | "ifnarch" | "ifos" | "ifnos" => {
                let truth = if word == "if" { self.truth(rest) } else { None };
                self.conditions.push(Condition {
                    now: match truth {
                        Some(true) => Branch::Taken,
                        Some(false) => Branch::NotTaken,
                        None => Branch::Perhaps,
                    },
                    done: truth == Some(true),
                    perhaps: truth.is_none(),
                });
            }
            "elif" | "elifarch" | "elifos" | "else" => {
                let truth = match word {
                    "else" => Some(true),
                    "elif" => self.truth(rest),
                    _ => None,
                };
                if let Some(last) = self.conditions.last_mut() {
                    last.now = match truth {
                        _ if last.done => Branch::NotTaken,
                        Some(false) => Branch::NotTaken,
                        Some(true) if !last.perhaps => Branch::Taken,
                        Some(true) | None => Branch::Perhaps,
                    };
                    last.done |= truth == Some(true);
                    last.perhaps |= truth.is_none();
                }
            }
            "endif" => {
                self.conditions.pop();
            }
            _ => return false,
        }
        true
    }

    /// What a condition comes to, where it is a plain number in the end.
    fn truth(&mut self, expression: &str) -> Option<bool> {
        let expanded = self.expand(expression);
        let text = expanded.text.trim();
        let (text, negated) = match text.strip_prefix('!') {
            Some(text) => (text.trim(), true),
            None => (text, false),
        };
        let number: u64 = expanded.certain.then(|| text.parse().ok()).flatten()?;
        Some((number != 0) != negated)
    }

    fn expand(&mut self, text: &str) -> Expanded {
        let mut pass = Expander::new(&self.macros, self.work);
        let mut expanded = pass.expand(text);
        self.work = pass.work();
        expanded.certain &= !(self.opaque && expanded.used);
        expanded
    }

    fn define(&mut self, global: bool, rest: &str, branch: Branch, several: bool) {
        let (name, body) = split_word(rest);
        let parametric = name.contains('(');
        let name = name.split('(').next().unwrap_or_default();
        if name.is_empty() {
            return;
        }
        let meaning = if parametric || several || branch == Branch::Perhaps {
            Macro::Unknown
        } else if global {
            let expanded = self.expand(body);
            Macro::Text(expanded)
        } else {
            Macro::Body(body.to_owned())
        };
        self.macros.insert(name.to_owned(), meaning);
        self.opaque |= is_opaque(body);
    }

    /// A macro that is defined in the middle of a line, as in `%{!?x: %define x 1}`, is anybody's guess.
    fn forget_defined_in(&mut self, line: &str) {
        self.opaque |= is_opaque(line);
        for word in ["%define", "%global", "%undefine"] {
            for (at, _) in line.match_indices(word) {
                let name: String = line[at + word.len()..]
                    .trim_start()
                    .chars()
                    .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                    .collect();
                if !name.is_empty() {
                    self.macros.insert(name, Macro::Unknown);
                }
            }
        }
    }

    fn tag(&mut self, tag: &str, value: &str, branch: Branch) {
        let tag = tag.to_ascii_lowercase();
        if !matches!(tag.as_str(), "name" | "epoch" | "serial" | "version" | "release") || value.is_empty() {
            return;
        }
        let mut expanded = self.expand(value);
        expanded.certain &= branch == Branch::Taken && !expanded.text.contains(char::is_whitespace);
        let slot = match tag.as_str() {
            "name" => &mut self.preamble.name,
            "version" => &mut self.preamble.version,
            "release" => &mut self.preamble.release,
            _ => &mut self.preamble.epoch,
        };
        match slot {
            // Twice: whichever rpm takes. The first is as good a guess as any.
            Some(known) => known.certain = false,
            None => {
                *slot = Some(Value {
                    text: expanded.text.clone(),
                    certain: expanded.certain,
                });
            }
        }
        let again = slot.as_ref().is_some_and(|value| !value.certain);
        let name = if tag == "serial" { "epoch".to_owned() } else { tag };
        expanded.certain &= !again;
        self.macros.insert(name, Macro::Text(expanded));
    }
}

/// What may define macros unseen.
fn is_opaque(text: &str) -> bool {
    ["%{lua:", "%include", "%{load:", "%{expand:", "%load"]
        .iter()
        .any(|word| text.contains(word))
}

fn split_word(text: &str) -> (&str, &str) {
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    (&text[..end], text[end..].trim())
}

/// The words that end the preamble.
fn is_section(word: &str) -> bool {
    const SECTIONS: [&str; 27] = [
        "package",
        "description",
        "prep",
        "conf",
        "generate_buildrequires",
        "build",
        "install",
        "check",
        "clean",
        "files",
        "changelog",
        "pre",
        "post",
        "preun",
        "postun",
        "pretrans",
        "posttrans",
        "preuntrans",
        "postuntrans",
        "verifyscript",
        "sourcelist",
        "patchlist",
        "trigger",
        "triggerin",
        "triggerun",
        "triggerpostun",
        "triggerprein",
    ];
    SECTIONS.contains(&word) || word.starts_with("filetrigger") || word.starts_with("transfiletrigger")
}

#[cfg(test)]
mod tests;
