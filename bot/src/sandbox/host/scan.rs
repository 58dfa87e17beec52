//! What the host has: its programs, libraries, pkg-config modules, and what packagers call the usual things.

mod languages;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use windlass_core::rpm::{Comparison, Dependency, Evr};
use windlass_hooks::process::Run;

use crate::sandbox::macros::Target;

/// Where programs are, with the other name of the place.
const PROGRAMS: [(&str, &str); 2] = [("/usr/bin", "/bin"), ("/usr/sbin", "/sbin")];

/// How deep libraries and modules are looked for.
const DEPTH: usize = 3;

/// What the usual things are called, and what is there when they are.
const USUAL: &[(&str, &str)] = &[
    ("filesystem", ""),
    ("autoconf", "/usr/bin/autoconf"),
    ("automake", "/usr/bin/automake"),
    ("bash", "/usr/bin/bash"),
    ("binutils", "/usr/bin/ld"),
    ("bison", "/usr/bin/bison"),
    ("bzip2", "/usr/bin/bzip2"),
    ("cmake", "/usr/bin/cmake"),
    ("coreutils", "/usr/bin/ls"),
    ("cpio", "/usr/bin/cpio"),
    ("diffutils", "/usr/bin/diff"),
    ("file", "/usr/bin/file"),
    ("findutils", "/usr/bin/find"),
    ("flex", "/usr/bin/flex"),
    ("gawk", "/usr/bin/gawk"),
    ("gcc", "/usr/bin/gcc"),
    ("gcc-c++", "/usr/bin/g++"),
    ("gettext", "/usr/bin/msgfmt"),
    ("gettext-tools", "/usr/bin/msgfmt"),
    ("git", "/usr/bin/git"),
    ("git-core", "/usr/bin/git"),
    ("glibc", "/usr/bin/ldd"),
    ("glibc-common", "/usr/bin/ldd"),
    ("glibc-devel", "/usr/include/stdio.h"),
    ("glibc-headers", "/usr/include/stdio.h"),
    ("grep", "/usr/bin/grep"),
    ("gzip", "/usr/bin/gzip"),
    ("kernel-headers", "/usr/include/linux/version.h"),
    ("libtool", "/usr/bin/libtoolize"),
    ("m4", "/usr/bin/m4"),
    ("make", "/usr/bin/make"),
    ("meson", "/usr/bin/meson"),
    ("ninja-build", "/usr/bin/ninja"),
    ("patch", "/usr/bin/patch"),
    ("perl", "/usr/bin/perl"),
    ("perl-base", "/usr/bin/perl"),
    ("perl-interpreter", "/usr/bin/perl"),
    ("pkg-config", "/usr/bin/pkg-config"),
    ("pkgconf", "/usr/bin/pkg-config"),
    ("pkgconf-pkg-config", "/usr/bin/pkg-config"),
    ("pkgconfig", "/usr/bin/pkg-config"),
    ("python3", "/usr/bin/python3"),
    ("redhat-rpm-config", ""),
    ("rpm", "/usr/bin/rpm"),
    ("rpm-build", "/usr/bin/rpmbuild"),
    ("sed", "/usr/bin/sed"),
    ("sh", "/usr/bin/sh"),
    ("shadow-utils", "/usr/sbin/useradd"),
    ("tar", "/usr/bin/tar"),
    ("texinfo", "/usr/bin/makeinfo"),
    ("tzdata", "/usr/share/zoneinfo/UTC"),
    ("unzip", "/usr/bin/unzip"),
    ("util-linux", "/usr/bin/mount"),
    ("which", "/usr/bin/which"),
    ("xz", "/usr/bin/xz"),
    ("zip", "/usr/bin/zip"),
    ("zstd", "/usr/bin/zstd"),
];

