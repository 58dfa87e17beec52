//! The file system of a container image, as one archive: copied out of a container that is never started, or laid together of the layers of
//! a layout of ours.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufWriter, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use windlass_core::id::{ImageId, JobId};
use windlass_core::image::ImageName;

use crate::images::build::Stock;
use crate::jobs::Trouble;
use crate::jobs::image::{container, of_error};
use crate::jobs::packages::{below, open_layer};
use crate::jobs::place;
use crate::jobs::runner::JobRunner;

/// The most bytes of an image's files.
const LARGEST: u64 = 64 << 30;

/// The file system of an image.
#[derive(Debug)]
pub(super) struct Tree {
    /// The image's id.
    pub(super) id: String,
    /// An archive of it, in a file without a name.
    pub(super) archive: File,
}

impl Tree {
    /// That of a configured image, as it was built last.
    pub(super) async fn of(runner: &JobRunner, job: JobId, image: &ImageId) -> Result<Self, Trouble> {
        let not_there = || {
            Trouble::lasting(format!(
                "image {image} is not there to take its file system from\n\nhint: windlass job build {image}"
            ))
        };
        let configured = runner.config.image(image).ok_or_else(not_there)?;
        let name = ImageName::local(&configured.reference()).map_err(|error| Trouble::lasting(error.to_string()))?;
        let of_file = |error: io::Error| Trouble::transient(format!("image {image}: {error}"));
        match place::place(runner, configured).await?.stock {
            Stock::Engine(engine) => {
                let found = engine
                    .inspect(&name.to_string())
                    .await
                    .map_err(|error| of_error(&error))?;
                let id = found.ok_or_else(not_there)?.id;
                let mut archive = tempfile::tempfile().map_err(of_file)?;
                let container = container(job, &engine, &id).await?;
                let copied = container.copy_out("/", &mut archive, LARGEST).await;
                let removed = container.remove().await;
                copied.map_err(|error| of_error(&error))?;
                removed.map_err(|error| of_error(&error))?;
                archive.rewind().map_err(of_file)?;
                Ok(Self { id, archive })
            }
            Stock::Layouts(layouts) => {
                let (layout, image) = layouts.image(&name).ok_or_else(not_there)?;
                let layers = image.manifest.layers.iter();
                let layers: Vec<(PathBuf, String)> = layers
                    .map(|layer| (layout.blob(&layer.digest), layer.media_type.clone()))
                    .collect();
                let laid = tokio::task::spawn_blocking(move || lay_together(&layers)).await;
                let archive = laid.map_err(|error| Trouble::lasting(error.to_string()))?;
                Ok(Self {
                    id: image.manifest.config.digest.to_string(),
                    archive: archive.map_err(|error| Trouble::lasting(format!("image {name}: {error}")))?,
                })
            }
        }
    }

    /// The same once more.
    pub(super) fn again(&self) -> io::Result<Self> {
        Ok(Self {
            id: self.id.clone(),
            archive: self.archive.try_clone()?,
        })
    }
}

/// One archive of all layers, the uppermost first: whatever is below something that came or went later is left out.
fn lay_together(layers: &[(PathBuf, String)]) -> io::Result<File> {
    let mut hidden = Hidden::default();
    let mut out = tar::Builder::new(BufWriter::new(tempfile::tempfile()?));
    for (blob, media_type) in layers.iter().rev() {
        let mut later = Hidden::default();
        for entry in tar::Archive::new(open_layer(blob, media_type)?).entries()? {
            let mut entry = entry?;
            let Some(path) = below(&entry.path()?) else { continue };
            let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
            if let Some(gone) = name.strip_prefix(".wh.") {
                let above = path.parent().unwrap_or(Path::new(""));
                match gone {
                    ".wh..opq" => later.below.insert(above.to_owned()),
                    gone => later.all.insert(above.join(gone)),
                };
                continue;
            }
            let is_directory = entry.header().entry_type().is_dir();
            if hidden.has(&path) {
                continue;
            }
            if is_directory {
                later.names.insert(path.clone());
            } else {
                later.all.insert(path.clone());
            }
            let mut header = entry.header().clone();
            if let Some(target) = entry.link_name()? {
                let target = if header.entry_type().is_hard_link() {
                    below(&target).ok_or_else(|| io::Error::other("a link leads out of the image"))?
                } else {
                    target.into_owned()
                };
                out.append_link(&mut header, &path, target)?;
            } else if !path.as_os_str().is_empty() {
                out.append_data(&mut header, &path, &mut entry)?;
            }
        }
        hidden.names.extend(later.names);
        hidden.all.extend(later.all);
        hidden.below.extend(later.below);
    }
    let mut file = out.into_inner()?;
    file.flush()?;
    let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.rewind()?;
    Ok(file)
}

/// What upper layers hide of lower ones.
#[derive(Default)]
struct Hidden {
    /// Directories, which hide no more than themselves.
    names: BTreeSet<PathBuf>,
    /// What hides itself and all below it.
    all: BTreeSet<PathBuf>,
    /// Directories of which nothing shines through.
    below: BTreeSet<PathBuf>,
}

impl Hidden {
    fn has(&self, path: &Path) -> bool {
        self.names.contains(path)
            || path.ancestors().any(|above| self.all.contains(above))
            || path.ancestors().skip(1).any(|above| self.below.contains(above))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::jobs::layers;

    #[test]
    fn of_layers_the_uppermost_counts() {
        let dir = tempfile::tempdir().unwrap();
        let layer = |name: &str, files: &[(&str, &str)]| layers::layer(dir.path(), name, files);
        let layers = [
            layer(
                "1",
                &[
                    ("etc/", ""),
                    ("etc/a", "1"),
                    ("etc/b", "1"),
                    ("opt/x/y", "1"),
                    ("srv/f", "1"),
                    ("usr/dir/file", "1"),
                ],
            ),
            layer(
                "2",
                &[
                    ("./etc/", ""),
                    ("./etc/a", "2"),
                    ("opt/.wh.x", ""),
                    ("srv/.wh..wh..opq", ""),
                    ("srv/g", "2"),
                    ("usr/dir", "a file now"),
                ],
            ),
            layer("3", &[("etc/c", "3"), ("opt/x/z", "3")]),
        ];
        let mut found: Vec<(String, String)> = tar::Archive::new(lay_together(&layers).unwrap())
            .entries()
            .unwrap()
            .map(|entry| {
                let mut entry = entry.unwrap();
                let mut text = String::new();
                entry.read_to_string(&mut text).unwrap();
                (entry.path().unwrap().display().to_string(), text)
            })
            .collect();
        found.sort();
        let expected = [
            ("etc/", ""),
            ("etc/a", "2"),
            ("etc/b", "1"),
            ("etc/c", "3"),
            ("opt/x/z", "3"),
            ("srv/g", "2"),
            ("usr/dir", "a file now"),
        ];
        let found: Vec<(&str, &str)> = found
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
            .collect();
        assert_eq!(
            found
                .iter()
                .map(|(path, text)| (path.trim_end_matches('/'), *text))
                .collect::<Vec<_>>(),
            expected.map(|(path, text)| (path.trim_end_matches('/'), text))
        );
    }
}
