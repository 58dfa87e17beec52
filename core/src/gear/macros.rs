//! Expands rpm macros, the simple ones: `%x`, `%{x}`, `%{?x}`, `%{?x:…}`, `%{!?x:…}` and `%%`, for macros that are known.
//!
//! What is not known stays as it is written. Depth, length and work are bounded: a spec is somebody else's text.

use std::collections::HashMap;

/// A macro.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Macro {
    /// `%define`: expanded where it is used.
    Body(String),
    /// `%global`, or a tag's value: expanded already.
    Text(Expanded),
    /// It is defined, and nobody can tell here as what.
    Unknown,
}

/// What comes out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Expanded {
    pub(super) text: String,
    /// Whether everything was known.
    pub(super) certain: bool,
    /// Whether a macro had a part in it.
    pub(super) used: bool,
}

/// The longest text that is made.
const LONGEST: usize = 4 << 10;

/// Macros within macros.
const DEEPEST: usize = 16;

/// Expansions in one spec.
const MOST_WORK: usize = 100_000;

pub(super) struct Expander<'a> {
    macros: &'a HashMap<String, Macro>,
    work: usize,
}

impl<'a> Expander<'a> {
    /// `work` is what was done for the same spec before.
    pub(super) fn new(macros: &'a HashMap<String, Macro>, work: usize) -> Self {
        Self { macros, work }
    }

    pub(super) fn work(&self) -> usize {
        self.work
    }

    /// Expands a text; where that leads too far, the text as it is.
    pub(super) fn expand(&mut self, text: &str) -> Expanded {
        let mut out = Expanded {
            certain: true,
            ..Expanded::default()
        };
        match self.into(text, 0, &mut out) {
            Some(()) => out,
            None => Expanded {
                text: text.to_owned(),
                certain: false,
                used: true,
            },
        }
    }

    fn into(&mut self, text: &str, depth: usize, out: &mut Expanded) -> Option<()> {
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            out.push(&rest[..at])?;
            rest = &rest[at..];
            self.work += 1;
            if depth > DEEPEST || self.work > MOST_WORK {
                return None;
            }
            let call = Call::read(rest);
            rest = &rest[call.length..];
            match call.what {
                What::Percent => out.push("%")?,
                What::Text => {
                    out.push(call.text)?;
                }
                What::Opaque => out.verbatim(call.text)?,
                What::Macro { name, test, body } => self.call(&call, (name, test, body), depth, out)?,
            }
        }
        out.push(rest)
    }

    fn call(
        &mut self,
        call: &Call<'_>,
        (name, test, body): (&str, Test, Option<&str>),
        depth: usize,
        out: &mut Expanded,
    ) -> Option<()> {
        let known = self.macros.get(name);
        match (known, test, body) {
            // What is not defined here may be defined by the build root.
            (None | Some(Macro::Unknown), ..)
            // `%{x:y}` hands an argument to it.
            | (Some(_), Test::None, Some(_)) => out.verbatim(call.text),
            (Some(_), Test::IfNot, _) => {
                out.used = true;
                Some(())
            }
            (Some(_), Test::If, Some(body)) => {
                out.used = true;
                self.into(body, depth + 1, out)
            }
            (Some(Macro::Text(expanded)), Test::If | Test::None, None) => {
                out.used = true;
                out.certain &= expanded.certain;
                out.push(&expanded.text)
            }
            (Some(Macro::Body(body)), Test::If | Test::None, None) => {
                out.used = true;
                self.into(body, depth + 1, out)
            }
        }
    }
}

impl Expanded {
    fn push(&mut self, text: &str) -> Option<()> {
        self.text.push_str(text);
        (self.text.len() <= LONGEST).then_some(())
    }

    fn verbatim(&mut self, text: &str) -> Option<()> {
        self.certain = false;
        self.used = true;
        self.push(text)
    }
}

/// A `%` and what belongs to it.
struct Call<'a> {
    text: &'a str,
    length: usize,
    what: What<'a>,
}

enum What<'a> {
    /// `%%`
    Percent,
    /// A `%` that begins nothing.
    Text,
    /// Something that only rpm can expand.
    Opaque,
    /// A macro's use.
    Macro {
        name: &'a str,
        test: Test,
        body: Option<&'a str>,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Test {
    None,
    If,
    IfNot,
}

impl<'a> Call<'a> {
    /// `text` begins with `%`.
    fn read(text: &'a str) -> Self {
        let found = |length: usize, what: What<'a>| Self {
            text: &text[..length],
            length,
            what,
        };
        match text.as_bytes().get(1) {
            Some(b'%') => found(2, What::Percent),
            Some(b'{') => {
                let Some(inner) = inside(text, b'{', b'}') else {
                    return found(text.len(), What::Opaque);
                };
                let length = inner.len() + 3;
                let (name, condition) = tested(inner);
                let end = name.find(|c| !is_name(c)).unwrap_or(name.len());
                let (name, after) = name.split_at(end);
                if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
                    return found(length, What::Opaque);
                }
                match after.strip_prefix(':') {
                    Some(body) => found(
                        length,
                        What::Macro {
                            name,
                            test: condition,
                            body: Some(body),
                        },
                    ),
                    None if after.is_empty() => found(
                        length,
                        What::Macro {
                            name,
                            test: condition,
                            body: None,
                        },
                    ),
                    None => found(length, What::Opaque),
                }
            }
            Some(b'(') => found(
                inside(text, b'(', b')').map_or(text.len(), |inner| inner.len() + 3),
                What::Opaque,
            ),
            Some(b'[') => found(
                inside(text, b'[', b']').map_or(text.len(), |inner| inner.len() + 3),
                What::Opaque,
            ),
            _ => {
                let (name, condition) = tested(&text[1..]);
                let marks = text.len() - 1 - name.len();
                let end = name.find(|c| !is_name(c)).unwrap_or(name.len());
                let name = &name[..end];
                let length = 1 + marks + end;
                if name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
                    found(
                        length,
                        What::Macro {
                            name,
                            test: condition,
                            body: None,
                        },
                    )
                } else if name.is_empty() && marks == 0 && !text[1..].starts_with(['*', '#']) {
                    found(1, What::Text)
                } else {
                    found(length.max(1), What::Opaque)
                }
            }
        }
    }
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The name behind `?` and `!`.
fn tested(text: &str) -> (&str, Test) {
    let name = text.trim_start_matches(['?', '!']);
    let marks = &text[..text.len() - name.len()];
    let condition = if !marks.contains('?') {
        Test::None
    } else if marks.matches('!').count() % 2 == 1 {
        Test::IfNot
    } else {
        Test::If
    };
    (name, condition)
}

/// What stands between `%` with an opening bracket and the bracket that closes it.
fn inside(text: &str, open: u8, close: u8) -> Option<&str> {
    let mut depth = 0_usize;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        if byte == open {
            depth += 1;
        } else if byte == close {
            depth -= 1;
            if depth == 0 {
                return Some(&text[2..at]);
            }
        }
    }
    None
}
