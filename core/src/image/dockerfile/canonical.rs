//! The form of a Dockerfile that digests are made of: what it says, not how it is laid out.
//!
//! Comments, blank lines, capitals of names, the order of flags, how a line is continued, and the lines' numbers do not
//! count. Heredocs, `# syntax`, and every text with its quotes and variables do. The blanks within a shell's command count:
//! the engine passes them on.

use std::fmt::Write as _;

use super::Dockerfile;
use super::heredoc::Heredoc;
use super::instruction::{CommandLine, Healthcheck, Kind, Mount, Source, Transfer};

impl Dockerfile {
    /// The canonical form: a line for each instruction, every text as a JSON string, so that no two files that differ in
    /// meaning have the same one.
    pub fn canonical(&self) -> String {
        let mut out = Canonical {
            text: String::from("dockerfile 1\n"),
            escapes: false,
        };
        if let Some(syntax) = &self.directives.syntax {
            out.line("syntax", &[syntax]);
        }
        for instruction in &self.globals {
            out.instruction(&instruction.kind);
        }
        for stage in &self.stages {
            out.word("FROM");
            out.maybe("platform", stage.from.platform.as_deref());
            out.text(&stage.from.base);
            out.maybe("as", stage.name());
            out.end();
            for instruction in &stage.instructions {
                out.instruction(&instruction.kind);
            }
        }
        // Where no text has an escape character in it, it does not matter which one that is.
        if self.directives.escape != '\\' && out.escapes {
            out.text.push_str("escape `\n");
        }
        out.text
    }
}

struct Canonical {
    text: String,
    /// Some text has a character in it that may be the escape character.
    escapes: bool,
}

impl Canonical {
    fn word(&mut self, word: &str) {
        self.text.push_str(word);
    }

    fn text(&mut self, text: &str) {
        self.escapes |= text.contains(['\\', '`']);
        let text = serde_json::to_string(text).expect("a string is always JSON");
        self.text.push(' ');
        self.text.push_str(&text);
    }

    fn end(&mut self) {
        self.text.push('\n');
    }

    fn line<T: AsRef<str>>(&mut self, name: &str, texts: &[T]) {
        self.word(name);
        for text in texts {
            self.text(text.as_ref());
        }
        self.end();
    }

