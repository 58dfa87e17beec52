//! Takes packages out of a build. The build made them, so nothing about them is believed: neither names nor sizes nor what they are.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, Read as _, Write as _};

use tempfile::TempDir;
use windlass_core::escape::escaped;
use windlass_core::id::PackageName;
use windlass_core::repository::runs_on;
use windlass_core::rpm::header;

use super::failure::strange;
use super::results::{Built, Results, Taken};
use super::work::Work;
use crate::digest::sha256_of;
use crate::stages::StageError;

/// Takes out what a build made, and checks it.
pub(super) fn collect(work: &mut Work<'_>, results: &Results, key: &str) -> Result<Built, StageError> {
    let directory = results.new_directory()?;
    tracing::debug!(key, "collecting what was built");
    let mut sources = Vec::new();
    let mut binaries = Vec::new();
    let mut seen = BTreeSet::new();
    for place in ["build/SRPMS", "build/RPMS"] {
        for name in work.results(place)? {
            let taken = take(work, &directory, &format!("{place}/{name}"))?;
            if !seen.insert(taken.name.clone()) {
                return Err(strange(
                    work.order,
                    &format!("it made '{}' twice", escaped(&taken.name)),
                ));
            }
            if taken.header.package.is_source() {
                sources.push(taken);
            } else {
                binaries.push(taken);
            }
        }
    }
    let order = work.order;
    let source = match sources.len() {
        1 => sources.remove(0),
        0 => return Err(strange(order, "it made no source package")),
        several => {
            return Err(strange(
                order,
                &format!("it made {several} source packages; a build makes one"),
            ));
        }
    };
    if binaries.is_empty() {
        let problem = super::failure::problem(order, "no_packages", "it made no binary package".to_owned())
            .hint("a spec needs a %files section, for the main package or for a subpackage");
        return Err(StageError::package(problem));
    }
    for binary in &binaries {
        let package = &binary.header.package;
        if package.source_rpm.as_deref() != Some(source.name.as_str()) {
            let claimed = package.source_rpm.as_deref().map_or_else(|| "none".to_owned(), escaped);
            return Err(strange(
                order,
                &format!(
                    "'{}' names {claimed} as its source package, and it was built from {}",
                    package.nevra(),
                    source.name
                ),
            ));
        }
        if !runs_on(&package.arch, &order.arch) {
            return Err(strange(
                order,
                &format!("'{}' is for another architecture than {}", package.nevra(), order.arch),
            ));
        }
    }
    binaries.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(Built {
        directory,
        source,
        binaries,
    })
}

/// Copies one package out under the name that its header gives it.
fn take(work: &mut Work<'_>, directory: &TempDir, path: &str) -> Result<Taken, StageError> {
    let from = work.open(path)?;
    let most = work.builder.settings().max_package.bytes();
    let order = work.order;
    let shown = escaped(path);
    let broken = |error: io::Error| StageError::io("what was built", &error);
    let size = from.metadata().map_err(broken)?.len();
    if size > most {
        return Err(strange(
            order,
            &format!(
                "/{shown} has {size} bytes, and {} are taken: [build] max_package",
                work.builder.settings().max_package
            ),
        ));
    }
    let copy = tempfile::NamedTempFile::new_in(directory.path()).map_err(broken)?;
    // A file with holes is larger than what it takes.
    let copied = io::copy(&mut from.take(most), &mut copy.as_file()).map_err(broken)?;
    if copied != size {
        return Err(strange(order, &format!("/{shown} changed while it was read")));
    }
    copy.as_file().flush().map_err(broken)?;
    let reopened = File::open(copy.path()).map_err(broken)?;
    let header = header::read(&mut BufReader::new(reopened))
        .map_err(|error| strange(order, &format!("/{shown} is no package: {error}")))?;
    let package = &header.package;
    let good = package.name.parse::<PackageName>().is_ok()
        && is_plain(&package.evr.version)
        && package.evr.release.as_deref().is_some_and(is_plain)
        && is_plain(&package.arch);
    if !good {
        return Err(strange(
            order,
            &format!("/{shown} is called '{}'", escaped(&package.nevra())),
        ));
    }
    let name = package.file_name();
    let (sha256, size) = sha256_of(File::open(copy.path()).map_err(broken)?).map_err(broken)?;
    copy.as_file()
        .set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .map_err(broken)?;
    match copy.persist_noclobber(directory.path().join(&name)) {
        Ok(_) => {}
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(strange(order, &format!("it made '{}' twice", escaped(&name))));
        }
        Err(error) => return Err(broken(error.error)),
    }
    Ok(Taken {
        header,
        name,
        sha256,
        size,
    })
}

/// Whether a version, release or architecture is one that a file's name can hold.
fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 128
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._+~^".contains(&b))
        && !text.contains("..")
}
