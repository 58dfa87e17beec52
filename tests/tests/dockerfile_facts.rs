//! What core says of Dockerfiles and ignore files is what real engines say of them: Docker's classic builder, its BuildKit, Podman.
//!
//! Each engine is asked about every row of these tables. Where we differ from one of them on purpose, the row says why; where an engine
//! of this age does not know something yet (heredocs), its letter says so.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;
use windlass_core::image::dockerfile::{Arguments, Kind, Platform, Scope, seed};
use windlass_core::image::{Dockerfile, Ignore};
use windlass_tests::chance::Chance;
use windlass_tests::engines::{self, Engine, Kind as EngineKind};
use windlass_tests::{Cmd, skipped};

/// Who builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Builder {
    Classic,
    BuildKit,
    Podman,
}

/// An engine and its builders.
struct Judge {
    engine: Engine,
    builders: Vec<Builder>,
    docker: &'static str,
}

/// All judges that there are here; says which there are not.
fn judges() -> anyhow::Result<Vec<Judge>> {
    let mut judges = Vec::new();
    for kind in EngineKind::ALL {
        if let Some(why) = engines::lacking(kind) {
            skipped(&why);
            continue;
        }
        let engine = ready(kind)?;
        let (docker, builders) = match (kind, client()) {
            (EngineKind::Podman, _) => ("", vec![Builder::Podman]),
            (EngineKind::Docker, Some(docker)) => (docker, vec![Builder::Classic, Builder::BuildKit]),
            (EngineKind::Docker, None) => {
                skipped("no docker client here brings BuildKit");
                ("docker", vec![Builder::Classic])
            }
        };
        judges.push(Judge {
            engine,
            builders,
            docker,
        });
    }
    Ok(judges)
}

/// An engine with the one base that there is.
fn ready(kind: EngineKind) -> anyhow::Result<Engine> {
    let engine = Engine::start(kind)?;
    engine.make_busybox("localhost/busybox:latest")?;
    Ok(engine)
}

/// A client that can ask for BuildKit: newer ones need a plug-in for that.
fn client() -> Option<&'static str> {
    ["/usr/bin/docker", "docker"].into_iter().find(|docker| {
        let version = Cmd::new(docker)
            .args(["version", "--format", "{{.Client.Version}}"])
            .run();
        let old = version.is_ok_and(|ran| ran.out().starts_with("20."));
        old || Cmd::new(docker)
            .args(["buildx", "version"])
            .run()
            .is_ok_and(|ran| ran.code() == 0)
    })
}

