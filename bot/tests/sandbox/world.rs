//! A builder in a directory of its own, and sources as a packager writes them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use windlass::config::Build;
use windlass::sandbox::Builder;
use windlass::stages::build::{BuildOrder, BuildOutcome, Layer, PackageFiles};
use windlass::stages::{StageError, StopFlag};
use windlass_core::id::SubtaskNumber;
use windlass_core::repository::{ArchResult, Index};
use windlass_core::rpm::{Header, Package};
use windlass_hooks::settings::{Paths, Size};

/// A builder in a directory of its own.
pub(crate) struct World {
    root: PathBuf,
    settings: Build,
    _keep: Option<tempfile::TempDir>,
    pub(crate) builder: Builder,
    layers: Vec<Layer>,
    pub(crate) dist: Option<String>,
    pub(crate) stop: StopFlag,
    runs: std::cell::Cell<u32>,
}

/// Files of packages by their names.
#[derive(Debug)]
struct Files(std::collections::BTreeMap<String, PathBuf>);

impl PackageFiles for Files {
    fn path(&self, package: &Package) -> Result<PathBuf, StageError> {
        self.0
            .get(&package.nevra())
            .cloned()
            .ok_or_else(|| StageError::infrastructure(format!("no file of '{}'", package.nevra())))
    }
}

/// Whether a real build can be made here; otherwise the test says so and ends.
pub(crate) fn can_build() -> bool {
    let missing: Vec<&str> = ["bwrap", "rpmbuild", "gcc"]
        .into_iter()
        .filter(|program| {
            !std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).any(|dir| dir.join(program).is_file())
        })
        .collect();
    if missing.is_empty() {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "missing in CI: {missing:?}");
    println!("SKIPPED: missing {}", missing.join(", "));
    false
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// With other settings than the tests' usual ones.
    pub(crate) fn with(change: impl FnOnce(&mut Build)) -> Self {
        let keep = tempfile::Builder::new().prefix("windlass-build-").tempdir().unwrap();
        let mut settings = Build {
            disk: Size::from_bytes(512 << 20),
            jobs: 1,
            ..Build::default()
        };
        change(&mut settings);
        let root = keep.path().to_owned();
        Self::of(root, settings, Some(keep))
    }

    /// In a directory that somebody else made.
    pub(crate) fn at(root: PathBuf) -> Self {
        Self::of(root, Build::default(), None)
    }

    /// The same one, with other settings.
    pub(crate) fn and(mut self, change: impl FnOnce(&mut Build)) -> Self {
        change(&mut self.settings);
        self.builder = builder(&self.settings, &self.root);
        self
    }

    fn of(root: PathBuf, settings: Build, keep: Option<tempfile::TempDir>) -> Self {
        Self {
            builder: builder(&settings, &root),
            root,
            settings,
            _keep: keep,
            layers: Vec::new(),
            dist: None,
            stop: StopFlag::new().unwrap(),
            runs: std::cell::Cell::new(0),
        }
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.root.join(below)
    }

    /// Builds a spec without sources.
    pub(crate) fn spec(&self, arch: &str, spec: &str) -> Result<BuildOutcome, StageError> {
        self.sources(arch, &[("package.spec", spec)])
    }

    /// Builds from files, the first of which is the spec.
    pub(crate) fn sources(&self, arch: &str, files: &[(&str, &str)]) -> Result<BuildOutcome, StageError> {
        let mut tar = Tar::new(files[0].0);
        for (name, content) in files {
            tar.file(name, content.as_bytes());
        }
        self.tar(arch, files[0].0, &tar.done())
    }

    /// Builds from an archive.
    pub(crate) fn tar(&self, arch: &str, spec: &str, archive: &[u8]) -> Result<BuildOutcome, StageError> {
        self.run(&self.order(arch, spec, archive))
    }

    /// Builds what was ordered.
    pub(crate) fn run(&self, order: &BuildOrder) -> Result<BuildOutcome, StageError> {
        windlass::stages::build::run(&self.builder, order, &self.stop)
    }

    /// The order to build a spec without sources.
    pub(crate) fn order_of(&self, arch: &str, spec: &str) -> BuildOrder {
        let mut tar = Tar::new("package.spec");
        tar.file("package.spec", spec.as_bytes());
        self.order(arch, "package.spec", &tar.done())
    }

    pub(crate) fn order(&self, arch: &str, spec: &str, archive: &[u8]) -> BuildOrder {
        let run = self.runs.get();
        self.runs.set(run + 1);
        let dir = self.path(&format!("run{run}"));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("pkg.tar"), archive).unwrap();
        BuildOrder {
            subtask: SubtaskNumber(1),
            arch: arch.parse().unwrap(),
            pkgtar: dir.join("pkg.tar"),
            pkgtar_sha256: sha256(archive),
            spec: spec.to_owned(),
            dist: self.dist.clone(),
            layers: self.layers.clone(),
            log: dir.join("out/log"),
            out: dir.join("out"),
        }
    }

    /// How many builds there were; the next one's number.
    pub(crate) fn runs(&self) -> u32 {
        self.runs.get()
    }

    /// What was built is there for the builds after it. Says what was there before.
    pub(crate) fn offer(&mut self, outcome: &BuildOutcome) -> Vec<Layer> {
        let before = self.layers.clone();
        let ArchResult::Built { binaries, .. } = &outcome.result else {
            panic!("nothing was built")
        };
        self.layers.insert(
            0,
            Layer {
                index: Index::of(binaries.iter().map(|header| {
                    let bytes = std::fs::read(&outcome.files[&header.package.nevra()]).unwrap();
                    let artifact = windlass_core::rpm::Artifact {
                        sha256: sha256(&bytes),
                        size: bytes.len() as u64,
                        location: header.package.file_name(),
                    };
                    Arc::new(Package {
                        artifact: Some(artifact),
                        ..Package::clone(&header.package)
                    })
                })),
                files: Arc::new(Files(outcome.files.clone())),
            },
        );
        before
    }

    /// Only what was there before is there.
    pub(crate) fn forget(&mut self, before: Vec<Layer>) {
        self.layers = before;
    }

    pub(crate) fn log(&self, run: u32) -> String {
        std::fs::read_to_string(self.path(&format!("run{run}/out/log"))).unwrap_or_default()
    }
}

