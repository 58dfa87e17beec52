//! Packages that are thought up, for the tests of this folder.

use std::sync::Arc;

use crate::rpm::{Comparison, Dependency, Evr, File, FileKind, Package};

/// A package under construction.
pub(super) struct Made(Package);

/// A package by `name-version-release`, which may be followed by `.architecture` where the release ends in a digit.
pub(super) fn package(text: &str) -> Made {
    let (nvr, arch) = text
        .rsplit_once('.')
        .filter(|(_, arch)| matches!(*arch, "noarch" | "i586" | "i386" | "x86_64" | "src"))
        .unwrap_or((text, "x86_64"));
    let mut parts = nvr.rsplitn(3, '-');
    let (release, version, name) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
    let evr = Evr::of_text(&format!("{version}-{release}"));
    Made(Package {
        name: name.to_owned(),
        provides: vec![Dependency {
            name: name.to_owned(),
            versions: Some((Comparison::Equal, evr.clone())),
        }],
        evr,
        arch: arch.to_owned(),
        source_rpm: None,
        requires: Vec::new(),
        conflicts: Vec::new(),
        obsoletes: Vec::new(),
        recommends: Vec::new(),
        files: Vec::new(),
        artifact: None,
    })
}

impl Made {
    pub(super) fn provides(mut self, text: &str) -> Self {
        self.0.provides.push(text.parse().unwrap());
        self
    }

    pub(super) fn requires(mut self, text: &str) -> Self {
        self.0.requires.push(text.parse().unwrap());
        self
    }

    pub(super) fn conflicts(mut self, text: &str) -> Self {
        self.0.conflicts.push(text.parse().unwrap());
        self
    }

    pub(super) fn obsoletes(mut self, text: &str) -> Self {
        self.0.obsoletes.push(text.parse().unwrap());
        self
    }

    pub(super) fn file(mut self, path: &str) -> Self {
        self.0.files.push(File {
            path: path.to_owned(),
            kind: FileKind::Plain,
        });
        self
    }

    pub(super) fn from(mut self, source_rpm: &str) -> Self {
        self.0.source_rpm = Some(source_rpm.to_owned());
        self
    }

    pub(super) fn arc(self) -> Arc<Package> {
        Arc::new(self.0)
    }
}
