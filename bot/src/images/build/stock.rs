//! Where finished images are: an engine, or a directory of layouts where there is none.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use windlass_core::hex::hex;
use windlass_core::image::dockerfile::Platform;
use windlass_core::image::{ImageName, label};

use super::error::BuildError;
use crate::images::engine::Engine;
use crate::images::oci::{Image, Layout};

/// Where finished images are.
#[derive(Debug, Clone)]
pub enum Stock {
    /// In an engine.
    Engine(Engine),
    /// In layouts, one an image.
    Layouts(Box<Layouts>),
}

/// A directory of layouts.
#[derive(Debug, Clone)]
pub struct Layouts {
    dir: PathBuf,
    /// One image has a place of its own: `--output`.
    named: Option<(ImageName, PathBuf)>,
    platform: Platform,
}

/// What is known of an image that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Have {
    /// `sha256:…`, the digest of its configuration.
    pub id: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// When it was made.
    pub created: Option<jiff::Timestamp>,
}

/// What was found of several images, so that each is asked for once.
#[derive(Debug, Clone, Default)]
pub struct Survey(BTreeMap<String, Option<Have>>);

impl Stock {
    /// How it is called where builds are told apart.
    pub fn place(&self) -> String {
        match self {
            Self::Engine(engine) => engine.probed().address.clone(),
            Self::Layouts(layouts) => layouts.dir.display().to_string(),
        }
    }

    /// Looks at one image.
    ///
    /// # Errors
    /// The engine's; that there is none is no error.
    pub async fn look(&self, name: &ImageName) -> Result<Option<Have>, BuildError> {
        match self {
            Self::Engine(engine) => {
                let found = engine.inspect(&name.to_string()).await?;
                Ok(found.map(|facts| Have {
                    id: full(facts.id),
                    labels: facts.labels,
                    created: facts.created,
                }))
            }
            Self::Layouts(layouts) => Ok(layouts.image(name).map(|(layout, image)| Have {
                id: image.manifest.config.digest.to_string(),
                labels: image.config.config.labels.clone(),
                created: created(&layout),
            })),
        }
    }

    /// Looks at all images of ours at once where that is cheaper than one at a time.
    ///
    /// # Errors
    /// The engine's.
    pub async fn survey(&self, names: &[&ImageName]) -> Result<Survey, BuildError> {
        let mut survey = Survey::default();
        let Self::Engine(engine) = self else {
            return Ok(survey);
        };
        if names.len() < 3 {
            return Ok(survey);
        }
        for line in engine.images(&[label::CHECKSUM.to_owned()]).await? {
            let have = Have {
                id: full(line.id),
                labels: line.labels,
                created: jiff::Timestamp::from_second(line.created).ok(),
            };
            for name in line.names {
                survey.0.insert(name, Some(have.clone()));
            }
        }
        Ok(survey)
    }

    /// What the survey has of an image, else a look at it.
    ///
    /// # Errors
    /// The engine's.
    pub async fn known(&self, survey: &mut Survey, name: &ImageName) -> Result<Option<Have>, BuildError> {
        let key = name.to_string();
        if let Some(found) = survey.0.get(&key) {
            return Ok(found.clone());
        }
        let found = self.look(name).await?;
        survey.0.insert(key, found.clone());
        Ok(found)
    }
}

impl Survey {
    /// What is known of an image is no longer so.
    pub fn forget(&mut self, name: &ImageName) {
        self.0.remove(&name.to_string());
    }
}

impl Layouts {
    /// The layouts below this directory, for images of this platform.
    pub fn new(dir: impl Into<PathBuf>, platform: Platform) -> Self {
        Self {
            dir: dir.into(),
            named: None,
            platform,
        }
    }

    /// The same, with a place of its own for one image.
    #[must_use]
    pub fn with_output(mut self, name: &ImageName, path: &Path) -> Self {
        self.named = Some((name.clone(), path.to_owned()));
        self
    }

    /// Where they are kept: below `XDG_DATA_HOME`, else below `~/.local/share`, else with temporary files.
    pub fn directory() -> PathBuf {
        let absolute = |name: &str| {
            std::env::var_os(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let data = absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local/share")));
        let own = || std::env::temp_dir().join(format!("windlass-{}", rustix::process::geteuid().as_raw()));
        data.map_or_else(own, |data| data.join("windlass/images"))
    }

    /// The layout of an image, whether it is there or not.
    pub fn path(&self, name: &ImageName) -> PathBuf {
        match &self.named {
            Some((named, path)) if named == name => path.clone(),
            _ => self.dir.join(&hex(&Sha256::digest(name.to_string()))[..32]),
        }
    }

    /// The image of a name; one that cannot be read is as good as none, since it is built anew.
    pub fn image(&self, name: &ImageName) -> Option<(Layout, Image)> {
        let layout = Layout::open(&self.path(name)).ok()?;
        let image = layout.image(Some(name), &self.platform).ok()?;
        Some((layout, image))
    }

    /// For which platform they are.
    pub fn platform(&self) -> &Platform {
        &self.platform
    }
}

/// An id with its algorithm: engines leave it out in some places.
fn full(id: String) -> String {
    if id.contains(':') { id } else { format!("sha256:{id}") }
}

/// When a layout was written: what is in it has fixed times.
fn created(layout: &Layout) -> Option<jiff::Timestamp> {
    let written = std::fs::metadata(layout.path().join("index.json"))
        .ok()?
        .modified()
        .ok()?;
    jiff::Timestamp::try_from(written).ok()
}
