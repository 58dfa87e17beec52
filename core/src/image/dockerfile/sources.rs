//! What a Dockerfile takes from its context: the paths that COPY, ADD and bind mounts name.
//!
//! A digest of the inputs counts these files and no others. Where it cannot be known which they are (a variable that only
//! the base sets), everything counts: an image is then rebuilt once too often, never once too rarely.

use super::arguments::Arguments;
use super::bases::{Ground, triggers};
use super::instruction::{Instruction, Kind, MountKind, Source};
use super::problem::{Lines, Problems};
use super::read::is_address;
use super::scope::Scope;
use super::{By, Dockerfile};

/// One path that an instruction names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextSource {
    /// Where the instruction stands.
    pub lines: Lines,
    /// The instruction's name: `COPY`, `ADD` or `RUN`.
    pub by: &'static str,
    /// The number of its stage.
    pub stage: usize,
    /// What it names.
    pub what: What,
}

/// What is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A file or a directory with everything below it, from the context's root, without `.` and `..`; the root itself is `.`.
    Path(String),
    /// A pattern with `*`, `?` or `[…]`, cleaned as a path is; each part between slashes matches one part.
    Pattern(String),
    /// Something that ADD fetches: http, https, git, ssh.
    Address(String),
    /// Everything: a variable of the path is known only to the base, or engines differ in what it is.
    Everything {
        /// The path as it is written.
        written: String,
    },
}

impl Dockerfile {
    /// What the file takes from its context, in order; [`bases`](Dockerfile::bases) says what it takes from elsewhere.
    ///
    /// What stands behind ONBUILD counts where a later stage of this file carries it out.
    ///
    /// # Errors
    /// Everything for which there are no bases, and texts that cannot be filled in.
    pub fn context_sources(&self, arguments: &Arguments) -> Result<Vec<ContextSource>, Problems> {
        let globals = self.globals(arguments)?;
        let bases = self.bases(arguments)?;
        let mut problems = Vec::new();
        let mut found = Vec::new();
        // The variables that each stage ends with; those built on it begin with them.
        let mut environments: Vec<_> = Vec::new();
        for stage in &self.stages {
            let mut from = bases.iter().filter(|base| base.by == By::From);
            let ground = from.find(|base| base.stage == stage.index).map(|base| &base.ground);
            let (environment, triggered) = match ground {
                Some(Ground::Stage(below)) => (environments.get(*below).cloned(), triggers(&self.stages[*below])),
                Some(Ground::Scratch | Ground::Image(_)) | None => (None, Vec::new()),
            };
            let environment = environment.unwrap_or_default();
            let mut scope = Scope::new(self.directives.escape, arguments, &globals, environment);
            let own = stage.instructions.iter();
            let own = own.map(|Instruction { lines, kind }| (*lines, kind));
            for (lines, kind) in triggered.into_iter().chain(own) {
                let mut add = |what| {
                    found.push(ContextSource {
                        lines,
                        by: kind.name(),
                        stage: stage.index,
                        what,
                    });
                };
                for mount in kind.as_run().map_or(&[][..], |run| &run.mounts) {
                    if mount.from.is_none() && matches!(mount.kind, MountKind::Bind | MountKind::Open) {
                        let path = mount.source.as_deref().unwrap_or(".");
                        add(of(path, path.contains('$'), false));
                    }
                }
                if matches!(kind, Kind::Arg(_) | Kind::Env(_))
                    && let Err(problem) = scope.kind(kind, lines)
                {
                    problems.push(problem);
                }
                if kind.as_copy().is_some_and(|copy| copy.from.is_some()) {
                    continue;
                }
                for source in kind.transfer().map_or(&[][..], |transfer| &transfer.sources) {
                    let Source::Path(written) = source else { continue };
                    match scope.fill_watched(written, lines) {
                        Ok((path, missed)) => add(of(&path, missed, kind.as_add().is_some())),
                        Err(problem) => problems.push(problem),
                    }
                }
            }
            environments.push(scope.environment().clone());
        }
        Problems::unless_none(problems)?;
        Ok(found)
    }
}

