//! `[[payload]]`: the update payloads that are made of what lands.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use windlass_core::device::payload::PartitionName;
use windlass_core::device::version::VersionTemplate;
use windlass_core::id::{ArchName, ImageId, PackageName, PayloadName, RepositoryName};
use windlass_hooks::settings::Size;

use super::Config;
use crate::devices::server::Label;

/// One `[[payload]]`: its next version is made when a package that it holds changes, or an image that it takes a file system from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payload {
    /// Its name. No image has the same.
    pub name: PayloadName,
    /// The board that it is for, as devices say it.
    pub board: Label,
    /// How versions are named.
    #[serde(default)]
    pub version: VersionTemplate,
    /// The repositories that packages are installed from; the default one where none is named.
    #[serde(default)]
    pub repositories: Vec<RepositoryName>,
    /// The architecture, in rpm's words; the first of the first repository where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<ArchName>,
    /// The RSA key in PEM that signs it. Nobody but the bot may read it (mode 600).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// Whether the devices understand Zstandard.
    #[serde(default)]
    pub zstd: bool,
    /// Whether a payload is made, too, that leads from the version before to this one.
    #[serde(default)]
    pub delta: bool,
    /// Whether the image of a whole disk is made, too.
    #[serde(default)]
    pub disk: bool,
    /// How many versions are kept.
    #[serde(default = "three")]
    pub keep: usize,
    /// Where rpm has its database in the file systems that packages are installed into.
    #[serde(default = "sysimage")]
    pub rpm_database: PathBuf,
    /// What it writes.
    #[serde(rename = "partition", default)]
    pub partitions: Vec<PayloadPartition>,
    /// The partition that stays over updates, which devices get as an archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stateful: Option<PayloadPartition>,
}

/// `[[payload.partition]]`: what one partition will hold: an image file as it is, or a file system of an image or of packages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PayloadPartition {
    /// Its name on the device, without the slot.
    pub name: PartitionName,
    /// A file with all of its bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<PathBuf>,
    /// An `[[image]]`, whose file system it gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageId>,
    /// The packages that are installed into an empty root; what they need comes by itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<PackageName>,
    /// How many bytes it has; what fits, and `slack`, where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    /// How much more than what fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slack: Option<Size>,
    /// Files beside what packages or the image bring.
    #[serde(rename = "file", default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<PayloadFile>,
}

/// `[[payload.partition.file]]`: a file of a file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PayloadFile {
    /// Where it is, from the root of the file system on.
    pub path: String,
    /// What is in it: `{version}` and `{board}` stand for those of the payload.
    pub content: String,
    /// Its permissions in octal digits.
    #[serde(default = "readable")]
    pub mode: String,
}

impl Payload {
    /// The repositories that packages are installed from.
    pub fn repositories<'a>(&'a self, config: &'a Config) -> Vec<&'a RepositoryName> {
        config.those_or_default(&self.repositories)
    }

    /// The architecture that it is for; the configuration was checked.
    pub fn arch(&self, config: &Config) -> Option<ArchName> {
        config.arch_of(self.architecture.as_ref(), &self.repositories(config))
    }

    /// Everything that is made, the stateful partition last.
    pub fn all_partitions(&self) -> impl Iterator<Item = &PayloadPartition> {
        self.partitions.iter().chain(&self.stateful)
    }

    /// The images that file systems are taken from.
    pub fn images(&self) -> Vec<ImageId> {
        let mut images: Vec<ImageId> = Vec::new();
        for image in self.all_partitions().filter_map(|partition| partition.image.as_ref()) {
            if !images.contains(image) {
                images.push(image.clone());
            }
        }
        images
    }

    /// The packages that are named, each once.
    pub fn packages(&self) -> Vec<PackageName> {
        let mut packages: Vec<PackageName> = Vec::new();
        for package in self.all_partitions().flat_map(|partition| &partition.packages) {
            if !packages.contains(package) {
                packages.push(package.clone());
            }
        }
        packages
    }
}

impl PayloadFile {
    /// Its permissions, where they are such.
    pub fn mode(&self) -> Option<u32> {
        let is_octal = (3..=4).contains(&self.mode.len()) && self.mode.bytes().all(|b| (b'0'..=b'7').contains(&b));
        u32::from_str_radix(&self.mode, 8).ok().filter(|_| is_octal)
    }
}

impl Config {
    /// The payload of this name.
    pub fn payload(&self, name: &PayloadName) -> Option<&Payload> {
        self.payloads.iter().find(|payload| payload.name == *name)
    }
}

fn three() -> usize {
    3
}

fn sysimage() -> PathBuf {
    PathBuf::from("/usr/lib/sysimage/rpm")
}

fn readable() -> String {
    "644".to_owned()
}
