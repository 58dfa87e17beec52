//! Heredocs: which a line announces, and what their bodies mean.

use super::expand::{Lexer, Unset};
use super::word;

/// A text that stands in the Dockerfile itself, `<<EOF` to `EOF`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heredoc {
    /// The word that ends it; in COPY and ADD the name of the file that it becomes.
    pub name: String,
    /// The file descriptor before the `<<`: 0 where there is none.
    pub descriptor: u32,
    /// Whether variables in it are filled in: the word has no quotes.
    pub expands: bool,
    /// `<<-`: tabs at the beginning of lines do not count.
    pub strip_tabs: bool,
    /// The lines between, as they stand in the file, with their ends.
    pub content: String,
}

impl Heredoc {
    /// The content without the tabs that `<<-` takes away.
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        if !self.strip_tabs {
            return (&self.content).into();
        }
        let lines = self.content.split_inclusive('\n');
        lines
            .map(|line| line.trim_start_matches('\t'))
            .collect::<String>()
            .into()
    }
}

/// The heredocs of a line, without their bodies; only RUN, COPY and ADD have some, and not in their JSON form.
pub(super) fn announced(line: &str) -> Vec<Heredoc> {
    if !line.contains("<<") {
        return Vec::new();
    }
    let mut parts = word::command(line);
    if parts.name.eq_ignore_ascii_case("ONBUILD") {
        parts = word::command(parts.rest);
    }
    let takes = ["RUN", "COPY", "ADD"]
        .iter()
        .any(|name| parts.name.eq_ignore_ascii_case(name));
    let arguments = word::flags(parts.rest, '\\').1;
    if !takes || word::is_json(arguments) {
        return Vec::new();
    }
    // A line with an open quote announces nothing; its instruction is refused, or its shell sees to it.
    let words = Lexer::raw('\\').words(line, &Unset).unwrap_or_default();
    words.iter().filter_map(|word| one(word)).collect()
}

/// The heredoc that a word announces, if it does.
pub(super) fn one(word: &str) -> Option<Heredoc> {
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    let (descriptor, rest) = word.split_at(digits);
    let rest = rest.strip_prefix("<<")?;
    let (strip_tabs, rest) = match rest.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let rest = rest.trim_start();
    if rest.is_empty() || rest.contains('<') {
        return None;
    }
    let plain = Lexer::keeping('\\').words(rest, &Unset).ok()?;
    let [name] = plain.as_slice() else { return None };
    let quotes = |text: &str| text.matches(['\'', '"']).count();
    Some(Heredoc {
        name: name.clone(),
        descriptor: descriptor.parse().unwrap_or(0),
        expands: quotes(name) == quotes(rest),
        strip_tabs,
        content: String::new(),
    })
}
