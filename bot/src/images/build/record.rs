//! How an image was built here the last time: kept beside it, so that `image check TAG` and the images that stand on it need not be told.
//!
//! It is a file of ours below `XDG_STATE_HOME`, one an image. Labels hold no paths of a machine; this does. Where it is missing only what is
//! said on the command line counts.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use windlass_core::hex::hex;
use windlass_core::image::ImageName;

use super::request::What;

/// The longest that is read.
const MOST: u64 = 4 << 20;

/// How one image was built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Its name.
    pub tag: String,
    /// Its Dockerfile, absolute.
    pub dockerfile: PathBuf,
    /// What went into it besides.
    pub what: What,
}

/// Where they lie: below `XDG_STATE_HOME`, else below `~/.local/state`; `None` where neither is known.
pub fn directory() -> Option<PathBuf> {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    Some(state.join("windlass/images"))
}

fn place(dir: &Path, tag: &ImageName) -> PathBuf {
    dir.join(format!("{}.json", &hex(&Sha256::digest(tag.to_string()))[..32]))
}

/// How an image was built, if that is known.
pub fn read(dir: &Path, tag: &ImageName) -> Option<Record> {
    let place = place(dir, tag);
    let length = std::fs::metadata(&place).ok()?.len();
    if length > MOST {
        return None;
    }
    let record: Record = serde_json::from_slice(&std::fs::read(place).ok()?).ok()?;
    (record.tag == tag.to_string()).then_some(record)
}

/// Keeps how an image was built.
///
/// # Errors
/// It cannot be written.
pub fn keep(dir: &Path, tag: &ImageName, dockerfile: &Path, what: &What) -> io::Result<()> {
    let record = Record {
        tag: tag.to_string(),
        dockerfile: std::path::absolute(dockerfile)?,
        what: what.clone().absolute()?,
    };
    if read(dir, tag).as_ref() == Some(&record) {
        return Ok(());
    }
    std::fs::create_dir_all(dir)?;
    let mut file = tempfile::Builder::new().prefix(".new").tempfile_in(dir)?;
    file.write_all(&serde_json::to_vec_pretty(&record).map_err(io::Error::other)?)?;
    file.persist(place(dir, tag))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_read_for_that_image_alone() {
        let dir = tempfile::tempdir().unwrap();
        let tag = ImageName::local("x").unwrap();
        assert_eq!(read(dir.path(), &tag), None);
        let what = What {
            extra_files: vec!["a".into()],
            ..What::default()
        };
        keep(dir.path(), &tag, Path::new("x.docker"), &what).unwrap();
        let record = read(dir.path(), &tag).unwrap();
        assert!(record.dockerfile.is_absolute() && record.what.extra_files[0].is_absolute());
        assert_eq!(read(dir.path(), &ImageName::local("y").unwrap()), None);
    }
}
