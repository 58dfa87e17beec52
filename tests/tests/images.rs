//! Building images: what makes one up to date or stale, told on both real engines and with none.
//!
//! `bot/src/images/BEHAVIOURS.md` names these stories beside the behaviours and faults of the script whose place `windlass image` took.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use windlass_tests::engines::{self, Engine, Kind, Registry, Setup};
use windlass_tests::programs::{Programs, workspace};
use windlass_tests::{Cmd, skipped, wait};

/// What a story has: an engine or none, a folder with Dockerfiles, and folders of its own for everything that is left somewhere.
struct Site {
    engine: Option<Engine>,
    registry: Option<Registry>,
    windlass: PathBuf,
    dir: TempDir,
}

/// Both engines, each with busybox in it; those that are not there are told.
fn engines() -> anyhow::Result<Vec<Site>> {
    sites(None)
}

fn sites(registry: Option<fn() -> anyhow::Result<Registry>>) -> anyhow::Result<Vec<Site>> {
    let mut found = Vec::new();
    for kind in Kind::ALL {
        let lacking = engines::lacking(kind).or_else(|| registry.and_then(|_| Registry::lacking()));
        if let Some(why) = lacking {
            skipped(&why);
            continue;
        }
        let registry = registry.map(|start| start()).transpose()?;
        let setup = Setup {
            plain_registries: registry.iter().map(Registry::address).collect(),
            ..Setup::default()
        };
        let engine = Engine::start_with(kind, &setup)?;
        engine.make_busybox("localhost/busybox:latest")?;
        found.push(Site::new(Some(engine), registry)?);
    }
    Ok(found)
}

impl Site {
    fn new(engine: Option<Engine>, registry: Option<Registry>) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("wli-").tempdir()?;
        for folder in ["tmp", "run", "home", "src"] {
            std::fs::create_dir(dir.path().join(folder))?;
        }
        Ok(Self {
            engine,
            registry,
            windlass: Programs::built()?.windlass,
            dir,
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("src").join(name)
    }

    fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().context("a folder")?)?;
        std::fs::write(path, text)?;
        Ok(())
    }

    fn script(&self, name: &str, text: &str) -> anyhow::Result<()> {
        use std::os::unix::fs::PermissionsExt as _;
        self.write(name, text)?;
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(0o755))?;
        Ok(())
    }

    /// `windlass image …` in the folder of the Dockerfiles.
    fn image<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Cmd {
        let place = match &self.engine {
            Some(engine) => vec!["--host".to_owned(), engine.host()],
            None => vec!["--engine".to_owned(), "none".to_owned()],
        };
        let dir = |name: &str| self.dir.path().join(name);
        Cmd::new(&self.windlass)
            .arg("image")
            .args(place)
            .args(args)
            .dir(self.path(""))
            .env("HOME", dir("home"))
            .env("XDG_RUNTIME_DIR", dir("run"))
            .env("TMPDIR", dir("tmp"))
    }

    /// Builds; gives the image's id.
    fn build(&self, args: &str) -> anyhow::Result<String> {
        Ok(self
            .image(["build"].into_iter().chain(args.split(' ')))
            .run()?
            .ok()?
            .line())
    }

    /// What `image check` answers with that exit code.
    fn check(&self, args: &str, code: i32) -> anyhow::Result<String> {
        Ok(self
            .image(["check"].into_iter().chain(args.split(' ')))
            .run()?
            .exits(code)?
            .out())
    }

    fn labels(&self, tag: &str) -> anyhow::Result<Value> {
        let engine = self.engine.as_ref().context("an engine")?;
        Ok(engine.get(&format!("/images/{tag}/json"))?["Config"]["Labels"].clone())
    }

    /// What a command prints in an image.
    fn prints(&self, tag: &str, command: &[&str]) -> anyhow::Result<String> {
        let args = ["run", "--network", "none", tag]
            .into_iter()
            .chain(command.iter().copied());
        Ok(self.image(args).run()?.ok()?.out())
    }

    /// Everything that a command may have left: temporary files, containers, images that nobody asked for.
    fn left(&self) -> anyhow::Result<Vec<String>> {
        let mut left = Vec::new();
        for entry in std::fs::read_dir(self.dir.path().join("tmp"))? {
            left.push(entry?.path().display().to_string());
        }
        if let Some(engine) = &self.engine {
            left.extend(engine.containers()?);
            left.extend(
                engine
                    .image_names()?
                    .into_iter()
                    .filter(|name| name.contains("windlass-part")),
            );
        }
        Ok(left)
    }
}

