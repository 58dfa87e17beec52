//! After a merge: a package lands, and exactly the images that install it are built again, pushed, recorded; whatever fails or is killed
//! on the way.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use windlass_tests::engines::{self, Engine, Kind, PASSWORD, Registry, Setup, USER};
use windlass_tests::jobs::{JOB, spec};
use windlass_tests::people::{ALICE, BOB};
use windlass_tests::pipeline::cannot_build;
use windlass_tests::process::Cmd;
use windlass_tests::{Clone, World, skipped};

/// What `dnf` installs of a generation becomes the context: no base image has to be pulled.
const PRE: &str = "#!/bin/sh
set -eu
echo \"generation $WINDLASS_GENERATION of $WINDLASS_REPOSITORY_URL for $WINDLASS_ARCH\"
HOME=$PWD/home; export HOME
mkdir \"$HOME\"
echo '%_dbpath /usr/lib/sysimage/rpm' > \"$HOME/.rpmmacros\"
dnf -y --quiet --installroot=\"$PWD/root\" --releasever=1 --nogpgcheck --setopt=reposdir=/dev/null \\
    --setopt=cachedir=\"$PWD/cache\" --setopt=logdir=\"$PWD/cache\" --setopt=install_weak_deps=False \\
    --repofrompath=ours,\"file://$WINDLASS_REPOSITORY_DIR\" --repo=ours install $WINDLASS_PACKAGES
rm -rf \"$HOME\" cache
";

/// A world with images, an engine that builds them, and a registry with a password.
struct Yard {
    world: World,
    registry: Registry,
    images: PathBuf,
}

/// Why nothing of this can be run here.
fn lacking() -> Option<String> {
    cannot_build()
        .or_else(|| engines::lacking(Kind::Docker))
        .or_else(|| engines::lacking(Kind::Podman))
        .or_else(Registry::lacking)
}

impl Yard {
    /// Images: `web` with breeze, `app` on top of it, `other` with gust. `host` is the engine's address.
    fn new(host: &str) -> anyhow::Result<Self> {
        Self::built_by("auto", host)
    }

    /// The same images, built by what the configuration names.
    fn built_by(engine: &str, host: &str) -> anyhow::Result<Self> {
        let registry = Registry::start_with_password()?;
        let place = format!("{}/team", registry.address());
        let mut images = PathBuf::new();
        let world = World::that_builds_with(|world| {
            images = world.dir().join("images");
            world.set("jobs", "engine_host", &format!("\"{host}\""))?;
            world.set("jobs", "back_off", "\"1s\"")?;
            world.set("jobs", "longest_back_off", "\"2s\"")?;
            world.set("jobs", "attempts", "20")?;
            let credentials = world.dir().join("registry.json");
            write_login(&credentials, &registry.address())?;
            let mut config = std::fs::read_to_string(world.config())?;
            writeln!(
                config,
                "[[registry]]\nhost = \"{}\"\ncredentials = \"{}\"\nplain_http = true",
                registry.address(),
                credentials.display()
            )?;
            for (name, from, packages) in [
                ("web", "scratch", "\"breeze\""),
                ("app", format!("{place}/web").as_str(), ""),
                ("other", "scratch", "\"gust\""),
            ] {
                let dockerfile = image(&images, name, from)?;
                writeln!(
                    config,
                    "[[image]]\nname = \"{name}\"\ndockerfile = \"{}\"\nregistry = \"{place}\"\npackages = [{packages}]\nengine = \"{engine}\"\n\
                     repositories = [\"main\"]\narchitecture = \"x86_64\"",
                    dockerfile.display()
                )?;
            }
            std::fs::write(world.config(), config)?;
            Ok(())
        })?;
        Ok(Self {
            world,
            registry,
            images,
        })
    }

    fn source(&self, name: &str) -> anyhow::Result<Clone> {
        self.world.source(&ALICE, name)
    }

    /// Pulls an image by another engine and runs a program in it.
    fn runs(&self, engine: &Engine, name: &str, program: &str) -> anyhow::Result<String> {
        let full = format!("{}/team/{name}:latest", self.registry.address());
        let home = engine.dir().join("login.json");
        write_login(&home, &self.registry.address())?;
        let cli = || engine.cli().env("REGISTRY_AUTH_FILE", &home);
        cli()
            .args(["pull", "--quiet", "--tls-verify=false", &full])
            .run()?
            .ok()?;
        let run = cli().args(["run", "--rm", "--network=none", &full, program]);
        Ok(run.limit(Duration::from_mins(1)).run()?.ok()?.line())
    }

