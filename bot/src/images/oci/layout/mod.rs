//! An image, or several, as a directory: the OCI image layout 1.0, which also holds Docker's `manifest.json`.
//!
//! A layout from anywhere is not trusted: its documents are small, every digest is computed before what it names is believed, and nothing outside of
//! `blobs/sha256` is read. [`Draft`] writes one under a temporary name and puts it in its place with one rename.

mod draft;
mod packed;

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use windlass_core::escape::escaped;
use windlass_core::image::dockerfile::Platform;
use windlass_core::image::{Digest, ImageName};

pub use draft::Draft;

use super::error::OciError;
use super::spec::{
    DOCKER_LIST, DOCKER_MANIFEST, Descriptor, FULL_NAME, INDEX, ImageConfig, Index, MANIFEST, Manifest, REF_NAME,
};
use crate::digest::sha256_of;

/// The largest document: an index, a manifest, a configuration.
pub const LARGEST_DOCUMENT: u64 = 4 << 20;

/// What says that a directory is a layout.
const MARK: &str = "oci-layout";

/// Its content, as the specification writes it.
const MARK_CONTENT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

/// A directory that holds images.
#[derive(Debug, Clone)]
pub struct Layout {
    path: PathBuf,
    index: Index,
}

/// An image in a layout, whose manifest and configuration are what their digests say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// How the index names the manifest.
    pub descriptor: Descriptor,
    /// The manifest.
    pub manifest: Manifest,
    /// The configuration.
    pub config: ImageConfig,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mark {
    image_layout_version: String,
}