/// What stands before a command whose talk is to be looked at while it runs.
fn heard_in(file: &str) -> [&str; 4] {
    ["sh", "-c", "exec \"$@\" 2> \"$0\"", file]
}

fn nothing() -> Vec<String> {
    Vec::new()
}

#[test]
fn an_image_is_built_once_and_again_only_when_what_it_is_made_from_changes() -> anyhow::Result<()> {
    for site in engines()? {
        site.script("ctx/tool", "#!/bin/sh\necho one\n")?;
        site.write("tool.docker", "FROM localhost/busybox\nCOPY tool /tool\n")?;
        let args = "-t tool -f tool.docker --context ctx";
        let plan = site
            .image([
                "build",
                "-t",
                "tool",
                "-f",
                "tool.docker",
                "--context",
                "ctx",
                "--dry-run",
            ])
            .run()?
            .ok()?;
        assert!(
            plan.out()
                .contains("localhost/tool:latest would be built from tool.docker:\n  there is no such image"),
            "{}",
            plan.out()
        );
        let one = site.build(args)?;
        assert_eq!(site.prints("tool", &["/tool"])?, "one\n");
        assert_eq!(site.build(args)?, one);
        // Nothing that matters.
        site.write("ctx/notes", "of no use")?;
        site.write(
            "tool.docker",
            "# a comment\nFROM localhost/busybox\n\nCOPY   tool /tool\n",
        )?;
        assert_eq!(site.build(args)?, one);
        assert_eq!(site.check("tool", 0)?, "localhost/tool:latest is up to date\n");
        // A file that COPY names.
        site.script("ctx/tool", "#!/bin/sh\necho two\n")?;
        let told = site.check("tool", 1)?;
        assert_eq!(told, "localhost/tool:latest is not up to date:\n  file tool changed\n");
        let two = site.build(args)?;
        assert_ne!(two, one);
        assert_eq!(site.prints("tool", &["/tool"])?, "two\n");
        // A base, as an engine has it.
        site.write("other/x", "")?;
        site.engine
            .as_ref()
            .context("an engine")?
            .build_by_hand("localhost/busybox:latest", &{
                site.write("other/Dockerfile", "FROM localhost/busybox:latest\nENV moved=yes\n")?;
                site.path("other")
            })?;
        let told = site.check("tool tool.docker --context ctx", 1)?;
        assert!(told.contains("base localhost/busybox:latest moved"), "{told}");
        assert_ne!(site.build(args)?, two);
        // Options count; a build in any case is one.
        assert!(
            site.check("tool tool.docker --context ctx --label a=b", 1)?
                .contains("option --label a is new")
        );
        let three = site.build(args)?;
        assert_eq!(
            site.image([
                "build",
                "-t",
                "tool",
                "-f",
                "tool.docker",
                "--context",
                "ctx",
                "--dry-run",
                "--no-cache"
            ])
            .run()?
            .ok()?
            .out(),
            "localhost/tool:latest would be built from tool.docker:\n  --no-cache asks for it\n"
        );
        assert_eq!(site.build(args)?, three);
        assert_eq!(
            site.labels("localhost/tool:latest")?["org.windlass.tag"],
            "localhost/tool:latest"
        );
        assert_eq!(site.left()?, nothing());
    }
    Ok(())
}