    /// Where an image's Dockerfile is.
    fn dockerfile(&self, name: &str) -> PathBuf {
        self.images.join(name).join("Dockerfile")
    }
}

fn write_login(file: &Path, registry: &str) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let auth = Cmd::new("base64")
        .arg("-w0")
        .stdin(format!("{USER}:{PASSWORD}"))
        .run()?
        .ok()?
        .line();
    let json = serde_json::json!({ "auths": { registry: { "auth": auth } } });
    std::fs::write(file, json.to_string())?;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600))?;
    Ok(())
}

/// The files of an image, which has a shell, and of `scratch` what a script installs.
fn image(images: &Path, name: &str, from: &str) -> anyhow::Result<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = images.join(name);
    std::fs::create_dir_all(&dir)?;
    let dockerfile = dir.join("Dockerfile");
    if from == "scratch" {
        std::fs::copy("/bin/busybox", dir.join("busybox"))?;
        std::fs::write(&dockerfile, "FROM scratch\nCOPY busybox /bin/busybox\nCOPY root/ /\n")?;
        let pre = dir.join("Dockerfile.pre");
        std::fs::write(&pre, PRE)?;
        std::fs::set_permissions(&pre, std::fs::Permissions::from_mode(0o755))?;
    } else {
        std::fs::write(dir.join("note"), "on top\n")?;
        std::fs::write(&dockerfile, format!("FROM {from}\nCOPY note /note\n"))?;
    }
    Ok(dockerfile)
}

#[test]
fn a_package_lands_and_exactly_the_images_that_install_it_are_built_pushed_and_run() -> anyhow::Result<()> {
    if let Some(why) = lacking() {
        skipped(&why);
        return Ok(());
    }
    let docker = Engine::start(Kind::Docker)?;
    let yard = Yard::new(&docker.host())?;
    let podman = Engine::start_with(
        Kind::Podman,
        &Setup {
            plain_registries: vec![yard.registry.address()],
            ..Setup::default()
        },
    )?;
    let (breeze, gust) = (yard.source("breeze")?, yard.source("gust")?);

    // Exactly these: web installs breeze, app stands on web.
    let first = yard.world.lands_spec(&breeze, "breeze", "1.0-alt1")?;
    assert_eq!(yard.world.abouts(first)?, ["image app", "image web"]);
    yard.world.jobs_are_done(first)?;
    assert_eq!(
        yard.registry
            .tags("team/web")?
            .iter()
            .filter(|tag| *tag == "latest")
            .count(),
        1
    );
    assert!(yard.registry.tags("team/other")?.is_empty(), "nobody asked for it");
    assert_eq!(yard.runs(&podman, "web", "/usr/bin/breeze")?, "breeze 1.0-alt1");
    assert_eq!(yard.runs(&podman, "app", "/usr/bin/breeze")?, "breeze 1.0-alt1");

    // What the record says: which commit made which digest.
    let web = yard
        .world
        .jobs_of(first)?
        .iter()
        .find(|row| row["about"] == "image web")
        .cloned();
    let id = web.context("a job of web")?["id"].as_u64().context("a number")?;
    let shown = yard.world.job(id)?;
    assert_eq!(
        shown["image_built"]["packages"],
        serde_json::json!(["breeze-1.0-alt1.noarch"])
    );
    assert_eq!(shown["image_built"]["generations"]["main"], 2);
    let digest = shown["image_built"]["digest"].as_str().context("a digest")?;
    assert!(
        yard.registry
            .get(&format!("/v2/team/web/manifests/{digest}"))?
            .is_object()
    );
    // What the registry says of it: how it was made, and what is in it.
    let (digits, built) = (digest.trim_start_matches("sha256:"), &shown["image_built"]);
    let index = yard.registry.get(&format!("/v2/team/web/manifests/sha256-{digits}"))?;
    let beside = index["manifests"].as_array().context("referrers")?;
    let mut kinds: Vec<(&Value, &Value)> = beside
        .iter()
        .map(|one| (&one["artifactType"], &one["digest"]))
        .collect();
    kinds.sort_by_key(|(kind, _)| kind.as_str());
    assert_eq!(
        kinds,
        [
            (&serde_json::json!("application/spdx+json"), &built["sbom"]),
            (&serde_json::json!("application/vnd.in-toto+json"), &built["provenance"]),
        ],
        "{index}"
    );
    let told = yard.world.admin(&["task", "show", &first.to_string()])?.ok()?.out();
    assert!(told.contains(&format!("it caused job {id}, image web: done")), "{told}");
    let log = yard.world.job_log(id);
    assert!(log.contains("because: breeze 1.0-alt1 came"), "{log}");
    assert!(log.contains("generation 2 of http://"), "{log}");

    // Another package: another image, and no other.
    let second = yard.world.lands_spec(&gust, "gust", "1.0-alt1")?;
    assert_eq!(yard.world.abouts(second)?, ["image other"]);
    yard.world.jobs_are_done(second)?;
    assert_eq!(yard.runs(&podman, "other", "/usr/bin/gust")?, "gust 1.0-alt1");

    // An upgrade: the new version runs in what stands on it, too.
    let third = yard.world.lands_spec(&breeze, "breeze", "1.1-alt1")?;
    assert_eq!(yard.world.abouts(third)?, ["image app", "image web"]);
    yard.world.jobs_are_done(third)?;
    assert_eq!(yard.runs(&podman, "web", "/usr/bin/breeze")?, "breeze 1.1-alt1");
    assert_eq!(yard.runs(&podman, "app", "/usr/bin/breeze")?, "breeze 1.1-alt1");

    // Somebody asks for it: once for the new generation; then nothing is new.
    for reused in [false, true] {
        let built = yard.world.job_built("other")?;
        assert_eq!(built["image_built"]["reused"], reused, "{built}");
    }
    assert!(docker.containers()?.is_empty(), "no container stays");
    Ok(())
}

