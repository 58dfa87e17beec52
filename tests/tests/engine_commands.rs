//! `windlass image …` on real engines: the commands as people and scripts call them.

use std::path::Path;

use anyhow::Context as _;
use rustix::process::Signal;
use windlass_tests::engines::{self, Engine, Kind, Registry, Setup};
use windlass_tests::programs::Programs;
use windlass_tests::sshd::Sshd;
use windlass_tests::{Cmd, proc, skipped, wait};

const BUSYBOX: &str = "localhost/busybox:latest";

/// An engine with the base image in it, and the program that is told to take it.
struct Story {
    real: Engine,
    programs: Programs,
    home: tempfile::TempDir,
}

impl Story {
    fn on(kind: Kind, setup: &Setup) -> anyhow::Result<Option<Self>> {
        if let Some(why) = engines::lacking(kind) {
            skipped(&why);
            return Ok(None);
        }
        let real = Engine::start_with(kind, setup)?;
        real.make_busybox(BUSYBOX)?;
        Ok(Some(Self {
            real,
            programs: Programs::built()?,
            home: tempfile::Builder::new().prefix("wlh-").tempdir()?,
        }))
    }

    /// The program for this engine, in a home of nobody's.
    fn windlass(&self) -> Cmd {
        let variable = match self.real.kind {
            Kind::Docker => "DOCKER_HOST",
            Kind::Podman => "CONTAINER_HOST",
        };
        Cmd::new(&self.programs.windlass)
            .env(variable, self.real.host())
            .env("HOME", self.home.path())
            .env("XDG_RUNTIME_DIR", self.home.path())
    }

    fn image<const N: usize>(&self, words: [&str; N]) -> Cmd {
        self.windlass().arg("image").args(words)
    }

    fn running(&self) -> anyhow::Result<usize> {
        let list = self.real.get("/containers/json")?;
        Ok(list.as_array().context("a list of containers")?.len())
    }
}

/// Tells a story on each kind of engine that is there.
fn on_each(story: impl Fn(&Story) -> anyhow::Result<()>) -> anyhow::Result<()> {
    for kind in Kind::ALL {
        if let Some(here) = Story::on(kind, &Setup::default())? {
            story(&here).with_context(|| kind.name())?;
            assert_eq!(
                here.real.containers()?,
                Vec::<String>::new(),
                "{} has containers left",
                kind.name()
            );
        }
    }
    Ok(())
}

#[test]
fn probe_says_which_engine_it_is() -> anyhow::Result<()> {
    on_each(|story| {
        let kind = story.real.kind.name();
        let told = story.image(["probe"]).run()?.ok()?.line();
        assert!(told.starts_with(&format!("{kind} ")), "{told}");
        assert_eq!(story.image(["probe", "--quiet"]).run()?.ok()?.line(), kind);
        let json = story.image(["--engine", kind, "probe", "--json"]).run()?.ok()?.json()?;
        assert_eq!(json["engine"]["kind"], kind);
        assert_eq!(json["engine"]["address"], story.real.host());
        assert_eq!(json["engine"]["buildkit"], kind == "docker");
        assert_eq!(json["engine"]["rootless"], false);

        // The other kind is not this one.
        let other = if kind == "docker" { "podman" } else { "docker" };
        let ran = story
            .image(["probe", "--engine", other, "--host", &story.real.host()])
            .run()?
            .exits(1)?;
        assert_eq!(ran.line(), "no");
        assert!(
            ran.err().contains("which was not asked for") && ran.err().contains("hint: "),
            "{ran}"
        );
        Ok(())
    })
}

#[test]
fn where_there_is_no_engine_it_is_said_why() -> anyhow::Result<()> {
    let programs = Programs::built()?;
    let home = tempfile::Builder::new().prefix("wlh-").tempdir()?;
    let socket = home.path().join("gone.sock");
    let windlass = || Cmd::new(&programs.windlass).env("HOME", home.path()).arg("image");
    let named = || windlass().env("DOCKER_HOST", format!("unix://{}", socket.display()));
    let ran = named().args(["probe"]).run()?.exits(1)?;
    assert_eq!(ran.line(), "no");
    assert!(
        ran.err().contains("DOCKER_HOST") && ran.err().contains("No such file"),
        "{ran}"
    );
    let json = named().args(["probe", "--json"]).run()?.exits(1)?.json()?;
    assert_eq!(json["engine"], serde_json::Value::Null);
    assert_eq!(json["tried"][0]["known_by"], "DOCKER_HOST");
    // Every other command: the environment is broken.
    for words in [
        vec!["run", "x", "true"],
        vec!["images"],
        vec!["clean"],
        vec!["gc"],
        vec!["fetch", "x", "r.example.org"],
    ] {
        let ran = named().args(words).run()?.exits(3)?;
        assert!(ran.err().contains("hint: "), "{ran}");
    }
    windlass()
        .args(["run", "--engine", "none", "x", "true"])
        .run()?
        .exits(3)?;
    windlass().args(["probe", "--host", "npipe://x"]).run()?.exits(1)?;
    windlass().args(["probe", "--engine", "crio"]).run()?.exits(2)?;
    Ok(())
}