#[test]
fn an_executable_its_libraries_and_extra_files_count_and_go_where_they_belong() -> anyhow::Result<()> {
    for site in engines()? {
        site.write(
            "prog.c",
            "#include <stdio.h>\nint answer(void); int main(void) { printf(\"%d\\n\", answer()); return 0; }\n",
        )?;
        site.write("answer.c", "int answer(void) { return 41; }\n")?;
        let cc = |args: &str| -> anyhow::Result<()> {
            Cmd::new("cc").args(args.split(' ')).dir(site.path("")).run()?.ok()?;
            Ok(())
        };
        cc("-shared -fPIC -o libanswer.so answer.c")?;
        cc("-o prog prog.c -L. -lanswer -Wl,-rpath,$ORIGIN")?;
        site.write("extra.conf", "one")?;
        site.write("all.docker", "FROM scratch\nADD . /\n")?;
        let prog = site.path("prog").display().to_string();
        let args = format!("-t all -f all.docker -e {prog} --skip-binfmt --extra-files extra.conf");
        let one = site.build(&args)?;
        assert_eq!(site.prints("all", &[&prog])?, "41\n");
        assert_eq!(site.build(&args)?, one);
        // A library alone: the program is the same.
        site.write("answer.c", "int answer(void) { return 42; }\n")?;
        cc("-shared -fPIC -o libanswer.so answer.c")?;
        assert!(site.check("all", 1)?.contains("libanswer.so changed"));
        let two = site.build(&args)?;
        assert_ne!(two, one);
        assert_eq!(site.prints("all", &[&prog])?, "42\n");
        site.write("extra.conf", "two")?;
        assert!(site.check("all", 1)?.contains("extra file extra.conf changed"));
        assert_ne!(site.build(&args)?, two);
        // binfmt_misc is asked where nothing else is said.
        let refused = site
            .image(["build", "-t", "all", "-f", "all.docker", "-e", &prog])
            .run()?
            .exits(1)?;
        assert!(refused.err().contains("--skip-binfmt"), "{}", refused.err());
        let missing = site
            .image(["build", "-t", "all", "-f", "all.docker", "--extra-files", "nowhere"])
            .run()?;
        assert!(
            missing.code() != 0 && missing.err().contains("cannot read 'nowhere'"),
            "{}",
            missing.err()
        );
        assert_eq!(site.left()?, nothing());
    }
    Ok(())
}

#[test]
fn own_bases_are_built_first_and_a_rebuilt_one_rebuilds_what_stands_on_it_alone() -> anyhow::Result<()> {
    for site in engines()? {
        site.write("base.docker", "FROM localhost/busybox\nENV who=base\n")?;
        site.write("left.docker", "FROM localhost/base\nRUN echo left > /left\n")?;
        site.write("right.docker", "FROM localhost/base\nRUN echo right > /right\n")?;
        site.write(
            "top.docker",
            "FROM localhost/left\nCOPY --from=localhost/right /right /right\nRUN cat /right > /top\n",
        )?;
        site.write("apart.docker", "FROM localhost/busybox\nENV apart=1\n")?;
        let top = site.build("-t top -f top.docker --network none")?;
        let apart = site.build("-t apart -f apart.docker")?;
        assert_eq!(site.prints("top", &["cat", "/left", "/top"])?, "left\nright\n");
        assert_eq!(site.build("-t top -f top.docker --network none")?, top);
        let graph = site.image(["graph", "."]).run()?.ok()?;
        assert!(!graph.out().contains("stale"), "{}", graph.out());
        site.write("right.docker", "FROM localhost/base\nRUN echo RIGHT > /right\n")?;
        let graph = site.image(["graph", ".", "--json"]).run()?.exits(1)?.json()?;
        let stale: Vec<&str> = graph
            .as_array()
            .context("rows")?
            .iter()
            .filter(|row| row["stale"] == true)
            .filter_map(|row| row["tag"].as_str())
            .collect();
        assert_eq!(stale, ["localhost/right:latest", "localhost/top:latest"]);
        let text = site.image(["graph", "."]).run()?.exits(1)?.out();
        assert!(text.contains("localhost/top:latest: stale"), "{text}");
        assert!(text.contains("  because the Dockerfile changed\n"), "{text}");
        assert!(text.contains("  because of localhost/right:latest\n"), "{text}");
        assert!(
            site.image(["graph", ".", "--dot"])
                .run()?
                .exits(1)?
                .out()
                .starts_with("digraph images {\n")
        );
        let left = site.build("-t left -f left.docker --network none")?;
        let plan = site
            .image([
                "build",
                "-t",
                "top",
                "-f",
                "top.docker",
                "--network",
                "none",
                "--dry-run",
                "--json",
            ])
            .run()?
            .ok()?
            .json()?;
        let wanted: Vec<bool> = plan["images"]
            .as_array()
            .context("images")?
            .iter()
            .map(|image| image["up_to_date"] == true)
            .collect();
        assert_eq!(wanted, [true, true, false, false], "{plan}");
        assert_ne!(site.build("-t top -f top.docker --network none")?, top);
        assert_eq!(site.prints("top", &["cat", "/top"])?, "RIGHT\n");
        assert_eq!(site.build("-t left -f left.docker --network none")?, left);
        assert_eq!(site.build("-t apart -f apart.docker")?, apart);
        site.write("base.docker", "FROM localhost/top\n")?;
        let circle = site
            .image(["build", "-t", "top", "-f", "top.docker", "--network", "none"])
            .run()?
            .exits(1)?;
        assert!(circle.err().contains("in a circle"), "{}", circle.err());
        assert_eq!(site.left()?, nothing());
    }
    Ok(())
}

