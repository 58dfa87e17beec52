//! What a Dockerfile stands on: by FROM, by `COPY --from`, by `RUN --mount=from=`, each resolved to a stage or an image.

use std::collections::BTreeSet;

use super::Dockerfile;
use super::arguments::{Arguments, Globals};
use super::expand::Lexer;
use super::instruction::{Instruction, Kind, MountKind};
use super::problem::{Lines, Problem, Problems};
use super::stage::Stage;
use crate::image::ImageName;
use crate::refusal::nearest;

/// One thing that a stage stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// As it is written, with variables.
    pub written: String,
    /// As it is with everything filled in.
    pub name: String,
    /// Which instruction names it.
    pub by: By,
    /// Where.
    pub lines: Lines,
    /// The number of the stage that needs it.
    pub stage: usize,
    /// What it is.
    pub ground: Ground,
    /// The platform that a FROM asks for, where it does.
    pub platform: Option<String>,
}

impl Base {
    /// The image, where it is one.
    pub fn image(&self) -> Option<&ImageName> {
        match &self.ground {
            Ground::Image(image) => Some(image),
            Ground::Scratch | Ground::Stage(_) => None,
        }
    }
}

/// Which instruction names a base.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum By {
    /// `FROM`.
    From,
    /// `COPY --from=`.
    CopyFrom,
    /// `RUN --mount=from=`.
    MountFrom,
}

impl By {
    /// How people write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::From => "FROM",
            Self::CopyFrom => "COPY --from",
            Self::MountFrom => "RUN --mount=from",
        }
    }
}

/// What a base is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ground {
    /// Nothing: `FROM scratch`.
    Scratch,
    /// An earlier stage of the same file, by number.
    Stage(usize),
    /// An image; a name without a registry is taken for one of docker.io, as engines do.
    Image(ImageName),
}

/// A filled-in name and the platform beside it.
struct Named {
    name: String,
    platform: Option<String>,
}

impl Dockerfile {
    /// All bases, in the order of their lines.
    ///
    /// An instruction behind ONBUILD counts where it is carried out: in a later stage of this file that is built on the
    /// stage where it stands. What an image's own ONBUILD brings is known only to whoever has the image.
    ///
    /// # Errors
    /// Names that are none, variables that leave a name empty, references to later stages.
    pub fn bases(&self, arguments: &Arguments) -> Result<Vec<Base>, Problems> {
        let globals = self.globals(arguments)?;
        let mut problems = Vec::new();
        let mut bases: Vec<Base> = Vec::new();
        // What each stage's FROM stands on, as far as they were read.
        let mut grounds = Vec::new();
        for stage in &self.stages {
            match self.ground_of(stage, &globals) {
                Ok(base) => {
                    grounds.push(Some(base.ground.clone()));
                    bases.push(base);
                }
                Err(problem) => {
                    grounds.push(None);
                    problems.push(problem);
                }
            }
            let triggered = match &grounds[stage.index] {
                Some(Ground::Stage(below)) => triggers(&self.stages[*below]),
                Some(Ground::Scratch | Ground::Image(_)) | None => Vec::new(),
            };
            let own = stage
                .instructions
                .iter()
                .map(|Instruction { lines, kind }| (*lines, kind));
            for (lines, kind) in triggered.into_iter().chain(own) {
                for (by, written) in taken_from(kind) {
                    match self.resolve(written, by, stage.index, lines) {
                        Ok(ground) => bases.push(Base {
                            written: written.to_owned(),
                            name: written.to_owned(),
                            by,
                            lines,
                            stage: stage.index,
                            ground,
                            platform: None,
                        }),
                        Err(problem) => problems.push(problem),
                    }
                }
            }
        }
        Problems::unless_none(problems)?;
        Ok(bases)
    }

