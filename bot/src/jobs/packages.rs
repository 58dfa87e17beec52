//! What an image holds: its own package database, copied out of it and read by this machine's rpm.
//!
//! Nothing in the database is believed beyond names and versions, and those only where they are well formed: the image was built from
//! somebody's Dockerfile. rpm reads a private copy, with nothing of our environment, under limits of time and output.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use windlass_hooks::process::{Run, RunError};

/// Where a package database may be, without the first slash: where rpm puts it now, where it did,
/// and where the rpm of Debian does, which installs into a root as it does for a user.
pub(super) const PLACES: [&str; 3] = ["usr/lib/sysimage/rpm", "var/lib/rpm", "root/.rpmdb"];

/// How long rpm may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// The most that it may say: a system with ten thousand packages says a megabyte.
const MOST: usize = 64 << 20;

/// The largest database, and the most files that it may consist of.
const LARGEST: u64 = 2 << 30;
const FILES: usize = 64;

/// A package of an image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Package {
    /// Its name.
    pub(super) name: String,
    /// Its epoch, where it is not 0.
    pub(super) epoch: Option<u32>,
    /// Its version.
    pub(super) version: String,
    /// Its release.
    pub(super) release: String,
    /// Its architecture.
    pub(super) architecture: String,
}

impl Package {
    /// What it is called in texts, as [`windlass_core::rpm::Package::nevra`] has it.
    pub(super) fn nevra(&self) -> String {
        let epoch = self.epoch.map(|epoch| format!("{epoch}:")).unwrap_or_default();
        let (name, version, release) = (&self.name, &self.version, &self.release);
        format!("{name}-{epoch}{version}-{release}.{}", self.architecture)
    }
}

/// Why it is not known what an image holds.
#[derive(Debug, thiserror::Error)]
pub(super) enum PackagesError {
    /// The copy cannot be made.
    #[error("the image's package database cannot be copied: {0}")]
    Copy(#[from] io::Error),
    /// It is no database that one would have.
    #[error("the image's package database is refused: {0}")]
    Strange(String),
    /// rpm does not read it.
    #[error(
        "the image's package database cannot be read: {0}\n\nhint: this machine's rpm reads databases of its own kind: rpm --eval '%_db_backend'"
    )]
    Rpm(#[from] RunError),
}

/// Takes the files of a database out of an archive of its directory; other things in the archive are left. Whether there was one.
pub(super) fn unpack(archive: impl Read, into: &Path) -> Result<bool, PackagesError> {
    let mut found = false;
    let mut left = LARGEST;
    let mut files = 0;
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let path = entry.path()?.into_owned();
        // The directory's own name, then the file's: whatever else there is below is no part of it.
        let Some(name) = plain_name(&path) else { continue };
        files += 1;
        left = left
            .checked_sub(entry.size())
            .ok_or_else(|| PackagesError::Strange(format!("it is larger than {LARGEST} bytes")))?;
        if files > FILES {
            return Err(PackagesError::Strange(format!("it has more than {FILES} files")));
        }
        let mut file = File::create(into.join(&name))?;
        io::copy(&mut entry, &mut file)?;
        found = true;
    }
    Ok(found)
}

/// The name of a file that stands in the archived directory itself.
fn plain_name(path: &Path) -> Option<PathBuf> {
    let mut parts = path
        .components()
        .filter(|part| *part != Component::CurDir)
        .collect::<Vec<_>>();
    let Some(Component::Normal(name)) = parts.pop() else {
        return None;
    };
    let is_plain = parts.iter().all(|part| matches!(part, Component::Normal(_)));
    (is_plain && parts.len() <= 1).then(|| PathBuf::from(name))
}

/// Reads a database in a directory of our own; nothing where there is none in it.
pub(super) fn read(dir: &Path) -> Result<Vec<Package>, PackagesError> {
    if fs::read_dir(dir)?.next().is_none() {
        return Ok(Vec::new());
    }
    let fields = ["NAME", "EPOCH", "VERSION", "RELEASE", "ARCH"];
    let format: Vec<String> = fields.iter().map(|field| format!("%{{{field}}}")).collect();
    let format = format!("{}\\n", format.join("\\t"));
    let said = Run::new("rpm")
        .clear_env()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("LC_ALL", "C.UTF-8")
        .env("HOME", dir)
        .arg("--dbpath")
        .arg(dir)
        .args(["-qa", "--qf", &format])
        .timeout(PATIENCE)
        .output_limit(MOST)
        .ok()?;
    Ok(parse(&String::from_utf8_lossy(&said.stdout)))
}

/// The packages that rpm listed, sorted; lines that make no sense are left out, and so are keys, which rpm keeps as packages.
fn parse(text: &str) -> Vec<Package> {
    let mut all: Vec<Package> = text.lines().filter_map(line).collect();
    all.sort();
    all.dedup();
    all
}

fn line(line: &str) -> Option<Package> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [name, epoch, version, release, arch] = fields.as_slice() else {
        return None;
    };
    let is_word = |text: &&str| !text.is_empty() && text.len() <= 256 && text.chars().all(|c| c.is_ascii_graphic());
    if ![name, version, release, arch].into_iter().all(is_word) || *name == "gpg-pubkey" {
        return None;
    }
    Some(Package {
        name: (*name).to_owned(),
        // One of 0 is as good as none.
        epoch: epoch.parse().ok().filter(|epoch| *epoch > 0),
        version: (*version).to_owned(),
        release: (*release).to_owned(),
        architecture: (*arch).to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rpm_lists_is_taken_where_it_makes_sense() {
        let text = "perl\t4\t5.36\t1\tx86_64\nbash\t0\t5.2\t1\tx86_64\ngpg-pubkey\t(none)\t1\t2\t(none)\n\
                    x\u{1b}[2J\t(none)\t1\t1\tnoarch\nhello\t(none)\t1.0\talt1\tnoarch\nonly\n";
        let names: Vec<String> = parse(text).iter().map(Package::nevra).collect();
        assert_eq!(
            names,
            ["bash-5.2-1.x86_64", "hello-1.0-alt1.noarch", "perl-4:5.36-1.x86_64"]
        );
    }

    #[test]
    fn only_the_files_of_the_directory_itself_are_taken() {
        let mut archive = tar::Builder::new(Vec::new());
        let mut put = |name: &str, link: Option<&str>| {
            let mut header = tar::Header::new_gnu();
            let data: &[u8] = if link.is_some() { b"" } else { b"x" };
            header.set_size(data.len() as u64);
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            if let Some(link) = link {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_link_name(link).unwrap();
            }
            header.set_cksum();
            archive.append(&header, data).unwrap();
        };
        put("rpm/rpmdb.sqlite", None);
        put("rpm/../../escape", None);
        put("/absolute", None);
        put("rpm/deep/er", None);
        put("rpm/link", Some("/etc/passwd"));
        let bytes = archive.into_inner().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let into = dir.path().join("db");
        fs::create_dir(&into).unwrap();
        assert!(unpack(bytes.as_slice(), &into).unwrap());
        let names: Vec<_> = fs::read_dir(&into)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["rpmdb.sqlite"]);
        assert!(!dir.path().join("escape").exists());
    }

    #[test]
    fn no_database_is_no_packages() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read(dir.path()).unwrap().is_empty());
    }
}
