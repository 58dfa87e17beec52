//! A folder that becomes the file system of an initramfs or of a slot.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tempfile::TempDir;

use crate::engines::find;
use crate::process::Cmd;

/// A folder in the making, removed when this is dropped.
#[derive(Debug)]
pub(super) struct Tree(TempDir);

impl Tree {
    /// One with these empty folders.
    pub(super) fn with_folders(folders: &[&str]) -> anyhow::Result<Self> {
        let tree = Self(tempfile::Builder::new().prefix("wlt-").tempdir()?);
        for folder in folders {
            std::fs::create_dir_all(tree.at(folder))?;
        }
        Ok(tree)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Where this file of it is; `path` may begin with a slash.
    pub(super) fn at(&self, path: &str) -> PathBuf {
        self.path().join(path.trim_start_matches('/'))
    }

    /// Writes a file, with its folders.
    pub(super) fn write(&self, path: &str, content: impl AsRef<[u8]>) -> anyhow::Result<()> {
        let file = self.at(path);
        std::fs::create_dir_all(file.parent().context("a file lies in a folder")?)?;
        std::fs::write(&file, content).with_context(|| format!("cannot write {}", file.display()))
    }

    /// Writes a script or program that may be run.
    pub(super) fn write_program(&self, path: &str, content: impl AsRef<[u8]>) -> anyhow::Result<()> {
        self.write(path, content)?;
        std::fs::set_permissions(self.at(path), std::fs::Permissions::from_mode(0o755))?;
        Ok(())
    }

    /// What the boot selector compares a system with: the digests of all its files.
    pub(super) fn write_manifest(&self) -> anyhow::Result<()> {
        let manifest = "etc/manifest.sha256";
        // Of the same tree before.
        let _ = std::fs::remove_file(self.at(manifest));
        let digests = Cmd::new("find")
            .args([".", "-type", "f", "-exec", "sha256sum", "{}", "+"])
            .dir(self.path())
            .run()?
            .ok()?;
        self.write(manifest, digests.stdout)
    }

    /// Busybox in `/bin`, under all of its names.
    pub(super) fn add_busybox(&self) -> anyhow::Result<()> {
        let busybox = find("busybox").context("there is no busybox\n\nhint: apt-get install busybox-static")?;
        self.write_program("bin/busybox", std::fs::read(&busybox)?)?;
        let names = Cmd::new(&busybox).arg("--list").run()?.ok()?.out();
        for name in names.lines().filter(|name| *name != "busybox") {
            symlink("busybox", self.at("bin").join(name))?;
        }
        Ok(())
    }

    /// A program of this machine at `path`, without what only debuggers read, and with the libraries that it needs where it looks for them.
    pub(super) fn add_program(&self, program: &Path, path: &str) -> anyhow::Result<()> {
        self.write_program(path, std::fs::read(program)?)?;
        if find("strip").is_some() {
            Cmd::new("strip").arg(self.at(path)).run()?.ok()?;
        }
        for library in libraries(program)? {
            let name = library.to_string_lossy();
            if !self.at(&name).exists() {
                self.write_program(&name, std::fs::read(&library)?)?;
            }
        }
        Ok(())
    }
}

/// What the loader says that a program needs. Only for programs that are trusted: the loader is the program's own.
fn libraries(program: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let said = Cmd::new("ldd").arg(program).run()?;
    if said.code() != 0 {
        // A static one.
        return Ok(Vec::new());
    }
    let words = said.out();
    let paths = words.split_whitespace().filter(|word| word.starts_with('/'));
    Ok(paths.map(PathBuf::from).collect())
}
