//! The one base image that stories have: nothing can be pulled, so it is made of a static busybox.

use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::bail;

use super::{Engine, request};
use crate::process::Cmd;

/// Where Debian's package busybox-static puts it.
const BUSYBOX: &str = "/bin/busybox";

/// Lays out a build context: a Dockerfile `FROM scratch` with busybox as every program that it can be.
pub fn busybox_context(dir: &Path) -> anyhow::Result<()> {
    let bin = dir.join("root/bin");
    std::fs::create_dir_all(&bin)?;
    std::fs::copy(BUSYBOX, bin.join("busybox"))?;
    for name in Cmd::new(BUSYBOX).arg("--list").run()?.ok()?.out().lines() {
        if name != "busybox" {
            symlink("busybox", bin.join(name))?;
        }
    }
    for folder in ["tmp", "etc", "root"] {
        std::fs::create_dir_all(dir.join("root").join(folder))?;
    }
    std::fs::write(dir.join("root/etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n")?;
    std::fs::write(dir.join("root/etc/group"), "root:x:0:\n")?;
    std::fs::write(
        dir.join("Dockerfile"),
        "FROM scratch\nCOPY root/ /\nENV PATH=/bin\nCMD [\"/bin/sh\"]\n",
    )?;
    Ok(())
}

impl Engine {
    /// Makes the base image under a full name such as `localhost/busybox:latest`, past everything that is under test.
    pub fn make_busybox(&self, name: &str) -> anyhow::Result<()> {
        let context = tempfile::Builder::new().prefix("wlc-").tempdir()?;
        busybox_context(context.path())?;
        self.build_by_hand(name, context.path())
    }

    /// Has the engine build a directory with a `Dockerfile` in it, without any network, past everything that is under test.
    pub fn build_by_hand(&self, name: &str, context: &Path) -> anyhow::Result<()> {
        let archive = Cmd::new("tar")
            .arg("-C")
            .arg(context)
            .args(["-c", "."])
            .run()?
            .ok()?
            .stdout;
        let path = format!("/build?t={name}&networkmode=none&rm=1&forcerm=1");
        let answer = request(&self.socket, "POST", &path, "application/x-tar", &archive)?.ok()?;
        if self.request("GET", &format!("/images/{name}/json"))?.status != 200 {
            bail!("{name} was not made: {}", answer.text());
        }
        Ok(())
    }
}