#[test]
fn without_an_engine_images_are_built_and_pushed_and_run_elsewhere() -> anyhow::Result<()> {
    if let Some(why) = lacking() {
        skipped(&why);
        return Ok(());
    }
    let yard = Yard::built_by("none", "unix:///nowhere/engine.sock")?;
    let podman = Engine::start_with(
        Kind::Podman,
        &Setup {
            plain_registries: vec![yard.registry.address()],
            ..Setup::default()
        },
    )?;
    let breeze = yard.source("breeze")?;
    let first = yard.world.lands_spec(&breeze, "breeze", "1.0-alt1")?;
    yard.world.jobs_are_done(first)?;
    assert_eq!(yard.runs(&podman, "web", "/usr/bin/breeze")?, "breeze 1.0-alt1");
    assert_eq!(yard.runs(&podman, "app", "/usr/bin/breeze")?, "breeze 1.0-alt1");
    for row in yard.world.jobs_of(first)? {
        let built = yard.world.job(row["id"].as_u64().context("a number")?)?["image_built"].clone();
        assert_eq!(
            built["packages"],
            serde_json::json!(["breeze-1.0-alt1.noarch"]),
            "{built}"
        );
        assert!(built["sbom"].is_string() && built["provenance"].is_string(), "{built}");
    }
    Ok(())
}