#[test]
fn a_command_runs_with_its_own_streams_and_code() -> anyhow::Result<()> {
    on_each(|story| {
        let ran = story
            .image(["run", "busybox", "sh", "-c", "echo out; echo err >&2; exit 7"])
            .run()?
            .exits(7)?;
        assert_eq!((ran.out().as_str(), ran.err().as_str()), ("out\n", "err\n"));
        // 255 is not -1, and what a signal ended says so.
        story
            .image(["run", "busybox", "sh", "-c", "exit 255"])
            .run()?
            .exits(255)?;
        story
            .image(["run", "busybox", "sh", "-c", "sh -c 'kill -9 $$'; exit $?"])
            .run()?
            .exits(137)?;
        story.image(["run", "busybox", "true"]).run()?.exits(0)?;
        // Quiet: standard output is dropped, complaints are not.
        let ran = story
            .image(["run", "--quiet", "busybox", "sh", "-c", "echo out; echo err >&2"])
            .run()?
            .ok()?;
        assert_eq!((ran.out().as_str(), ran.err().as_str()), ("", "err\n"));
        // What is piped in arrives, all of it.
        let much = "0123456789abcdef\n".repeat(20_000);
        let ran = story
            .image(["run", "busybox", "md5sum"])
            .stdin(much.clone())
            .run()?
            .ok()?;
        let here = Cmd::new("md5sum").stdin(much.clone()).run()?.ok()?;
        assert_eq!(ran.out(), here.out());
        let ran = story.image(["run", "busybox", "cat"]).stdin(much.clone()).run()?.ok()?;
        assert_eq!(ran.out(), much);
        // A command that does not read it is not held up.
        story.image(["run", "busybox", "true"]).stdin(much).run()?.ok()?;

        // The options, mapped.
        let dir = tempfile::Builder::new().prefix("wlv-").tempdir()?;
        std::fs::write(dir.path().join("file"), "here\n")?;
        let volume = format!("{}:/mnt:ro", dir.path().display());
        let ran = story
            .windlass()
            .env("FROM_HERE", "inherited")
            .args([
                "image",
                "run",
                "-v",
                &volume,
                "-w",
                "/mnt",
                "-e",
                "A=b c",
                "--env",
                "FROM_HERE",
                "--network",
                "none",
            ])
            .args(["--hostname", "called", "-u", "5:6", "busybox", "sh", "-c"])
            .arg("cat file; pwd; echo $A $FROM_HERE; hostname; id -u; id -g; touch x || echo read-only")
            .run()?
            .ok()?;
        assert_eq!(ran.out(), "here\n/mnt\nb c inherited\ncalled\n5\n6\nread-only\n");
        let ran = story
            .image(["run", "--entrypoint", "/bin/echo", "busybox", "-n", "--help"])
            .run()?
            .ok()?;
        assert_eq!(ran.out(), "--help");
        let ran = story
            .image(["run", "--run-as-current-user", "busybox", "id", "-u"])
            .run()?
            .ok()?;
        assert_eq!(ran.line(), rustix::process::getuid().as_raw().to_string());
        let ran = story
            .image(["run", "-t", "busybox", "sh", "-c", "test -t 1 && echo terminal"])
            .run()?
            .ok()?;
        // Podman may add a complaint of its own about input that nobody read.
        assert!(ran.out().starts_with("terminal\r\n"), "{ran}");

        // What cannot be.
        let ran = story.image(["run", "absent", "true"]).run()?.exits(3)?;
        assert!(
            ran.err().contains("localhost/absent:latest") && ran.err().contains("hint: "),
            "{ran}"
        );
        let ran = story.image(["run", "busybox", "/nonexistent"]).run()?;
        assert_ne!(ran.code(), 0, "{ran}");
        story
            .image(["run", "-v", "nonsense", "busybox", "true"])
            .run()?
            .exits(2)?;
        story
            .image(["run", "-l", "org.windlass.owner=7", "busybox", "true"])
            .run()?
            .exits(2)?;
        Ok(())
    })
}

