//! The step for which all of it is done: a client that has never heard of Windlass installs what landed.

use anyhow::bail;
use windlass_tests::process::Cmd;

use super::place::Place;
use super::show::Keep;

/// dnf installs into an empty root, and what it installed runs.
pub(super) fn install(place: &mut Place) -> anyhow::Result<()> {
    place.show.step(
        "A client installs it",
        "dnf is told where the repository is by the file that Windlass prints for it; packages and metadata have to be \
         signed. The root is empty before. What a distribution brings, a shell and a C library, is this machine's here: \
         the package windlass-host says so, which builds know too.",
    );
    place.ok(
        "admin",
        "mkdir -p client/etc/yum.repos.d && windlass repo client-config > client/etc/yum.repos.d/main.repo",
        Keep::Nothing,
    )?;
    place.ok("admin", "cat client/etc/yum.repos.d/main.repo", Keep::All)?;
    // Only root may own other people's files: without it, dnf is root of a user namespace.
    let root = Cmd::new("id").arg("-u").run()?.ok()?.line() == "0";
    let unshare = if root { "" } else { "unshare --map-root-user " };
    place.show.waits("dnf installs");
    place.ok(
        "admin",
        &format!("{unshare}dnf -y --installroot=\"$PWD/client\" --releasever=1 install srv/state/builds/host/x86_64-*/*.rpm windvane"),
        Keep::With(&["Installing  ", "Complete!"]),
    )?;
    let said = place.ok(
        "admin",
        "cd client && PATH=$PWD/usr/bin:$PATH LD_LIBRARY_PATH=$PWD/usr/lib64 WINDVANE_CONF=$PWD/etc/windvane.conf windvane 200 0.1",
        Keep::All,
    )?;
    if said.line() != "calm from the south" {
        bail!("the installed program said otherwise: {said}");
    }
    Ok(())
}
