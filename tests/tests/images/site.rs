//! Where the stories happen: an engine or none, and folders of their own.

use std::path::PathBuf;

use anyhow::Context as _;
use serde_json::Value;
use tempfile::TempDir;
use windlass_tests::engines::{self, Engine, Kind, Registry, Setup};
use windlass_tests::programs::Programs;
use windlass_tests::{Cmd, skipped};

/// What a story has: an engine or none, a folder with Dockerfiles, and folders of its own for everything that is left somewhere.
pub(crate) struct Site {
    pub(crate) engine: Option<Engine>,
    pub(crate) registry: Option<Registry>,
    pub(crate) windlass: PathBuf,
    pub(crate) dir: TempDir,
}

/// Both engines, each with busybox in it; those that are not there are told.
pub(crate) fn engines() -> anyhow::Result<Vec<Site>> {
    sites(None)
}

pub(crate) fn sites(registry: Option<fn() -> anyhow::Result<Registry>>) -> anyhow::Result<Vec<Site>> {
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
    pub(crate) fn new(engine: Option<Engine>, registry: Option<Registry>) -> anyhow::Result<Self> {
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

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("src").join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().context("a folder")?)?;
        std::fs::write(path, text)?;
        Ok(())
    }

    pub(crate) fn script(&self, name: &str, text: &str) -> anyhow::Result<()> {
        use std::os::unix::fs::PermissionsExt as _;
        self.write(name, text)?;
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(0o755))?;
        Ok(())
    }

    /// `windlass image …` in the folder of the Dockerfiles.
    pub(crate) fn image<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Cmd {
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
    pub(crate) fn build(&self, args: &str) -> anyhow::Result<String> {
        Ok(self
            .image(["build"].into_iter().chain(args.split(' ')))
            .run()?
            .ok()?
            .line())
    }

    /// What `image check` answers with that exit code.
    pub(crate) fn check(&self, args: &str, code: i32) -> anyhow::Result<String> {
        Ok(self
            .image(["check"].into_iter().chain(args.split(' ')))
            .run()?
            .exits(code)?
            .out())
    }

    pub(crate) fn labels(&self, tag: &str) -> anyhow::Result<Value> {
        let engine = self.engine.as_ref().context("an engine")?;
        Ok(engine.get(&format!("/images/{tag}/json"))?["Config"]["Labels"].clone())
    }

    /// What a command prints in an image.
    pub(crate) fn prints(&self, tag: &str, command: &[&str]) -> anyhow::Result<String> {
        let args = ["run", "--network", "none", tag]
            .into_iter()
            .chain(command.iter().copied());
        Ok(self.image(args).run()?.ok()?.out())
    }

    /// Everything that a command may have left: temporary files, containers, images that nobody asked for.
    pub(crate) fn left(&self) -> anyhow::Result<Vec<String>> {
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

pub(crate) fn nothing() -> Vec<String> {
    Vec::new()
}