#[test]
fn signals_leave_no_container_in_whatever_phase() -> anyhow::Result<()> {
    on_each(|story| {
        let start = || {
            story
                .image(["run", "busybox", "sh", "-c", "trap '' TERM; sleep 1000"])
                .start()
        };
        // At once: there is no handler yet, or no container, or one that is being made.
        for _ in 0..5 {
            let mut running = start()?;
            running.child().signal(Signal::TERM);
            assert_ne!(running.finish()?.code(), 0);
        }
        wait::until("all containers to be gone", || {
            Ok(story.real.containers()?.is_empty().then_some(()))
        })?;
        // As soon as a container is there, started or not.
        for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
            let mut running = start()?;
            wait::until("a container", || {
                Ok((!story.real.containers()?.is_empty()).then_some(()))
            })?;
            running.child().signal(signal);
            running.finish()?.exits(128 + signal.as_raw())?;
            assert_eq!(story.real.containers()?, Vec::<String>::new());
        }
        // While the command runs.
        for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
            let mut running = start()?;
            wait::until("a container that runs", || Ok((story.running()? == 1).then_some(())))?;
            running.child().signal(signal);
            running.finish()?.exits(128 + signal.as_raw())?;
            assert_eq!(story.real.containers()?, Vec::<String>::new());
        }
        Ok(())
    })
}

#[test]
fn what_is_kept_or_left_is_cleaned_and_nothing_else() -> anyhow::Result<()> {
    on_each(|story| {
        // Kept because it was asked for; left because we were killed; of another user; nobody's of ours.
        story.image(["run", "--keep", "busybox", "true"]).run()?.ok()?;
        let kept = story.real.containers()?;
        assert_eq!(kept.len(), 1);
        let mut running = story.image(["run", "busybox", "sleep", "1000"]).start()?;
        wait::until("a container that runs", || Ok((story.running()? == 1).then_some(())))?;
        running.child().kill();
        let foreign = story.real.run_by_hand(BUSYBOX, &["sleep", "1000"])?;
        let other = story.real.make_by_hand(
            BUSYBOX,
            &["true"],
            &[("org.windlass.instance", "x"), ("org.windlass.owner", "4711")],
        )?;
        assert_eq!(story.real.containers()?.len(), 4);

        let would = story.image(["clean", "--dry-run"]).run()?.ok()?;
        assert_eq!(would.out().lines().count(), 2, "{would}");
        assert_eq!(story.real.containers()?.len(), 4, "nothing was done");
        let did = story.image(["clean"]).run()?.ok()?;
        assert_eq!(did.out().lines().count(), 2, "{did}");
        let mut left = story.real.containers()?;
        left.sort();
        let mut expected = vec![foreign.clone(), other];
        expected.sort();
        assert_eq!(left, expected);
        let json = story.image(["clean", "--all", "--json"]).run()?.ok()?.json()?;
        assert_eq!(json[0]["labels"]["org.windlass.owner"], "4711");
        assert_eq!(story.real.containers()?, std::slice::from_ref(&foreign));
        story
            .real
            .request("DELETE", &format!("/containers/{foreign}?force=1"))?
            .ok()?;

        // A signal ends a kept one, and leaves it.
        let mut running = story.image(["run", "--keep", "busybox", "sleep", "1000"]).start()?;
        wait::until("a container that runs", || Ok((story.running()? == 1).then_some(())))?;
        running.child().signal(Signal::TERM);
        running.finish()?.exits(143)?;
        assert_eq!((story.running()?, story.real.containers()?.len()), (0, 1));
        story.image(["clean", "--quiet"]).run()?.ok()?;
        Ok(())
    })
}