#[test]
fn what_a_base_of_ours_copies_behind_onbuild_counts() -> anyhow::Result<()> {
    let mut sites = engines()?;
    sites.push(Site::new(None, None)?);
    for site in sites {
        site.write("base.docker", "FROM scratch\nONBUILD COPY taken /taken\n")?;
        site.write("top.docker", "FROM localhost/base\nENV top=1\n")?;
        site.write("taken", "one")?;
        site.write("beside", "one")?;
        let base = "-t base -f base.docker --context .";
        let top = "-t top -f top.docker --context .";
        let (below, first) = (site.build(base)?, site.build(top)?);
        site.write("beside", "two")?;
        assert_eq!(site.build(top)?, first);
        site.write("taken", "two")?;
        let told = site.check("top top.docker --context .", 1)?;
        assert!(told.contains("file taken changed"), "{told}");
        assert_ne!(site.build(top)?, first);
        site.check("top top.docker --context .", 0)?;
        assert_eq!(site.build(base)?, below, "the base does not have the file");
    }
    Ok(())
}

#[test]
fn update_adds_a_layer_and_says_so() -> anyhow::Result<()> {
    for site in engines()? {
        site.write("plain.docker", "FROM scratch\nCOPY busybox /busybox\n")?;
        std::fs::create_dir(site.path("ctx"))?;
        std::fs::copy("/bin/busybox", site.path("ctx/busybox"))?;
        let before = site.build("-t plain -f plain.docker --context ctx")?;
        let old = site.labels("localhost/plain:latest")?["org.windlass.checksum"].clone();
        let updated = site
            .image(["update", "plain", "--executable", "/bin/ls", "--skip-binfmt"])
            .run()?
            .ok()?
            .line();
        assert_ne!(updated, before);
        assert_ne!(site.labels("localhost/plain:latest")?["org.windlass.checksum"], old);
        assert!(site.prints("plain", &["/bin/ls", "/busybox"])?.contains("/busybox"));
        let told = site.check("plain", 1)?;
        assert!(told.contains("`windlass image update` has changed it since"), "{told}");
        let absent = site.image(["update", "nowhere", "-u"]).run()?.exits(1)?;
        assert!(absent.err().contains("there is no such image"), "{}", absent.err());
        site.image(["update", "nowhere"]).run()?.exits(2)?;
        assert_eq!(site.left()?, nothing());
    }
    Ok(())
}

#[test]
fn a_user_comes_into_any_image_with_a_shell_or_without() -> anyhow::Result<()> {
    for site in engines()? {
        std::fs::create_dir(site.path("ctx"))?;
        std::fs::copy("/bin/busybox", site.path("ctx/busybox"))?;
        site.write("bare.docker", "FROM scratch\nCOPY busybox /busybox\n")?;
        let me = Cmd::new("id").arg("-un").run()?.ok()?.line();
        let id = site.build("-t bare -f bare.docker --context ctx -u")?;
        let passwd = site.prints("bare", &["/busybox", "cat", "/etc/passwd"])?;
        assert!(passwd.starts_with(&format!("{me}:x:")), "{passwd}");
        assert_eq!(site.build("-t bare -f bare.docker --context ctx -u")?, id);
        assert!(
            site.check("bare bare.docker --context ctx", 1)?
                .contains(&format!("user {me} ("))
        );
        assert_eq!(site.left()?, nothing());
    }
    Ok(())
}