/// What every judge finds wrong, each asked beside the others.
fn by_all(ask: impl Fn(Judge) -> anyhow::Result<Vec<String>> + Sync) -> anyhow::Result<Vec<String>> {
    let judges = judges()?;
    std::thread::scope(|scope| {
        let asked: Vec<_> = judges.into_iter().map(|judge| scope.spawn(|| ask(judge))).collect();
        let mut wrong = Vec::new();
        for one in asked {
            match one.join() {
                Ok(found) => wrong.extend(found?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(wrong)
    })
}

/// What a builder said, and whether it built.
struct Verdict {
    good: bool,
    said: String,
}

impl Judge {
    fn build(&self, builder: Builder, context: &Path, tag: &str) -> anyhow::Result<Verdict> {
        let command = match builder {
            Builder::Podman => self.engine.cli(),
            Builder::Classic | Builder::BuildKit => {
                let kit = if builder == Builder::BuildKit { "1" } else { "0" };
                Cmd::new(self.docker)
                    .args(["--host", &self.engine.host()])
                    .env("HOME", self.engine.dir())
                    .env("DOCKER_BUILDKIT", kit)
            }
        };
        let ran = command
            .args(["build", "--network", "none", "--tag", tag, "."])
            .dir(context)
            .run()?;
        Ok(Verdict {
            good: ran.code() == 0,
            said: format!("{}{}", ran.out(), ran.err()),
        })
    }
}

impl Judge {
    /// The letter of a table's row, and the last that was said.
    fn verdict(&mut self, builder: Builder, text: &str) -> anyhow::Result<(u8, String)> {
        let context = context()?;
        std::fs::write(context.path().join("Dockerfile"), text)?;
        let verdict = self.build(builder, context.path(), "localhost/facts:1")?;
        let letter = if verdict.good {
            b'y'
        } else if self.engine.request("GET", "/version").is_ok() {
            b'n'
        } else {
            self.engine = ready(self.engine.kind)?;
            b'x'
        };
        let said: Vec<&str> = verdict.said.lines().rev().take(3).collect();
        Ok((letter, said.join("\n")))
    }
}

/// A context with a few files.
fn context() -> anyhow::Result<tempfile::TempDir> {
    let dir = tempfile::Builder::new().prefix("wlf-").tempdir()?;
    for file in ["a", "b", "sp ace", "src/one.c", "src/two.c"] {
        let path = dir.path().join(file);
        std::fs::create_dir_all(path.parent().context("a directory")?)?;
        std::fs::write(path, file)?;
    }
    Ok(dir)
}

fn arguments() -> Arguments {
    Arguments::native(&Platform::linux(std::env::consts::ARCH))
}

/// Whether we take a Dockerfile: it is read, its bases are known.
fn ours(text: &str) -> bool {
    Dockerfile::parse(text)
        .is_ok_and(|file| file.bases(&arguments()).is_ok() && file.context_sources(&arguments()).is_ok())
}

/// Rows: who takes it (we, classic builder, BuildKit, Podman; `y` or `n`, `x` where the engine dies of it), the Dockerfile.
const ACCEPTED: &[(&str, &str)] = &[
    // Ordinary things.
    ("yyyy", "FROM scratch\nCOPY a /\n"),
    (
        "yyyy",
        "from scratch as one\ncopy a /\nfrom scratch\ncopy --from=one /a /b\n",
    ),
    (
        "yyyy",
        "FROM scratch AS one\nCOPY a /\nFROM scratch\nCOPY --from=0 /a /b\n",
    ),
    (
        "yyyy",
        "\u{feff}# comment\n\nFROM scratch\r\nCOPY a \\\r\n# between\r\n\r\n /\r\n",
    ),
    ("yyyy", "# escape=`\nFROM scratch\nCOPY a `\n /\n"),
    ("yyyy", "ARG base=scratch\nFROM $base\nCOPY a /\n"),
    ("yyyy", "FROM ${none:-scratch}\nCOPY a /\n"),
    ("yyyy", "FROM scratch\nCOPY [\"sp ace\", \"/\"]\n"),
    ("yyyy", "FROM scratch\nCOPY src/*.c /d/\n"),
    ("yyyy", "FROM scratch\nCOPY --chown=1:2 a /\n"),
    ("yyyy", "FROM scratch\nENV a=1 b=\"2 3\" c='4' d=5\\ 6\nCOPY a /\n"),
    ("yyyy", "FROM scratch\nENV a 1 2 3\nLABEL b c d\nCOPY a /\n"),
    (
        "yyyy",
        "FROM scratch\nCOPY a /\nHEALTHCHECK --interval=5m --timeout=3s --start-period=1s --retries=2 CMD [\"x\"]\n",
    ),
    ("yyyy", "FROM scratch\nCOPY a /\nHEALTHCHECK NONE\n"),
    (
        "yyyy",
        "FROM scratch\nCOPY a /\nONBUILD COPY b /\nSHELL [\"/x\"]\nSTOPSIGNAL 9\nUSER 1:2\nVOLUME /v\nWORKDIR /w\nEXPOSE 80/tcp 90\n",
    ),
    ("yyyy", "FROM scratch\nCOPY a /\nCMD\nENTRYPOINT []\n"),
    ("yyyy", "FROM scratch\nCOPY a /\nMAINTAINER somebody\n"),
    ("yyyy", "FROM scratch\nCOPY a /\nCMD [ 'x' ]\n"),
    ("yyyy", "FROM scratch\nCOPY a /\nENV x=$\n"),
    // The classic builder has no arguments of the platform.
    ("ynyy", "FROM --platform=$BUILDPLATFORM scratch\nCOPY a /\n"),
    // Podman's stages know case, and what one of them has behind ONBUILD it does not carry out in another.
    (
        "yyyn",
        "FROM scratch AS One\nCOPY a /\nFROM scratch\nCOPY --from=oNE /a /b\n",
    ),
    (
        "yyyn",
        "FROM scratch AS x\nCOPY b /\nONBUILD COPY a /t\nFROM x AS y\nCOPY b /\nFROM scratch\nCOPY --from=y /t /\n",
    ),
    // What nobody takes.
    ("nnnn", ""),
    ("nnnn", "# nothing\n"),
    ("nnnn", "COPY a /\n"),
    ("nnnn", "FROM\n"),
    ("nnnn", "FROM scratch as\n"),
    // Podman takes any name.
    ("nnny", "FROM scratch AS 1x\nCOPY a /\n"),
    ("nnnn", "FROM $none\nCOPY a /\n"),
    ("nnnn", "FROM scratch\nCOPI a /\n"),
    ("nnnn", "FROM scratch\nCOPY a\n"),
    ("nnnn", "FROM scratch\nCOPY \"sp ace\" /\n"),
    ("nnnn", "FROM scratch\nCOPY --form=x a /\n"),
    ("nnnn", "FROM scratch\nCOPY a /\nENV a\n"),
    ("nnnn", "FROM scratch\nCOPY a /\nENV a=1 b\n"),
    ("nnnn", "FROM scratch\nCOPY a /\nLABEL a=\"b\n"),
    ("nnnn", "FROM scratch\nCOPY a /\nLABEL a=${b\n"),
    ("nnnn", "FROM scratch\nCOPY a /\nCMD [\"a\", 1]\n"),
    ("nnnn", "FROM scratch\nCOPY a /\nSHELL x -c\n"),
    ("nnnn", "FROM scratch\nCOPY a /\nONBUILD ONBUILD COPY b /\n"),
    ("nnnn", "FROM scratch\nCOPY a /\nONBUILD FROM scratch\n"),
    ("nnnn", "FROM scratch\nCOPY a /\nHEALTHCHECK --interval=5 CMD x\n"),
    ("nnnn", "FROM scratch\nCOPY a /\nHEALTHCHECK FOO x\n"),
    ("nnnn", "FROM scratch\nCOPY a /\nHEALTHCHECK CMD\n"),
    ("nnnn", "FROM scratch\nCOPY a /\nVOLUME\n"),
    ("nnnn", "FROM scratch\nCOPY a /\nUSER\n"),
    ("nnnn", "FROM scratch\nCOPY a /\nEXPOSE\n"),
    ("nnnn", "# escape=x\nFROM scratch\nCOPY a /\n"),
    ("nnnn", "# escape=`\n# escape=`\nFROM scratch\nCOPY a /\n"),
    // Podman 4.3's service ends at a number of no stage: it must not get to see one.
    ("nnnx", "FROM scratch\nCOPY --from=1 a /\n"),
    ("nnnn", "FROM scratch\nCOPY --from=$x a /\n"),
    // Heredocs: no engine of this age knows them, and `# syntax` cannot be pulled here.
    ("ynnn", "FROM scratch\nCOPY <<one /x\ntext\none\n"),
    (
        "ynnn",
        "FROM scratch\nCOPY a /\nCOPY <<-\"two\" <<three /x/\n\ttext $y\n\ttwo\nmore\nthree\n",
    ),
    // Flags that only BuildKit, or only later releases, know.
    ("ynyy", "FROM scratch\nCOPY --chmod=755 a /\n"),
    ("ynnn", "FROM scratch\nCOPY --link a /\n"),
    ("ynnn", "FROM scratch\nCOPY --exclude=*.o src /\n"),
    // Commands.
    ("yyyy", "FROM localhost/busybox\nRUN true \\\n && true\n"),
    ("yyyy", "FROM localhost/busybox\nRUN [\"true\"]\n"),
    ("yyyy", "FROM localhost/busybox\nRUN [ -e / ] && true\n"),
    ("nnnn", "FROM localhost/busybox\nRUN --mont=type=tmpfs,target=/t true\n"),
    ("nnnn", "FROM localhost/busybox\nRUN --mount=type=tmfs,target=/t true\n"),
    (
        "ynyy",
        "FROM localhost/busybox\nRUN --mount=type=tmpfs,target=/t true\n",
    ),
    (
        "ynyy",
        "FROM localhost/busybox\nRUN --mount=type=cache,target=/c true\n",
    ),
    ("ynyy", "FROM localhost/busybox\nRUN --mount=target=/c cat /c/a\n"),
    (
        "ynyy",
        "FROM scratch AS one\nCOPY a /\nFROM localhost/busybox\nRUN --mount=type=bind,from=one,source=/a,target=/b cat /b\n",
    ),
    ("ynnn", "FROM localhost/busybox\nRUN --network=none true\n"),
    ("ynnn", "FROM localhost/busybox\nRUN --security=sandbox true\n"),
    // `<<one` is a file for a shell that finds none, and the next line is no instruction.
    ("ynnn", "FROM localhost/busybox\nRUN <<one\ntrue\none\n"),
    // Podman 4.3's service ends at an empty command, too.
    ("nnyx", "FROM localhost/busybox\nRUN\n"),
    ("nynn", "FROM localhost/busybox\nRUN []\n"),
    // Where engines differ, the strictest is followed.
    ("nyyy", "FROM scratch\nCOPY a /\nCMD [\"a\"] # comment\n"),
    ("nyyy", "FROM scratch\nCOPY a /\nONBUILD COPI a /\n"),
    (
        "nnyy",
        "FROM scratch AS x\nCOPY a /\nFROM scratch AS x\nCOPY b /\nFROM scratch\nCOPY --from=x /b /\n",
    ),
    (
        "nnyy",
        "FROM scratch\nCOPY --from=later a /\nFROM scratch AS later\nCOPY a /\n",
    ),
];

#[test]
fn dockerfiles_are_taken_by_whom_the_table_says() -> anyhow::Result<()> {
    let mut wrong = Vec::new();
    for (letters, text) in ACCEPTED {
        if letters.starts_with('y') != ours(text) {
            wrong.push(format!("we, {letters}: {text:?}"));
        }
    }
    wrong.extend(by_all(|mut judge| {
        let mut wrong = Vec::new();
        for builder in judge.builders.clone() {
            let place = match builder {
                Builder::Classic => 1,
                Builder::BuildKit => 2,
                Builder::Podman => 3,
            };
            for (letters, text) in ACCEPTED {
                let (found, said) = judge.verdict(builder, text)?;
                if letters.as_bytes()[place] != found {
                    let found = char::from(found);
                    wrong.push(format!("{builder:?} {found}, {letters}: {text:?}\n{said}"));
                }
            }
        }
        Ok(wrong)
    })?);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Values with quotes, escapes and variables, each as a label's value: what becomes of them.
const VALUES: &[&str] = &[
    "plain",
    "$x",
    "${x}",
    "a${x}b",
    "$none",
    "${none}",
    "\"$x\"",
    "'$x'",
    "\\$x",
    "\"\\$x\"",
    "\"a\\b\"",
    "a\\b",
    "a\\\\b",
    "\"it's\"",
    "it\\'s",
    "'a'\"b\"c",
    "${none:-d}",
    "${x:-d}",
    "${empty:-d}",
    "${none:+o}",
    "${x:+o}",
    "${none:-\"q u\"}",
    "${none:-${x}}",
    "$",
    "a$",
    "\"\"",
    "a=b",
    "$x$y",
    "$x/$given",
    "\"a  b\"",
    "a\\ b",
    "é",
];

#[test]
fn variables_become_what_engines_make_of_them() -> anyhow::Result<()> {
    let mut text = String::from("FROM scratch\nARG given=default\nENV x=one empty=\"\"\nENV x=two y=$x\n");
    text.push_str("ARG both=argument\nENV both=environment\nLABEL both=$both\nCOPY a /\n");
    text.push_str("ENV later=environment\nARG later=argument\nLABEL later=$later\n");
    text.push_str("ARG twice=1\nARG twice=2\nLABEL twice=$twice\nENV one=1 two=$one\nLABEL two=$two\n");
    for (at, value) in VALUES.iter().enumerate() {
        writeln!(text, "LABEL v{at}={value}")?;
    }
    text.push_str("LABEL old an old  value with $x and \"$y\"\nEXPOSE $none 80 \"81\"\nWORKDIR /w/$x\n");
    let file = Dockerfile::parse(&text)?;
    let arguments = arguments();
    let globals = file.globals(&arguments)?;
    let mut scope = Scope::new(file.directives.escape, &arguments, &globals, []);
    let mut expected = BTreeMap::new();
    let mut directory = String::new();
    for instruction in &file.last().instructions {
        let kind = scope.step(instruction)?.kind;
        if let Kind::Label(pairs) = kind {
            expected.extend(pairs.into_iter().map(|pair| (pair.name, pair.value)));
        } else if let Kind::Workdir(path) = kind {
            directory = path;
        }
    }
    let wrong = by_all(|judge| {
        let mut found = Vec::new();
        for builder in &judge.builders {
            let context = context()?;
            std::fs::write(context.path().join("Dockerfile"), &text)?;
            let verdict = judge.build(*builder, context.path(), "localhost/facts:1")?;
            assert!(verdict.good, "{builder:?}: {}", verdict.said);
            let config = judge.engine.get("/images/localhost/facts:1/json")?["Config"].clone();
            let labels: BTreeMap<String, String> = serde_json::from_value(config["Labels"].clone())?;
            for (name, ours) in &expected {
                let its = labels.get(name);
                // An ARG below an ENV of its name: a path with it counts as everything for us.
                let kits_own = *builder == Builder::BuildKit && name == "later";
                let ours = if kits_own { "argument" } else { ours };
                if its.map(String::as_str) != Some(ours) {
                    found.push(format!("{builder:?} {name}: we {ours:?}, it {its:?}"));
                }
            }
            if config["WorkingDir"] != directory.as_str() {
                found.push(format!("{builder:?}: we {directory}, it {}", config["WorkingDir"]));
            }
            let variables: BTreeSet<String> = serde_json::from_value(config["Env"].clone())?;
            for (name, value) in scope.environment() {
                if !variables.contains(&format!("{name}={value}")) {
                    found.push(format!("{builder:?}: {name}={value} is not in {variables:?}"));
                }
            }
        }
        Ok(found)
    })?;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Files of a context that ignore files are tried on.
const FILES: &[&str] = &[
    "keep",
    "a.o",
    "a.c",
    "#x",
    "d/a.o",
    "d/a.c",
    "d/keep",
    "d/e/a.o",
    "d/e/keep",
    "dd/a.c",
    "x/y/z/deep",
    "sp ace",
    "é.txt",
    "[b]",
];

/// Ignore files; behind each those builders that differ from the newest release, and why.
const IGNORES: &[(&str, &[Builder], &str)] = &[
    ("", &[], ""),
    ("*.o\n", &[], ""),
    ("**/*.o\n", &[], ""),
    ("d\n", &[], ""),
    ("/d/\n", &[], ""),
    ("./d/../x\n", &[], ""),
    ("d/*\n", &[], ""),
    ("d/**\n", &[], ""),
    ("*/a.c\n", &[], ""),
    ("d?\n", &[], ""),
    ("d*\n!dd\n", &[], ""),
    ("*\n!keep\n", &[], ""),
    ("d\n!d/keep\n", &[], ""),
    ("d\n!d/e\nd/e/a.o\n", &[], ""),
    ("!keep\nkeep\n", &[], ""),
    ("#x\n#d\n", &[], ""),
    ("\\#x\n", &[], ""),
    (" keep \r\n\ta.c\n", &[], ""),
    ("sp ace\n", &[], ""),
    ("[a-c].?\n", &[], ""),
    ("[^a]*\n", &[], ""),
    ("\\[b\\]\n", &[], ""),
    ("x/**/deep\n", &[], ""),
    ("**/keep\n!d/e/keep\n", &[], ""),
    (
        "../keep\n/../a.c\n.\n",
        &[Builder::Podman],
        "it leaves a.c, which `/..` above the root hides",
    ),
    ("é*\n", &[], ""),
    (
        "*\n!**/keep\n",
        &[Builder::Classic, Builder::BuildKit, Builder::Podman],
        "at this age they do not look into a directory for what a wildcard brings back",
    ),
    ("Dockerfile\n.dockerignore\nkeep\n", &[], ""),
];

#[test]
fn ignore_files_leave_out_what_engines_leave_out() -> anyhow::Result<()> {
    let wrong = by_all(|judge| {
        let mut wrong = Vec::new();
        for builder in &judge.builders {
            for (ignore, differ, why) in IGNORES {
                let context = tempfile::Builder::new().prefix("wlf-").tempdir()?;
                for file in FILES {
                    let path = context.path().join(file);
                    std::fs::create_dir_all(path.parent().context("a directory")?)?;
                    std::fs::write(path, file)?;
                }
                std::fs::write(context.path().join("Dockerfile"), "FROM scratch\nCOPY . /context/\n")?;
                std::fs::write(context.path().join(".dockerignore"), ignore)?;
                let verdict = judge.build(*builder, context.path(), "localhost/facts:1")?;
                let parsed = Ignore::parse(ignore)?;
                let expected: BTreeSet<String> = FILES
                    .iter()
                    .filter(|file| !parsed.excludes(file))
                    .map(ToString::to_string)
                    .collect();
                let found = if verdict.good {
                    files(&judge.engine)?
                } else {
                    BTreeSet::from([verdict.said])
                };
                if (found == expected) == differ.contains(builder) {
                    let missing: Vec<_> = expected.difference(&found).collect();
                    let more: Vec<_> = found.difference(&expected).collect();
                    wrong.push(format!(
                        "{builder:?} {ignore:?} {why}: without {missing:?}, with {more:?}"
                    ));
                }
            }
        }
        Ok(wrong)
    })?;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// The files below `/context` of the image.
fn files(engine: &Engine) -> anyhow::Result<BTreeSet<String>> {
    let order = serde_json::json!({"Image": "localhost/facts:1", "Cmd": ["none"]}).to_string();
    let made = engines::request(
        &engine.socket,
        "POST",
        "/containers/create",
        "application/json",
        order.as_bytes(),
    )?;
    let id = made.ok()?.json()?["Id"]
        .as_str()
        .context("a container's id")?
        .to_owned();
    let archive = engine.request("GET", &format!("/containers/{id}/export"))?.ok()?.body;
    engine.request("DELETE", &format!("/containers/{id}?force=1"))?.ok()?;
    let listed = Cmd::new("tar")
        .args(["-t", "--quoting-style=literal"])
        .stdin(archive)
        .run()?
        .ok()?
        .out();
    let below = listed
        .lines()
        .filter_map(|name| name.trim_start_matches("./").strip_prefix("context/"));
    let files = below.filter(|name| !name.is_empty() && !name.ends_with('/'));
    Ok(files.filter(|name| FILES.contains(name)).map(str::to_owned).collect())
}

/// Python's own notions of lines and blanks, applied to every text of a JSON list.
const PYTHON: &str = "
import hashlib, json, sys
for text in json.load(sys.stdin):
    kept = [line for line in text.splitlines() if line.strip() and not line.startswith('#')]
    print(hashlib.sha1(''.join(line + chr(10) for line in kept).encode()).hexdigest())
";

#[test]
fn the_old_checksum_is_what_python_makes_of_a_dockerfile() -> anyhow::Result<()> {
    if Cmd::new("python3").arg("--version").run().is_err() {
        skipped("there is no python3");
        return Ok(());
    }
    let alphabet: Vec<char> = "ab# \t\n\n\r\u{b}\u{c}\u{1c}\u{1d}\u{1e}\u{1f}\u{85}\u{a0}\u{2028}\u{2029}\u{3000}é"
        .chars()
        .collect();
    let mut chance = Chance::seeded(20_261_121);
    let texts: Vec<String> = (0..2000)
        .map(|_| {
            (0..chance.below(40))
                .filter_map(|_| chance.one_of(&alphabet).copied())
                .collect()
        })
        .collect();
    let asked = Cmd::new("python3")
        .args(["-c", PYTHON])
        .stdin(serde_json::to_vec(&texts)?)
        .run()?
        .ok()?
        .out();
    let sums: Vec<&str> = asked.lines().collect();
    assert_eq!(sums.len(), texts.len());
    for (text, sum) in texts.iter().zip(sums) {
        let ours = seed::preprocessed(text, "FROM own/", &mut |_| None)?;
        assert_eq!(seed::sha1(&ours), sum, "{text:?}");
    }
    Ok(())
}
