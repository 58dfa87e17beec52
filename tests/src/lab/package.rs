//! A system as a package: what a payload that is made of packages installs into an empty root, so that a machine comes up with it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;

use super::system::System;
use crate::process::Cmd;

/// The package's name.
pub const PACKAGE: &str = "lab-system";

/// The files that the package leaves out: those in which board and version are told, which whoever makes the payload writes, and the one that
/// says what is wrong with the system, which another package may bring.
pub const LEFT_OUT: [&str; 3] = ["etc/lsb-release", "etc/os-release", "etc/lab/fault"];

/// How long rpmbuild may take on a loaded machine.
const BUILD: Duration = Duration::from_mins(3);

impl System {
    /// The system as a binary package below `dir`, without the files of [`LEFT_OUT`]; its version is the package's.
    pub fn package(&self, dir: &Path) -> anyhow::Result<PathBuf> {
        let tree = self.tree()?;
        for file in LEFT_OUT {
            std::fs::remove_file(tree.at(file))?;
        }
        tree.write_manifest()?;
        let mut spec = format!(
            "%global debug_package %nil\n\
             %global __os_install_post %nil\n\
             %global _build_id_links none\n\
             Name: {PACKAGE}\n\
             Version: {}\n\
             Release: alt1\n\
             Summary: What a machine of the lab needs to come up\n\
             License: MIT\n\
             AutoReqProv: no\n\
             %description\n\
             Busybox, dropbear and an updater.\n\
             %install\n\
             cp -a {}/. %buildroot\n\
             %files\n\
             %defattr(-,root,root)\n",
            self.version,
            tree.path().display(),
        );
        let mut names = std::fs::read_dir(tree.path())?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<std::io::Result<Vec<_>>>()?;
        names.sort();
        for name in names {
            writeln!(spec, "/{name}")?;
        }
        let file = dir.join(format!("{PACKAGE}.spec"));
        std::fs::write(&file, spec)?;
        Cmd::new("rpmbuild")
            .args(["-bb", "--quiet", "--define", &format!("_topdir {}", dir.display())])
            .args(["--define", "_rpmfilename %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm"])
            .arg(&file)
            .limit(BUILD)
            .run()?
            .ok()?;
        let built = std::fs::read_dir(dir.join("RPMS"))?.next();
        Ok(built.context("rpmbuild wrote no package")??.path())
    }
}