#[test]
fn a_script_beside_the_dockerfile_runs_first_and_may_say_not_here() -> anyhow::Result<()> {
    for site in engines()? {
        site.write("made.docker", "FROM localhost/busybox\nCOPY made /made\n")?;
        site.script("made.pre", "#!/bin/sh\necho making it\necho content > made\n")?;
        let built = site.image(["build", "-t", "made", "-f", "made.docker"]).run()?.ok()?;
        assert!(
            built.err().contains("making it\n") && !built.out().contains("making"),
            "{}",
            built.err()
        );
        assert_eq!(site.prints("made", &["cat", "/made"])?, "content\n");
        assert_eq!(site.build("-t made -f made.docker")?, built.line());
        assert_eq!(site.check("made", 0)?, "localhost/made:latest is up to date\n");
        site.script("made.pre", "#!/bin/sh\necho else > made\n")?;
        assert!(site.check("made", 1)?.contains("script made.pre changed"));
        assert_ne!(site.build("-t made -f made.docker")?, built.line());
        site.script("made.pre", "#!/bin/sh\necho no debootstrap on this machine\nexit 3\n")?;
        let skipped = site
            .image(["build", "-t", "made", "-f", "made.docker", "--json"])
            .run()?
            .exits(3)?;
        assert_eq!(skipped.json()?["outcome"], "skipped");
        assert!(
            skipped
                .err()
                .contains("skipped localhost/made:latest: no debootstrap on this machine"),
            "{}",
            skipped.err()
        );
        site.script("made.pre", "#!/bin/sh\necho what a pity >&2\nexit 5\n")?;
        let failed = site
            .image(["build", "--quiet", "-t", "made", "-f", "made.docker"])
            .run()?
            .exits(1)?;
        assert!(
            failed.err().contains("failed (exit status: 5)\n    what a pity"),
            "{}",
            failed.err()
        );
        assert_eq!(site.left()?, nothing());
    }
    Ok(())
}

#[test]
fn two_builds_of_one_tag_are_one_build() -> anyhow::Result<()> {
    for site in engines()? {
        site.script(
            "slow.pre",
            "#!/bin/sh\necho go >> ../../src/runs\nwhile [ ! -e ../../src/free ]; do sleep 0.05; done\n",
        )?;
        site.write("slow.docker", "FROM localhost/busybox\nENV x=1\n")?;
        let args = ["build", "-t", "slow", "-f", "slow.docker"];
        let first = site.image(args).start()?;
        wait::until("the first to be at work", || {
            Ok(site.path("runs").exists().then_some(()))
        })?;
        let heard = site.dir.path().join("second");
        let second = site
            .image(args)
            .before(heard_in(&heard.display().to_string()))
            .start()?;
        wait::until("the second to wait", || {
            let said = std::fs::read_to_string(&heard).unwrap_or_default();
            Ok(said
                .contains("localhost/slow:latest is being built by somebody else (process ")
                .then_some(()))
        })?;
        site.write("free", "")?;
        let (first, second) = (first.finish()?.ok()?, second.finish()?.ok()?);
        assert_eq!(first.line(), second.line());
        assert_eq!(
            std::fs::read_to_string(site.path("runs"))?,
            "go\n",
            "the script ran once"
        );
        assert!(std::fs::read_to_string(&heard)?.contains("localhost/slow:latest is up to date"));
    }
    Ok(())
}

#[test]
fn a_signal_in_any_phase_leaves_no_container_no_file_and_no_tag() -> anyhow::Result<()> {
    for site in engines()? {
        let engine = site.engine.as_ref().context("an engine")?;
        site.write("pre.docker", "FROM localhost/busybox\nENV x=1\n")?;
        site.script("pre.pre", "#!/bin/sh\necho here we are\nsleep 1000\n")?;
        site.write(
            "run.docker",
            "FROM localhost/busybox\nRUN echo here we are; sleep 1000\n",
        )?;
        for phase in ["pre", "run"] {
            for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129), (Signal::INT, 130)] {
                let heard = site.dir.path().join("heard");
                let file = format!("{phase}.docker");
                let command = site
                    .image(["build", "-t", "cut", "-f", &file, "-u", "--network", "none"])
                    .before(heard_in(&heard.display().to_string()));
                let mut running = command.start()?;
                wait::until("the phase", || {
                    let said = std::fs::read_to_string(&heard).unwrap_or_default();
                    Ok((said.matches("here we are").count() > usize::from(phase == "run")).then_some(()))
                })?;
                running.child().signal(signal);
                let ended = running.finish()?;
                assert_eq!(ended.code(), code, "{phase}: {}", std::fs::read_to_string(&heard)?);
                wait::until("nothing to be left", || Ok(site.left()?.is_empty().then_some(())))?;
                assert!(!engine.image_names()?.iter().any(|name| name.contains("cut")));
            }
        }
    }
    Ok(())
}

