//! Foreign bases stay what they were until their pins are moved: told with a registry whose images change, on both real engines.

use std::path::PathBuf;

use anyhow::Context as _;
use tempfile::TempDir;
use windlass_tests::engines::{self, Engine, Kind, Registry, Setup};
use windlass_tests::programs::Programs;
use windlass_tests::{Cmd, skipped};

/// An engine, a registry whose bases change, and a folder with Dockerfiles.
struct Site {
    engine: Engine,
    registry: Registry,
    windlass: PathBuf,
    dir: TempDir,
}

impl Site {
    /// Nothing where this machine cannot run it, which is said.
    fn new(kind: Kind) -> anyhow::Result<Option<Self>> {
        if let Some(why) = engines::lacking(kind).or_else(Registry::lacking) {
            skipped(&why);
            return Ok(None);
        }
        let registry = Registry::start()?;
        let setup = Setup {
            plain_registries: vec![registry.address()],
            ..Setup::default()
        };
        let engine = Engine::start_with(kind, &setup)?;
        engine.make_busybox("localhost/busybox:latest")?;
        let dir = tempfile::Builder::new().prefix("wlp-").tempdir()?;
        for folder in ["tmp", "run", "home", "images"] {
            std::fs::create_dir(dir.path().join(folder))?;
        }
        Ok(Some(Self {
            engine,
            registry,
            windlass: Programs::built()?.windlass,
            dir,
        }))
    }

    /// The full name of a base.
    fn base(&self, name: &str) -> String {
        format!("{}/{name}:1", self.registry.address())
    }

    /// From now on the registry has this base with that text in it; the engine knows nothing of it.
    fn publish(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let base = self.base(name);
        let context = tempfile::Builder::new().prefix("wlc-").tempdir()?;
        std::fs::write(
            context.path().join("Dockerfile"),
            format!("FROM localhost/busybox:latest\nENV v={text}\n"),
        )?;
        self.engine.build_by_hand(&base, context.path())?;
        self.engine.cli().args(["push", &base]).run()?.ok()?;
        self.engine
            .request("DELETE", &format!("/images/{base}?force=1"))?
            .ok()?;
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("images").join(name)
    }

    fn dockerfile(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().context("a folder")?)?;
        Ok(std::fs::write(path, text)?)
    }

    /// `windlass image …` in the folder of the Dockerfiles.
    fn image(&self, args: &str) -> Cmd {
        let dir = |name: &str| self.dir.path().join(name);
        Cmd::new(&self.windlass)
            .args(["image", "--host", &self.engine.host()])
            .args(args.split(' '))
            .dir(self.path(""))
            .env("HOME", dir("home"))
            .env("XDG_RUNTIME_DIR", dir("run"))
            .env("TMPDIR", dir("tmp"))
    }

    /// What it prints when it ends with that exit code.
    fn says(&self, code: i32, args: &str) -> anyhow::Result<String> {
        Ok(self.image(args).run()?.exits(code)?.out())
    }

    /// Builds; gives the image's id.
    fn build(&self, name: &str) -> anyhow::Result<String> {
        let args = format!("build -t {name} -f {name}.docker --network none");
        Ok(self.image(&args).run()?.ok()?.line())
    }

    /// The text of the base that an image stands on.
    fn text_in(&self, name: &str) -> anyhow::Result<String> {
        let environment = self.says(0, &format!("run --network none {name} env"))?;
        let line = environment.lines().find_map(|line| line.strip_prefix("v="));
        Ok(line.context("the base's variable")?.to_owned())
    }

    fn pins(&self) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(self.path("images.lock"))?)
    }

    /// The tags that `image graph` calls stale.
    fn stale(&self, code: i32) -> anyhow::Result<Vec<String>> {
        let rows = self.image("graph . --json").run()?.exits(code)?.json()?;
        let rows = rows.as_array().context("rows")?.iter();
        Ok(rows
            .filter(|row| row["stale"] == true)
            .filter_map(|row| Some(row["tag"].as_str()?.to_owned()))
            .collect())
    }
}

#[test]
fn a_base_stays_what_it_was_until_its_pin_is_moved_on_docker() -> anyhow::Result<()> {
    story(Kind::Docker)
}

#[test]
fn a_base_stays_what_it_was_until_its_pin_is_moved_on_podman() -> anyhow::Result<()> {
    story(Kind::Podman)
}