fn of(path: &str, missed: bool, adds: bool) -> What {
    if adds && is_address(path) {
        return What::Address(path.to_owned());
    }
    if missed {
        return What::Everything {
            written: path.to_owned(),
        };
    }
    let cleaned = cleaned(path);
    if cleaned.contains(['*', '?', '[', '\\']) {
        What::Pattern(cleaned)
    } else {
        What::Path(cleaned)
    }
}

/// A path from the context's root, without `.`, `..` and double slashes; above the root there is nothing.
pub(in crate::image) fn cleaned(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    if parts.is_empty() {
        ".".to_owned()
    } else {
        parts.join("/")
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::Platform;
    use super::*;

    #[rstest]
    #[case("COPY a /x", "path a")]
    #[case("COPY ./a/../b/ /x", "path b")]
    #[case("COPY ../../a /x", "path a")]
    #[case("COPY . /x", "path .")]
    #[case("COPY / /x", "path .")]
    #[case("COPY a b* /x/", "path a; pattern b*")]
    #[case("COPY [\"a b\", \"/x\"]", "path a b")]
    #[case("COPY --from=other:1 a /x", "")]
    #[case("COPY <<E a /x\nbody\nE", "path a")]
    #[case(
        "ADD https://x.org/a git@x.org:a/b.git c /x",
        "address https://x.org/a; address git@x.org:a/b.git; path c"
    )]
    #[case("ARG d=src\nCOPY $d/a /x", "path src/a")]
    #[case("ENV d=src e=$d\nCOPY ${d}/a$e /x", "path src/a")]
    #[case("ARG d=arg\nENV d=env\nCOPY $d /x", "path env")]
    #[case("ENV d=env\nARG d=arg\nCOPY $d /x", "everything env")]
    #[case("ENV d=env\nARG d=arg\nENV d=more\nCOPY $d /x", "path more")]
    #[case("ARG given=a\nCOPY $given /x", "path yes")]
    #[case("ARG none\nCOPY a$none /x", "path a")]
    #[case("COPY $HOME/a /x", "everything /a")]
    #[case("RUN --mount=target=/x y", "path .")]
    #[case("RUN --mount=type=bind,source=a/b,target=/x y", "path a/b")]
    #[case("RUN --mount=type=cache,target=/x y", "")]
    #[case("ONBUILD COPY a /x", "")]
    #[case("COPY 'a b' /x", "!")]
    #[case("COPY \\$a /x", "path $a")]
    fn what_is_named(#[case] text: &str, #[case] expected: &str) {
        let arguments = Arguments::native(&Platform::linux("x86_64")).with("given", "yes");
        let file = Dockerfile::parse(&format!("FROM base\n{text}\n"));
        let Ok(sources) = file.and_then(|file| file.context_sources(&arguments)) else {
            assert_eq!(expected, "!");
            return;
        };
        let one = |source: &ContextSource| match &source.what {
            What::Path(path) => format!("path {path}"),
            What::Pattern(path) => format!("pattern {path}"),
            What::Address(path) => format!("address {path}"),
            What::Everything { written } => format!("everything {written}"),
        };
        assert_eq!(sources.iter().map(one).collect::<Vec<_>>().join("; "), expected);
    }

    #[test]
    fn a_stage_begins_with_what_the_one_below_set() {
        let arguments = Arguments::native(&Platform::linux("x86_64"));
        let text = "ARG g=top\nFROM base AS a\nENV d=src\nARG g\nARG only=1\nONBUILD COPY $d/$g /x\nFROM a\nARG g\nCOPY $d/$g /y\nCOPY $only /z\n";
        let sources = Dockerfile::parse(text).unwrap().context_sources(&arguments).unwrap();
        let told: Vec<_> = sources
            .iter()
            .map(|source| (source.lines.first, source.stage, source.what.clone()))
            .collect();
        assert_eq!(
            told,
            [
                (
                    6,
                    1,
                    What::Everything {
                        written: "src/".to_owned()
                    }
                ),
                (9, 1, What::Path("src/top".to_owned())),
                (10, 1, What::Everything { written: String::new() }),
            ]
        );
    }
}
