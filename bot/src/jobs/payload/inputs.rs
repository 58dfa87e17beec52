//! All that goes into a payload, and its digest: what was made of the same is not made again.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use sha2::{Digest as _, Sha256};
use windlass_core::hex::hex;
use windlass_core::id::ImageId;
use windlass_core::repository::{Index, closure};
use windlass_core::rpm::header;

use super::filesystem::SCRIPT;
use super::tree::Tree;
use crate::config::{Payload, PayloadPartition};
use crate::digest::sha256_of;
use crate::jobs::Trouble;
use crate::jobs::causes::requirements;
use crate::jobs::pinned::Pinned;
use crate::stages::build::Layer;

/// What is made in another way than before gets another number: 1, so far.
const FORM: &str = "payload 1";

/// The newest time in a file system that no package tells one of: 2020-01-01.
const NO_TIME: i64 = 1_577_836_800;

/// All that goes into a payload.
#[derive(Debug)]
pub(super) struct Inputs {
    pub(super) payload: Payload,
    pub(super) pinned: Pinned,
    /// Each partition, the stateful one last.
    pub(super) partitions: Vec<Content>,
    /// The digest of it all.
    pub(super) digest: String,
}

/// What a partition gets.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) partition: PayloadPartition,
    pub(super) from: From,
    /// The newest time in it, in seconds since 1970.
    pub(super) newest: i64,
}

/// Where it comes from.
#[derive(Debug)]
pub(super) enum From {
    /// A file, as it is.
    Source(PathBuf),
    /// The file system of an image: an archive of it.
    Image(Tree),
    /// Packages, by name; nothing but files where there are none.
    Packages(Vec<Chosen>),
}

/// A package that is installed.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) nevra: String,
    pub(super) file: PathBuf,
    /// The digest of its header, which signing does not change.
    digest: String,
    built: i64,
}

impl Inputs {
    /// Works out what has to be installed, and what it depends on.
    pub(super) fn of(payload: Payload, pinned: Pinned, mut trees: Vec<(ImageId, Tree)>) -> Result<Self, Trouble> {
        let layers = pinned.layers()?;
        let mut parts = vec![
            FORM.to_owned(),
            SCRIPT.to_owned(),
            pinned.arch().to_string(),
            described(&Payload {
                // How many are kept is nothing that anything is made of.
                keep: 0,
                ..payload.clone()
            })?,
        ];
        let mut partitions = Vec::new();
        for partition in payload.all_partitions() {
            let (mut from, mut newest) = (From::Packages(Vec::new()), NO_TIME);
            if let Some(source) = &partition.source {
                let open = File::open(source).and_then(sha256_of);
                let (digest, _) = open.map_err(|error| Trouble::lasting(format!("{}: {error}", source.display())))?;
                parts.push(digest);
                from = From::Source(source.clone());
            } else if let Some(image) = &partition.image {
                let tree = trees.iter_mut().find(|(name, _)| name == image).map(|(_, tree)| tree);
                let tree = tree.ok_or_else(|| Trouble::lasting(format!("there is no image {image}")))?;
                parts.push(tree.id.clone());
                let again = tree.again();
                from = From::Image(again.map_err(|error| Trouble::transient(format!("image {image}: {error}")))?);
            } else if !partition.packages.is_empty() {
                let chosen = chosen(&layers, &pinned, partition)?;
                parts.extend(chosen.iter().map(|one| format!("{} {}", one.nevra, one.digest)));
                newest = chosen.iter().map(|one| one.built).max().unwrap_or(NO_TIME);
                from = From::Packages(chosen);
            }
            partitions.push(Content {
                partition: partition.clone(),
                from,
                newest,
            });
        }
        // None of them can pass for another.
        let parts: Vec<String> = parts.iter().map(|part| format!("{}:{part}", part.len())).collect();
        Ok(Self {
            digest: hex(&Sha256::digest(parts.concat())),
            payload,
            pinned,
            partitions,
        })
    }

    /// The packages that are installed, sorted.
    pub(super) fn packages(&self) -> Vec<String> {
        let of = |content: &Content| match &content.from {
            From::Packages(chosen) => chosen.iter().map(|one| one.nevra.clone()).collect(),
            From::Source(_) | From::Image(_) => Vec::new(),
        };
        self.partitions.iter().flat_map(of).collect()
    }
}

fn described(payload: &Payload) -> Result<String, Trouble> {
    serde_json::to_string(payload).map_err(|error| Trouble::lasting(error.to_string()))
}

/// The packages of a partition, with what they need.
fn chosen(layers: &[Layer], pinned: &Pinned, partition: &PayloadPartition) -> Result<Vec<Chosen>, Trouble> {
    let name = &partition.name;
    let indexes: Vec<&Index> = layers.iter().map(|layer| &layer.index).collect();
    let found = closure(&indexes, pinned.arch(), &requirements(&partition.packages)).map_err(|unresolvable| {
        Trouble::lasting(format!(
            "the packages of partition {name} cannot be installed:\n  {}\n\nhint: land what is missing; it is tried again when that lands",
            unresolvable.reasons.join("\n  ")
        ))
    })?;
    let mut all = Vec::with_capacity(found.len());
    for package in found {
        let nevra = package.nevra();
        let layer = layers
            .iter()
            .find(|layer| layer.index.named(&package.name).any(|one| **one == *package))
            .ok_or_else(|| Trouble::transient(format!("{nevra} is in none of the repositories any more")))?;
        let file = layer
            .files
            .path(&package)
            .map_err(|error| Trouble::transient(error.to_string()))?;
        let read = File::open(&file)
            .map_err(header::BadPackage::from)
            .and_then(|file| header::read(&mut BufReader::new(file)));
        // A generation that is cleared away is followed by a newer one.
        let read = read.map_err(|error| Trouble::transient(format!("the package {}: {error}", file.display())))?;
        all.push(Chosen {
            nevra,
            file,
            digest: read.about.header_sha256.clone(),
            built: read.about.build_time.as_second(),
        });
    }
    all.sort_by(|one, other| one.nevra.cmp(&other.nevra));
    Ok(all)
}