fn story(kind: Kind) -> anyhow::Result<()> {
    let Some(site) = Site::new(kind)? else {
        return Ok(());
    };
    let (base, other) = (site.base("base"), site.base("other"));
    site.publish("base", "one")?;
    site.publish("other", "first")?;
    site.dockerfile("app.docker", &format!("FROM {base}\nENV app=1\n"))?;
    site.dockerfile("top.docker", "FROM localhost/app\nENV top=1\n")?;
    site.dockerfile("apart.docker", &format!("FROM {other}\nENV apart=1\n"))?;

    let pinned = site.says(0, "lock update")?;
    assert!(pinned.contains(&format!("{base} is pinned: ")), "{pinned}");
    assert!(pinned.contains(&format!("{other} is pinned: ")), "{pinned}");
    assert!(!pinned.contains("localhost/"), "{pinned}");
    let (top, apart) = (site.build("top")?, site.build("apart")?);
    assert_eq!(
        (site.text_in("top")?, site.text_in("apart")?),
        ("one".into(), "first".into())
    );
    assert_eq!(site.stale(0)?, Vec::<String>::new());

    // The registry moves on, and the images stay what they are.
    site.publish("base", "two")?;
    site.publish("other", "second")?;
    let before = site.pins()?;
    assert_eq!(site.build("top")?, top, "the pin holds");
    let would = site.says(0, "lock update --dry-run")?;
    assert!(would.contains(&format!("{base} would move: ")), "{would}");
    assert!(would.contains(&format!("{other} would move: ")), "{would}");
    assert_eq!(site.pins()?, before);
    assert_eq!(site.stale(0)?, Vec::<String>::new());

    // One pin is moved: what stands on it is stale, and nothing else.
    let moved = site.image(&format!("lock update {base} --json")).run()?.ok()?.json()?;
    assert_eq!(moved.as_array().context("rows")?.len(), 1, "{moved}");
    assert_eq!(moved[0]["name"], base.as_str());
    assert_eq!(moved[0]["change"], "moved");
    assert_ne!(moved[0]["from"], moved[0]["to"]);
    let digest = moved[0]["to"].as_str().context("a digest")?;
    assert!(site.pins()?.contains(digest), "{moved}");
    assert_eq!(site.stale(1)?, ["localhost/app:latest", "localhost/top:latest"]);
    let told = site.says(1, "check app")?;
    assert!(told.contains(&format!("base {base} moved")), "{told}");
    assert_ne!(site.build("top")?, top);
    assert_eq!(
        (site.text_in("app")?, site.text_in("top")?),
        ("two".into(), "two".into())
    );
    assert_eq!(site.build("apart")?, apart);
    assert_eq!(site.text_in("apart")?, "first");
    assert_eq!(site.stale(0)?, Vec::<String>::new());
    let same = site.says(0, &format!("lock update {base}"))?;
    assert!(same.starts_with(&format!("{base} is the same: ")), "{same}");
    Ok(())
}

#[test]
fn two_updates_of_pins_at_once_lose_none() -> anyhow::Result<()> {
    let Some(site) = Site::new(Kind::Podman)? else {
        return Ok(());
    };
    let bases = [site.base("one"), site.base("two"), site.base("three")];
    for (name, base) in ["one", "two", "three"].iter().zip(&bases) {
        site.publish(name, name)?;
        site.dockerfile(&format!("{name}.docker"), &format!("FROM {base}\n"))?;
    }
    let updates = bases
        .iter()
        .map(|base| site.image(&format!("lock update {base}")).start());
    let updates = updates.collect::<anyhow::Result<Vec<_>>>()?;
    for update in updates {
        update.finish()?.ok()?;
    }
    let pins = site.pins()?;
    for base in &bases {
        assert!(pins.contains(base.as_str()), "{pins}");
    }
    let names = std::fs::read_dir(site.path(""))?.map(|entry| Ok(entry?.file_name().into_string().unwrap_or_default()));
    let mut names = names.collect::<anyhow::Result<Vec<_>>>()?;
    names.sort();
    assert_eq!(names, ["images.lock", "one.docker", "three.docker", "two.docker"]);
    Ok(())
}

#[test]
fn pins_stand_beside_each_dockerfile_and_what_goes_wrong_changes_none() -> anyhow::Result<()> {
    let Some(mut site) = Site::new(Kind::Podman)? else {
        return Ok(());
    };
    let (base, other) = (site.base("base"), site.base("other"));
    site.publish("base", "one")?;
    site.dockerfile("app.docker", &format!("FROM {base}\n"))?;
    site.dockerfile("deep/Dockerfile", &format!("FROM {base}\n"))?;
    site.says(0, "lock update --quiet")?;
    let before = site.pins()?;
    assert_eq!(std::fs::read_to_string(site.path("deep/images.lock"))?, before);

    // One of two bases is not there: neither file is written, though the other one has moved.
    site.publish("base", "two")?;
    site.dockerfile("next.docker", &format!("FROM {other}\n"))?;
    let missing = site.image("lock update").run()?.exits(1)?;
    assert!(missing.err().contains(&format!("has no {other}")), "{}", missing.err());
    let unknown = site.image("lock update debian:12").run()?.exits(2)?;
    assert!(
        unknown
            .err()
            .contains("no Dockerfile there stands on 'docker.io/library/debian:12'"),
        "{}",
        unknown.err()
    );
    site.registry.stop();
    let away = site.image("lock update --registry-timeout 20s").run()?.exits(3)?;
    assert!(away.err().contains("does not answer"), "{}", away.err());
    assert_eq!(site.pins()?, before);
    assert_eq!(std::fs::read_to_string(site.path("deep/images.lock"))?, before);

    // One file's bases are moved alone; a base that no Dockerfile names any more loses its pin.
    site.dockerfile("app.docker", "FROM scratch\n")?;
    std::fs::remove_file(site.path("next.docker"))?;
    site.registry.start_again()?;
    let one = site.says(0, "lock update -f deep/Dockerfile")?;
    assert!(one.starts_with(&format!("{base} moved: ")), "{one}");
    assert_eq!(site.pins()?, before);
    let gone = site.says(0, "lock update")?;
    assert!(
        gone.contains(&format!("{base} is removed: no Dockerfile names it")),
        "{gone}"
    );
    assert!(!site.pins()?.contains("[[base]]"), "{}", site.pins()?);
    assert_ne!(std::fs::read_to_string(site.path("deep/images.lock"))?, before);

    // A damaged file is nobody's to throw away but its owner's.
    std::fs::write(site.path("images.lock"), "<<<<<<< mine\n")?;
    let damaged = site.image("lock update").run()?.exits(1)?;
    assert!(
        damaged.err().contains("images.lock cannot be read") && damaged.err().contains("hint: mend it, or remove it"),
        "{}",
        damaged.err()
    );
    assert_eq!(site.pins()?, "<<<<<<< mine\n");
    Ok(())
}
