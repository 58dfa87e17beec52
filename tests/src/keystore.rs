//! Keys that all stories share: made once for a target folder, for RSA of 4096 bits takes its time; each world gets a copy.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rustix::fs::{FlockOperation, flock};

use crate::gpg::{Agent, GpgHome};
use crate::people::{Home, Person, Signs, private_folder};
use crate::process::Cmd;
use crate::programs::profile_folder;

/// Grows when keys are made in another way.
const VERSION: u32 = 2;

/// When the keys are made, so that a story can sign in the past.
pub const KEYS_MADE: &str = "20200101T000000";

/// Puts a copy of this person's home into `dir`.
pub fn home_of(person: &Person, dir: &Path) -> anyhow::Result<Home> {
    copy_tree(&stored(person.name, |home| make(person, home))?, dir)?;
    let openpgp = match person.signs {
        Signs::OpenPgp(_) => Some(std::fs::read_to_string(dir.join("fingerprint"))?),
        Signs::Ssh => None,
    };
    Ok(Home {
        dir: dir.to_owned(),
        openpgp,
    })
}

/// Puts a copy of the server's host key into `dir`; gives its path.
pub fn host_key(dir: &Path) -> anyhow::Result<PathBuf> {
    copy_tree(&stored("host", |dir| ssh_key(&dir.join("host_ed25519"), "host"))?, dir)?;
    Ok(dir.join("host_ed25519"))
}

/// A folder in the store; made when it is not there, by one of all the processes that ask at once.
pub fn stored(name: &str, fill: impl FnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<PathBuf> {
    let profile = profile_folder()?;
    let target = profile.parent().context("a profile's folder lies in target")?;
    let folder = target.join(format!("windlass-test-keys-{VERSION}"));
    private_folder(&folder)?;
    let ready = folder.join(name);
    if ready.is_dir() {
        return Ok(ready);
    }
    let lock = folder.join(format!(".{name}.lock"));
    let lock = std::fs::File::create(&lock).with_context(|| format!("cannot write {}", lock.display()))?;
    flock(&lock, FlockOperation::LockExclusive)?;
    if ready.is_dir() {
        return Ok(ready);
    }
    // A short path: sockets of gpg-agent lie in it.
    let made = tempfile::Builder::new().prefix("wk-").tempdir()?;
    fill(made.path())?;
    let half = folder.join(format!(".{name}.half"));
    if half.exists() {
        std::fs::remove_dir_all(&half)?;
    }
    copy_tree(made.path(), &half)?;
    std::fs::rename(&half, &ready)?;
    Ok(ready)
}

fn make(person: &Person, home: &Path) -> anyhow::Result<()> {
    private_folder(&home.join(".ssh"))?;
    ssh_key(&home.join(".ssh/id_ed25519"), person.address)?;
    if let Signs::OpenPgp(algorithm) = person.signs {
        let gpg = GpgHome::at(home.join("gnupg"))?;
        let _agent = Agent::of(&gpg);
        let fingerprint = gpg.make_key(&person.user_id(), algorithm, KEYS_MADE, "never")?;
        std::fs::write(home.join("certificate.asc"), gpg.export(&fingerprint)?)?;
        std::fs::write(home.join("fingerprint"), fingerprint)?;
    }
    Ok(())
}

fn ssh_key(path: &Path, comment: &str) -> anyhow::Result<()> {
    Cmd::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f"])
        .arg(path)
        .run()?
        .ok()?;
    Ok(())
}

/// Copies files and folders with their modes; leaves out sockets and locks.
pub fn copy_tree(from: &Path, to: &Path) -> anyhow::Result<()> {
    private_folder(to)?;
    for entry in std::fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let name = entry.file_name();
        let target = to.join(&name);
        if kind.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else if kind.is_file()
            && !name.to_string_lossy().contains(".lock")
            && !name.to_string_lossy().starts_with(".#")
        {
            std::fs::copy(entry.path(), &target).with_context(|| format!("cannot copy to {}", target.display()))?;
        }
    }
    Ok(())
}
