//! From lines of the file to whole instructions: parser directives, comments, continuations, heredocs.
//!
//! The rules are those of Docker's parser, also where they surprise: a comment or an empty line between continued lines
//! is dropped, a line that ends in two escape characters is not continued, a directive counts only above everything else.

use std::borrow::Cow;

use super::heredoc::{self, Heredoc};
use super::limits;
use super::problem::{Lines, Problem};
use crate::escape::escaped;

/// What the comments at the top of a file say to its parser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directives {
    /// `# syntax=`: the image that is to read the file, as its first word.
    pub syntax: Option<String>,
    /// `# escape=`: a backslash or a backtick.
    pub escape: char,
    /// `# check=`: what the builder's checks are to do.
    pub check: Option<String>,
}

impl Default for Directives {
    fn default() -> Self {
        Self {
            syntax: None,
            escape: '\\',
            check: None,
        }
    }
}

/// One instruction with its continuations joined, not yet looked into.
pub(super) struct Logical<'t> {
    pub(super) lines: Lines,
    pub(super) text: Cow<'t, str>,
    pub(super) heredocs: Vec<Heredoc>,
}

/// Everything that the lines of a file say.
pub(super) struct Read<'t> {
    pub(super) directives: Directives,
    pub(super) instructions: Vec<Logical<'t>>,
    pub(super) problems: Vec<Problem>,
}

/// Lines with their ends, numbered from 1.
struct Source<'t> {
    rest: &'t str,
    at: u32,
}

impl<'t> Iterator for Source<'t> {
    type Item = &'t str;

    fn next(&mut self) -> Option<&'t str> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.find('\n').map_or(self.rest.len(), |at| at + 1);
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest;
        self.at += 1;
        Some(line)
    }
}

/// Whether more directives may come, and which came.
struct Looking {
    seen: Vec<&'static str>,
    done: bool,
}

/// Reads all lines.
pub(super) fn read(text: &str) -> Read<'_> {
    let mut read = Read {
        directives: Directives::default(),
        instructions: Vec::new(),
        problems: Vec::new(),
    };
    let mut looking = Looking {
        seen: Vec::new(),
        done: false,
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut source = Source { rest: text, at: 0 };
    while let Some(line) = source.next() {
        let first = source.at;
        let line = without_end(line).trim_start();
        // Docker looks for the syntax behind a `#!` line, and for the other directives not.
        if first == 1 && line.starts_with("#!") {
            read.directives.syntax = syntax_behind(source.rest);
        }
        directive(line, first, &mut looking, &mut read);
        if line.starts_with('#') {
            continue;
        }
        if source.at as usize > 0 && line.len() > limits::LINE {
            read.problems.push(too_long(first));
        }
        let (start, mut continued) = without_continuation(line, read.directives.escape);
        if !continued && start.is_empty() {
            continue;
        }
        let mut whole = Cow::Borrowed(start);
        while continued {
            let Some(line) = source.next() else { break };
            if line.len() > limits::LINE {
                read.problems.push(too_long(source.at));
            }
            let line = without_end(line);
            let bare = line.trim_start();
            if bare.is_empty() || bare.starts_with('#') {
                continue;
            }
            let part;
            (part, continued) = without_continuation(line, read.directives.escape);
            whole.to_mut().push_str(part);
        }
        let heredocs = heredocs(&whole, first, &mut source, &mut read.problems);
        if read.instructions.len() == limits::INSTRUCTIONS {
            let most = limits::INSTRUCTIONS;
            let problem = Problem::new(Lines::one(first), format!("the file has more than {most} instructions"));
            read.problems.push(problem.hint("part it into several images"));
            break;
        }
        read.instructions.push(Logical {
            lines: Lines { first, last: source.at },
            text: whole,
            heredocs,
        });
    }
    read
}

fn too_long(line: u32) -> Problem {
    let most = limits::LINE;
    Problem::new(Lines::one(line), format!("the line has more than {most} bytes")).hint("break it, or copy a file")
}

/// The bodies of the heredocs that a line announces.
fn heredocs(whole: &str, first: u32, source: &mut Source<'_>, problems: &mut Vec<Problem>) -> Vec<Heredoc> {
    let mut found = heredoc::announced(whole);
    if found.len() > limits::HEREDOCS {
        let most = limits::HEREDOCS;
        let problem = Problem::new(
            Lines::one(first),
            format!("the instruction has more than {most} heredocs"),
        );
        problems.push(problem);
        found.truncate(most);
    }
    for heredoc in &mut found {
        let mut ended = false;
        for line in source.by_ref() {
            let bare = without_end(line);
            let bare = if heredoc.strip_tabs {
                bare.trim_start_matches('\t')
            } else {
                bare
            };
            if bare == heredoc.name {
                ended = true;
                break;
            }
            heredoc.content.push_str(line);
        }
        if !ended {
            let name = escaped(&heredoc.name);
            let problem = Problem::new(Lines::one(first), format!("the heredoc <<{name} does not end"));
            problems.push(problem.hint(format!("a line with nothing but {name} ends it")));
            break;
        }
    }
    found
}

fn without_end(line: &str) -> &str {
    line.trim_end_matches(['\r', '\n'])
}

/// The line without the escape character at its end, and whether there was one that continues it.
fn without_continuation(line: &str, escape: char) -> (&str, bool) {
    let bare = line.trim_end_matches([' ', '\t']);
    match bare.strip_suffix(escape) {
        Some(before) if !before.ends_with(escape) => (before, true),
        Some(_) | None => (line, false),
    }
}

/// Takes a directive, if it is one and still may be one.
fn directive(line: &str, at: u32, looking: &mut Looking, read: &mut Read<'_>) {
    if looking.done {
        return;
    }
    let Some((name, value)) = named(line) else {
        looking.done = true;
        return;
    };
    if looking.seen.contains(&name) {
        let problem = Problem::new(Lines::one(at), format!("the directive '# {name}=' stands twice"));
        read.problems.push(problem.hint("keep one of them"));
        return;
    }
    looking.seen.push(name);
    match name {
        "syntax" => read.directives.syntax = value.split(' ').next().map(str::to_owned),
        "check" => read.directives.check = Some(value.to_owned()),
        _ => match value {
            "\\" => read.directives.escape = '\\',
            "`" => read.directives.escape = '`',
            other => {
                let problem = Problem::new(Lines::one(at), format!("'{other}' is no escape character"));
                read.problems.push(problem.hint("it is \\ or `, as in # escape=`"));
            }
        },
    }
}

/// A directive's name and value.
fn named(line: &str) -> Option<(&'static str, &str)> {
    let (name, value) = line.strip_prefix('#')?.trim_start().split_once('=')?;
    let name = name.trim_end();
    let known = ["syntax", "escape", "check"];
    let name = known.into_iter().find(|known| known.eq_ignore_ascii_case(name))?;
    let value = value.trim();
    (!value.is_empty()).then_some((name, value))
}

fn syntax_behind(rest: &str) -> Option<String> {
    rest.lines()
        .map_while(named)
        .find(|(name, _)| *name == "syntax")
        .and_then(|(_, value)| value.split(' ').next().map(str::to_owned))
}