#[test]
fn a_compiler_in_an_image_compiles_what_is_here() -> anyhow::Result<()> {
    on_each(|story| {
        // A script stands for the compiler: it shows what a compiler would see.
        let context = tempfile::Builder::new().prefix("wlc-").tempdir()?;
        let script = "#!/bin/sh\nset -e\necho \"$0 $*\"; pwd; id -u\ncat \"$SOURCES/header.h\" 2>/dev/null || cat ../more/header.h\n\
                      cat input.c > output.o\necho oops >&2\necho x > ../more/written && exit 9\nexit 4\n";
        std::fs::write(context.path().join("cc"), script)?;
        Cmd::new("chmod")
            .arg("755")
            .arg(context.path().join("cc"))
            .run()?
            .ok()?;
        std::fs::write(
            context.path().join("Dockerfile"),
            format!("FROM {BUSYBOX}\nCOPY cc /bin/cc\nCOPY cc /bin/other-cc\n"),
        )?;
        story.real.build_by_hand("localhost/cross:latest", context.path())?;
        let place = tempfile::Builder::new().prefix("wlv-").tempdir()?;
        let (work, more) = (place.path().join("work"), place.path().join("more"));
        for dir in [&work, &more] {
            std::fs::create_dir(dir)?;
        }
        std::fs::write(work.join("input.c"), "int main;\n")?;
        std::fs::write(more.join("header.h"), "a header\n")?;
        let compile = |words: &[&str]| story.image(["cc", "-i", "cross"]).args(words).dir(&work).run();
        let ran = compile(&["-s", "../more", "--", "-c", "input.c", "-o", "output.o"])?.exits(4)?;
        let uid = rustix::process::getuid().as_raw();
        assert_eq!(
            ran.out(),
            format!("/bin/cc -c input.c -o output.o\n{}\n{uid}\na header\n", work.display())
        );
        assert!(ran.err().contains("oops") && ran.err().contains("Read-only"), "{ran}");
        assert_eq!(std::fs::read_to_string(work.join("output.o"))?, "int main;\n");
        assert!(!more.join("written").exists());
        let ran = compile(&["--cc", "other-cc", "--source-path", path(&more)?, "--", "-v"])?.exits(4)?;
        assert!(ran.out().starts_with("/bin/other-cc -v\n"), "{ran}");
        let ran = compile(&["-s", "/nonexistent/place", "--", "-v"])?.exits(2)?;
        assert!(ran.err().contains("/nonexistent/place"), "{ran}");
        compile(&["--cc", "nonexistent-cc", "--quiet"]).map(|ran| assert_ne!(ran.code(), 0, "{ran}"))?;
        Ok(())
    })
}

fn path(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("a path in UTF-8")
}

