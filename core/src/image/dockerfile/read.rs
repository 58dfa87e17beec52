//! From an instruction's text to what it says, with everything that is wrong with it.

use std::time::Duration;

use super::duration;
use super::expand::{BadWord, Lexer, Unset};
use super::flags::{Flags, Takes};
use super::heredoc::{self, Heredoc};
use super::instruction::{
    Add, Argument, CommandLine, Copy, Healthcheck, Kind, NAMES, Pair, Run, Source, Transfer, Trigger,
};
use super::logical::Logical;
use super::mount;
use super::problem::{Lines, Problem};
use super::stage::From;
use super::word::{self, Json};
use crate::refusal::nearest;

/// What an instruction turned out to be.
pub(super) enum Read {
    /// A stage begins.
    From(From),
    /// Anything else.
    Other(Kind),
}

/// Reads one instruction; nothing where it has a problem.
pub(super) fn instruction(logical: Logical<'_>, escape: char, problems: &mut Vec<Problem>) -> Option<Read> {
    let before = problems.len();
    let parts = word::command(&logical.text);
    let mut reader = Reader {
        lines: logical.lines,
        escape,
        heredocs: logical.heredocs,
        problems,
    };
    let read = reader.read(parts.name, parts.rest);
    read.filter(|_| problems.len() == before)
}

struct Reader<'p> {
    lines: Lines,
    escape: char,
    heredocs: Vec<Heredoc>,
    problems: &'p mut Vec<Problem>,
}

