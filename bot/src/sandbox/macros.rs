//! What rpm is told in a build root: macros, environment, and how another architecture than the machine's own is built for.

use std::collections::BTreeMap;

use windlass_core::id::ArchName;

use super::bubble::HOST;
use crate::config::Build;

/// Where programs stand that go before the host's.
const FIRST: &str = "etc/windlass/bin";

/// An architecture that packages are built for on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// Its name.
    pub(crate) arch: ArchName,
    /// The machine's own name, where it is another.
    foreign: bool,
    /// Whether its programs have 64 bits.
    pub(crate) wide: bool,
}

/// What a build sets beside what the settings say.
#[derive(Debug, Clone, Default)]
pub(crate) struct Values<'a> {
    /// The value of `%dist`.
    pub(crate) dist: Option<&'a str>,
    /// Where rpm has its database, where that is elsewhere than usual.
    pub(crate) database: Option<&'a str>,
}

impl Target {
    /// The architecture, if this machine can build for it.
    pub(crate) fn of(arch: &ArchName) -> Option<Self> {
        let own = match std::env::consts::ARCH {
            "x86" => "i686",
            "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
            "powerpc64" => "ppc64",
            "arm" => "armv7hl",
            other => other,
        };
        Self::on(arch, own)
    }

    /// The architecture, if a machine of another one can build for it.
    pub(crate) fn on(arch: &ArchName, own: &str) -> Option<Self> {
        let name = arch.as_str();
        let x86 = |name: &str| matches!(name, "i386" | "i486" | "i586" | "i686");
        let foreign = match name {
            _ if name == own => false,
            _ if x86(name) && x86(own) => false,
            _ if x86(name) && own == "x86_64" => true,
            _ => return None,
        };
        let wide = !(x86(name) || name.starts_with("arm"));
        Some(Self {
            arch: arch.clone(),
            foreign,
            wide,
        })
    }

    /// The command as it runs for this architecture.
    pub(crate) fn command(&self, words: &[&str]) -> Vec<String> {
        let before: &[&str] = if self.foreign {
            &["setarch", self.arch.as_str()]
        } else {
            &[]
        };
        before.iter().chain(words).map(|word| (*word).to_owned()).collect()
    }

    /// The directory of its libraries, as rpm's `%_libdir`.
    pub(crate) fn libraries(&self) -> &'static str {
        if self.wide { "/usr/lib64" } else { "/usr/lib" }
    }

    /// The macros of a build, as a file of rpm's. The build's key depends on it.
    pub(crate) fn macros(&self, settings: &Build, values: &Values<'_>) -> String {
        let jobs = jobs(settings);
        let mut all: BTreeMap<&str, String> = BTreeMap::new();
        for (name, value) in [
            ("_dbpath", values.database.unwrap_or("/var/lib/rpm")),
            ("_topdir", "/build"),
            ("_specdir", "/build/SOURCES"),
            ("_sourcedir", "/build/SOURCES"),
            ("_builddir", "/build/BUILD"),
            ("_buildrootdir", "/build/BUILDROOT"),
            ("_rpmdir", "/build/RPMS"),
            ("_srcrpmdir", "/build/SRPMS"),
            ("_tmppath", "/var/tmp"),
            ("_buildhost", HOST),
            ("_build_name_fmt", "%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm"),
            ("use_source_date_epoch_as_buildtime", "1"),
            ("clamp_mtime_to_source_date_epoch", "1"),
            ("source_date_epoch_from_changelog", "0"),
            ("_host_cpu", self.arch.as_str()),
            ("debug_package", "%{nil}"),
            ("__cc", if self.foreign { "gcc -m32" } else { "gcc" }),
            ("__cxx", if self.foreign { "g++ -m32" } else { "g++" }),
            ("__cpp", if self.foreign { "gcc -m32 -E" } else { "gcc -E" }),
            ("__ld", if self.foreign { "ld -m elf_i386" } else { "ld" }),
            ("__ar", "ar"),
            ("__as", if self.foreign { "as --32" } else { "as" }),
            ("__nm", "nm"),
            ("__objcopy", "objcopy"),
            ("__objdump", "objdump"),
            ("__ranlib", "ranlib"),
            ("__strip", "strip"),
        ] {
            all.insert(name, value.to_owned());
        }
        all.insert("_smp_ncpus_max", jobs.to_string());
        all.insert("_smp_build_ncpus", jobs.to_string());
        for (name, value) in [("packager", &settings.packager), ("vendor", &settings.vendor)] {
            if !value.is_empty() {
                all.insert(name, value.clone());
            }
        }
        if let Some(dist) = values.dist {
            all.insert("dist", dist.to_owned());
        }
        for (name, value) in &settings.macros {
            all.insert(name, value.clone());
        }
        let lines: Vec<String> = all.iter().map(|(name, value)| format!("%{name} {value}\n")).collect();
        lines.concat()
    }

    /// The environment of a build.
    pub(crate) fn environment(&self, settings: &Build, date: u64) -> Vec<(String, String)> {
        let libraries = self.libraries();
        let modules = format!("{libraries}/pkgconfig:/usr/share/pkgconfig");
        let mut list = vec![
            ("PATH", format!("/{FIRST}:/usr/bin:/usr/sbin:/bin:/sbin")),
            ("HOME", "/build/home".to_owned()),
            ("USER", "builder".to_owned()),
            ("LOGNAME", "builder".to_owned()),
            ("SHELL", "/bin/sh".to_owned()),
            ("TERM", "dumb".to_owned()),
            ("TZ", "UTC".to_owned()),
            ("TMPDIR", "/tmp".to_owned()),
            // The C locale's messages, which are read here, with everybody's characters.
            ("LC_ALL", "C.UTF-8".to_owned()),
            ("SOURCE_DATE_EPOCH", date.to_string()),
            ("RPM_BUILD_NCPUS", jobs(settings).to_string()),
        ];
        if self.foreign {
            // The machine's own modules are for programs that the target's cannot be linked with.
            list.push((
                "PKG_CONFIG_LIBDIR",
                format!("{modules}:/usr/lib/i386-linux-gnu/pkgconfig"),
            ));
        } else {
            list.push(("PKG_CONFIG_PATH", modules));
        }
        list.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// The environment of what root does in a build root.
    pub(crate) fn root_environment() -> Vec<(String, String)> {
        [
            ("PATH", "/usr/bin:/usr/sbin:/bin:/sbin"),
            ("HOME", "/root"),
            ("USER", "root"),
            ("LOGNAME", "root"),
            ("SHELL", "/bin/sh"),
            ("TERM", "dumb"),
            ("TZ", "UTC"),
            ("LC_ALL", "C.UTF-8"),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
    }

    /// Programs that stand before the host's, so that what is called by name makes what the target runs.
    pub(crate) fn programs(&self) -> Vec<(String, Vec<u8>)> {
        if !self.foreign {
            return Vec::new();
        }
        let compilers = ["cc", "gcc", "c++", "g++", "cpp"].map(|name| (name, "-m32"));
        compilers
            .into_iter()
            .chain([("as", "--32"), ("ld", "-m elf_i386")])
            .map(|(name, option)| {
                let script = format!("#!/bin/sh\nexec /usr/bin/{name} {option} \"$@\"\n");
                (format!("{FIRST}/{name}"), script.into_bytes())
            })
            .collect()
    }
}

fn jobs(settings: &Build) -> usize {
    match settings.jobs {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        jobs => jobs as usize,
    }
}