/// Everything that the host provides for an architecture, in order. `state` changes when the tree does.
pub(super) fn provides<'s>(
    tree: &Path,
    state: &str,
    target: &Target,
    configured: impl Iterator<Item = (&'s str, &'s str)>,
) -> io::Result<Vec<Dependency>> {
    let mut names: BTreeSet<String> = BTreeSet::new();
    for (place, other) in PROGRAMS {
        let Ok(entries) = fs::read_dir(tree.join(&place[1..])) else {
            continue;
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| is_word(name)) else {
                continue;
            };
            names.insert(format!("{place}/{name}"));
            names.insert(format!("{other}/{name}"));
        }
    }
    let present = |path: &str| path.is_empty() || fs::symlink_metadata(tree.join(path.trim_start_matches('/'))).is_ok();
    let usual = USUAL.iter().copied();
    for (capability, _) in usual.chain(configured).filter(|(_, path)| present(path)) {
        names.insert(capability.to_owned());
    }
    std::thread::scope(|scope| {
        let perl = scope.spawn(|| languages::perl(tree, state));
        let mut files = Vec::new();
        for place in super::LIBRARIES {
            find(&tree.join(place), DEPTH, &mut files)?;
        }
        libraries(tree, target, &files, &mut names)?;
        modules(target, &files, &mut names);
        languages::python(tree, &mut names);
        names.append(&mut perl.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        io::Result::Ok(())
    })?;
    Ok(names.iter().filter_map(|name| dependency(name)).collect())
}

/// `name`, or `name = version`.
pub(super) fn dependency(text: &str) -> Option<Dependency> {
    match text.split_once(" = ") {
        Some((name, version)) => Some(Dependency {
            name: name.to_owned(),
            versions: Some((Comparison::Equal, version.parse::<Evr>().ok()?)),
        }),
        None => Some(Dependency {
            name: text.to_owned(),
            versions: None,
        }),
    }
}

/// Every file and link below a directory, as deep as said.
fn find(directory: &Path, depth: usize, into: &mut Vec<PathBuf>) -> io::Result<()> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Ok(());
    };
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            // Neither debug information nor the many directories of languages and kernels hold what programs are linked with.
            let name = entry.file_name();
            let skipped = ["debug", "modules", "firmware", "python3", "gcc", "locale", "jvm"];
            if depth > 1 && !skipped.iter().any(|skip| name == *skip) {
                find(&path, depth - 1, into)?;
            }
        } else {
            into.push(path);
        }
    }
    Ok(())
}

/// What the libraries of an architecture provide, as rpm itself names it.
fn libraries(tree: &Path, target: &Target, files: &[PathBuf], names: &mut BTreeSet<String>) -> io::Result<()> {
    let mut list = Vec::new();
    for path in files {
        let shared = path
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.contains(".so"));
        let plain = path
            .parent()
            .is_some_and(|parent| super::LIBRARIES.iter().any(|place| parent == tree.join(place)));
        if shared && plain {
            list.extend_from_slice(path.as_os_str().as_encoded_bytes());
            list.push(b'\n');
        }
    }
    let tool = Path::new("/usr/lib/rpm/elfdeps");
    let said = Run::new(tool)
        .arg("--provides")
        .clear_env()
        .input(list)
        .timeout(Duration::from_mins(2))
        // Some of them are linker scripts, which it says by its status.
        .output()
        .map_err(|error| {
            io::Error::other(format!(
                "{error}\n\nhint: builds need rpmbuild (Debian: `apt-get install rpm`)"
            ))
        })?;
    for line in String::from_utf8_lossy(&said.stdout).lines() {
        let line = line.trim();
        // rpm marks what has 64 bits, and the other has no mark.
        if is_word(line) && line.ends_with("(64bit)") == target.wide {
            names.insert(line.to_owned());
        }
        if line.starts_with("ld-linux") && line.ends_with("(64bit)") == target.wide {
            names.insert("rtld(GNU_HASH)".to_owned());
        }
    }
    Ok(())
}

/// The pkg-config modules that an architecture's programs can use.
fn modules(target: &Target, files: &[PathBuf], names: &mut BTreeSet<String>) {
    for path in files {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        let Some(module) = name.strip_suffix(".pc").filter(|module| is_word(module)) else {
            continue;
        };
        let place = path.to_string_lossy();
        let foreign = place.contains("/x86_64-linux-gnu/") || place.contains("/lib64/");
        if foreign && !target.wide || (place.contains("/i386-linux-gnu/") || place.contains("/lib32/")) && target.wide {
            continue;
        }
        let text = fs::read_to_string(path).unwrap_or_default();
        let version = text
            .lines()
            .find_map(|line| line.strip_prefix("Version:"))
            .map(str::trim)
            .filter(|version| is_word(version) && !version.contains('-') && !version.contains('$'));
        names.insert(match version {
            Some(version) => format!("pkgconfig({module}) = {version}"),
            None => format!("pkgconfig({module})"),
        });
    }
}

/// Whether a name can be a capability as it is.
fn is_word(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 256
        && name
            .bytes()
            .all(|b| b.is_ascii_graphic() && !b"<>=%&,\"'\\".contains(&b))
        && !name.starts_with('(')
}
