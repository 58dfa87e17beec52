//! Carries out Dockerfiles without an engine: everything but RUN, and an ADD from an address.
//!
//! Stages are first carried out on file trees, which hold names and where contents lie, and only those stages that the result needs. Then
//! the layers of the result are written, one for each instruction that changed something, and nothing of the other stages. A base is `scratch`
//! or a result of ours that the caller finds; foreign images are for engines.

mod config;
mod context;
mod copy;
mod described;
mod mode;
mod owner;
mod pattern;
mod stage;
mod transfer;
mod unpack;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use windlass_core::image::dockerfile::{Arguments, Platform};
use windlass_core::image::{Digest, Dockerfile, ImageName};

use super::base::BaseLayer;
use super::error::OciError;
use super::layer::{self, Changes};
use super::layout::{Draft, Image, Layout};
use super::spec::{self, CONFIG, ImageConfig, MANIFEST, Manifest};
use super::store::Store;
use crate::images::build::tree::Tree;
use stage::Stages;

/// More layers than engines load.
const MOST_LAYERS: usize = 125;

/// Finds the image that a FROM or `--from` names, with its variables filled in; nothing where it is none of ours.
pub type FindBase<'a> = dyn Fn(&ImageName) -> Result<Option<(Layout, Image)>, OciError> + 'a;

/// What is to be built.
pub struct OciBuild<'a> {
    /// The instructions.
    pub dockerfile: &'a Dockerfile,
    /// What COPY and ADD copy from.
    pub files: &'a Tree,
    /// Build arguments.
    pub arguments: &'a Arguments,
    /// The stage that is wanted; the last one, where it is not said.
    pub target: Option<&'a str>,
    /// Labels besides those of the Dockerfile.
    pub labels: &'a BTreeMap<String, String>,
    /// For which machine.
    pub platform: &'a Platform,
    /// The time of everything in the image, in seconds since 1970: `SOURCE_DATE_EPOCH`, or 0.
    pub epoch: u64,
    /// How the image is called in the layout.
    pub names: &'a [ImageName],
    /// Finds bases.
    pub find_base: &'a FindBase<'a>,
}

impl std::fmt::Debug for OciBuild<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OciBuild")
            .field("target", &self.target)
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

/// An image that was built.
#[derive(Debug, Clone)]
pub struct Built {
    /// The digest of its manifest: how a registry names it.
    pub manifest: Digest,
    /// The digest of its configuration: how engines name it.
    pub config: Digest,
    /// The layout that holds it.
    pub layout: Layout,
    /// What its users should know: what could not be taken over from the context.
    pub notes: Vec<String>,
}

/// A part of an image.
#[derive(Debug, Clone)]
enum Piece {
    /// A layer of the base.
    Base(Box<BaseLayer>),
    /// What an instruction changed.
    New(Arc<Changes>),
}

/// Builds an image into a layout at `out`, which replaces another layout that is there.
pub fn build(order: &OciBuild<'_>, out: &Path) -> Result<Built, OciError> {
    let mut draft = Draft::new(out)?;
    let mut stages = Stages::new(order, Store::new(draft.blobs())?)?;
    let wanted = stages.target(order.target)?;
    let made = stages.make(wanted)?;
    let mut config = made.config.clone();
    config
        .config
        .labels
        .extend(order.labels.iter().map(|(name, value)| (name.clone(), value.clone())));
    let mut store = stages.into_store();
    let manifest = write_layers(&made.pieces, &mut config, &mut store, order, &draft)?;
    let config_digest = manifest.config.digest.clone();
    let descriptor = draft.image(&manifest, order.names)?;
    let notes = store
        .lost_attributes()
        .into_iter()
        .map(|file| {
            format!("the capabilities of '{file}' are not in the image: no layer of ours holds extended attributes")
        })
        .collect();
    Ok(Built {
        manifest: descriptor.digest,
        config: config_digest,
        layout: draft.finish()?,
        notes,
    })
}

fn write_layers(
    pieces: &[Piece],
    config: &mut ImageConfig,
    store: &mut Store,
    order: &OciBuild<'_>,
    draft: &Draft,
) -> Result<Manifest, OciError> {
    let new = pieces.iter().filter_map(|piece| match piece {
        Piece::New(changes) => Some(changes),
        Piece::Base(_) => None,
    });
    let needed: Vec<_> = new.flat_map(|changes| layer::needed(changes)).cloned().collect();
    store.fetch(needed.iter())?;
    let mut layers = Vec::new();
    config.rootfs.diff_ids.clear();
    for piece in pieces {
        match piece {
            Piece::Base(base) => {
                let file = File::open(&base.path).map_err(OciError::file(&base.path))?;
                draft.copy(&base.descriptor, file, &base.path)?;
                layers.push(base.descriptor.clone());
                config.rootfs.diff_ids.push(base.diff_id.clone());
            }
            Piece::New(changes) => {
                let layer = layer::write(changes, store, order.epoch, draft.blobs())?;
                layers.push(layer.descriptor);
                config.rootfs.diff_ids.push(layer.diff_id);
            }
        }
    }
    if layers.len() > MOST_LAYERS {
        return Err(OciError::Asked(format!(
            "the image has {} layers, and engines take {MOST_LAYERS}\n\nhint: copy several files with one COPY",
            layers.len()
        )));
    }
    Ok(Manifest {
        schema_version: 2,
        media_type: Some(MANIFEST.to_owned()),
        artifact_type: None,
        config: draft.put(CONFIG, &spec::bytes(config))?,
        layers,
        subject: None,
        annotations: BTreeMap::new(),
    })
}

#[cfg(test)]
mod tests;