#[test]
fn an_image_is_fetched_from_a_registry() -> anyhow::Result<()> {
    if let Some(why) = Registry::lacking() {
        skipped(&why);
        return Ok(());
    }
    let registry = Registry::start_with_password()?;
    let setup = Setup {
        plain_registries: vec![registry.address()],
        ..Setup::default()
    };
    for kind in Kind::ALL {
        let Some(story) = Story::on(kind, &setup)? else {
            continue;
        };
        let address = registry.address();
        let login = story.home.path().join("login.json");
        let both = Cmd::new("base64")
            .stdin(format!("{}:{}", engines::USER, engines::PASSWORD))
            .run()?
            .ok()?;
        std::fs::write(
            &login,
            format!(r#"{{"auths":{{"{address}":{{"auth":"{}"}}}}}}"#, both.line()),
        )?;
        let name = format!("{address}/team/tool-{}:1", kind.name());
        story.real.make_busybox(&name)?;
        let push = story.real.cli().args(["push", &name]);
        let push = match kind {
            Kind::Docker => {
                std::fs::create_dir(story.real.dir().join(".docker"))?;
                std::fs::copy(&login, story.real.dir().join(".docker/config.json"))?;
                push
            }
            Kind::Podman => push.env("REGISTRY_AUTH_FILE", &login),
        };
        push.run()?.ok()?;
        let tool = format!("team/tool-{}:1", kind.name());
        let local = format!("localhost/{tool}");
        story.real.request("DELETE", &format!("/images/{name}?force=1"))?;

        // Without the password: it fails, says so, and names nothing.
        let ran = story.image(["fetch", &tool, &address]).run()?.exits(1)?;
        assert!(ran.err().contains("hint: "), "{ran}");
        assert!(!story.real.image_names()?.contains(&local));
        // One that is not there.
        let login = path(&login)?;
        story
            .image(["fetch", "team/absent", &address, "--credentials", login])
            .run()?
            .exits(1)?;
        let ran = story.image(["fetch", "--dry-run", &tool, &address]).run()?.ok()?;
        assert_eq!(ran.line(), format!("would pull {name} and name it {local}"));
        // With it.
        let ran = story
            .image(["fetch", &tool, &address, "--credentials", login])
            .run()?
            .ok()?;
        assert!(ran.line().starts_with("sha256:"), "{ran}");
        assert!(story.real.image_names()?.contains(&local));
        let ran = story.image(["run", &tool, "echo", "it runs"]).run()?.ok()?;
        assert_eq!(ran.line(), "it runs");
        let listed = story.image(["images", &tool, "--json"]).run()?.ok()?.json()?;
        assert_eq!(listed[0]["id"], ran_id(&story, &local)?);
        // `run` pulls what has a registry in its name.
        story.real.request("DELETE", &format!("/images/{name}?force=1"))?;
        story.real.request("DELETE", &format!("/images/{local}?force=1"))?;
        let pull = story.image(["run", "--no-pull", "--credentials", login, &name, "true"]);
        pull.run()?.exits(3)?;
        let ran = story
            .image(["run", "--credentials", login, &name, "echo", "pulled"])
            .run()?
            .ok()?;
        assert_eq!(ran.line(), "pulled", "{ran}");
        // A registry that is away is the environment's fault, or a failure; never a success.
        let ran = story.image(["fetch", "x", "127.0.0.1:1"]).run()?;
        assert_ne!(ran.code(), 0, "{ran}");
        assert_eq!(story.real.containers()?, Vec::<String>::new());
    }
    Ok(())
}

fn ran_id(story: &Story, name: &str) -> anyhow::Result<String> {
    let facts = story.real.get(&format!("/images/{name}/json"))?;
    Ok(facts["Id"].as_str().context("an id")?.to_owned())
}

#[test]
fn old_images_of_ours_go_and_no_others() -> anyhow::Result<()> {
    on_each(|story| {
        let build = |number: u32| -> anyhow::Result<()> {
            let context = tempfile::Builder::new().prefix("wlc-").tempdir()?;
            std::fs::write(
                context.path().join("Dockerfile"),
                format!(
                    "FROM {BUSYBOX}\nENV N={number}\nLABEL org.windlass.checksum=sha256:{number} org.windlass.tag=localhost/tool:latest\n"
                ),
            )?;
            story.real.build_by_hand("localhost/tool:latest", context.path())
        };
        for number in 1..=3 {
            build(number)?;
        }
        let newest = ran_id(story, "localhost/tool:latest")?;
        let ours = || -> anyhow::Result<Vec<String>> {
            let list = story.image(["images", "--ours", "--json"]).run()?.ok()?.json()?;
            let list = list.as_array().context("a list")?.clone();
            Ok(list
                .iter()
                .filter_map(|image| Some(image["id"].as_str()?.to_owned()))
                .collect())
        };
        assert_eq!(ours()?.len(), 3);
        let would = story.image(["gc", "--dry-run", "--keep", "1"]).run()?.ok()?;
        assert_eq!(would.out().lines().count(), 2, "{would}");
        assert_eq!(ours()?.len(), 3);
        assert_eq!(
            story.image(["gc", "--max-age", "1d"]).run()?.ok()?.out(),
            "",
            "they are new"
        );
        story.image(["gc", "--keep", "2"]).run()?.ok()?;
        assert_eq!(ours()?.len(), 2);
        // One on which a container stands stays.
        let old = ours()?.into_iter().find(|id| *id != newest).context("an older one")?;
        let container = story.real.make_by_hand(&old, &["true"], &[])?;
        assert_eq!(story.image(["gc", "--max-size", "0B"]).run()?.ok()?.out(), "");
        story
            .real
            .request("DELETE", &format!("/containers/{container}?force=1"))?
            .ok()?;
        let json = story.image(["gc", "--max-size", "0B", "--json"]).run()?.ok()?.json()?;
        assert_eq!(json[0]["id"], old.as_str());
        assert_eq!(ours()?, [newest]);
        assert!(story.real.image_names()?.contains(&BUSYBOX.to_owned()));
        Ok(())
    })
}

#[test]
fn an_engine_of_another_host_is_reached_by_ssh() -> anyhow::Result<()> {
    let Some(story) = Story::on(Kind::Podman, &Setup::default())? else {
        return Ok(());
    };
    let dir = story.home.path();
    let key = dir.join("key");
    Cmd::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&key)
        .run()?
        .ok()?;
    let public = std::fs::read_to_string(key.with_extension("pub"))?;
    let authorized = dir.join("authorized");
    std::fs::write(&authorized, format!("command=\"false\" {public}"))?;
    let sshd = Sshd::start(&dir.join("sshd"), &authorized, "AllowStreamLocalForwarding yes")?;
    // ssh takes a person's settings from where the system says he lives: a program of the same name hands it these.
    let bin = dir.join("bin");
    std::fs::create_dir(&bin)?;
    let settings = dir.join("ssh_config");
    std::fs::write(
        &settings,
        format!(
            "IdentityFile {}\nIdentitiesOnly yes\nUserKnownHostsFile {}\n",
            key.display(),
            sshd.known_hosts.display()
        ),
    )?;
    std::fs::write(
        bin.join("ssh"),
        format!("#!/bin/sh\nexec /usr/bin/ssh -F {} \"$@\"\n", settings.display()),
    )?;
    Cmd::new("chmod").arg("755").arg(bin.join("ssh")).run()?.ok()?;
    let search = format!("{}:{}", path(&bin)?, std::env::var("PATH")?);
    let me = Cmd::new("id").arg("-un").run()?.ok()?.line();
    let far = |port: u16, socket: &str, words: &[&str]| {
        let host = format!("ssh://{me}@127.0.0.1:{port}{socket}");
        let windlass = Cmd::new(&story.programs.windlass).env("HOME", dir).env("PATH", &search);
        windlass.args(["image", "--host", &host]).args(words).run()
    };
    let socket = path(&story.real.socket)?;
    let json = far(sshd.port, socket, &["probe", "--json"])?.ok()?.json()?;
    assert_eq!(json["engine"]["kind"], "podman");
    assert_eq!(
        json["engine"]["address"],
        format!("ssh://{me}@127.0.0.1:{}{socket}", sshd.port)
    );
    let ran = far(sshd.port, socket, &["run", "busybox", "sh", "-c", "echo far; exit 5"])?.exits(5)?;
    assert_eq!(ran.line(), "far");
    assert_eq!(story.real.containers()?, Vec::<String>::new());
    // No engine there; nobody there.
    let ran = far(sshd.port, "/nonexistent/engine.sock", &["probe"])?.exits(1)?;
    assert_eq!(ran.line(), "no", "{ran}");
    let ran = far(1, socket, &["probe"])?.exits(1)?;
    assert!(ran.err().contains("refused"), "{ran}");
    // Nothing that was started to get there is left.
    let left = proc::of_world(&settings);
    assert!(left.is_empty(), "{left:?}");
    Ok(())
}

