//! Words with quotes, escapes and variables: `$x`, `${x}`, `${x:-d}` and their like.
//!
//! The rules are those of Docker's `shell.Lex`, of its newest release: a word is processed as a whole, a quote may begin in
//! the middle of one, an escape character before a character takes its meaning away (within `"` only before `"`, `$` and
//! itself), a variable that is not set is empty.

use std::borrow::Cow;
use std::iter::Peekable;
use std::str::Chars;

use super::limits;
use super::pattern::Pattern;

/// Where values of variables come from.
pub trait Variables {
    /// The value, where the variable is set.
    fn get(&self, name: &str) -> Option<&str>;
}

/// No variable is set.
pub(super) struct Unset;

impl Variables for Unset {
    fn get(&self, _: &str) -> Option<&str> {
        None
    }
}

/// Why a word cannot be processed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(super) struct BadWord {
    pub(super) message: String,
    pub(super) hint: &'static str,
    /// The word is well formed, but `${x?}` asks for a value that is not there.
    pub(super) wants_value: bool,
}

fn bad(message: impl Into<String>, hint: &'static str) -> BadWord {
    BadWord {
        message: message.into(),
        hint,
        wants_value: false,
    }
}

fn unset(message: String) -> BadWord {
    BadWord {
        wants_value: true,
        ..bad(message, "give it as a build argument")
    }
}

/// What becomes of quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quotes {
    /// They are taken away.
    Taken,
    /// They stay in the result.
    Kept,
    /// They are characters like others.
    Plain,
}

/// How words are processed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lexer {
    escape: char,
    quotes: Quotes,
    /// Escape characters stay in the result.
    raw_escapes: bool,
    /// A variable that is not set stays as it is written.
    keep_unset: bool,
}

impl Lexer {
    /// Fills variables in and takes quotes away.
    pub(super) fn new(escape: char) -> Self {
        Self {
            escape,
            quotes: Quotes::Taken,
            raw_escapes: false,
            keep_unset: false,
        }
    }

    /// As [`new`](Self::new), but leaves variables that are not set.
    pub(super) fn keeping(escape: char) -> Self {
        Self {
            keep_unset: true,
            ..Self::new(escape)
        }
    }

    /// Leaves quotes, escapes and unset variables: for splitting alone.
    pub(super) fn raw(escape: char) -> Self {
        Self {
            quotes: Quotes::Kept,
            raw_escapes: true,
            ..Self::keeping(escape)
        }
    }

    /// The same, with quotes left as they are: for the bodies of heredocs.
    pub(super) fn for_bodies(self) -> Self {
        Self {
            quotes: Quotes::Plain,
            ..self
        }
    }

    /// The text as one word, spaces and all.
    pub(super) fn word<'t>(self, text: &'t str, variables: &dyn Variables) -> Result<Cow<'t, str>, BadWord> {
        let special =
            |c: char| c == '$' || c == self.escape || (self.quotes != Quotes::Plain && matches!(c, '\'' | '"'));
        if !text.contains(special) {
            return Ok(Cow::Borrowed(text));
        }
        Ok(Cow::Owned(self.run(text, variables)?.0))
    }

    /// The text's words, parted by spaces that are not quoted, also by those that a variable brought.
    pub(super) fn words(self, text: &str, variables: &dyn Variables) -> Result<Vec<String>, BadWord> {
        Ok(self.run(text, variables)?.1)
    }

    fn run(self, text: &str, variables: &dyn Variables) -> Result<(String, Vec<String>), BadWord> {
        let mut run = Run {
            lexer: self,
            chars: text.chars().peekable(),
            variables,
            depth: 0,
        };
        run.until(None, self.raw_escapes)
    }
}

/// What was collected of words that are parted by spaces.
#[derive(Default)]
struct Words {
    done: Vec<String>,
    current: String,
}

impl Words {
    fn add(&mut self, text: &str) {
        for c in text.chars() {
            if c.is_whitespace() {
                self.end();
            } else {
                self.current.push(c);
            }
        }
    }

    fn end(&mut self) {
        if !self.current.is_empty() {
            self.done.push(std::mem::take(&mut self.current));
        }
    }
}