#[test]
fn what_may_pass_is_tried_again_and_what_lasts_is_not() -> anyhow::Result<()> {
    if let Some(why) = lacking() {
        skipped(&why);
        return Ok(());
    }
    let docker = Engine::start(Kind::Docker)?;
    let mut yard = Yard::new(&docker.host())?;
    let (breeze, gust) = (yard.source("breeze")?, yard.source("gust")?);

    // The registry is away, then comes back.
    yard.registry.stop();
    let first = yard.world.lands_spec(&gust, "gust", "1.0-alt1")?;
    let id = yard.world.jobs_of(first)?[0]["id"].as_u64().context("a number")?;
    let waiting = yard.world.job_reaches(id, "retrying")?;
    assert!(waiting["attempts"][0]["trouble"].is_string(), "{waiting}");
    yard.registry.start_again()?;
    let done = yard.world.job_reaches(id, "done")?;
    assert!(done["attempts"].as_array().is_some_and(|all| all.len() > 1), "{done}");
    assert!(yard.registry.tags("team/other")?.contains(&"latest".to_owned()));

    // A step that fails is the Dockerfile's fault: once, and then somebody has to say so.
    let dockerfile = yard.dockerfile("web");
    let good = std::fs::read_to_string(&dockerfile)?;
    std::fs::write(&dockerfile, format!("{good}RUN [\"/bin/busybox\", \"false\"]\n"))?;
    let second = yard.world.lands_spec(&breeze, "breeze", "1.0-alt1")?;
    let rows = yard.world.jobs_of(second)?;
    let number = |about: &str| {
        rows.iter()
            .find(|row| row["about"] == about)
            .and_then(|row| row["id"].as_u64())
    };
    let (web, app) = (number("image web").context("web")?, number("image app").context("app")?);
    let failed = yard.world.job_reaches(web, "failed")?;
    assert_eq!(failed["attempts"].as_array().map(Vec::len), Some(1), "{failed}");
    // What stands on it waits, and says for whom.
    let kept = yard.world.job(app)?;
    assert_eq!(kept["state"], "waiting", "{kept}");
    assert!(
        kept["told"][0]
            .as_str()
            .is_some_and(|told| told.contains(&format!("job retry {web}"))),
        "{kept}"
    );

    // Who may: the task's owner and administrators.
    let (web_text, app_text) = (web.to_string(), app.to_string());
    yard.world
        .ssh(&BOB, &["job", "retry", &web_text])?
        .refused(&["not_yours"])?;
    std::fs::write(&dockerfile, &good)?;
    yard.world.ssh(&ALICE, &["job", "retry", &web_text])?.ok()?;
    yard.world.job_reaches(web, "done")?;
    yard.world.job_reaches(app, "done")?;

    // Given up, and taken up again.
    yard.registry.stop();
    let third = yard.world.lands_spec(&gust, "gust", "1.1-alt1")?;
    let id = yard.world.jobs_of(third)?[0]["id"]
        .as_u64()
        .context("a number")?
        .to_string();
    yard.world.ssh(&ALICE, &["job", "cancel", &id])?.ok()?;
    assert_eq!(yard.world.job(id.parse()?)?["state"], "cancelled");
    yard.registry.start_again()?;
    yard.world.admin(&["job", "retry", &id])?.ok()?;
    yard.world.job_reaches(id.parse()?, "done")?;
    let told = yard.world.admin(&["job", "show", &app_text])?.ok()?.out();
    assert!(told.contains("its base web is built again"), "{told}");
    Ok(())
}

#[test]
fn killed_at_every_point_a_job_is_done_and_recorded_once() -> anyhow::Result<()> {
    if let Some(why) = lacking() {
        skipped(&why);
        return Ok(());
    }
    let docker = Engine::start(Kind::Docker)?;
    let mut yard = Yard::new(&docker.host())?;
    let gust = yard.source("gust")?;
    for (at, point) in windlass::jobs::POINTS.into_iter().enumerate() {
        let version = format!("{}.0-alt1", at + 1);
        gust.commit("gust.spec", &spec("gust", &version))?;
        gust.tag(&version)?;
        yard.world.stop_bot()?;
        yard.world.start_bot_that_dies_at(point)?;
        yard.world.pushed_task(&gust, &["-o", "build", "main", &version])?;
        yard.world.bot_dies(JOB).with_context(|| point.to_owned())?;
        yard.world.start_bot()?;
        let list = yard
            .world
            .admin(&["job", "ls", "--image=other", "--json"])?
            .ok()?
            .json()?;
        let id = list[0]["id"].as_u64().with_context(|| format!("{point}: {list}"))?;
        assert_eq!(list.as_array().map(Vec::len), Some(at + 1), "{point}: one job a commit");
        let done = yard.world.job_reaches(id, "done").with_context(|| point.to_owned())?;
        let packages = serde_json::json!([format!("gust-{version}.noarch")]);
        assert_eq!(done["image_built"]["packages"], packages, "{point}");
        // What the killed one had built is taken as it is.
        let is_built = matches!(point, "job.built" | "job.pushed" | "job.attached");
        assert_eq!(done["image_built"]["reused"] == true, is_built, "{point}: {done}");
        yard.world.admin(&["journal", "verify"])?.ok()?;
        let rows = yard.world.windlass(["journal", "show", "--json"]).run()?.ok()?.out();
        let recorded = rows
            .lines()
            .filter(|row| row.contains("\"what\":\"succeeded\""))
            .count();
        assert_eq!(recorded, at + 1, "{point}: recorded once");
    }
    Ok(())
}