#[test]
fn a_registry_is_a_cache_and_a_broken_one_is_told() -> anyhow::Result<()> {
    for site in sites(Some(Registry::start))? {
        let engine = site.engine.as_ref().context("an engine")?;
        let registry = site.registry.as_ref().context("a registry")?.address();
        site.write("ground.docker", "FROM scratch\nCOPY root/ /\n")?;
        engines::busybox_context(&site.path("ctx"))?;
        site.write(
            "tool.docker",
            "FROM localhost/ground\nENV PATH=/bin\nRUN echo made > /made\n",
        )?;
        let build = |more: &str| {
            site.image(
                format!("build -t tool -f tool.docker --network none {more}")
                    .trim()
                    .split(' '),
            )
            .run()
        };
        let ground = site.build("-t ground -f ground.docker --context ctx")?;
        let tool = build("")?.ok()?.line();
        // Nobody there: it is said, and everything is built here.
        let broken = build("--no-cache")?.ok()?;
        assert_ne!(broken.line(), tool);
        site.write(
            "tool.docker",
            "FROM localhost/ground\nENV PATH=/bin\nRUN echo more > /made\n",
        )?;
        let broken = build("-r 127.0.0.1:1")?.ok()?;
        assert!(
            broken.err().contains("is built here without the cache of 127.0.0.1:1"),
            "{}",
            broken.err()
        );
        let tool = broken.line();
        // The registry is empty.
        site.write(
            "tool.docker",
            "FROM localhost/ground\nENV PATH=/bin\nRUN echo most > /made\n",
        )?;
        let empty = build(&format!("-r {registry}"))?.ok()?;
        assert!(
            empty
                .err()
                .contains(&format!("{registry} has no localhost/tool:latest: it is built here")),
            "{}",
            empty.err()
        );
        assert_ne!(empty.line(), tool);
        let tool = empty.line();
        // It has both: they are taken, and none is built.
        for name in ["ground", "tool"] {
            let (local, there) = (format!("localhost/{name}:latest"), format!("{registry}/{name}:latest"));
            engine.cli().args(["tag", &local, &there]).run()?.ok()?;
            engine.cli().args(["push", &there]).run()?.ok()?;
        }
        forget(engine, &registry)?;
        let taken = build(&format!("-r {registry}"))?.ok()?;
        assert_eq!(taken.line(), tool);
        assert!(
            taken
                .err()
                .contains(&format!("localhost/ground:latest is taken from {registry}")),
            "{}",
            taken.err()
        );
        assert!(
            taken
                .err()
                .contains(&format!("localhost/tool:latest is taken from {registry}")),
            "{}",
            taken.err()
        );
        assert_eq!(site.build("-t ground -f ground.docker --context ctx")?, ground);
        // One that was made from something else is not taken for ours, and keeps its own labels.
        let old = site.labels("localhost/ground:latest")?["org.windlass.checksum"].clone();
        site.write("ctx/root/new", "file")?;
        forget(engine, &registry)?;
        let other = site
            .image([
                "build",
                "-t",
                "ground",
                "-f",
                "ground.docker",
                "--context",
                "ctx",
                "-r",
                &registry,
            ])
            .run()?
            .ok()?;
        assert!(other.err().contains("was made from something else"), "{}", other.err());
        assert_ne!(other.line(), ground);
        assert_ne!(site.labels("localhost/ground:latest")?["org.windlass.checksum"], old);
        let there = site.labels(&format!("{registry}/ground:latest"))?["org.windlass.checksum"].clone();
        assert_eq!(there, old, "{}: {:?}", engine.kind.name(), engine.image_names()?);
        assert_eq!(site.left()?, nothing());
    }
    Ok(())
}