struct Run<'t, 'v> {
    lexer: Lexer,
    chars: Peekable<Chars<'t>>,
    variables: &'v dyn Variables,
    depth: usize,
}

impl Run<'_, '_> {
    /// Everything up to a character, which is taken, or to the end.
    fn until(&mut self, stop: Option<char>, raw_escapes: bool) -> Result<(String, Vec<String>), BadWord> {
        let mut result = String::new();
        let mut words = Words::default();
        while let Some(&c) = self.chars.peek() {
            if Some(c) == stop {
                self.chars.next();
                words.end();
                return Ok((result, words.done));
            }
            match c {
                '$' => {
                    let value = self.dollar(raw_escapes)?;
                    result.push_str(&value);
                    words.add(&value);
                }
                '<' => {
                    let text = self.arrows();
                    result.push_str(&text);
                    words.current.push_str(&text);
                }
                '\'' | '"' if self.lexer.quotes != Quotes::Plain => {
                    let text = if c == '"' {
                        self.double(raw_escapes)?
                    } else {
                        self.single()?
                    };
                    result.push_str(&text);
                    words.current.push_str(&text);
                }
                _ => {
                    self.chars.next();
                    if c == self.lexer.escape {
                        if raw_escapes {
                            words.current.push(c);
                            result.push(c);
                        }
                        // At the end of a word it means nothing.
                        let Some(c) = self.chars.next() else { break };
                        words.current.push(c);
                        result.push(c);
                    } else {
                        words.add(c.encode_utf8(&mut [0; 4]));
                        result.push(c);
                    }
                }
            }
            if result.len() > limits::EXPANDED {
                let most = limits::EXPANDED;
                return Err(bad(
                    format!("with its variables filled in, the text has more than {most} bytes"),
                    "look for variables that contain each other",
                ));
            }
        }
        if stop.is_some() {
            return Err(bad("'${' without its '}'", "write \\$ where a dollar sign is meant"));
        }
        words.end();
        Ok((result, words.done))
    }

    fn single(&mut self) -> Result<String, BadWord> {
        let mut text = String::new();
        self.chars.next();
        if self.lexer.quotes == Quotes::Kept {
            text.push('\'');
        }
        for c in self.chars.by_ref() {
            if c != '\'' {
                text.push(c);
                continue;
            }
            if self.lexer.quotes == Quotes::Kept {
                text.push(c);
            }
            return Ok(text);
        }
        Err(bad(
            "the quote ' is not closed",
            "write \\' where the character is meant",
        ))
    }

    fn double(&mut self, raw_escapes: bool) -> Result<String, BadWord> {
        let mut text = String::new();
        self.chars.next();
        if self.lexer.quotes == Quotes::Kept {
            text.push('"');
        }
        while let Some(&c) = self.chars.peek() {
            if c == '$' {
                text.push_str(&self.dollar(raw_escapes)?);
                continue;
            }
            self.chars.next();
            if c == '"' {
                if self.lexer.quotes == Quotes::Kept {
                    text.push(c);
                }
                return Ok(text);
            }
            if c != self.lexer.escape {
                text.push(c);
                continue;
            }
            if raw_escapes {
                text.push(c);
            }
            let escape = self.lexer.escape;
            match self.chars.next_if(|next| matches!(next, '"' | '$') || *next == escape) {
                Some(next) => text.push(next),
                None if self.chars.peek().is_some() => text.push(c),
                None => {}
            }
        }
        Err(bad(
            "the quote \" is not closed",
            "write \\\" where the character is meant",
        ))
    }

    /// One or two `<`, and the blanks behind two: they belong to the word that announces a heredoc.
    fn arrows(&mut self) -> String {
        let mut text = String::from("<");
        self.chars.next();
        if self.chars.next_if_eq(&'<').is_some() {
            text.push('<');
            while let Some(blank) = self.chars.next_if(|c| matches!(c, ' ' | '\t' | '\r')) {
                text.push(blank);
            }
        }
        text
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        match self.chars.peek() {
            Some(c) if c.is_numeric() => {
                while let Some(digit) = self.chars.next_if(|c| c.is_numeric()) {
                    name.push(digit);
                }
            }
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => name.extend(self.chars.next()),
            Some(_) | None => {
                while let Some(c) = self.chars.next_if(|c| c.is_alphanumeric() || *c == '_') {
                    name.push(c);
                }
            }
        }
        name
    }

