//! Container engines: what `windlass image` does on real ones.

use std::io::{Seek as _, Write as _};

use anyhow::Context as _;
use windlass::images::engine as found;
use windlass::images::engine::{Builder, Cause, Choice, EngineBuild, Environment, Output, RunOrder, Where};
use windlass::images::logins::{Login, Logins};
use windlass::images::runtime;
use windlass::stop;
use windlass_tests::engines::{self, Engine, Kind, Registry, Setup};
use windlass_tests::{Cmd, skipped};

#[test]
fn engines_start_side_by_side_and_leave_nothing() -> anyhow::Result<()> {
    for kind in Kind::ALL {
        if let Some(why) = engines::lacking(kind) {
            skipped(&why);
            continue;
        }
        let engine = Engine::start(kind)?;
        let other = Engine::start(kind)?;
        assert_ne!(engine.socket, other.socket);
        engine.make_busybox("localhost/busybox:latest")?;
        assert_eq!(engine.image_names()?, ["localhost/busybox:latest"]);
        assert!(other.image_names()?.is_empty(), "each has images of its own");
        let container = engine.run_by_hand("localhost/busybox:latest", &["sleep", "1000"])?;
        let containers = [container];
        assert_eq!(engine.containers()?, containers);
        let dirs = [engine.dir().to_owned(), other.dir().to_owned()];
        assert!(!engines::remains(&dirs[0], &containers).is_empty());
        drop((engine, other));
        for dir in dirs {
            assert_eq!(
                engines::remains(&dir, &containers),
                Vec::<String>::new(),
                "{}",
                kind.name()
            );
            assert!(!dir.exists(), "{} leaves {}", kind.name(), dir.display());
        }
    }
    Ok(())
}

#[test]
fn the_registry_takes_and_gives_with_its_password_only() -> anyhow::Result<()> {
    if let Some(why) = Registry::lacking() {
        skipped(&why);
        return Ok(());
    }
    let open = Registry::start()?;
    assert_eq!(open.get("/v2/_catalog")?["repositories"], serde_json::json!([]));
    assert!(open.tags("nothing/here")?.is_empty());
    let closed = Registry::start_with_password()?;
    assert!(closed.get("/v2/_catalog").is_ok());
    assert_eq!(closed.status_without_password()?, 401);
    if let Some(why) = engines::lacking(Kind::Podman) {
        skipped(&why);
        return Ok(());
    }
    let setup = Setup {
        plain_registries: vec![open.address()],
        ..Setup::default()
    };
    let podman = Engine::start_with(Kind::Podman, &setup)?;
    let name = format!("{}/base/busybox:1", open.address());
    podman.make_busybox(&name)?;
    podman.cli().args(["push", &name]).run()?.ok()?;
    assert_eq!(open.tags("base/busybox")?, ["1"]);
    Ok(())
}

/// What a story on an engine stands on.
struct Story {
    engine: found::Engine,
    real: Engine,
    registry: Registry,
}

/// Both kinds of engine with a registry that wants a password, each found as people have it found; those that are not there are told.
fn stories() -> anyhow::Result<Vec<Story>> {
    let mut stories = Vec::new();
    for kind in Kind::ALL {
        if let Some(why) = engines::lacking(kind).or_else(Registry::lacking) {
            skipped(&why);
            continue;
        }
        let registry = Registry::start_with_password()?;
        let setup = Setup {
            plain_registries: vec![registry.address()],
            ..Setup::default()
        };
        let real = Engine::start_with(kind, &setup)?;
        real.make_busybox("localhost/busybox:latest")?;
        let host = real.host();
        let environment = Environment::of(|name| (name == "DOCKER_HOST").then(|| host.clone()));
        let found = runtime()?.block_on(found::Engine::find(Choice::Auto, &Where::default(), &environment));
        stories.push(Story {
            engine: found?,
            real,
            registry,
        });
    }
    Ok(stories)
}

/// A context of one Dockerfile, as an archive.
fn context(dockerfile: &str) -> anyhow::Result<std::fs::File> {
    let dir = tempfile::Builder::new().prefix("wlc-").tempdir()?;
    std::fs::write(dir.path().join("Dockerfile"), dockerfile)?;
    let mut file = tempfile::tempfile()?;
    let archive = Cmd::new("tar")
        .arg("-C")
        .arg(dir.path())
        .args(["-c", "."])
        .run()?
        .ok()?;
    file.write_all(&archive.stdout)?;
    file.rewind()?;
    Ok(file)
}

