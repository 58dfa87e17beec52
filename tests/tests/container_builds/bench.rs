//! A builder on real engines, and packages as packagers write them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use windlass::config::{Build, BuildHost};
use windlass::sandbox::{Builder, Sweeps};
use windlass::stages::build::{BuildOrder, BuildOutcome, Layer, PackageFiles};
use windlass::stages::{StageError, StopFlag};
use windlass_core::id::SubtaskNumber;
use windlass_core::repository::{ArchResult, Index};
use windlass_core::rpm::{Artifact, Package};
use windlass_hooks::settings::{Paths, Size};
use windlass_tests::engines::{self, BuildImage, Engine, Kind};
use windlass_tests::process::Cmd;
use windlass_tests::skipped;

/// A builder in a directory of its own.
pub(crate) struct Bench {
    keep: tempfile::TempDir,
    settings: Build,
    hosts: Vec<BuildHost>,
    pub(crate) builder: Builder,
    layers: Vec<Layer>,
    pub(crate) stop: StopFlag,
    runs: std::cell::Cell<u32>,
}

/// Engines with the image; fewer than asked for where this machine cannot run them, which is said.
pub(crate) fn engines_with_image(kinds: &[Kind]) -> anyhow::Result<Option<Vec<Engine>>> {
    let lacking = kinds
        .iter()
        .find_map(|kind| engines::lacking(*kind))
        .or_else(BuildImage::lacking);
    if let Some(why) = lacking {
        skipped(&why);
        return Ok(None);
    }
    let image = BuildImage::get()?;
    let mut all = Vec::new();
    for kind in kinds {
        let engine = Engine::start(*kind)?;
        image.load(&engine)?;
        all.push(engine);
    }
    Ok(Some(all))
}

/// An engine as the configuration names it.
pub(crate) fn host(engine: &Engine) -> BuildHost {
    BuildHost {
        name: engine.kind.name().to_owned(),
        host: engine.host(),
        tls: None,
        architectures: vec!["x86_64".to_owned()],
        image: "localhost/windlass-test-build:1".to_owned(),
        slots: 2,
    }
}

impl Bench {
    pub(crate) fn new(engines: &[&Engine]) -> Self {
        let settings = Build {
            disk: Size::from_bytes(512 << 20),
            memory: Size::from_bytes(1 << 30),
            jobs: 1,
            ..Build::default()
        };
        let keep = tempfile::Builder::new().prefix("windlass-build-").tempdir().unwrap();
        let hosts: Vec<BuildHost> = engines.iter().map(|engine| host(engine)).collect();
        Self {
            builder: builder(&settings, keep.path(), &hosts),
            keep,
            settings,
            hosts,
            layers: Vec::new(),
            stop: StopFlag::new().unwrap(),
            runs: std::cell::Cell::new(0),
        }
    }

    /// The same one, with other settings, in a bot that has just started.
    pub(crate) fn and(mut self, change: impl FnOnce(&mut Build)) -> Self {
        change(&mut self.settings);
        self.builder = builder(&self.settings, self.keep.path(), &self.hosts);
        self
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.keep.path().join(below)
    }

    /// The order to build from files, the first of which is the spec.
    pub(crate) fn order(&self, files: &[(&str, &str)]) -> BuildOrder {
        let run = self.runs.get();
        self.runs.set(run + 1);
        let dir = self.path(&format!("run{run}"));
        std::fs::create_dir_all(dir.join("sources")).unwrap();
        for (name, text) in files {
            std::fs::write(dir.join("sources").join(name), text).unwrap();
        }
        let names = files.iter().map(|(name, _)| *name);
        let tar = Cmd::new("tar").args(["--format=gnu", "--mtime=@1700000000", "-C"]);
        let tar = tar
            .arg(dir.join("sources"))
            .arg("-cf")
            .arg(dir.join("pkg.tar"))
            .args(names);
        tar.run().unwrap().ok().unwrap();
        BuildOrder {
            subtask: SubtaskNumber(1),
            arch: "x86_64".parse().unwrap(),
            pkgtar_sha256: sha256(&std::fs::read(dir.join("pkg.tar")).unwrap()),
            pkgtar: dir.join("pkg.tar"),
            spec: files[0].0.to_owned(),
            dist: None,
            layers: self.layers.clone(),
            log: dir.join("out/log"),
            out: dir.join("out"),
        }
    }

    /// Builds what was ordered.
    pub(crate) fn run(&self, order: &BuildOrder) -> Result<BuildOutcome, StageError> {
        windlass::stages::build::run(&self.builder, order, &self.stop)
    }