/// The binary packages of an outcome, by what they are called.
pub(crate) fn names(outcome: &BuildOutcome) -> Vec<String> {
    binaries(outcome).iter().map(|header| header.package.nevra()).collect()
}

pub(crate) fn binaries(outcome: &BuildOutcome) -> Vec<Arc<Header>> {
    match &outcome.result {
        ArchResult::Built { binaries, .. } => binaries.clone(),
        ArchResult::Excluded { why } => panic!("excluded: {why}"),
    }
}

/// The source package of an outcome.
pub(crate) fn source(outcome: &BuildOutcome) -> Arc<Header> {
    match &outcome.result {
        ArchResult::Built { source, .. } => Arc::clone(source),
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

/// A `pkg.tar` in the making.
pub(crate) struct Tar(pub(crate) tar::Builder<Vec<u8>>);

impl Tar {
    pub(crate) fn new(spec: &str) -> Self {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.as_mut_bytes()[..spec.len()].copy_from_slice(spec.as_bytes());
        header.set_entry_type(tar::EntryType::new(b'V'));
        header.set_size(0);
        header.set_mode(0);
        header.set_mtime(DATE);
        header.set_cksum();
        builder.append(&header, std::io::empty()).unwrap();
        Self(builder)
    }

    pub(crate) fn file(&mut self, name: &str, content: &[u8]) {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(DATE);
        header.set_cksum();
        self.0.append_data(&mut header, name, content).unwrap();
    }

    pub(crate) fn done(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

/// When all sources were tagged.
pub(crate) const DATE: u64 = 1_700_000_000;

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    let digits: Vec<String> = sha2::Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    digits.concat()
}

/// A spec of a package, with more in it.
pub(crate) fn spec(name: &str, more: &str) -> String {
    format!("Name: {name}\nVersion: 1.0\nRelease: 1%{{?dist}}\nSummary: A package\nLicense: MIT\n{more}")
}

/// The rest of a spec that has one file.
pub(crate) const ONE_FILE: &str = "%description\nA package.\n%install\nmkdir -p %buildroot/usr/share/%name\necho hello > %buildroot/usr/share/%name/hello\n%files\n/usr/share/%name\n";

fn builder(settings: &Build, root: &Path) -> Builder {
    // Another user may not get at the one that was built here.
    let program = std::env::var_os("WINDLASS_TEST_PROGRAM").map(PathBuf::from);
    Builder::new(
        settings,
        &Paths::at(root),
        program.unwrap_or_else(|| env!("CARGO_BIN_EXE_windlass").into()),
    )
}

/// The processes that have a word on their command line.
pub(crate) fn processes_with(word: &str) -> Vec<u32> {
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let number = entry.file_name().to_str()?.parse().ok()?;
            let line = std::fs::read(entry.path().join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).into_owned();
            line.contains(word).then_some(number)
        })
        .collect()
}

/// The control groups that a process made.
pub(crate) fn groups_of(process: u32) -> Vec<PathBuf> {
    let prefix = format!("windlass-build-{process}-");
    let mut found = Vec::new();
    let mut places = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(place) = places.pop() {
        for entry in std::fs::read_dir(&place).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                found.push(entry.path());
            } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                places.push(entry.path());
            }
        }
    }
    found
}

/// Waits until something is so; a minute at most.
pub(crate) fn until(mut so: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + std::time::Duration::from_mins(1);
    while !so() {
        assert!(std::time::Instant::now() < end, "it never came to be");
        std::thread::yield_now();
    }
}