fn labels(pairs: &[(&str, &str)]) -> std::collections::BTreeMap<String, String> {
    let pairs = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    pairs.collect()
}

#[test]
fn images_are_built_looked_at_moved_and_removed() -> anyhow::Result<()> {
    for Story { engine, real, registry } in stories()? {
        let runtime = runtime()?;
        let (_stop, mut stopping) = stop::channel();
        let probed = engine.probed();
        assert_eq!(probed.kind.name(), real.kind.name());
        assert_eq!(probed.buildkit, real.kind == Kind::Docker);
        assert!(!probed.rootless);
        let mut said = Vec::new();
        let mut log = |line: &str| said.push(line.to_owned());

        // A build carries our labels, says what it does, and can be looked at.
        let text = "FROM localhost/busybox:latest\nARG WHO\nRUN echo made for $WHO | tee /made\nENV A=b\n";
        let mut build = EngineBuild::new("localhost/made:1", context(text)?, "Dockerfile");
        build.labels = labels(&[("org.windlass.checksum", "sha256:1"), ("odd", "a \"b\" = {c}\n")]);
        build.build_args = labels(&[("WHO", "O'Neill & sons")]);
        build.network = Some("none".into());
        let facts = runtime.block_on(engine.build(&mut build, &mut log, &mut stopping))?;
        assert_eq!(facts.labels["odd"], "a \"b\" = {c}\n");
        assert!(facts.environment.contains(&"A=b".to_owned()));
        assert!(
            said.iter().any(|line| line.contains("made for O'Neill & sons")),
            "{said:#?}"
        );
        let seen = runtime.block_on(engine.inspect("localhost/made:1"))?;
        assert_eq!(seen.as_ref(), Some(&facts));
        assert_eq!(runtime.block_on(engine.inspect("localhost/made:2"))?, None);

        // The same by the classic builder, with a step that fails: final, whatever it says.
        let text = "FROM localhost/busybox:latest\nRUN echo connection reset by peer; exit 3\n";
        for builder in [Builder::Auto, Builder::Classic] {
            let mut build = EngineBuild::new("localhost/fails:1", context(text)?, "Dockerfile");
            build.builder = builder;
            build.network = Some("none".into());
            let error = runtime.block_on(engine.build(&mut build, &mut |_: &str| (), &mut stopping));
            let error = error.err().context("the step fails")?;
            assert_eq!(*error.cause(), Cause::Step, "{error}");
            assert!(!error.is_transient());
            assert_eq!(runtime.block_on(engine.inspect("localhost/fails:1"))?, None);
        }

        let lists = runtime.block_on(engine.images(&["org.windlass.checksum".into()]))?;
        assert_eq!(lists.len(), 1);
        assert_eq!(lists[0].names, ["localhost/made:1"]);

        // To the registry, with and without the password, and back.
        let there = format!("{}/team/made:1", registry.address());
        runtime.block_on(engine.tag("localhost/made:1", &there))?;
        let logins = Logins::default().with(
            &registry.address(),
            Login {
                user: engines::USER.into(),
                password: engines::PASSWORD.into(),
            },
        );
        let mut quiet = |_: &str| ();
        let refused = runtime.block_on(engine.push(&there, &Logins::default(), &mut quiet, &mut stopping));
        let refused = refused.err().context("nobody may push without a password")?;
        assert!(!refused.is_transient(), "{refused}");
        let digest = runtime.block_on(engine.push(&there, &logins, &mut quiet, &mut stopping))?;
        assert_eq!(registry.tags("team/made")?, ["1"]);
        assert!(runtime.block_on(engine.remove_image(&there))?);
        assert!(!runtime.block_on(engine.remove_image(&there))?, "it is gone");
        let pulled = runtime.block_on(engine.pull(&there, None, &logins, &mut quiet, &mut stopping))?;
        assert_eq!(pulled.labels, facts.labels);
        if let Some(digest) = digest {
            assert!(
                pulled.digests.iter().any(|known| known.ends_with(&digest)),
                "{pulled:?}"
            );
        }
        let absent = format!("{}/team/absent:1", registry.address());
        let error = runtime.block_on(engine.pull(&absent, None, &logins, &mut quiet, &mut stopping));
        assert!(!error.err().context("it is not there")?.is_transient());
        // A registry that is away may come back.
        let away = "127.0.0.1:1/x:1";
        let error = runtime.block_on(engine.pull(away, None, &logins, &mut quiet, &mut stopping));
        let error = error.err().context("nobody listens there")?;
        assert!(error.is_transient(), "{error}");

        // Saved, removed, loaded.
        let mut archive = tempfile::tempfile()?;
        runtime.block_on(engine.save("localhost/made:1", &mut archive))?;
        runtime.block_on(engine.remove_image(&there))?;
        runtime.block_on(engine.remove_image("localhost/made:1"))?;
        archive.rewind()?;
        assert_eq!(runtime.block_on(engine.load(archive))?, ["localhost/made:1"]);
        let again = runtime
            .block_on(engine.inspect("localhost/made:1"))?
            .context("it is back")?;
        assert_eq!(again.labels, facts.labels);
        let garbage = tempfile::tempfile()?;
        assert!(runtime.block_on(engine.load(garbage)).is_err());
    }
    Ok(())
}

