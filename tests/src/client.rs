//! A machine that installs packages and has never heard of Windlass: an empty root, dnf, zypper and rpm.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;

use crate::process::{Cmd, Ran};
use crate::world::World;

/// A client's root, told of one repository by what `windlass repo client-config` prints.
#[derive(Debug, Clone)]
pub struct Client {
    dir: PathBuf,
    arch: String,
}

impl Client {
    /// An empty root in the world's folder. What a distribution would bring, a shell and a C library, is this machine's: the package
    /// that says so to builds is offered beside what landed, so that something has to have been built before.
    pub fn of(world: &World, name: &str, repository: &str, arch: &str) -> anyhow::Result<Self> {
        let client = Self {
            dir: world.dir().join(name),
            arch: arch.to_owned(),
        };
        for (folder, option) in [
            ("root/etc/yum.repos.d", None),
            ("root/etc/zypp/repos.d", Some("--zypper")),
        ] {
            let mut print = world.windlass(["repo", "client-config", "-b", repository]).args(option);
            if arch != "x86_64" {
                // dnf calls it otherwise.
                print = print.args(["--arch", arch]);
            }
            let folder = client.dir.join(folder);
            std::fs::create_dir_all(&folder)?;
            std::fs::write(folder.join(format!("{repository}.repo")), print.run()?.ok()?.stdout)?;
            std::fs::write(folder.join("host.repo"), client.host(world)?)?;
        }
        Ok(client)
    }

    /// A repository of the host's package, and what tells a client of it.
    fn host(&self, world: &World) -> anyhow::Result<String> {
        let dir = self.dir.join("host");
        std::fs::create_dir_all(&dir)?;
        let hosts = world.root().join("state/builds/host");
        for entry in std::fs::read_dir(&hosts).with_context(|| format!("nothing was built: {}", hosts.display()))? {
            let entry = entry?;
            let own = entry
                .file_name()
                .to_string_lossy()
                .starts_with(&format!("{}-", self.arch));
            for file in own
                .then(|| std::fs::read_dir(entry.path()))
                .into_iter()
                .flatten()
                .flatten()
            {
                let file = file?.path();
                if file.extension().is_some_and(|ext| ext == "rpm") {
                    std::fs::copy(&file, dir.join(file.file_name().context("a file has a name")?))?;
                }
            }
        }
        Cmd::new("createrepo_c").arg("--quiet").arg(&dir).run()?.ok()?;
        let url = dir.display();
        Ok(format!(
            "[host]\nname=This machine\nbaseurl=file://{url}\nenabled=1\ngpgcheck=0\nrepo_gpgcheck=0\n"
        ))
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
        // Debian's rpm keeps its database below HOME.
        let rpm = as_root(Cmd::new("rpm")).env("HOME", &self.dir);
        let ran = rpm.arg("--root").arg(self.root());
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