    /// The base of a stage's FROM.
    fn ground_of(&self, stage: &Stage, globals: &Globals) -> Result<Base, Problem> {
        let from = &stage.from;
        let Named { name, platform } = self.filled(stage, globals)?;
        let lower = name.to_lowercase();
        let earlier = self.stages[..stage.index]
            .iter()
            .rev()
            .find(|earlier| earlier.name() == Some(&lower));
        let ground = if let Some(earlier) = earlier {
            Ground::Stage(earlier.index)
        } else if name == "scratch" {
            Ground::Scratch
        } else {
            image(&name, from.lines)?
        };
        Ok(Base {
            written: from.base.clone(),
            name,
            by: By::From,
            lines: from.lines,
            stage: stage.index,
            ground,
            platform,
        })
    }

    fn filled(&self, stage: &Stage, globals: &Globals) -> Result<Named, Problem> {
        let from = &stage.from;
        let lexer = Lexer::new(self.directives.escape);
        let fill = |text: &str| match lexer.word(text, globals) {
            Ok(word) => Ok(word.into_owned()),
            Err(bad) => Err(Problem::new(from.lines, format!("in {text}: {}", bad.message)).hint(bad.hint)),
        };
        let name = fill(&from.base)?;
        if name.is_empty() {
            let problem = Problem::new(
                from.lines,
                format!("FROM {}: with its variables filled in, it is empty", from.base),
            );
            return Err(problem.hint("declare the ARG above the first FROM, or give it as a build argument"));
        }
        let platform = match &from.platform {
            None => None,
            Some(text) => Some(fill(text)?),
        };
        if platform.as_deref().is_some_and(str::is_empty) {
            let problem = Problem::new(from.lines, "--platform: with its variables filled in, it is empty");
            return Err(problem.hint("declare the ARG above the first FROM, or give it as a build argument"));
        }
        Ok(Named { name, platform })
    }

    /// What a name behind `from=` is.
    fn resolve(&self, written: &str, by: By, stage: usize, lines: Lines) -> Result<Ground, Problem> {
        let lower = written.to_lowercase();
        let (earlier, later) = self.stages.split_at(stage);
        if let Some(found) = earlier.iter().rev().find(|other| other.name() == Some(&lower)) {
            return Ok(Ground::Stage(found.index));
        }
        let not_yet = |other: &Stage| {
            let what = if other.index == stage {
                "is this one itself"
            } else {
                "comes later"
            };
            let problem = Problem::new(
                lines,
                format!("{} {written}: that stage {what} ({})", by.as_str(), other.from.lines),
            );
            Err(problem.hint("move it above: engines differ in what they make of a later one"))
        };
        if let Some(found) = later.iter().find(|other| other.name() == Some(&lower)) {
            return not_yet(found);
        }
        // A number is a stage for COPY alone.
        if by == By::CopyFrom
            && let Ok(number) = written.parse::<usize>()
        {
            return match self.stages.get(number) {
                Some(found) if found.index < stage => Ok(Ground::Stage(number)),
                Some(found) => not_yet(found),
                None => {
                    let problem = Problem::new(lines, format!("COPY --from={written}: there is no such stage"));
                    Err(problem.hint(format!("they are numbered from 0 to {}", self.stages.len() - 1)))
                }
            };
        }
        if by == By::CopyFrom && written == "scratch" {
            return Ok(Ground::Scratch);
        }
        image(written, lines)
    }

    /// The numbers of the stages that a target needs, itself among them, in order.
    ///
    /// `bases` are those of [`bases`](Self::bases). A target is a stage's name or number; without one it is the last stage.
    ///
    /// # Errors
    /// Where there is no such stage.
    pub fn needed_stages(&self, bases: &[Base], target: Option<&str>) -> Result<Vec<usize>, Problem> {
        let target = match target {
            None => self.last(),
            Some(name) => self.stage(name).ok_or_else(|| self.no_target(name))?,
        };
        let mut needed = BTreeSet::from([target.index]);
        // A base is always an earlier stage: one walk from the end is enough.
        for index in (0..=target.index).rev() {
            if needed.contains(&index) {
                needed.extend(
                    bases
                        .iter()
                        .filter(|base| base.stage == index)
                        .filter_map(|base| match base.ground {
                            Ground::Stage(below) => Some(below),
                            Ground::Scratch | Ground::Image(_) => None,
                        }),
                );
            }
        }
        Ok(needed.into_iter().collect())
    }

