//! What an image holds: its own package database, copied out of it and read by this machine's rpm.
//!
//! Nothing in the database is believed beyond names and versions, and those only where they are well formed: the image was built from
//! somebody's Dockerfile. rpm reads a private copy, with nothing of our environment, under limits of time and output.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use windlass_core::escape::is_plain;
use windlass_hooks::process::{Run, RunError};

use crate::images::sbom::Package;

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

/// Takes the files of all databases out of an image's layers, each below its own place: what a later layer has or takes away counts.
pub(super) fn unpack_layers(layers: &[(PathBuf, String)], into: &Path) -> Result<(), PackagesError> {
    let mut left = LARGEST;
    let mut files = 0;
    for (blob, media_type) in layers {
        for entry in tar::Archive::new(open_layer(blob, media_type)?).entries()? {
            let mut entry = entry?;
            let path = entry.path()?.into_owned();
            let Some(path) = below(&path) else { continue };
            let gone = path.file_name().and_then(OsStr::to_str);
            if let Some(gone) = gone.and_then(|name| name.strip_prefix(".wh.")) {
                take_away(into, &path, gone)?;
            } else if entry.header().entry_type().is_file()
                && let Some(place) = PLACES.into_iter().find(|place| path.parent() == Some(Path::new(place)))
            {
                let too_large = || PackagesError::Strange(format!("it is larger than {LARGEST} bytes"));
                left = left.checked_sub(entry.size()).ok_or_else(too_large)?;
                files += 1;
                if files > FILES * layers.len() {
                    return Err(PackagesError::Strange(format!(
                        "it has more than {FILES} files a layer"
                    )));
                }
                fs::create_dir_all(into.join(place))?;
                io::copy(&mut entry, &mut File::create(into.join(&path))?)?;
            }
        }
    }
    Ok(())
}

/// Opens a layer's archive, however it is compressed.
pub(super) fn open_layer(blob: &Path, media_type: &str) -> io::Result<Box<dyn Read>> {
    let file = io::BufReader::new(File::open(blob)?);
    Ok(if media_type.ends_with("zstd") {
        Box::new(zstd::Decoder::with_buffer(file)?)
    } else if media_type.ends_with("gzip") {
        Box::new(flate2::bufread::MultiGzDecoder::new(file))
    } else {
        Box::new(file)
    })
}

/// A path of a layer, from its root; `None` for one that leads out of it.
pub(super) fn below(path: &Path) -> Option<PathBuf> {
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => parts.push(name),
            Component::RootDir | Component::CurDir => {}
            Component::Prefix(_) | Component::ParentDir => return None,
        }
    }
    Some(parts)
}

/// What a layer takes away of the databases: a file of one, or a directory that one is in.
fn take_away(into: &Path, marker: &Path, gone: &str) -> io::Result<()> {
    let above = marker.parent().unwrap_or(Path::new(""));
    let target = match gone {
        ".wh..opq" => above.to_owned(),
        "" | "." | ".." => return Ok(()),
        name => above.join(name),
    };
    for place in PLACES {
        if Path::new(place).starts_with(&target) {
            remove(&into.join(place))?;
        } else if target.parent() == Some(Path::new(place)) {
            remove(&into.join(&target))?;
        }
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
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
    let fields = [
        "NAME",
        "EPOCH",
        "VERSION",
        "RELEASE",
        "ARCH",
        "LICENSE",
        "SOURCERPM",
        "SHA256HEADER",
        "VENDOR",
    ];
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
    let [name, epoch, version, release, arch, licence, source, header, vendor] = fields.as_slice() else {
        return None;
    };
    let is_word = |text: &&str| !text.is_empty() && text.len() <= 256 && text.chars().all(|c| c.is_ascii_graphic());
    let said = |text: &&str| (*text != "(none)").then(|| (*text).to_owned());
    let line_of = |text: &str| text.chars().filter(|c| is_plain(*c)).take(1000).collect::<String>();
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
        licence: line_of(licence),
        source: Some(*source).filter(is_word).and_then(|source| said(&source)),
        header: Some(*header).filter(is_word).and_then(|header| said(&header)),
        vendor: said(vendor).map(|vendor| line_of(&vendor)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::layers;

    #[test]
    fn what_rpm_lists_is_taken_where_it_makes_sense() {
        let line = |fields: [&str; 9]| fields.join("\t") + "\n";
        let hello = [
            "hello",
            "(none)",
            "1.0",
            "alt1",
            "noarch",
            "MIT",
            "hello-1.0-alt1.src.rpm",
            "00",
            "(none)",
        ];
        let perl = [
            "perl", "4", "5.36", "1", "x86_64", "GPL", "(none)", "(none)", "Somebody",
        ];
        let zero = [
            "bash", "0", "5.2", "1", "x86_64", "GPLv3+", "(none)", "(none)", "(none)",
        ];
        let key = [
            "gpg-pubkey",
            "(none)",
            "1",
            "2",
            "(none)",
            "pubkey",
            "(none)",
            "(none)",
            "(none)",
        ];
        let evil = ["x\u{1b}[2J", "(none)", "1", "1", "noarch", "MIT", "y", "z", "(none)"];
        let text = [perl, zero, key, evil, hello].map(line).concat() + "only\n";
        let found = parse(&text);
        let names: Vec<String> = found.iter().map(Package::nevra).collect();
        assert_eq!(
            names,
            ["bash-5.2-1.x86_64", "hello-1.0-alt1.noarch", "perl-4:5.36-1.x86_64"]
        );
        assert_eq!(found[1].source.as_deref(), Some("hello-1.0-alt1.src.rpm"));
        assert_eq!(
            (found[2].source.as_deref(), found[2].vendor.as_deref()),
            (None, Some("Somebody"))
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
    fn of_layers_the_last_word_counts() {
        let dir = tempfile::tempdir().unwrap();
        let layer = |name: &str, files: &[(&str, &str)]| layers::layer(dir.path(), name, files);
        let layers = [
            layer(
                "1",
                &[
                    ("var/lib/rpm/Packages", "old"),
                    ("usr/lib/sysimage/rpm/rpmdb.sqlite", "1"),
                    ("etc/passwd", "x"),
                ],
            ),
            layer(
                "2",
                &[
                    ("var/lib/rpm/.wh.Packages", ""),
                    ("./usr/lib/sysimage/rpm/rpmdb.sqlite", "2"),
                ],
            ),
            layer("3", &[("root/.rpmdb/a", "a"), ("root/.rpmdb/b", "b")]),
            layer("4", &[("root/.rpmdb/.wh..wh..opq", ""), ("root/.rpmdb/c", "c")]),
        ];
        let into = dir.path().join("into");
        unpack_layers(&layers, &into).unwrap();
        let text = |path: &str| fs::read_to_string(into.join(path)).ok();
        assert_eq!(text("usr/lib/sysimage/rpm/rpmdb.sqlite").as_deref(), Some("2"));
        assert_eq!(text("root/.rpmdb/c").as_deref(), Some("c"));
        for gone in ["var/lib/rpm/Packages", "root/.rpmdb/a", "etc/passwd"] {
            assert_eq!(text(gone), None, "{gone}");
        }
        // A directory that a database is in takes it along.
        let above = layer("5", &[("usr/lib/.wh.sysimage", ""), ("root/.wh..wh..opq", "")]);
        unpack_layers(&[above], &into).unwrap();
        assert_eq!(text("usr/lib/sysimage/rpm/rpmdb.sqlite"), None);
        assert_eq!(text("root/.rpmdb/c"), None);
    }

    #[test]
    fn no_database_is_no_packages() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read(dir.path()).unwrap().is_empty());
    }
}