/// Removes all images but the one that stories begin with.
fn forget(engine: &Engine, registry: &str) -> anyhow::Result<()> {
    for name in engine.image_names()? {
        if name.contains("ground") || name.contains("tool") || name.starts_with(registry) {
            engine.request("DELETE", &format!("/images/{name}?force=1"))?.ok()?;
        }
    }
    Ok(())
}

#[test]
fn age_is_the_same_in_every_time_zone() -> anyhow::Result<()> {
    for site in engines()? {
        site.write("young.docker", "FROM localhost/busybox\nENV now=1\n")?;
        let id = site.build("-t young -f young.docker")?;
        assert!(id.starts_with("sha256:"), "{id}");
        for zone in ["UTC", "Asia/Tokyo", "America/Los_Angeles", "UTC-14", "UTC+12"] {
            let check = |minutes| {
                site.image(["check", "young", "--checktype", "age", "--olderthan", minutes])
                    .env("TZ", zone)
                    .run()
            };
            assert!(check("30")?.ok()?.out().contains("less than 30 minutes ago"), "{zone}");
            assert!(check("0")?.exits(1)?.out().contains("0 minutes ago or more"), "{zone}");
        }
        site.check("nowhere --checktype age", 1)?;
    }
    Ok(())
}

#[test]
fn without_an_engine_a_check_says_so_and_a_build_does_what_can_be_done() -> anyhow::Result<()> {
    let site = Site::new(None, None)?;
    site.write("x.docker", "FROM scratch\nCOPY f /f\n")?;
    site.write("ctx/f", "text")?;
    let away = Cmd::new(&site.windlass).args([
        "image",
        "--host",
        "unix:///nowhere/engine.sock",
        "check",
        "x",
        "x.docker",
    ]);
    let away = away.dir(site.path("")).env("HOME", site.path("")).run()?.exits(3)?;
    assert!(away.err().contains("there is no container engine"), "{}", away.err());
    let id = site.build("-t x -f x.docker --context ctx")?;
    assert_eq!(site.build("-t x -f x.docker --context ctx")?, id);
    assert_eq!(site.check("x", 0)?, "localhost/x:latest is up to date\n");
    // On ours, one on the other, with a user.
    site.write("y.docker", "FROM localhost/x\nCOPY g /g\n")?;
    site.write("ctx/g", "text")?;
    let y = site.build("-t y -f y.docker --context ctx -u")?;
    site.write("ctx/f", "else")?;
    assert!(site.check("y", 1)?.contains("base localhost/x:latest would be built"));
    assert_ne!(site.build("-t y -f y.docker --context ctx -u")?, y);
    // The same inputs give the same image, wherever it is written.
    let one = site.build("-t z -f x.docker --context ctx --output oci:one")?;
    assert_eq!(
        site.build("-t z -f x.docker --context ctx --output oci:two --no-cache")?,
        one
    );
    assert!(site.path("one/oci-layout").exists());
    site.write("run.docker", "FROM scratch\n\nRUN true\n")?;
    let run = site.image(["build", "-t", "r", "-f", "run.docker"]).run()?.exits(1)?;
    assert!(run.err().contains("line 3: RUN"), "{}", run.err());
    assert_eq!(site.left()?, nothing());
    Ok(())
}

#[test]
fn every_test_that_the_table_of_behaviours_names_exists() -> anyhow::Result<()> {
    let root = workspace()?;
    let table = std::fs::read_to_string(root.join("bot/src/images/BEHAVIOURS.md"))?;
    let mut sources = String::new();
    for folder in ["tests/tests", "bot/src", "bot/tests", "core/src"] {
        gather(&root.join(folder), &mut sources)?;
    }
    let mut named = 0;
    for line in table
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| ---"))
    {
        let tests: Vec<&str> = line
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|word| word.matches('_').count() > 2 && !word.contains(' '))
            .collect();
        for test in tests {
            named += 1;
            assert!(sources.contains(&format!("fn {test}(")), "there is no test {test}");
        }
    }
    assert!(named > 30, "{named}");
    Ok(())
}

fn gather(folder: &Path, sources: &mut String) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            gather(&path, sources)?;
        } else if path.extension().is_some_and(|suffix| suffix == "rs") {
            sources.push_str(&std::fs::read_to_string(&path)?);
        }
    }
    Ok(())
}