    fn no_target(&self, name: &str) -> Problem {
        let names: Vec<&str> = self.stages.iter().filter_map(Stage::name).collect();
        let problem = Problem::new(Lines::one(1), format!("there is no stage '{name}' to build"));
        problem.hint(match nearest(name, &names) {
            Some(known) => format!("did you mean {known}?"),
            None if names.is_empty() => "no stage has a name: FROM image AS name".to_owned(),
            None => format!("there are {}", names.join(", ")),
        })
    }
}

/// The instructions that a stage has for those built on it.
pub(super) fn triggers(stage: &Stage) -> Vec<(Lines, &Kind)> {
    stage
        .instructions
        .iter()
        .filter_map(|Instruction { lines, kind }| Some((*lines, kind.as_onbuild()?.kind.as_ref())))
        .collect()
}

/// What an instruction takes files from.
fn taken_from(kind: &Kind) -> Vec<(By, &str)> {
    let copied = kind.as_copy().and_then(|copy| copy.from.as_deref());
    let mounts = kind.as_run().map_or(&[][..], |run| &run.mounts).iter();
    let mounted = mounts
        .filter(|mount| mount.kind != MountKind::Tmpfs)
        .filter_map(|mount| mount.from.as_deref())
        .filter(|from| *from != "scratch");
    let copied = copied.into_iter().map(|from| (By::CopyFrom, from));
    copied.chain(mounted.map(|from| (By::MountFrom, from))).collect()
}

