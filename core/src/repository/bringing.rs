//! What subtasks bring, thought up, for the tests of this folder.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::tests::package;
use super::{ArchResult, Brought, BroughtBy, Content, Index, Plan, plan};
use crate::id::{ArchName, Generation, SubtaskNumber};
use crate::rpm::header::{FileDetail, TagDigest};
use crate::rpm::{About, File, FileKind, Header, Package};

/// A build under construction.
#[derive(Clone)]
pub(super) struct Built {
    subtask: u32,
    source: String,
    is_tagged: bool,
    results: BTreeMap<ArchName, ArchResult>,
}

/// A build of a source package, `name-version-release`, by a subtask.
pub(super) fn built(subtask: u32, source: &str) -> Built {
    Built {
        subtask,
        source: source.to_owned(),
        is_tagged: true,
        results: BTreeMap::new(),
    }
}

/// The same build, not for this architecture.
pub(super) fn excluded(mut built: Built, on: &str) -> Built {
    let why = "ExclusiveArch: none".to_owned();
    built.results.insert(arch(on), ArchResult::Excluded { why });
    built
}

/// A removal of a source package.
pub(super) fn removal(subtask: u32, name: &str) -> Brought {
    Brought {
        subtask: SubtaskNumber(subtask),
        action: BroughtBy::Removal {
            package: name.parse().unwrap(),
        },
    }
}

pub(super) fn arch(name: &str) -> ArchName {
    name.parse().unwrap()
}

impl Built {
    /// The same build with these binary packages on an architecture.
    pub(super) fn on(mut self, on: &str, binaries: &[&str]) -> Self {
        let source = header(package(&format!("{}.src", self.source)).arc());
        let from = source.package.file_name();
        let binaries = binaries.iter().map(|text| header(package(text).from(&from).arc()));
        let result = ArchResult::Built {
            binaries: binaries.collect(),
            source,
        };
        self.results.insert(arch(on), result);
        self
    }

    /// The same build with one binary package more on an architecture.
    pub(super) fn with(mut self, on: &str, text: &str) -> Self {
        let from = format!("{}.src.rpm", self.source);
        self.push(on, header(package(text).from(&from).arc()));
        self
    }

    /// The same build, from no tag.
    pub(super) fn untagged(mut self) -> Self {
        self.is_tagged = false;
        self
    }

    pub(super) fn push(&mut self, on: &str, header: Arc<Header>) {
        match self.results.get_mut(&arch(on)).unwrap() {
            ArchResult::Built { binaries, .. } => binaries.push(header),
            ArchResult::Excluded { .. } => panic!("it is excluded there"),
        }
    }

    pub(super) fn insert(&mut self, on: &str, result: ArchResult) {
        self.results.insert(arch(on), result);
    }

    /// Changes the source package of an architecture.
    pub(super) fn source(&mut self, on: &str, change: impl FnOnce(&mut Header)) {
        match self.results.get_mut(&arch(on)).unwrap() {
            ArchResult::Built { source, .. } => change(Arc::make_mut(source)),
            ArchResult::Excluded { .. } => panic!("it is excluded there"),
        }
    }

    /// Changes a binary package of an architecture.
    pub(super) fn binary(&mut self, on: &str, name: &str, change: impl FnOnce(&mut Header)) {
        match self.results.get_mut(&arch(on)).unwrap() {
            ArchResult::Built { binaries, .. } => {
                let found = binaries.iter_mut().find(|header| header.package.name == name);
                change(Arc::make_mut(found.unwrap()));
            }
            ArchResult::Excluded { .. } => panic!("it is excluded there"),
        }
    }

    pub(super) fn done(&self) -> Brought {
        let tag = "1111111111111111111111111111111111111111".parse().unwrap();
        Brought {
            subtask: SubtaskNumber(self.subtask),
            action: BroughtBy::Build {
                tag: self.is_tagged.then_some(tag),
                results: self.results.clone(),
            },
        }
    }
}

/// A header of a package, the same wherever it is built; one for all architectures has two files.
pub(super) fn header(package: Arc<Package>) -> Arc<Header> {
    let mut package = package;
    let mut files = Vec::new();
    if package.arch == "noarch" {
        let detail = FileDetail {
            mode: 0o100_644,
            digest: "ff".to_owned(),
            size: 1,
            flags: 0,
            link: String::new(),
            user: "root".to_owned(),
            owner_group: "root".to_owned(),
            capabilities: String::new(),
        };
        files = vec![detail.clone(), detail];
        let path = format!("/usr/share/{}", package.name);
        let kind = FileKind::Plain;
        let paths = [path.clone(), path + ".pyc"];
        Arc::make_mut(&mut package).files = paths.map(|path| File { path, kind }).to_vec();
    }
    let tags = [(1004, TagDigest([1; 16])), (1049, TagDigest([2; 16]))].into();
    Arc::new(Header {
        about: About {
            summary: String::new(),
            description: String::new(),
            url: None,
            license: None,
            vendor: None,
            group: None,
            packager: None,
            build_time: jiff::Timestamp::UNIX_EPOCH,
            build_host: None,
            installed_size: 0,
            archive_size: 0,
            header_range: 0..0,
            header_sha256: String::new(),
            changelog: Vec::new(),
            pre: vec![false; package.requires.len()],
            suggests: Vec::new(),
            supplements: Vec::new(),
            enhances: Vec::new(),
            exclusive_arch: Vec::new(),
            exclude_arch: Vec::new(),
            files,
            tags,
        },
        package,
    })
}

/// The repository that consists of these builds, at generation 7, for `i586` and `x86_64`.
pub(super) fn content(brought: &[Brought]) -> Content {
    let mut arches: BTreeMap<ArchName, Vec<Arc<Package>>> =
        [arch("i586"), arch("x86_64")].map(|arch| (arch, Vec::new())).into();
    let mut sources = Vec::new();
    for (arch, result) in brought.iter().flat_map(|one| one.results().unwrap()) {
        if let ArchResult::Built { source, binaries } = result {
            sources.push(Arc::clone(&source.package));
            let list = arches.entry(arch.clone()).or_default();
            list.extend(binaries.iter().map(|header| Arc::clone(&header.package)));
        }
    }
    Content {
        generation: Generation(7),
        arches: arches.into_iter().map(|(arch, all)| (arch, Index::of(all))).collect(),
        source: Index::of(sources),
    }
}

/// The plan of these subtasks, which there is; `x86_64` is configured first.
pub(super) fn planned(content: &Content, brought: &[Brought]) -> Plan {
    let arches = [arch("x86_64"), arch("i586")];
    plan(&"sisyphus".parse().unwrap(), &arches, content, brought).unwrap()
}