    fn maybe(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            // Writing to a String cannot fail.
            let _ = write!(self.text, " {name}");
            self.text(text);
        }
    }

    fn command(&mut self, command: &CommandLine) {
        match command {
            CommandLine::Exec(words) => {
                self.word(" exec");
                for word in words {
                    self.text(word);
                }
            }
            CommandLine::Shell(text) => self.maybe("shell", Some(text)),
        }
    }

    fn heredoc(&mut self, heredoc: &Heredoc) {
        let Heredoc {
            name,
            descriptor,
            expands,
            strip_tabs,
            content,
        } = heredoc;
        let _ = write!(self.text, " heredoc {descriptor} {expands} {strip_tabs}");
        self.text(name);
        self.text(content);
    }

    fn transfer(&mut self, transfer: &Transfer) {
        let Transfer {
            sources,
            destination,
            chown,
            chmod,
            link,
            exclude,
        } = transfer;
        self.maybe("chown", chown.as_deref());
        self.maybe("chmod", chmod.as_deref());
        if *link {
            self.word(" link");
        }
        for pattern in exclude {
            self.maybe("exclude", Some(pattern));
        }
        for source in sources {
            match source {
                Source::Path(path) => self.text(path),
                Source::Inline(heredoc) => self.heredoc(heredoc),
            }
        }
        self.maybe("to", Some(destination));
        self.end();
    }

    fn mount(&mut self, mount: &Mount) {
        let Mount {
            kind,
            from,
            source,
            target,
            options,
        } = mount;
        let _ = write!(self.text, " mount {kind:?}");
        self.maybe("from", from.as_deref());
        self.maybe("source", source.as_deref());
        self.maybe("target", target.as_deref());
        for (key, value) in options {
            self.maybe("option", Some(key));
            self.maybe("is", value.as_deref());
        }
    }

    fn instruction(&mut self, kind: &Kind) {
        self.word(kind.name());
        match kind {
            Kind::Add(add) => {
                self.maybe("checksum", add.checksum.as_deref());
                let _ = write!(self.text, " git {:?} unpack {:?}", add.keep_git_dir, add.unpack);
                self.transfer(&add.transfer);
            }
            Kind::Copy(copy) => {
                self.maybe("from", copy.from.as_deref());
                if copy.parents {
                    self.word(" parents");
                }
                self.transfer(&copy.transfer);
            }
            Kind::Arg(declared) => {
                for argument in declared {
                    self.text(&argument.name);
                    self.maybe("default", argument.default.as_deref());
                }
                self.end();
            }
            Kind::Env(pairs) | Kind::Label(pairs) => {
                for pair in pairs {
                    self.text(&pair.name);
                    self.text(&pair.value);
                }
                self.end();
            }
            Kind::Cmd(command) | Kind::Entrypoint(command) => {
                self.command(command);
                self.end();
            }
            Kind::Expose(texts) | Kind::Volume(texts) | Kind::Shell(texts) => self.line("", texts),
            Kind::Maintainer(text) | Kind::Stopsignal(text) | Kind::User(text) | Kind::Workdir(text) => {
                self.line("", &[text]);
            }
            Kind::Healthcheck(Healthcheck::None) => self.line("", &["none"]),
            Kind::Healthcheck(Healthcheck::Command {
                command,
                interval,
                timeout,
                start_period,
                start_interval,
                retries,
            }) => {
                for time in [interval, timeout, start_period, start_interval] {
                    let _ = write!(self.text, " {}", time.map_or(0, |time| time.as_nanos()));
                }
                let _ = write!(self.text, " {}", retries.unwrap_or(0));
                self.command(command);
                self.end();
            }
            Kind::Onbuild(trigger) => {
                self.word(" ");
                self.instruction(&trigger.kind);
            }
            Kind::Run(run) => {
                for mount in &run.mounts {
                    self.mount(mount);
                }
                self.maybe("network", run.network.as_deref());
                self.maybe("security", run.security.as_deref());
                for device in &run.devices {
                    self.maybe("device", Some(device));
                }
                self.command(&run.command);
                for heredoc in &run.heredocs {
                    self.heredoc(heredoc);
                }
                self.end();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn canonical(text: &str) -> String {
        Dockerfile::parse(text).unwrap().canonical()
    }

    #[rstest]
    #[case("FROM a\nUSER b\n", "# c\n\nfrom a\n# d\n  user   b\r\n")]
    #[case("FROM a\nCOPY --link --from=b c d\n", "FROM a\nCOPY --from=b --link c\\\n # e\n d")]
    #[case("FROM a AS b\n", "FROM a as B\n")]
    #[case("FROM a\nENV x=1 y=2\n", "FROM a\nENV x=1 \\\n    y=2\n")]
    #[case("FROM a\nRUN b c\n", "# escape=`\nFROM a\nRUN b `\nc\n")]
    #[case(
        "FROM a\nHEALTHCHECK --interval=60s CMD b\n",
        "FROM a\nHEALTHCHECK --interval=1m CMD b\n"
    )]
    #[case("FROM a\nRUN b\n", "\u{feff}FROM a\nRUN b\n")]
    fn layout_does_not_count(#[case] one: &str, #[case] other: &str) {
        assert_eq!(canonical(one), canonical(other));
    }

    #[rstest]
    #[case("FROM a\n", "FROM b\n")]
    #[case("FROM a\n", "# syntax=s\nFROM a\n")]
    #[case("FROM a\nRUN b\n", "FROM a\nRUN [\"b\"]\n")]
    #[case("FROM a\nRUN b  c\n", "FROM a\nRUN b c\n")]
    #[case("FROM a\nRUN <<E\nx\nE\n", "FROM a\nRUN <<E\ny\nE\n")]
    #[case("FROM a\nRUN <<E\nx\nE\n", "FROM a\nRUN <<'E'\nx\nE\n")]
    #[case("FROM a\nRUN <<E\n# x\nE\n", "FROM a\nRUN <<E\nE\n")]
    #[case("FROM a\nCOPY b c d\n", "FROM a\nCOPY [\"b c\", \"d\"]\n")]
    #[case("FROM a\nENV b=\"c\"\n", "FROM a\nENV b=c\n")]
    #[case("FROM a\nENV b=\\$c\n", "# escape=`\nFROM a\nENV b=\\$c\n")]
    #[case("FROM a\nUSER b\n", "FROM a\nWORKDIR b\n")]
    #[case("FROM a\nONBUILD USER b\n", "FROM a\nUSER b\n")]
    #[case("FROM a\nLABEL b=c d=e\n", "FROM a\nLABEL b=c\nLABEL d=e\n")]
    fn meaning_counts(#[case] one: &str, #[case] other: &str) {
        assert_ne!(canonical(one), canonical(other));
    }

    #[test]
    fn it_stays_as_it_is() {
        let text = "# syntax=s\nARG v=1\nFROM --platform=p a:$v AS n\nCOPY --chown=1 <<E x /y\n$z\nE\nCMD [\"q\"]\n";
        insta::assert_snapshot!(canonical(text), @r#"
        dockerfile 1
        syntax "s"
        ARG "v" default "1"
        FROM platform "p" "a:$v" as "n"
        COPY chown "1" heredoc 0 true false "E" "$z\n" "x" to "/y"
        CMD exec "q"
        "#);
    }
}