    /// Builds a spec without sources.
    pub(crate) fn spec(&self, spec: &str) -> Result<BuildOutcome, StageError> {
        self.run(&self.order(&[("package.spec", spec)]))
    }

    /// How many builds there were; the next one's number.
    pub(crate) fn runs(&self) -> u32 {
        self.runs.get()
    }

    pub(crate) fn log(&self, run: u32) -> String {
        std::fs::read_to_string(self.path(&format!("run{run}/out/log"))).unwrap_or_default()
    }

    /// What was built is there for the builds after it.
    pub(crate) fn offer(&mut self, outcome: &BuildOutcome) {
        let ArchResult::Built { binaries, .. } = &outcome.result else {
            panic!("nothing was built")
        };
        let packages = binaries.iter().map(|header| {
            let bytes = std::fs::read(&outcome.files[&header.package.nevra()]).unwrap();
            Arc::new(Package {
                artifact: Some(Artifact {
                    sha256: sha256(&bytes),
                    size: bytes.len() as u64,
                    location: header.package.file_name(),
                }),
                ..Package::clone(&header.package)
            })
        });
        let index = Index::of(packages);
        let files = Arc::new(Files(outcome.files.clone()));
        self.layers.insert(0, Layer { index, files });
    }

    /// Nothing that was built is there any more.
    pub(crate) fn forget(&mut self) {
        self.layers.clear();
    }
}

fn builder(settings: &Build, root: &Path, hosts: &[BuildHost]) -> Builder {
    // No program is started for containers.
    Builder::new(settings, &Paths::at(root), "/nowhere").on_engines(hosts, Sweeps::Yes)
}

/// Files of packages by their names.
#[derive(Debug)]
struct Files(BTreeMap<String, PathBuf>);

impl PackageFiles for Files {
    fn path(&self, package: &Package) -> Result<PathBuf, StageError> {
        let file = self.0.get(&package.nevra()).cloned();
        file.ok_or_else(|| StageError::infrastructure(format!("no file of '{}'", package.nevra())))
    }
}

fn sha256(bytes: &[u8]) -> String {
    windlass_core::hex::hex(&<sha2::Sha256 as sha2::Digest>::digest(bytes))
}

/// A spec of a package, with more in it.
pub(crate) fn spec(name: &str, more: &str) -> String {
    format!("Name: {name}\nVersion: 1.0\nRelease: 1%{{?dist}}\nSummary: A package\nLicense: MIT\n{more}")
}

/// The rest of a spec that has one file.
pub(crate) const ONE_FILE: &str = "%description\nA package.\n%install\nmkdir -p %buildroot/usr/share/%name\necho hello > %buildroot/usr/share/%name/hello\n%files\n/usr/share/%name\n";

/// A spec that runs a script in %build.
pub(crate) fn script(lines: &str) -> String {
    let rest = ONE_FILE.trim_start_matches("%description\nA package.\n");
    spec(
        "evil",
        &format!("BuildArch: noarch\n%description\nx\n%build\n{lines}\n{rest}"),
    )
}

/// The binary packages of an outcome, by what they are called.
pub(crate) fn names(outcome: &BuildOutcome) -> Vec<String> {
    match &outcome.result {
        ArchResult::Built { binaries, .. } => binaries.iter().map(|header| header.package.nevra()).collect(),
        ArchResult::Excluded { why } => panic!("excluded: {why}"),
    }
}

/// What a failed build says; other failures are none of the package's.
#[track_caller]
pub(crate) fn failure(result: Result<BuildOutcome, StageError>) -> String {
    match result {
        Err(StageError::Failed { problems, .. }) => {
            problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        }
        other => panic!("it was to fail by the package's fault: {other:?}"),
    }
}

/// What of ours is on an engine: containers, volumes, and images but for those that are prepared for all builds.
pub(crate) fn left(engine: &Engine) -> anyhow::Result<Vec<String>> {
    let mut left = engine.containers()?;
    let volumes = engine.get("/volumes")?;
    let volumes = volumes["Volumes"].as_array().cloned().unwrap_or_default();
    left.extend(
        volumes
            .iter()
            .map(|volume| volume["Name"].as_str().unwrap_or_default().to_owned()),
    );
    let images = engine.image_names()?.into_iter();
    left.extend(images.filter(|name| !name.contains("/windlass-test-build:") && !name.contains("/windlass-sandbox-")));
    Ok(left)
}