#[test]
fn podman_without_a_socket_serves_for_the_time_of_the_command() -> anyhow::Result<()> {
    if let Some(why) = engines::lacking(Kind::Podman) {
        skipped(&why);
        return Ok(());
    }
    let programs = Programs::built()?;
    let home = tempfile::Builder::new().prefix("wlh-").tempdir()?;
    let dir = home.path();
    let containers = format!(
        "[engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\nlock_type = \"file\"\ntmp_dir = \"{0}/libpod\"\n\
         [network]\nnetwork_backend = \"netavark\"\nnetwork_config_dir = \"{0}/networks\"\n",
        dir.display()
    );
    std::fs::write(dir.join("containers.conf"), containers)?;
    let storage = format!(
        "[storage]\ndriver = \"overlay\"\ngraphroot = \"{0}/root\"\nrunroot = \"{0}/run\"\n",
        dir.display()
    );
    std::fs::write(dir.join("storage.conf"), storage)?;
    let ran = Cmd::new(&programs.windlass)
        .env("HOME", dir)
        .env("XDG_RUNTIME_DIR", dir)
        .env("TMPDIR", dir)
        .env("CONTAINERS_CONF", dir.join("containers.conf"))
        .env("CONTAINERS_STORAGE_CONF", dir.join("storage.conf"))
        .args(["image", "probe", "--engine", "podman"])
        .run()?
        .ok()?;
    assert!(
        ran.line().starts_with("podman ") && ran.line().contains(path(dir)?),
        "{ran}"
    );
    let left = engines::remains(dir, &[]);
    // Podman keeps its storage mounted over itself, as it does whenever it ran.
    let left: Vec<String> = left
        .into_iter()
        .filter(|line| !line.ends_with("/root/overlay"))
        .collect();
    assert_eq!(left, Vec::<String>::new());
    engines::clear(dir);
    Ok(())
}
