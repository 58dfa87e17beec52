//! `windlass payload generate`: a full payload from images.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use serde_json::json;
use windlass_core::device::payload::Properties;
use windlass_core::device::payload::codec::Zstd;

use super::failure;
use super::terminal::Session;
use super::words::{Named, Numbered};
use crate::cli::Context;
use crate::devices::gpt;
use crate::devices::payload::{
    Cache, GenerateOrder, Generated, ImagePart, NewPartition, PayloadError, SigningKey, generate,
};
use crate::exit::Exit;
use crate::output::Output;

/// Arguments of `windlass payload generate`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The same images make the same payload, byte for byte, on every machine and with any number of
jobs. With --cache, chunks that are as in an earlier image are not compressed again.

Examples:
  windlass payload generate --partition root=root.img --key signing.pem -o update.payload
  windlass payload generate --partition root=root.img --cache ~/.cache/chunks -o update.payload
  windlass payload generate --from-disk kernel=2:disk.img --from-disk root=3:disk.img -o new.payload
  windlass payload properties update.payload > payload_properties.txt")]
pub struct Args {
    /// A partition and the image of its new content; once for each
    #[arg(long = "partition", value_name = "NAME=IMAGE", required_unless_present = "from_disk")]
    partitions: Vec<Named>,
    /// The same, the content being the partition of this number in a disk image with a GPT
    #[arg(long = "from-disk", value_name = "NAME=NUMBER:IMAGE")]
    from_disk: Vec<Numbered>,
    #[command(flatten)]
    making: Making,
    /// The payload
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// How a payload is made, whichever it is.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Making {
    /// The RSA key, in PEM, that signs it
    #[arg(long, value_name = "PEM")]
    pub(super) key: Option<PathBuf>,
    /// Compress with Zstandard, for devices that are known to understand it
    #[arg(long)]
    pub(super) zstd: bool,
    /// Keep compressed chunks here, and take them from here
    #[arg(long, value_name = "DIR")]
    pub(super) cache: Option<PathBuf>,
    /// The most MiB that are kept there
    #[arg(long, value_name = "MIB", default_value_t = Cache::LIMIT >> 20)]
    pub(super) cache_limit: u64,
    /// How many threads compress; as many as there are processors
    #[arg(long, value_name = "N")]
    pub(super) jobs: Option<NonZeroUsize>,
    /// The newest build time in it, in seconds since 1970: devices refuse older ones than theirs
    #[arg(long, value_name = "SECONDS")]
    pub(super) max_timestamp: Option<i64>,
    /// Write what it is known by there, too
    #[arg(long, value_name = "FILE")]
    pub(super) properties: Option<PathBuf>,
    /// Say what would be made; write nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Answer in JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl Making {
    pub(super) fn zstd(&self) -> Zstd {
        if self.zstd { Zstd::Always } else { Zstd::Never }
    }

    pub(super) fn key(&self) -> Result<Option<SigningKey>, PayloadError> {
        self.key.as_deref().map(SigningKey::read).transpose()
    }

    pub(super) fn cache(&self) -> Result<Option<Cache>, PayloadError> {
        let limit = self.cache_limit.saturating_mul(1 << 20);
        self.cache.as_deref().map(|dir| Cache::open(dir, limit)).transpose()
    }

    /// What would be made, from how many bytes.
    pub(super) fn plan(&self, content: u64, output: &Path, out: &mut Output) -> anyhow::Result<Exit> {
        if self.json {
            out.json(&json!({ "output": output, "content": content, "signed": self.key.is_some() }))?;
        } else {
            let signed = if self.key.is_some() { "signed" } else { "not signed" };
            out.line(format!(
                "would write {} from {content} bytes, {signed}",
                output.display()
            ))?;
        }
        Ok(Exit::Done)
    }

    /// Tells what was made.
    pub(super) fn tell(&self, made: &Generated, output: &Path, out: &mut Output) -> anyhow::Result<Exit> {
        if let Some(path) = &self.properties {
            std::fs::write(path, made.properties.to_string()).map_err(|error| {
                failure(PayloadError::File {
                    path: path.clone(),
                    error,
                })
            })?;
        }
        if self.json {
            out.json(made)?;
            return Ok(Exit::Done);
        }
        let Properties { file_size, .. } = made.properties;
        out.say(format!(
            "{}: {file_size} bytes for {} of content, {} operations",
            output.display(),
            made.content,
            made.operations
        ));
        out.data(made.properties.to_string())?;
        Ok(Exit::Done)
    }
}

impl Args {
    pub(super) fn run(self, context: &mut Context) -> anyhow::Result<Exit> {
        let partitions = self.partitions().map_err(failure)?;
        let key = self.making.key().map_err(failure)?;
        let out = &mut context.output;
        if self.making.dry_run {
            let bytes = partitions.iter().map(|partition| partition.image.size()).sum();
            return self.making.plan(bytes, &self.output, out);
        }
        let order = GenerateOrder {
            partitions,
            key,
            zstd: self.making.zstd(),
            cache: self.making.cache().map_err(failure)?,
            max_timestamp: self.making.max_timestamp,
        };
        let session = Session::begin(self.making.jobs)?;
        match session.does("payload", out, |work| generate(&order, work, &self.output))? {
            Ok(made) => self.making.tell(&made, &self.output, out),
            Err(exit) => Ok(exit),
        }
    }

    fn partitions(&self) -> Result<Vec<NewPartition>, PayloadError> {
        let files = self
            .partitions
            .iter()
            .map(|named| (&named.name, ImagePart::file(&named.path)));
        let in_disks = self
            .from_disk
            .iter()
            .map(|numbered| (&numbered.name, gpt::partition(&numbered.image, numbered.number)));
        files
            .chain(in_disks)
            .map(|(name, image)| {
                Ok(NewPartition {
                    name: name.clone(),
                    image: image?,
                })
            })
            .collect()
    }
}
