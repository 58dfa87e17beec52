//! All packages that count for one architecture: the repository's own and those of its bases.

use std::sync::Arc;

use super::Index;
use crate::id::ArchName;
use crate::rpm::{Dependency, Package};

/// All packages that count for one architecture. A package of a base is shadowed by an own one of the same name, and by one of an
/// earlier base: the first repository that has a package wins.
#[derive(Debug, Clone, Copy)]
pub struct Universe<'a> {
    /// The repository's own.
    pub own: &'a Index,
    /// Those of its base repositories.
    pub bases: &'a [Arc<Index>],
    /// The architecture. Packages that cannot be installed on it do not count.
    pub arch: &'a ArchName,
}

impl<'a> Universe<'a> {
    /// The repository's own packages that count.
    pub fn own_packages(&self) -> impl Iterator<Item = &'a Arc<Package>> + use<'a> {
        let arch = self.arch;
        self.own.packages().filter(move |package| runs_on(&package.arch, arch))
    }

    /// All that count, the repository's own first.
    pub fn packages(&self) -> impl Iterator<Item = &'a Arc<Package>> + use<'a> {
        let universe = *self;
        let bases = self.bases.iter().enumerate();
        let packages = bases.flat_map(|(at, base)| base.packages().map(move |package| (at, package)));
        let counting = packages.filter(move |(at, package)| universe.counts_from_a_base(*at, package));
        self.own_packages().chain(counting.map(|(_, package)| package))
    }

    /// Those that meet a dependency, the repository's own first.
    pub fn providers(&self, wanted: &Dependency) -> Vec<&'a Arc<Package>> {
        let mut found = self.own.providers(wanted);
        found.retain(|package| runs_on(&package.arch, self.arch));
        for (at, base) in self.bases.iter().enumerate() {
            let more = base.providers(wanted).into_iter();
            found.extend(more.filter(|package| self.counts_from_a_base(at, package)));
        }
        found
    }

    /// Whether anybody meets a dependency.
    pub fn provides(&self, wanted: &Dependency) -> bool {
        self.own
            .any_provider(wanted, |package| runs_on(&package.arch, self.arch))
            || (self.bases.iter().enumerate())
                .any(|(at, base)| base.any_provider(wanted, |package| self.counts_from_a_base(at, package)))
    }

    /// Whoever provides a name in any version, with what it provides.
    pub fn providers_of_name(&self, name: &str) -> Vec<(&'a Arc<Package>, &'a Dependency)> {
        let mut found = self.own.providers_of_name(name);
        found.retain(|(package, _)| runs_on(&package.arch, self.arch));
        for (at, base) in self.bases.iter().enumerate() {
            let more = base.providers_of_name(name).into_iter();
            found.extend(more.filter(|(package, _)| self.counts_from_a_base(at, package)));
        }
        found
    }

    fn counts_from_a_base(&self, at: usize, package: &Package) -> bool {
        let earlier = self.bases.iter().take(at).map(AsRef::as_ref);
        let mut shadowing = std::iter::once(self.own).chain(earlier);
        let here = |package: &Arc<Package>| runs_on(&package.arch, self.arch);
        runs_on(&package.arch, self.arch) && !shadowing.any(|index| index.named(&package.name).any(here))
    }
}

/// Whether a package of one architecture is for a machine of another: its own, `noarch`, and older ones of the same family.
///
/// A 64-bit machine could also run 32-bit packages (multilib); here each architecture is a repository of its own, so they do not
/// count for it. Source packages are for no machine.
pub fn runs_on(package: &str, machine: &ArchName) -> bool {
    const X86: [&str; 5] = ["i386", "i486", "i586", "i686", "athlon"];
    const X86_64: [&str; 4] = ["x86_64", "x86_64_v2", "x86_64_v3", "x86_64_v4"];
    const ARM: [&str; 7] = [
        "armv5tel", "armv6l", "armv6hl", "armv7l", "armv7hl", "armv7hnl", "armv8l",
    ];
    let machine = machine.as_str();
    if package == machine || package == "noarch" {
        return true;
    }
    [&X86[..], &X86_64, &ARM].iter().any(|family| {
        let place = |name: &str| family.iter().position(|known| *known == name);
        match (place(package), place(machine)) {
            (Some(package), Some(machine)) => package <= machine,
            (_, None) | (None, _) => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("x86_64", "x86_64", true)]
    #[case("noarch", "x86_64", true)]
    #[case("i586", "x86_64", false)]
    #[case("i386", "i586", true)]
    #[case("i586", "i586", true)]
    #[case("i686", "i586", false)]
    #[case("x86_64", "i586", false)]
    #[case("aarch64", "aarch64", true)]
    #[case("src", "x86_64", false)]
    fn machines(#[case] package: &str, #[case] machine: &str, #[case] runs: bool) {
        assert_eq!(runs_on(package, &machine.parse().unwrap()), runs);
    }
}
