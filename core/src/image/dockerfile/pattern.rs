//! Patterns within `${x#…}`, `${x%…}` and `${x/…/…}`: `*`, `?` and escaped characters.

/// The most bytes of a value in which `${x/…/…}` looks: each place of it is tried.
const REPLACED: usize = 16 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Any,
    One,
    Is(char),
}

/// A pattern.
#[derive(Debug, Clone)]
pub(super) struct Pattern(Vec<Part>);

impl Pattern {
    /// Reads a pattern; a backslash takes the meaning of `*`, `?`, `}`, `/` and of itself away.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            parts.push(match c {
                '*' if parts.last() == Some(&Part::Any) => continue,
                '*' => Part::Any,
                '?' => Part::One,
                '\\' => match chars.next() {
                    Some(c @ ('*' | '?' | '\\' | '}' | '/')) => Part::Is(c),
                    Some(c) => return Err(format!("'\\{c}' has no meaning in a pattern")),
                    None => return Err("a pattern cannot end in '\\'".to_owned()),
                },
                c => Part::Is(c),
            });
        }
        Ok(Self(parts))
    }

    /// The ends, in bytes, of all beginnings of a text that match, in order.
    fn ends(&self, text: &str, reversed: bool) -> Vec<usize> {
        let parts = &self.0;
        let part = |at: usize| {
            if reversed {
                parts[parts.len() - 1 - at]
            } else {
                parts[at]
            }
        };
        // How many parts may have been matched so far.
        let mut state = vec![false; parts.len() + 1];
        let mut ends = Vec::new();
        let skip = |state: &mut [bool]| {
            for at in 0..parts.len() {
                if state[at] && part(at) == Part::Any {
                    state[at + 1] = true;
                }
            }
        };
        state[0] = true;
        skip(&mut state);
        let mut length = 0;
        let mut chars: Box<dyn Iterator<Item = char>> = if reversed {
            Box::new(text.chars().rev())
        } else {
            Box::new(text.chars())
        };
        loop {
            if state[parts.len()] {
                ends.push(length);
            }
            let Some(c) = chars.next() else { return ends };
            length += c.len_utf8();
            let mut next = vec![false; parts.len() + 1];
            for at in 0..parts.len() {
                if state[at] {
                    match part(at) {
                        Part::Any => next[at] = true,
                        Part::One => next[at + 1] = true,
                        Part::Is(own) => next[at + 1] |= own == c,
                    }
                }
            }
            skip(&mut next);
            if next.iter().all(|possible| !possible) {
                return ends;
            }
            state = next;
        }
    }

    fn end(&self, text: &str, longest: bool, reversed: bool) -> Option<usize> {
        let ends = self.ends(text, reversed);
        if longest {
            ends.last().copied()
        } else {
            ends.first().copied()
        }
    }

    /// The text without its shortest or longest beginning that matches.
    pub(super) fn without_prefix(&self, text: &str, longest: bool) -> String {
        text[self.end(text, longest, false).unwrap_or(0)..].to_owned()
    }

    /// The text without its shortest or longest end that matches.
    pub(super) fn without_suffix(&self, text: &str, longest: bool) -> String {
        text[..text.len() - self.end(text, longest, true).unwrap_or(0)].to_owned()
    }

    /// The text with the first match, or with all of them, replaced; each as long as possible.
    pub(super) fn replaced(&self, text: &str, by: &str, all: bool) -> Result<String, String> {
        if text.len() > REPLACED {
            return Err(format!("a value of more than {REPLACED} bytes cannot be searched"));
        }
        let mut out = String::new();
        let mut rest = text;
        loop {
            match self.end(rest, true, false).filter(|end| *end > 0) {
                Some(end) => {
                    out.push_str(by);
                    rest = &rest[end..];
                    if !all {
                        break;
                    }
                }
                None => match rest.chars().next() {
                    Some(c) => {
                        out.push(c);
                        rest = &rest[c.len_utf8()..];
                    }
                    None => break,
                },
            }
        }
        out.push_str(rest);
        Ok(out)
    }
}
