//! Random repositories: many small worlds in each, whose packages require, conflict with and replace each other.

use windlass_core::rpm::{Comparison, Dependency, Evr, File, FileKind, Package, Requirement, Rich};
use windlass_tests::chance::Chance;

/// How many small worlds of their own one repository consists of.
const WORLDS: u64 = 150;

/// What names and words a repository is made of.
pub(crate) struct Maker {
    pub(crate) chance: Chance,
    /// The architectures of its packages.
    pub(crate) arches: &'static [&'static str],
    pub(crate) world: u64,
    /// Whether every version has a release, and everything that is provided a version.
    pub(crate) is_full: bool,
}

impl Maker {
    pub(crate) fn new(seed: u64, arches: &'static [&'static str]) -> Self {
        Self {
            chance: Chance::seeded(seed),
            arches,
            world: 0,
            is_full: false,
        }
    }

    fn one_in(&mut self, number: u64) -> bool {
        self.chance.below(number) == 0
    }

    pub(crate) fn packages(&mut self) -> Vec<Package> {
        let mut packages = Vec::new();
        for world in 0..WORLDS {
            self.world = world;
            for number in 0..6 {
                if self.one_in(6) {
                    continue;
                }
                let versions = if self.one_in(4) { 2 } else { 1 };
                let first = 1 + self.chance.below(2);
                for version in first..first + versions {
                    packages.push(self.package(number, version));
                }
            }
        }
        packages
    }

    fn package(&mut self, number: u64, version: u64) -> Package {
        let name = format!("w{}-p{number}", self.world);
        let evr = Evr {
            epoch: u32::from(self.one_in(6)),
            version: version.to_string(),
            release: Some((1 + self.chance.below(2)).to_string()),
        };
        // One for all versions: see `an_inferior_architecture_is_as_good`.
        let arch = self.arches[usize::try_from(number + self.world).unwrap_or(0) % self.arches.len()].to_owned();
        let mut provides = vec![Dependency::exactly(&name, evr.clone())];
        while self.one_in(2) {
            let name = format!("w{}-v{}", self.world, self.chance.below(3));
            let mut versions = self.versions(&[Comparison::Equal, Comparison::Equal, Comparison::GreaterOrEqual]);
            if self.is_full {
                versions = Some((Comparison::Equal, versions.map_or_else(|| evr.clone(), |(_, evr)| evr)));
            }
            provides.push(Dependency { name, versions });
        }
        let mut files = Vec::new();
        while self.one_in(2) {
            let path = self.path();
            if files.iter().all(|file: &File| file.path != path) {
                let kind = if path.ends_with('d') {
                    FileKind::Directory
                } else {
                    FileKind::Plain
                };
                files.push(File { path, kind });
            }
        }
        let mut package = Package {
            name,
            evr,
            arch,
            source_rpm: None,
            provides,
            requires: Vec::new(),
            conflicts: Vec::new(),
            obsoletes: Vec::new(),
            recommends: Vec::new(),
            files,
            artifact: None,
        };
        for _ in 0..self.chance.below(3) {
            let one = self.requirement();
            if !package.requires.contains(&one) {
                package.requires.push(one);
            }
        }
        while self.one_in(5) {
            let one = if self.one_in(4) {
                self.requirement()
            } else {
                Requirement::Plain(self.plain())
            };
            package.conflicts.push(one);
        }
        while self.one_in(6) {
            let mut one = self.plain();
            if one.is_path() {
                one.name = format!("w{}-p0", self.world);
            }
            package.obsoletes.push(one);
        }
        package
    }

    fn versions(&mut self, signs: &[Comparison]) -> Option<(Comparison, Evr)> {
        if self.one_in(2) {
            return None;
        }
        let sign = self.chance.one_of(signs).copied()?;
        let evr = Evr {
            epoch: u32::from(self.one_in(8)),
            version: (1 + self.chance.below(3)).to_string(),
            release: (self.is_full || self.one_in(2)).then(|| (1 + self.chance.below(2)).to_string()),
        };
        Some((sign, evr))
    }

    fn path(&mut self) -> String {
        let world = self.world;
        let places = ["/usr/bin/w", "/etc/w", "/usr/share/w", "/usr/share/w", "/opt/w"];
        let place = self.chance.one_of(&places).copied().unwrap_or("/w");
        let what = self.chance.one_of(&["a", "b", "d"]).copied().unwrap_or("a");
        format!("{place}{world}/{what}")
    }

    /// A name, with a range of versions or without, or a file.
    fn plain(&mut self) -> Dependency {
        let world = self.world;
        match self.chance.below(20) {
            0 => Dependency::any(format!("w{world}-nobody")),
            1 | 2 => Dependency::any(self.path()),
            3..=8 => Dependency {
                name: format!("w{world}-v{}", self.chance.below(3)),
                versions: self.sign(),
            },
            _ => Dependency {
                name: format!("w{world}-p{}", self.chance.below(6)),
                versions: self.sign(),
            },
        }
    }

    fn sign(&mut self) -> Option<(Comparison, Evr)> {
        self.versions(&[
            Comparison::Less,
            Comparison::LessOrEqual,
            Comparison::Equal,
            Comparison::GreaterOrEqual,
            Comparison::GreaterOrEqual,
            Comparison::Greater,
        ])
    }

    fn requirement(&mut self) -> Requirement {
        if self.one_in(2) {
            return Requirement::Plain(self.plain());
        }
        Requirement::Rich(self.rich(0))
    }

    /// A boolean dependency such as rpmbuild takes.
    fn rich(&mut self, depth: u32) -> Rich {
        let mut part = |maker: &mut Self| {
            if depth < 1 && maker.one_in(3) {
                maker.rich(depth + 1)
            } else {
                Rich::Plain(maker.plain())
            }
        };
        match self.chance.below(6) {
            0 => Rich::And(self.some(&mut part)),
            1 => Rich::Or(self.some(&mut part)),
            2 | 3 => {
                let (then, condition) = (Box::new(part(self)), Box::new(part(self)));
                let other = self.one_in(3).then(|| Box::new(part(self)));
                if self.one_in(2) {
                    Rich::If(then, condition, other)
                } else {
                    Rich::Unless(then, condition, other)
                }
            }
            4 => Rich::With(self.some(&mut |maker| Rich::Plain(maker.plain()))),
            _ => {
                let one = Box::new(Rich::Plain(self.plain()));
                Rich::Without(one, Box::new(Rich::Plain(self.plain())))
            }
        }
    }

    fn some(&mut self, part: &mut dyn FnMut(&mut Self) -> Rich) -> Vec<Rich> {
        let count = 2 + self.chance.below(2);
        (0..count).map(|_| part(self)).collect()
    }
}
