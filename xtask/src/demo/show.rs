//! What the demonstration prints: its steps, the commands as they are typed, of their output what matters; or all of it as JSON.
//!
//! Steps and commands go to stdout, the progress line to stderr and only to a terminal.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use windlass_tests::process::Ran;

use crate::say;

/// How wide the words of a step run.
const WIDTH: usize = 100;

/// A step, as a script gets it.
#[derive(Debug, Serialize)]
pub(super) struct Played {
    step: usize,
    of: usize,
    title: String,
    about: String,
    commands: Vec<Typed>,
    milliseconds: u128,
}

/// A command and what came of it.
#[derive(Debug, Serialize)]
struct Typed {
    /// Who types it.
    who: String,
    /// As it is typed.
    command: String,
    stdout: String,
    stderr: String,
    exit: i32,
    milliseconds: u128,
}

/// Which lines of an output matter.
#[derive(Debug, Clone, Copy)]
pub(super) enum Keep {
    /// Every line.
    All,
    /// No line, and the command is not shown either: it is like one that was.
    Unseen,
    /// None.
    Nothing,
    /// Those that hold one of these words.
    With(&'static [&'static str]),
    /// The first so many.
    First(usize),
}

/// The printer.
pub(super) struct Show {
    json: bool,
    colour: bool,
    of: usize,
    bar: ProgressBar,
    started: Instant,
    now: Option<(Played, Instant)>,
    number: usize,
}

impl Show {
    /// A printer for so many steps.
    pub(super) fn new(of: usize, json: bool) -> Self {
        let bar = if std::io::stderr().is_terminal() && !json {
            let bar = ProgressBar::new(of.try_into().unwrap_or(u64::MAX));
            let style = ProgressStyle::with_template("{spinner} {bar:24} {pos}/{len}  {wide_msg} {elapsed}");
            // A mistake in the template costs the looks alone.
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        } else {
            ProgressBar::hidden()
        };
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            json,
            colour: !json && !no_colour && std::io::stdout().is_terminal(),
            of,
            bar,
            started: Instant::now(),
            now: None,
            number: 0,
        }
    }

    /// How long it has been.
    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Begins the next step.
    pub(super) fn step(&mut self, title: &str, about: &str) {
        self.end_of_step();
        self.number += 1;
        let number = self.number;
        self.bar.set_message(title.to_owned());
        self.line("");
        self.line(&self.styled("1", &format!("{number}/{}  {title}", self.of)));
        for line in wrapped(about) {
            self.line(&line);
        }
        let step = Played {
            step: number,
            of: self.of,
            title: title.to_owned(),
            about: about.to_owned(),
            commands: Vec::new(),
            milliseconds: 0,
        };
        self.now = Some((step, Instant::now()));
    }

    fn end_of_step(&mut self) {
        if let Some((mut step, since)) = self.now.take() {
            step.milliseconds = since.elapsed().as_millis();
            if self.json {
                // Texts and numbers alone: that always is JSON.
                say::data(serde_json::to_string(&step).unwrap_or_default());
            }
            self.bar.inc(1);
        }
    }

    /// Shows that a command is typed, before it runs.
    pub(super) fn typed(&self, prompt: &str, command: &str) {
        let mut lines = command.lines();
        let first = lines.next().unwrap_or_default();
        self.line("");
        self.line(&format!(
            "{} {}",
            self.styled("2", &format!("{prompt}$")),
            self.styled("36", first)
        ));
        for line in lines {
            self.line(&format!("  {}", self.styled("36", line)));
        }
    }

    /// Says on the progress line what is waited for.
    pub(super) fn waits(&self, what: &str) {
        self.bar.set_message(what.to_owned());
    }

    /// Shows what came of a command.
    pub(super) fn ran(&mut self, who: &str, typed: &str, ran: &Ran, keep: Keep) {
        for line in kept(&ran.out(), &ran.err(), keep) {
            self.line(&format!("  {line}"));
        }
        if ran.code() != 0 && !matches!(keep, Keep::Unseen) {
            self.line(&self.styled("2", &format!("  [exit code {}]", ran.code())));
        }
        if let Some((step, _)) = &mut self.now {
            step.commands.push(Typed {
                who: who.to_owned(),
                command: typed.to_owned(),
                stdout: ran.out(),
                stderr: ran.err(),
                exit: ran.code(),
                milliseconds: ran.took.as_millis(),
            });
        }
    }

    /// Ends the last step.
    pub(super) fn end(&mut self) {
        self.end_of_step();
        self.bar.finish_and_clear();
    }

    fn line(&self, line: &str) {
        if !self.json {
            self.bar.suspend(|| say::data(line));
        }
    }

    fn styled(&self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

impl Drop for Show {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// The lines that matter; one `…` stands for those between them.
fn kept(out: &str, err: &str, keep: Keep) -> Vec<String> {
    // As on a terminal: what git repeats from the server ends in blanks and in a code that clears the line.
    let lines = out.lines().chain(err.lines());
    let lines = lines.map(|line| line.trim_end_matches("\u{1b}[K").trim_end().to_owned());
    let wanted = |at: usize, line: &str| match keep {
        Keep::All => true,
        Keep::Unseen | Keep::Nothing => false,
        Keep::With(words) => words.iter().any(|word| line.contains(word)),
        Keep::First(count) => at < count,
    };
    let mut kept = Vec::new();
    let mut left_out = false;
    for (at, line) in lines.enumerate() {
        if wanted(at, &line) {
            if left_out {
                kept.push("…".to_owned());
            }
            left_out = false;
            kept.push(line);
        } else {
            left_out |= !line.trim().is_empty();
        }
    }
    if left_out && !kept.is_empty() {
        kept.push("…".to_owned());
    }
    kept
}

/// A text in lines of some width.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push(std::mem::take(&mut line));
        }
        let gap = if line.is_empty() { "" } else { " " };
        // Writing to a String cannot fail.
        let _ = write!(line, "{gap}{word}");
    }
    lines.extend((!line.is_empty()).then_some(line));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_marked_once() {
        let out = "a\nb\nc one\nd\n\ne one\n";
        assert_eq!(
            kept(out, "remote: one  \u{1b}[K\n", Keep::With(&["one"])),
            ["…", "c one", "…", "e one", "remote: one"]
        );
        assert_eq!(kept(out, "", Keep::First(1)), ["a", "…"]);
        assert!(kept(out, "x", Keep::Nothing).is_empty());
    }

    #[test]
    fn words_are_wrapped_and_never_cut() {
        let text = "word ".repeat(50);
        let lines = wrapped(&text);
        assert!(lines.len() == 3 && lines.iter().all(|line| line.len() <= WIDTH));
        assert_eq!(lines.join(" "), text.trim());
    }
}