impl Layout {
    /// Reads what a directory holds; blobs are looked at where they are needed.
    pub fn open(path: &Path) -> Result<Self, OciError> {
        let bad = |why: &str| OciError::layout(path, why);
        let mark: Mark = match read(&path.join(MARK)) {
            Ok(bytes) => parse(path, MARK, &bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(bad(
                    "this is no OCI layout: it has no oci-layout\n\nhint: windlass image build --output oci:DIR makes one",
                ));
            }
            Err(error) => return Err(OciError::file(&path.join(MARK))(error)),
        };
        if !mark.image_layout_version.starts_with("1.") {
            return Err(bad(&format!(
                "the layout is of version {}; 1.0.0 is known",
                escaped(&mark.image_layout_version)
            )));
        }
        let file = path.join("index.json");
        let index: Index = parse(path, "index.json", &read(&file).map_err(OciError::file(&file))?)?;
        if index.schema_version != 2 {
            return Err(bad("index.json is of a version that is not known"));
        }
        Ok(Self {
            path: path.to_owned(),
            index,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What its index names.
    pub fn manifests(&self) -> &[Descriptor] {
        &self.index.manifests
    }

    /// Where a blob is, if it is there.
    pub fn blob(&self, digest: &Digest) -> PathBuf {
        self.path.join("blobs/sha256").join(digest.digits())
    }

    /// The image of a name; the only one where no name is given. Of one for several machines that for `platform`.
    pub fn image(&self, name: Option<&ImageName>, platform: &Platform) -> Result<Image, OciError> {
        let bad = |why: String| OciError::layout(&self.path, why);
        let full = name.map(ToString::to_string);
        let mut found: Vec<&Descriptor> = self
            .index
            .manifests
            .iter()
            .filter(|manifest| full.as_deref().is_none_or(|full| is_called(manifest, full)))
            .collect();
        // The same image under several names.
        found.dedup_by_key(|manifest| manifest.digest.clone());
        let descriptor = match found.as_slice() {
            [only] => (*only).clone(),
            several if several.iter().any(|one| one.platform.is_some()) => self.for_platform(several, platform)?,
            several => {
                let what = full.map_or_else(|| "the layout".to_owned(), |full| format!("'{full}' in the layout"));
                let count = several.len();
                return Err(bad(format!(
                    "{what} is {count} images, and one is needed\n\nhint: name one of these: {}",
                    self.names().join(", ")
                )));
            }
        };
        let descriptor = if matches!(descriptor.media_type.as_str(), INDEX | DOCKER_LIST) {
            let inner: Index = self.document(&descriptor)?;
            self.for_platform(&inner.manifests.iter().collect::<Vec<_>>(), platform)?
        } else {
            descriptor
        };
        if !matches!(descriptor.media_type.as_str(), MANIFEST | DOCKER_MANIFEST) {
            return Err(bad(format!("'{}' is no image", escaped(&descriptor.media_type))));
        }
        let manifest: Manifest = self.document(&descriptor)?;
        let config: ImageConfig = self.document(&manifest.config)?;
        if config.rootfs.diff_ids.len() != manifest.layers.len() {
            return Err(bad(
                "the manifest has more or fewer layers than the configuration".to_owned()
            ));
        }
        Ok(Image {
            descriptor,
            manifest,
            config,
        })
    }

    fn for_platform(&self, among: &[&Descriptor], platform: &Platform) -> Result<Descriptor, OciError> {
        let fits = |manifest: &&&Descriptor| {
            let of = manifest.platform.as_ref();
            of.is_some_and(|of| of.os == platform.os && of.architecture == platform.architecture)
        };
        let is_it = |manifest: &&&Descriptor| {
            let variant = manifest.platform.as_ref().and_then(|of| of.variant.as_deref());
            fits(manifest) && variant.unwrap_or_default() == platform.variant
        };
        let found = among.iter().find(is_it).or_else(|| among.iter().find(fits));
        found
            .map(|found| (*found).clone())
            .ok_or_else(|| OciError::layout(&self.path, format!("there is no image for {platform}")))
    }

    /// The names that its index gives.
    pub fn names(&self) -> Vec<String> {
        self.index
            .manifests
            .iter()
            .filter_map(|manifest| {
                let annotations = &manifest.annotations;
                annotations.get(FULL_NAME).or_else(|| annotations.get(REF_NAME))
            })
            .map(|name| escaped(name))
            .collect()
    }

    /// A document's bytes, which are what its digest says.
    pub fn document_bytes(&self, descriptor: &Descriptor) -> Result<Vec<u8>, OciError> {
        let path = self.blob(&descriptor.digest);
        let bytes = read(&path).map_err(OciError::file(&path))?;
        if bytes.len() as u64 != descriptor.size || Digest::of(&bytes) != descriptor.digest {
            return Err(OciError::layout(&path, "the blob is not what its digest says"));
        }
        Ok(bytes)
    }

    /// A document, which is what its digest says.
    pub fn document<T: DeserializeOwned>(&self, descriptor: &Descriptor) -> Result<T, OciError> {
        let bytes = self.document_bytes(descriptor)?;
        parse(&self.path, descriptor.digest.as_str(), &bytes)
    }

    /// Reads every blob of an image, and checks that it is what its digest says.
    pub fn verify(&self, image: &Image) -> Result<(), OciError> {
        for blob in std::iter::once(&image.manifest.config).chain(&image.manifest.layers) {
            let path = self.blob(&blob.digest);
            let file = File::open(&path).map_err(OciError::file(&path))?;
            let (digest, size) = sha256_of(file).map_err(OciError::file(&path))?;
            if digest != blob.digest.digits() || size != blob.size {
                return Err(OciError::layout(&path, "the blob is not what its digest says"));
            }
        }
        Ok(())
    }

    /// Writes the directory as one archive, as `docker load` and `podman load` take it.
    pub fn pack(&self, out: impl io::Write) -> Result<(), OciError> {
        packed::pack(&self.path, out)
    }
}

/// Whether a manifest goes by this full name.
fn is_called(manifest: &Descriptor, full: &str) -> bool {
    [FULL_NAME, REF_NAME]
        .iter()
        .filter_map(|key| manifest.annotations.get(*key))
        .any(|name| name == full)
}

/// A small file.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST_DOCUMENT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST_DOCUMENT {
        return Err(io::Error::other(format!(
            "it has more than {LARGEST_DOCUMENT} bytes, which no such document has"
        )));
    }
    Ok(bytes)
}

fn parse<T: DeserializeOwned>(layout: &Path, what: &str, bytes: &[u8]) -> Result<T, OciError> {
    serde_json::from_slice(bytes).map_err(|error| {
        OciError::layout(
            layout,
            format!("{what} makes no sense: {}", escaped(&error.to_string())),
        )
    })
}