fn image(name: &str, lines: Lines) -> Result<Ground, Problem> {
    match ImageName::foreign(name) {
        Ok(image) => Ok(Ground::Image(image)),
        Err(bad) => Err(Problem::new(lines, format!("'{}' is no image name: {}", bad.value, bad.rule)).hint(bad.hint)),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::Platform;
    use super::*;

    fn arguments() -> Arguments {
        Arguments::new(&Platform::linux("aarch64"), &Platform::linux("x86_64"))
    }

    fn told(text: &str, arguments: &Arguments) -> Result<String, Problems> {
        let bases = Dockerfile::parse(text)?.bases(arguments)?;
        let one = |base: &Base| {
            let ground = match &base.ground {
                Ground::Scratch => "scratch".to_owned(),
                Ground::Stage(index) => format!("#{index}"),
                Ground::Image(image) => image.to_string(),
            };
            let platform = base
                .platform
                .as_ref()
                .map(|platform| format!(" on {platform}"))
                .unwrap_or_default();
            format!("{} {} {ground}{platform}", base.lines.first, base.by.as_str())
        };
        Ok(bases.iter().map(one).collect::<Vec<_>>().join("; "))
    }

    #[rstest]
    #[case("FROM debian:12\n", "1 FROM docker.io/library/debian:12")]
    #[case("FROM scratch\n", "1 FROM scratch")]
    #[case("FROM localhost/a AS x\nFROM X\n", "1 FROM localhost/a:latest; 2 FROM #0")]
    #[case("FROM x AS x\n", "1 FROM docker.io/library/x:latest")]
    #[case("ARG v=12\nFROM debian:$v\n", "2 FROM docker.io/library/debian:12")]
    #[case("ARG v=12\nARG n=debian:${v}\nFROM $n\n", "3 FROM docker.io/library/debian:12")]
    #[case("ARG given=no\nFROM $given\n", "2 FROM docker.io/library/yes:latest")]
    #[case("FROM ${none:-a}\n", "1 FROM docker.io/library/a:latest")]
    #[case(
        "FROM --platform=$BUILDPLATFORM a\n",
        "1 FROM docker.io/library/a:latest on linux/amd64"
    )]
    #[case("FROM a-$TARGETARCH\n", "1 FROM docker.io/library/a-arm64:latest")]
    #[case(
        "FROM a\nFROM b\nCOPY --from=0 x y\n",
        "1 FROM docker.io/library/a:latest; 2 FROM docker.io/library/b:latest; 3 COPY --from #0"
    )]
    #[case(
        "FROM a\nCOPY --from=c:1 x y\n",
        "1 FROM docker.io/library/a:latest; 2 COPY --from docker.io/library/c:1"
    )]
    #[case(
        "FROM a AS s\nFROM b\nRUN --mount=from=s,target=/x --mount=from=q.io/i,target=/y z\n",
        "1 FROM docker.io/library/a:latest; 2 FROM docker.io/library/b:latest; 3 RUN --mount=from #0; 3 RUN --mount=from q.io/i:latest"
    )]
    #[case(
        "FROM a AS x\nONBUILD COPY --from=i y z\nFROM x\n",
        "1 FROM docker.io/library/a:latest; 3 FROM #0; 2 COPY --from docker.io/library/i:latest"
    )]
    fn bases(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(told(text, &arguments().with("given", "yes")).unwrap(), expected);
    }

    #[rstest]
    #[case("FROM $none\n", "line 1: FROM $none: with its variables filled in, it is empty")]
    #[case("FROM scratch\nARG a=b\nFROM $a\n", "line 3: FROM $a: with its variables")]
    #[case("FROM --platform=$none a\n", "line 1: --platform: with its variables")]
    #[case("FROM Debian\n", "line 1: 'Debian' is no image name")]
    #[case("FROM a\nCOPY --from=1 x y\n", "line 2: COPY --from=1: there is no such stage")]
    #[case(
        "FROM a\nCOPY --from=0 x y\n",
        "line 2: COPY --from 0: that stage is this one itself"
    )]
    #[case(
        "FROM a\nCOPY --from=b x y\nFROM a AS b\n",
        "line 2: COPY --from b: that stage comes later (line 3)"
    )]
    #[case("ARG a=\"${b?give b}\"\nFROM $a\n", "line 1: b: give b")]
    fn refused(#[case] text: &str, #[case] expected: &str) {
        let problems = told(text, &arguments()).unwrap_err().to_string();
        assert!(problems.starts_with(expected), "{problems}");
    }

    #[rstest]
    #[case(None, &[0, 1, 3])]
    #[case(Some("c"), &[2])]
    #[case(Some("B"), &[0, 1])]
    #[case(Some("0"), &[0])]
    fn what_a_target_needs(#[case] target: Option<&str>, #[case] expected: &[usize]) {
        let text = "FROM x AS a\nFROM a AS b\nFROM y AS c\nFROM scratch\nCOPY --from=b p q\n";
        let file = Dockerfile::parse(text).unwrap();
        let bases = file.bases(&arguments()).unwrap();
        assert_eq!(file.needed_stages(&bases, target).unwrap(), expected);
        let error = file.needed_stages(&bases, Some("d")).unwrap_err().to_string();
        assert!(error.contains("there is no stage 'd'"), "{error}");
    }

    #[test]
    fn arguments_are_counted_where_an_arg_declares_them() {
        let file = Dockerfile::parse("ARG one\nFROM a\nARG two http_proxy\n").unwrap();
        let arguments = arguments()
            .with("one", "1")
            .with("tow", "2")
            .with("http_proxy", "p")
            .with("https_proxy", "p");
        assert_eq!(file.counted(&arguments), [("http_proxy", "p"), ("one", "1")]);
        assert_eq!(file.unused(&arguments), ["tow"]);
    }

    #[rstest]
    #[case("linux/amd64", "linux/amd64")]
    #[case("Linux/x86_64", "linux/amd64")]
    #[case("linux/arm64/v8", "linux/arm64")]
    #[case("linux/arm/v6", "linux/arm/v6")]
    #[case("linux/arm", "linux/arm/v7")]
    fn platforms(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(text.parse::<Platform>().unwrap().to_string(), expected);
        assert!("linux".parse::<Platform>().is_err());
        assert!("linux//x".parse::<Platform>().is_err());
        assert!("a/b/c/d".parse::<Platform>().is_err());
    }
}