impl Reader<'_> {
    fn problem(&mut self, message: impl AsRef<str>, hint: impl Into<String>) {
        self.problems.push(Problem::new(self.lines, message).hint(hint));
    }

    fn read(&mut self, name: &str, rest: &str) -> Option<Read> {
        let upper = name.to_ascii_uppercase();
        let (words, rest) = word::flags(rest, self.escape);
        if upper == "FROM" {
            return self.from(&words, rest).map(Read::From);
        }
        let kind = match upper.as_str() {
            "ADD" => self.add(&words, rest).map(Kind::Add),
            "ARG" => self.arg(&words, rest).map(Kind::Arg),
            "CMD" => self.command("CMD", &words, rest).map(Kind::Cmd),
            "COPY" => self.copy(&words, rest).map(Kind::Copy),
            "ENTRYPOINT" => self.command("ENTRYPOINT", &words, rest).map(Kind::Entrypoint),
            "ENV" => self.pairs("ENV", &words, rest).map(Kind::Env),
            "EXPOSE" => self.expose(&words, rest).map(Kind::Expose),
            "HEALTHCHECK" => self.healthcheck(&words, rest).map(Kind::Healthcheck),
            "LABEL" => self.pairs("LABEL", &words, rest).map(Kind::Label),
            "MAINTAINER" => self.one("MAINTAINER", &words, rest, "a name").map(Kind::Maintainer),
            "ONBUILD" => self.onbuild(&words, rest).map(Kind::Onbuild),
            "RUN" => self.run(&words, rest).map(Kind::Run),
            "SHELL" => self.shell(&words, rest).map(Kind::Shell),
            "STOPSIGNAL" => self
                .expanding("STOPSIGNAL", &words, rest, "SIGTERM")
                .map(Kind::Stopsignal),
            "USER" => self.expanding("USER", &words, rest, "nobody").map(Kind::User),
            "VOLUME" => self.volume(&words, rest).map(Kind::Volume),
            "WORKDIR" => self.expanding("WORKDIR", &words, rest, "/srv").map(Kind::Workdir),
            _ => {
                self.unknown(name, &upper);
                None
            }
        };
        kind.map(Read::Other)
    }

    fn unknown(&mut self, name: &str, upper: &str) {
        let hint = if let Some(known) = nearest(upper, &NAMES) {
            format!("did you mean {known}?")
        } else if matches!(name.chars().last(), Some('\\' | '`')) || name.is_empty() {
            "the line before it continues into nothing".to_owned()
        } else {
            "a line that belongs to the one before it needs a \\ at that one's end; a heredoc needs its <<".to_owned()
        };
        self.problem(format!("'{name}' is no instruction"), hint);
    }

    fn flags(&mut self, name: &str, words: &[String], known: &[(&'static str, Takes)]) -> Flags {
        Flags::read(words, known, name, self.lines, self.problems)
    }

    /// Looks whether a text with variables is well formed.
    fn check(&mut self, text: &str) {
        let tried = Lexer::new(self.escape).word(text, &Unset);
        // Whether a variable has a value is known only where it is filled in.
        if let Err(BadWord {
            message,
            hint,
            wants_value: false,
        }) = tried
        {
            self.problem(format!("in {text}: {message}"), hint);
        }
    }

    fn from(&mut self, words: &[String], rest: &str) -> Option<From> {
        let mut flags = self.flags("FROM", words, &[("platform", Takes::Text)]);
        let platform = flags.text("platform");
        let parts: Vec<&str> = word::plain(rest).collect();
        let (base, name) = match parts.as_slice() {
            [base] => (*base, None),
            [base, word, name] if word.eq_ignore_ascii_case("AS") => (*base, Some(*name)),
            _ => {
                self.problem(
                    format!("FROM {rest}: one word is expected, or three"),
                    "FROM image, or FROM image AS name",
                );
                return None;
            }
        };
        self.check(base);
        let name = match name.map(str::to_lowercase) {
            Some(name) if !is_stage_name(&name) => {
                self.problem(
                    format!("'{name}' is no name of a stage"),
                    "a letter first, then letters, digits, '-', '_' and '.'",
                );
                return None;
            }
            name => name,
        };
        Some(From {
            lines: self.lines,
            base: base.to_owned(),
            platform,
            name,
        })
    }

    fn arg(&mut self, words: &[String], rest: &str) -> Option<Vec<Argument>> {
        self.flags("ARG", words, &[]);
        let found = word::quoted(rest, self.escape);
        if found.is_empty() {
            self.problem("ARG names nothing", "ARG name, or ARG name=default");
            return None;
        }
        let mut arguments = Vec::new();
        for word in &found {
            let (name, default) = match word.split_once('=') {
                Some((name, default)) => (name, Some(default)),
                None => (word.as_str(), None),
            };
            if name.is_empty() {
                self.problem(format!("ARG {word}: the name is missing"), "ARG name=default");
            }
            self.check(default.unwrap_or_default());
            arguments.push(Argument {
                name: name.to_owned(),
                default: default.map(str::to_owned),
            });
        }
        Some(arguments)
    }

    fn pairs(&mut self, instruction: &str, words: &[String], rest: &str) -> Option<Vec<Pair>> {
        self.flags(instruction, words, &[]);
        let found = word::quoted(rest, self.escape);
        let Some(first) = found.first() else {
            self.problem(
                format!("{instruction} sets nothing"),
                format!("{instruction} name=value"),
            );
            return None;
        };
        let mut pairs = Vec::new();
        if first.contains('=') {
            for word in &found {
                let Some((name, value)) = word.split_once('=') else {
                    self.problem(
                        format!("{instruction}: '{word}' has no '='"),
                        format!("{instruction} name=value, and quotes around a value with spaces"),
                    );
                    continue;
                };
                pairs.push((name, value));
            }
        } else {
            match word::name_and_rest(rest) {
                Some(pair) => pairs.push(pair),
                None => self.problem(
                    format!("{instruction} {rest}: the value is missing"),
                    format!("{instruction} {rest}=value"),
                ),
            }
        }
        for (name, value) in &pairs {
            if name.is_empty() {
                self.problem(
                    format!("{instruction} ={value}: the name is missing"),
                    format!("{instruction} name=value"),
                );
            }
            self.check(name);
            self.check(value);
        }
        let own = |(name, value): (&str, &str)| Pair {
            name: name.to_owned(),
            value: value.to_owned(),
        };
        Some(pairs.into_iter().map(own).collect())
    }

    /// The whole rest as one text.
    fn one(&mut self, instruction: &str, words: &[String], rest: &str, example: &str) -> Option<String> {
        self.flags(instruction, words, &[]);
        if rest.is_empty() {
            self.problem(
                format!("{instruction} says nothing"),
                format!("{instruction} {example}"),
            );
            return None;
        }
        Some(rest.to_owned())
    }

    fn expanding(&mut self, instruction: &str, words: &[String], rest: &str, example: &str) -> Option<String> {
        self.check(rest);
        self.one(instruction, words, rest, example)
    }

    /// A list in JSON form, or nothing where the text has another.
    fn list(&mut self, instruction: &str, rest: &str) -> Result<Option<Vec<String>>, ()> {
        match word::json(rest) {
            Json::Strings(strings) => Ok(Some(strings)),
            Json::No => Ok(None),
            Json::NotStrings => {
                self.problem(
                    format!("{instruction} {rest}: in the JSON form stand strings alone"),
                    "put quotes around each of them",
                );
                Err(())
            }
            Json::Trailing(behind) => {
                self.problem(
                    format!("{instruction}: '{behind}' stands behind the JSON form"),
                    "older engines drop it, newer ones give all of the line to a shell: take it away, or take the brackets away",
                );
                Err(())
            }
        }
    }

    fn command(&mut self, instruction: &str, words: &[String], rest: &str) -> Option<CommandLine> {
        self.flags(instruction, words, &[]);
        self.command_line(instruction, rest)
    }

    fn command_line(&mut self, instruction: &str, rest: &str) -> Option<CommandLine> {
        let list = self.list(instruction, rest).ok()?;
        Some(list.map_or_else(|| CommandLine::Shell(rest.to_owned()), CommandLine::Exec))
    }

    fn run(&mut self, words: &[String], rest: &str) -> Option<Run> {
        const KNOWN: [(&str, Takes); 4] = [
            ("mount", Takes::Many),
            ("network", Takes::Text),
            ("security", Takes::Text),
            ("device", Takes::Many),
        ];
        let mut flags = self.flags("RUN", words, &KNOWN);
        let mut mounts = Vec::new();
        for text in flags.many("mount") {
            match mount::read(&text) {
                Ok(mount) => mounts.push(mount),
                Err((what, hint)) => self.problem(what, hint),
            }
        }
        let network = self.one_of(flags.text("network"), "network", &["default", "none", "host"]);
        let security = self.one_of(flags.text("security"), "security", &["sandbox", "insecure"]);
        let command = self.command_line("RUN", rest)?;
        let empty = match &command {
            CommandLine::Exec(words) => words.is_empty(),
            CommandLine::Shell(text) => text.is_empty(),
        };
        if empty {
            self.problem("RUN runs nothing", "RUN command");
        }
        Some(Run {
            command,
            heredocs: std::mem::take(&mut self.heredocs),
            mounts,
            network,
            security,
            devices: flags.many("device"),
        })
    }

    fn one_of(&mut self, value: Option<String>, flag: &str, known: &[&str]) -> Option<String> {
        let value = value?;
        if !known.contains(&value.as_str()) && !value.contains('$') {
            self.problem(
                format!("--{flag}={value} is unknown"),
                format!("it is {}", known.join(", ")),
            );
        }
        Some(value)
    }

    fn copy(&mut self, words: &[String], rest: &str) -> Option<Copy> {
        const KNOWN: [(&str, Takes); 6] = [
            ("from", Takes::Text),
            ("chown", Takes::Text),
            ("chmod", Takes::Text),
            ("link", Takes::Switch),
            ("parents", Takes::Switch),
            ("exclude", Takes::Many),
        ];
        let mut flags = self.flags("COPY", words, &KNOWN);
        let from = flags.text("from");
        let parents = flags.switch("parents").unwrap_or_default();
        match from.as_deref() {
            Some(from) if from.contains('$') => self.problem(
                format!("COPY --from={from}: no variables are filled in there"),
                "name a stage with FROM … AS name, and copy from that",
            ),
            Some("") => self.problem("COPY --from= names nothing", "give a stage, or an image"),
            Some(_) | None => {}
        }
        let transfer = self.transfer("COPY", &mut flags, rest)?;
        if let (Some(_), Some(Source::Inline(heredoc))) = (&from, transfer.sources.iter().find(|s| is_inline(s))) {
            let name = &heredoc.name;
            self.problem(
                format!("COPY --from with a heredoc: <<{name} stands in no stage"),
                "copy it by an instruction of its own",
            );
        }
        Some(Copy {
            transfer,
            from,
            parents,
        })
    }

    fn add(&mut self, words: &[String], rest: &str) -> Option<Add> {
        const KNOWN: [(&str, Takes); 7] = [
            ("chown", Takes::Text),
            ("chmod", Takes::Text),
            ("link", Takes::Switch),
            ("keep-git-dir", Takes::Switch),
            ("checksum", Takes::Text),
            ("unpack", Takes::Switch),
            ("exclude", Takes::Many),
        ];
        let mut flags = self.flags("ADD", words, &KNOWN);
        let checksum = flags.text("checksum");
        let is_sum = |sum: &str| {
            sum.split_once(':')
                .is_some_and(|(name, digits)| !name.is_empty() && !digits.is_empty())
        };
        if let Some(sum) = checksum.as_deref().filter(|sum| !sum.contains('$') && !is_sum(sum)) {
            self.problem(
                format!("--checksum={sum} is no checksum"),
                "write sha256: and its digits",
            );
        }
        let (keep_git_dir, unpack) = (flags.switch("keep-git-dir"), flags.switch("unpack"));
        let transfer = self.transfer("ADD", &mut flags, rest)?;
        Some(Add {
            transfer,
            checksum,
            keep_git_dir,
            unpack,
        })
    }

    fn transfer(&mut self, instruction: &str, flags: &mut Flags, rest: &str) -> Option<Transfer> {
        let mut words = match self.list(instruction, rest).ok()? {
            Some(list) => list,
            None => word::plain(rest).map(str::to_owned).collect(),
        };
        let Some(destination) = words.pop().filter(|_| !words.is_empty()) else {
            self.problem(
                format!("{instruction} {rest}: a source and a destination are expected"),
                format!("{instruction} source /destination"),
            );
            return None;
        };
        if let Some(heredoc) = heredoc::one(&destination) {
            let name = heredoc.name;
            self.problem(
                format!("{instruction}: the heredoc <<{name} cannot be the destination"),
                format!("{instruction} <<{name} /destination"),
            );
        }
        let mut sources = Vec::new();
        for word in words {
            if heredoc::one(&word).is_none() {
                self.check(&word);
                if instruction == "COPY" && is_address(&word) {
                    self.problem(format!("COPY {word}: it copies no addresses"), "ADD fetches them");
                }
                sources.push(Source::Path(word));
                continue;
            }
            // The bodies come in the order in which the words announce them.
            if !self.heredocs.is_empty() {
                sources.push(Source::Inline(self.heredocs.remove(0)));
            }
        }
        self.check(&destination);
        let transfer = Transfer {
            sources,
            destination,
            chown: flags.text("chown"),
            chmod: flags.text("chmod"),
            link: flags.switch("link").unwrap_or_default(),
            exclude: flags.many("exclude"),
        };
        for text in transfer.chown.iter().chain(&transfer.chmod).chain(&transfer.exclude) {
            self.check(text);
        }
        Some(transfer)
    }

    fn expose(&mut self, words: &[String], rest: &str) -> Option<Vec<String>> {
        self.flags("EXPOSE", words, &[]);
        let ports: Vec<String> = word::plain(rest).map(str::to_owned).collect();
        if ports.is_empty() {
            self.problem("EXPOSE names no port", "EXPOSE 80/tcp");
            return None;
        }
        for port in &ports {
            self.check(port);
        }
        Some(ports)
    }

    fn volume(&mut self, words: &[String], rest: &str) -> Option<Vec<String>> {
        self.flags("VOLUME", words, &[]);
        let volumes = match self.list("VOLUME", rest).ok()? {
            Some(list) => list,
            None => word::plain(rest).map(str::to_owned).collect(),
        };
        if volumes.is_empty() || volumes.iter().any(|volume| volume.trim().is_empty()) {
            self.problem("VOLUME names no directory", "VOLUME /directory");
            return None;
        }
        for volume in &volumes {
            self.check(volume);
        }
        Some(volumes.into_iter().map(|volume| volume.trim().to_owned()).collect())
    }

    fn shell(&mut self, words: &[String], rest: &str) -> Option<Vec<String>> {
        self.flags("SHELL", words, &[]);
        match self.list("SHELL", rest).ok()? {
            Some(list) if !list.is_empty() => Some(list),
            Some(_) | None => {
                self.problem(
                    format!("SHELL {rest}: a JSON list is expected"),
                    "SHELL [\"/bin/sh\", \"-c\"]",
                );
                None
            }
        }
    }

    fn healthcheck(&mut self, words: &[String], rest: &str) -> Option<Healthcheck> {
        const KNOWN: [(&str, Takes); 5] = [
            ("interval", Takes::Text),
            ("timeout", Takes::Text),
            ("start-period", Takes::Text),
            ("start-interval", Takes::Text),
            ("retries", Takes::Text),
        ];
        let (kind, rest) = match rest.split_once(char::is_whitespace) {
            Some((kind, rest)) => (kind, rest.trim_start()),
            None => (rest, ""),
        };
        let upper = kind.to_ascii_uppercase();
        if upper == "NONE" {
            self.flags("HEALTHCHECK NONE", words, &[]);
            if !rest.is_empty() {
                self.problem(
                    format!("HEALTHCHECK NONE {rest}: nothing follows NONE"),
                    "HEALTHCHECK NONE",
                );
            }
            return Some(Healthcheck::None);
        }
        let mut flags = self.flags("HEALTHCHECK", words, &KNOWN);
        let mut time = |reader: &mut Self, name: &str| reader.time(name, flags.text(name).as_deref());
        let interval = time(self, "interval");
        let timeout = time(self, "timeout");
        let start_period = time(self, "start-period");
        let start_interval = time(self, "start-interval");
        let retries = flags.text("retries").and_then(|text| {
            let number = text.parse().ok().filter(|number| i32::try_from(*number).is_ok());
            if number.is_none() {
                self.problem(format!("--retries={text} is no number"), "a whole number from 0 up");
            }
            number
        });
        if upper != "CMD" {
            let what = if kind.is_empty() {
                "HEALTHCHECK checks nothing".to_owned()
            } else {
                format!("HEALTHCHECK {kind} is unknown")
            };
            self.problem(what, "HEALTHCHECK CMD command, or HEALTHCHECK NONE");
            return None;
        }
        let command = self.command_line("HEALTHCHECK CMD", rest)?;
        if matches!(&command, CommandLine::Exec(words) if words.is_empty())
            || matches!(&command, CommandLine::Shell(text) if text.is_empty())
        {
            self.problem("HEALTHCHECK CMD runs nothing", "HEALTHCHECK CMD command");
        }
        Some(Healthcheck::Command {
            command,
            interval,
            timeout,
            start_period,
            start_interval,
            retries,
        })
    }

    fn time(&mut self, flag: &str, text: Option<&str>) -> Option<Duration> {
        let text = text.filter(|text| !text.is_empty())?;
        let time = duration::parse(text);
        match time {
            Some(time) if time.is_zero() => None,
            Some(time) if time >= Duration::from_millis(1) => Some(time),
            Some(_) => {
                self.problem(format!("--{flag}={text} is below a millisecond"), "30s, 1m30s, 500ms");
                None
            }
            None => {
                self.problem(format!("--{flag}={text} is no length of time"), "30s, 1m30s, 500ms");
                None
            }
        }
    }

    fn onbuild(&mut self, words: &[String], rest: &str) -> Option<Trigger> {
        self.flags("ONBUILD", words, &[]);
        let inner = word::command(rest);
        if inner.name.is_empty() {
            self.problem("ONBUILD does nothing", "ONBUILD COPY . /src");
            return None;
        }
        let upper = inner.name.to_ascii_uppercase();
        if matches!(upper.as_str(), "ONBUILD" | "FROM" | "MAINTAINER") {
            self.problem(
                format!("{upper} may not stand behind ONBUILD"),
                "every other instruction may",
            );
            return None;
        }
        let mut text = rest.to_owned();
        for heredoc in &self.heredocs {
            text.extend(["\n", heredoc.content.as_str(), heredoc.name.as_str()]);
        }
        match self.read(inner.name, inner.rest)? {
            Read::From(_) => None,
            Read::Other(kind) => Some(Trigger {
                text,
                kind: Box::new(kind),
            }),
        }
    }
}

/// Whether a source of ADD is fetched from somewhere, and no file of the context.
pub(super) fn is_address(source: &str) -> bool {
    ["http://", "https://", "git://", "ssh://", "git@"]
        .iter()
        .any(|scheme| source.starts_with(scheme))
}

fn is_inline(source: &Source) -> bool {
    matches!(source, Source::Inline(_))
}

fn is_stage_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.'))
}
