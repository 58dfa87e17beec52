//! A machine that installs packages and has never heard of Windlass: an empty root, dnf, zypper and rpm.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::process::{Cmd, Ran};
use crate::world::World;

/// A client's root, told of one repository by what `windlass repo client-config` prints.
#[derive(Debug, Clone)]
pub struct Client {
    dir: PathBuf,
    arch: String,
}

impl Client {
    /// An empty root in the world's folder.
    pub fn of(world: &World, name: &str, repository: &str, arch: &str) -> anyhow::Result<Self> {
        let client = Self {
            dir: world.dir().join(name),
            arch: arch.to_owned(),
        };
        for (folder, option) in [
            ("root/etc/yum.repos.d", None),
            ("root/etc/zypp/repos.d", Some("--zypper")),
        ] {
            let print = world.windlass(["repo", "client-config", "-b", repository]).args(option);
            let folder = client.dir.join(folder);
            std::fs::create_dir_all(&folder)?;
            std::fs::write(folder.join(format!("{repository}.repo")), print.run()?.ok()?.stdout)?;
        }
        Ok(client)
    }

    /// The root.
    pub fn root(&self) -> PathBuf {
        self.dir.join("root")
    }

    /// dnf in this root.
    pub fn dnf(&self, words: &[&str]) -> Cmd {
        let installroot = format!("--installroot={}", self.root().display());
        let forced = format!("--forcearch={}", if self.arch == "i586" { "i686" } else { &self.arch });
        as_root(Cmd::new("dnf"))
            .env("HOME", &self.dir)
            .args(["-y", "--releasever=1", &installroot, &forced])
            .args(words)
            .limit(Duration::from_mins(2))
    }

    /// zypper in this root.
    pub fn zypper(&self, words: &[&str]) -> Cmd {
        let root = self.root();
        as_root(Cmd::new("zypper"))
            .env("HOME", &self.dir)
            .args(["--non-interactive", "--gpg-auto-import-keys", "--root"])
            .arg(&root)
            .args(words)
            .limit(Duration::from_mins(2))
    }

    /// What is installed, as name-version-release.arch.
    pub fn installed(&self) -> anyhow::Result<Vec<String>> {
        let ran = as_root(Cmd::new("rpm")).arg("--root").arg(self.root());
        let ran = ran.args(["-qa", "--qf", "%{name}-%{version}-%{release}.%{arch}\n"]);
        let mut names: Vec<String> = ran.run()?.ok()?.out().lines().map(str::to_owned).collect();
        names.retain(|name| !name.starts_with("gpg-pubkey"));
        names.sort();
        Ok(names)
    }

    /// Runs what was installed, with this machine's own C library.
    pub fn runs(&self, program: &str, words: &[&str]) -> anyhow::Result<Ran> {
        let usr = self.root().join("usr");
        let path = std::env::var("PATH").unwrap_or_default();
        Cmd::new(usr.join("bin").join(program))
            .args(words)
            .env("PATH", format!("{}:{path}", usr.join("bin").display()))
            .env("LD_LIBRARY_PATH", usr.join(self.libraries()))
            .env("WINDVANE_CONF", self.root().join("etc/windvane.conf"))
            .run()
    }

    fn libraries(&self) -> &'static Path {
        Path::new(if self.arch == "i586" { "lib" } else { "lib64" })
    }
}

/// The program as root; where one is not root, as root of a user namespace of its own.
fn as_root(cmd: Cmd) -> Cmd {
    if rustix::process::geteuid().is_root() {
        cmd
    } else {
        cmd.before(["unshare", "--map-root-user"])
    }
}