    fn dollar(&mut self, raw_escapes: bool) -> Result<String, BadWord> {
        self.chars.next();
        if self.chars.next_if_eq(&'{').is_some() {
            self.depth += 1;
            if self.depth > limits::DEPTH {
                let most = limits::DEPTH;
                return Err(bad(
                    format!("variables are nested deeper than {most}"),
                    "use several ARGs",
                ));
            }
            let value = self.braces(raw_escapes);
            self.depth -= 1;
            return value;
        }
        let name = self.name();
        if name.is_empty() {
            return Ok("$".to_owned());
        }
        Ok(match self.variables.get(&name) {
            Some(value) => value.to_owned(),
            None if self.lexer.keep_unset => format!("${name}"),
            None => String::new(),
        })
    }

    /// What stands behind `${`.
    fn braces(&mut self, raw_escapes: bool) -> Result<String, BadWord> {
        const HINT: &str = "known are ${x} ${x:-default} ${x:+other} ${x-default} ${x+other} ${x:?message} ${x#pattern} \
                            ${x%pattern} ${x/pattern/text}; write \\$ where a dollar sign is meant";
        if matches!(self.chars.peek(), Some('{' | '}' | ':')) {
            return Err(bad("'${' without a name", HINT));
        }
        let name = self.name();
        let unclosed = || bad(format!("'${{{name}' without its '}}'"), HINT);
        let mut operator = self.chars.next().ok_or_else(unclosed)?;
        let null_is_unset = operator == ':';
        if operator == '}' {
            return Ok(match self.variables.get(&name) {
                Some(value) => value.to_owned(),
                None if self.lexer.keep_unset => format!("${{{name}}}"),
                None => String::new(),
            });
        }
        if null_is_unset {
            operator = self.chars.next().ok_or_else(unclosed)?;
        }
        let value = self.variables.get(&name);
        let colon = if null_is_unset { ":" } else { "" };
        let set = value.filter(|value| !(null_is_unset && value.is_empty()));
        match operator {
            '-' | '+' | '?' => {
                let (word, _) = self.until(Some('}'), raw_escapes)?;
                match (operator, set) {
                    _ if value.is_none() && self.lexer.keep_unset => Ok(format!("${{{name}{colon}{operator}{word}}}")),
                    ('-', None) | ('+', Some(_)) => Ok(word),
                    ('+', None) => Ok(String::new()),
                    (_, Some(value)) => Ok(value.to_owned()),
                    (_, None) if word.is_empty() => Err(unset(format!("{name} must be set"))),
                    (_, None) => Err(unset(format!("{name}: {word}"))),
                }
            }
            '#' | '%' if !null_is_unset => {
                let longest = self.chars.next_if_eq(&operator).is_some();
                let (pattern, _) = self.until(Some('}'), true)?;
                let pattern = Pattern::new(&pattern).map_err(|what| bad(what, HINT))?;
                let value = value.unwrap_or_default();
                Ok(if operator == '#' {
                    pattern.without_prefix(value, longest)
                } else {
                    pattern.without_suffix(value, longest)
                })
            }
            '/' if !null_is_unset => {
                let all = self.chars.next_if_eq(&'/').is_some();
                let (pattern, _) = self.until(Some('/'), true)?;
                let (text, _) = self.until(Some('}'), true)?;
                let pattern = Pattern::new(&pattern).map_err(|what| bad(what, HINT))?;
                pattern
                    .replaced(value.unwrap_or_default(), &text, all)
                    .map_err(|what| bad(what, HINT))
            }
            other => Err(bad(
                format!("'${{{name}{colon}{other}' is no way to write a variable"),
                HINT,
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rstest::rstest;

    use super::*;

    impl Variables for BTreeMap<&str, &str> {
        fn get(&self, name: &str) -> Option<&str> {
            BTreeMap::get(self, name).copied()
        }
    }

    fn variables() -> BTreeMap<&'static str, &'static str> {
        BTreeMap::from([("x", "one two"), ("empty", ""), ("file", "a/b.tar.gz"), ("1", "first")])
    }

    #[rstest]
    #[case("plain", "plain")]
    #[case("$x", "one two")]
    #[case("${x}", "one two")]
    #[case("a${x}b", "aone twob")]
    #[case("$xy", "")]
    #[case("$", "$")]
    #[case("$/", "$/")]
    #[case("a$", "a$")]
    #[case("$1", "first")]
    #[case("$?", "")]
    #[case("'$x'", "$x")]
    #[case("\"$x\"", "one two")]
    #[case("\\$x", "$x")]
    #[case("\"\\$x\"", "$x")]
    #[case("\"a\\b\"", "a\\b")]
    #[case("a\\b", "ab")]
    #[case("a\\\\b", "a\\b")]
    #[case("a\\", "a")]
    #[case("it\\'s", "it's")]
    #[case("\"it's\"", "it's")]
    #[case("'a'\"b\"c", "abc")]
    #[case("${none:-d}", "d")]
    #[case("${none-d}", "d")]
    #[case("${empty:-d}", "d")]
    #[case("${empty-d}", "")]
    #[case("${x:-d}", "one two")]
    #[case("${none:+o}", "")]
    #[case("${empty:+o}", "")]
    #[case("${empty+o}", "o")]
    #[case("${x:+o}", "o")]
    #[case("${none:-${x:+y}}", "y")]
    #[case("${none:-'q u'}", "q u")]
    #[case("${x:?must}", "one two")]
    #[case("${file#*/}", "b.tar.gz")]
    #[case("${file%.*}", "a/b.tar")]
    #[case("${file%%.*}", "a/b")]
    #[case("${file##*.}", "gz")]
    #[case("${file/a/c}", "c/b.tar.gz")]
    #[case("${file//a/c}", "c/b.tcr.gz")]
    #[case("a<b", "a<b")]
    fn words(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(Lexer::new('\\').word(text, &variables()).unwrap(), expected);
    }

    #[rstest]
    #[case("${x", "'${x' without its '}'")]
    #[case("${x:-", "'${' without its '}'")]
    #[case("${", "'${' without its '}'")]
    #[case("${}", "'${' without a name")]
    #[case("${:x}", "'${' without a name")]
    #[case("${x!y}", "'${x!' is no way")]
    #[case("${x:#y}", "'${x:#' is no way")]
    #[case("'open", "the quote '")]
    #[case("\"open", "the quote \"")]
    #[case("${none:?give it}", "none: give it")]
    #[case("${none?}", "none must be set")]
    fn refused(#[case] text: &str, #[case] message: &str) {
        let error = Lexer::new('\\').word(text, &variables()).unwrap_err();
        assert!(error.message.starts_with(message), "{}", error.message);
    }

    #[test]
    fn another_escape() {
        let lexer = Lexer::new('`');
        assert_eq!(lexer.word("c:\\$x`$x", &variables()).unwrap(), "c:\\one two$x");
    }

    #[test]
    fn splitting_is_after_filling_in() {
        let split = |text| Lexer::new('\\').words(text, &variables()).unwrap();
        assert_eq!(split("$x three"), ["one", "two", "three"]);
        assert_eq!(split("\"$x\" 'a b'"), ["one two", "a b"]);
        assert_eq!(split("a\\ b"), ["a b"]);
        assert_eq!(split("  "), Vec::<String>::new());
        let raw = Lexer::raw('\\').words("cat <<'E F' x\\ y $q", &Unset).unwrap();
        assert_eq!(raw, ["cat", "<<'E F'", "x\\ y", "$q"]);
    }

    #[test]
    fn bodies_keep_their_quotes() {
        let body = Lexer::new('\\')
            .for_bodies()
            .word("it's \"$x\" \\$x", &variables())
            .unwrap();
        assert_eq!(body, "it's \"one two\" $x");
    }

    #[test]
    fn nothing_grows_without_end() {
        let long = "y".repeat(limits::EXPANDED / 2 + 1);
        let variables = BTreeMap::from([("long", long.as_str())]);
        assert!(Lexer::new('\\').word("$long", &variables).is_ok());
        assert!(Lexer::new('\\').word("$long$long", &variables).is_err());
        let deep = format!("{}1{}", "${a:-".repeat(10_000), "}".repeat(10_000));
        assert!(Lexer::new('\\').word(&deep, &variables).is_err());
    }
}