#[test]
fn containers_run_are_fed_and_emptied() -> anyhow::Result<()> {
    for Story { engine, real, .. } in stories()? {
        let runtime = runtime()?;
        let mut order = RunOrder::new(
            "localhost/busybox:latest",
            ["sh", "-c", "cat; cat /in/file; echo oh >&2; echo out > /x; exit 7"],
        );
        order.stdin = true;
        order.network = Some("none".into());
        order.labels = labels(&[("org.windlass.instance", "i1"), ("org.windlass.owner", "1")]);
        runtime.block_on(async {
            let container = engine.create(&order).await?;
            let archive = tempfile::tempdir()?;
            std::fs::create_dir(archive.path().join("in"))?;
            std::fs::write(archive.path().join("in/file"), "from a file\n")?;
            let bytes = Cmd::new("tar")
                .arg("-C")
                .arg(archive.path())
                .args(["-c", "."])
                .run()?
                .ok()?
                .stdout;
            let mut file = tempfile::tempfile()?;
            file.write_all(&bytes)?;
            file.rewind()?;
            container.copy_in("/", file).await?;
            let (mut streams, mut input) = container.attach(true, false).await?;
            assert_eq!(container.exited().await?, None);
            container.start().await?;
            input.write(b"from stdin\n").await?;
            input.end().await?;
            let (mut out, mut err) = (Vec::new(), Vec::new());
            while let Some(piece) = streams.next().await? {
                match piece {
                    Output::Out(bytes) => out.extend_from_slice(&bytes),
                    Output::Err(bytes) => err.extend_from_slice(&bytes),
                }
            }
            let kind = real.kind.name();
            assert_eq!(String::from_utf8_lossy(&out), "from stdin\nfrom a file\n", "{kind}");
            assert_eq!(String::from_utf8_lossy(&err), "oh\n", "{kind}");
            let exited = container.wait().await?;
            assert_eq!(exited.code, 7, "{kind}");
            let mut tar = Vec::new();
            container.copy_out("/x", &mut tar, 1 << 20).await?;
            assert!(tar.windows(4).any(|four| four == b"out\n"));
            assert!(
                container.copy_out("/x", &mut tar, 100).await.is_err(),
                "no more than was allowed"
            );
            let absent = container.copy_out("/absent", &mut tar, 1 << 20).await;
            assert!(absent.is_err_and(|error| error.is_absent()));

            let ours = engine.containers(&["org.windlass.instance=i1".into()]).await?;
            assert_eq!(ours.len(), 1);
            assert!(!ours[0].running);
            assert!(
                engine
                    .containers(&["org.windlass.instance=i2".into()])
                    .await?
                    .is_empty()
            );
            container.remove().await?;
            container.remove().await?;
            let gone = container.start().await;
            assert!(gone.is_err_and(|error| error.is_absent() && !error.is_transient()));

            // One that is killed says so; a negative or high code is what it is.
            let container = engine
                .create(&RunOrder::new("localhost/busybox:latest", ["sleep", "1000"]))
                .await?;
            container.start().await?;
            container.signal("SIGKILL").await?;
            assert_eq!(container.wait().await?.code, 137);
            container.signal("SIGKILL").await?;
            container.remove().await?;
            // A command that is not there.
            let container = engine
                .create(&RunOrder::new("localhost/busybox:latest", ["/nonexistent"]))
                .await?;
            let error = container.start().await.err().context("there is no such command")?;
            assert!(!error.is_transient(), "{error}");
            container.remove().await?;
            let error = engine.create(&RunOrder::new("localhost/absent:1", ["true"])).await;
            let error = error.err().context("there is no such image")?;
            assert!(error.to_string().contains("hint: "), "{error}");
            anyhow::Ok(())
        })?;
        assert_eq!(real.containers()?, Vec::<String>::new());
    }
    Ok(())
}
