//! Whether the kernel starts a foreign executable by itself, and where it then looks for it: its entry in `binfmt_misc`.
//!
//! The entry has the executable's file name. One with the flag `F` holds the file open: then nothing but the libraries has to be in the image.

use std::path::{Path, PathBuf};

/// Where the kernel shows its entries.
pub const ENTRIES: &str = "/proc/sys/fs/binfmt_misc";

/// Where an executable goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// To this path in the image.
    At(PathBuf),
    /// Nowhere: the kernel holds it open, its libraries are enough.
    LibrariesOnly,
}

/// What was found, and what there is to say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// Where the executable goes.
    pub place: Place,
    /// What there is to say.
    pub note: Option<String>,
}

/// Why an executable cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BinfmtError {
    /// There is no entry.
    #[error("the kernel does not start '{name}' by itself: there is no '{}'\n\nhint: register it (for qemu: package qemu-user-static or qemu-user-binfmt), or give --skip-binfmt", entry.display())]
    Absent {
        /// The executable's name.
        name: String,
        /// The entry that is not there.
        entry: PathBuf,
    },
    /// The entry, or all of them, are switched off.
    #[error("the kernel does not start '{name}' by itself: '{}' says disabled\n\nhint: as root: echo 1 > '{}', or give --skip-binfmt", file.display(), file.display())]
    Disabled {
        /// The executable's name.
        name: String,
        /// Which file says so.
        file: PathBuf,
    },
    /// The entry makes no sense.
    #[error("the entry '{}' names no interpreter\n\nhint: --skip-binfmt passes over it", .0.display())]
    Senseless(PathBuf),
    /// It cannot be read.
    #[error("cannot read '{}': {error}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

/// Looks up the entry of an executable below `entries` (see [`ENTRIES`]).
///
/// # Errors
/// There is none, or it is of no use.
pub fn look_up(entries: &Path, executable: &Path) -> Result<Registered, BinfmtError> {
    let name = executable.file_name().unwrap_or_default().to_owned();
    let shown = name.to_string_lossy().into_owned();
    let path = entries.join(&name);
    let disabled = |file: &Path| BinfmtError::Disabled {
        name: shown.clone(),
        file: file.to_owned(),
    };
    let status = entries.join("status");
    if std::fs::read_to_string(&status).is_ok_and(|text| text.trim() == "disabled") {
        return Err(disabled(&status));
    }
    // These two are the kernel's own files, not entries.
    let text = match std::fs::read_to_string(&path) {
        Ok(text) if shown != "status" && shown != "register" => text,
        Ok(_) => {
            return Err(BinfmtError::Absent {
                name: shown,
                entry: path,
            });
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(BinfmtError::Absent {
                name: shown,
                entry: path,
            });
        }
        Err(error) => return Err(BinfmtError::Read { path, error }),
    };
    if text.lines().next().is_some_and(|line| line.trim() == "disabled") {
        return Err(disabled(&path));
    }
    let value = |key: &str| {
        let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
        Some(rest.trim_start_matches(':').trim().to_owned())
    };
    if value("flags").is_some_and(|flags| flags.contains('F')) {
        return Ok(Registered {
            place: Place::LibrariesOnly,
            note: Some(format!(
                "the kernel holds {shown} open (flag F in binfmt_misc): only its libraries go into the image"
            )),
        });
    }
    let interpreter = match value("interpreter") {
        Some(interpreter) if interpreter.starts_with('/') => PathBuf::from(interpreter),
        _ => return Err(BinfmtError::Senseless(path)),
    };
    let note = (interpreter != executable).then(|| {
        format!(
            "binfmt_misc starts {} for {shown}, not '{}': it goes there",
            interpreter.display(),
            executable.display()
        )
    });
    Ok(Registered {
        place: Place::At(interpreter),
        note,
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn entries(entry: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("status"), "enabled\n").unwrap();
        std::fs::write(dir.path().join("qemu-arm"), entry).unwrap();
        dir
    }

    #[rstest]
    #[case::elsewhere(
        "enabled\ninterpreter /usr/bin/qemu-arm-static\nflags: OC\noffset 0\n",
        Place::At("/usr/bin/qemu-arm-static".into()),
        Some("binfmt_misc starts /usr/bin/qemu-arm-static for qemu-arm, not '/usr/bin/qemu-arm': it goes there")
    )]
    #[case::itself("enabled\ninterpreter /usr/bin/qemu-arm\nflags: \n", Place::At("/usr/bin/qemu-arm".into()), None)]
    #[case::persistent(
        "enabled\ninterpreter /nowhere\nflags: POCF\n",
        Place::LibrariesOnly,
        Some("the kernel holds qemu-arm open (flag F in binfmt_misc): only its libraries go into the image")
    )]
    fn an_entry_says_where_the_executable_goes(#[case] entry: &str, #[case] place: Place, #[case] note: Option<&str>) {
        let dir = entries(entry);
        let found = look_up(dir.path(), Path::new("/usr/bin/qemu-arm")).unwrap();
        assert_eq!(found.place, place);
        assert_eq!(found.note.as_deref(), note);
    }

    #[test]
    fn no_entry_a_disabled_one_and_a_senseless_one_are_refused_with_the_way_out() {
        let dir = entries("disabled\ninterpreter /usr/bin/qemu-arm\nflags: F\n");
        let look = |name: &str| look_up(dir.path(), Path::new(name)).unwrap_err();
        assert!(matches!(look("/usr/bin/qemu-arm"), BinfmtError::Disabled { .. }));
        assert!(matches!(look("/usr/bin/qemu-mips"), BinfmtError::Absent { .. }));
        assert!(matches!(look("/usr/bin/status"), BinfmtError::Absent { .. }));
        assert!(look("/usr/bin/qemu-mips").to_string().contains("--skip-binfmt"));
        std::fs::write(dir.path().join("qemu-arm"), "enabled\nflags: \n").unwrap();
        assert!(matches!(look("/usr/bin/qemu-arm"), BinfmtError::Senseless(_)));
        std::fs::write(dir.path().join("status"), "disabled\n").unwrap();
        assert!(matches!(look("/usr/bin/qemu-arm"), BinfmtError::Disabled { .. }));
    }
}
