//! The demonstration's packages and its container image, which lie in `templates/demo`: their versions, and laying one of them out.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::programs::workspace;

/// Where the packages lie.
fn folder(package: &str) -> anyhow::Result<PathBuf> {
    Ok(workspace()?.join("templates/demo").join(package))
}

/// The versions of a package, oldest first.
pub fn versions(package: &str) -> anyhow::Result<Vec<String>> {
    let folder = folder(package)?;
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    // They are named so that this is their order.
    names.sort();
    Ok(names)
}

/// Puts the files of one version into a folder. Each version holds what it changes: the older ones go first.
pub fn lay_out(package: &str, version: &str, into: &Path) -> anyhow::Result<()> {
    let versions = versions(package)?;
    if !versions.iter().any(|known| known == version) {
        bail!("there is no {package} {version}, only {}", versions.join(", "));
    }
    for older in versions.iter().filter(|older| older.as_str() <= version) {
        copy(&folder(package)?.join(older), into)?;
    }
    Ok(())
}

/// Puts the files of the container image into a folder, for a server that lies in `server`.
pub fn lay_out_image(into: &Path, server: &Path) -> anyhow::Result<()> {
    copy(&folder("image")?, into)?;
    let script = into.join("Dockerfile.pre");
    let text = std::fs::read_to_string(&script)?;
    // Written to, not replaced: its mode stays.
    std::fs::write(&script, text.replace("/srv/windlass", &server.to_string_lossy()))?;
    Ok(())
}

/// Copies files with their modes.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), &target).with_context(|| format!("cannot copy to {}", target.display()))?;
        }
    }
    Ok(())
}
