//! `windlass payload apply`: what a device does with a payload, with files or block devices.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use super::failure;
use super::terminal::Session;
use super::words::{Named, TrustArgs};
use crate::cli::Context;
use crate::devices::payload::{self, FileSources, FileTargets, ImagePart, PayloadError};
use crate::exit::{Exit, Usage};

/// Arguments of `windlass payload apply`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Files get their names when the whole payload is verified; before that, nothing is there. A block
device is written as the payload comes: boot it only if this ends with code 0.

Examples:
  windlass payload apply update.payload --pubkey signing.pub -o unpacked
  curl -f http://host/update | windlass payload apply - --properties payload_properties.txt \\
      --target root=/dev/sda5
  windlass payload apply delta.payload --pubkey signing.pub --source root=old.img -o unpacked")]
pub struct Args {
    /// The payload; - for standard input
    #[arg(value_name = "PAYLOAD")]
    payload: PathBuf,
    #[command(flatten)]
    trust: TrustArgs,
    /// Believe what the payload says itself
    #[arg(long, conflicts_with_all = ["pubkey", "properties"])]
    unverified: bool,
    /// What a partition holds now; for deltas, once for each
    #[arg(long = "source", value_name = "NAME=FILE")]
    sources: Vec<Named>,
    /// Where a partition is written; once for each
    #[arg(long = "target", value_name = "NAME=FILE")]
    targets: Vec<Named>,
    /// Where the other partitions are written, as NAME.img
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) fn run(self, context: &mut Context) -> anyhow::Result<Exit> {
        let trust = self.trust.trust()?;
        if trust.key.is_none() && trust.properties.is_none() && !self.unverified {
            return Err(Usage::new("nothing is said that the payload is to be verified with")
                .hint("--pubkey PEM, --properties FILE, or --unverified to believe what it says itself")
                .into());
        }
        if self.targets.is_empty() && self.output.is_none() {
            return Err(Usage::new("nothing is said of where partitions are to be written")
                .hint("-o DIR, or --target NAME=FILE for each")
                .into());
        }
        let sources = self.sources().map_err(failure)?;
        if let Some(folder) = &self.output {
            std::fs::create_dir_all(folder).map_err(|error| {
                failure(PayloadError::File {
                    path: folder.clone(),
                    error,
                })
            })?;
        }
        let places = self.targets.into_iter().map(|named| (named.name, named.path)).collect();
        let mut targets = FileTargets::new(places, self.output);
        let mut from = open(&self.payload).map_err(failure)?;
        let session = Session::begin(None)?;
        let out = &mut context.output;
        let applied = session.does("apply", out, |work| {
            payload::apply(&mut *from, &trust, &sources, &mut targets, work)
        })?;
        let applied = match applied {
            Ok(applied) => applied,
            Err(exit) => return Ok(exit),
        };
        targets.settle().map_err(failure)?;
        if self.json {
            out.json(&applied)?;
        } else {
            for (name, size) in &applied.partitions {
                out.line(format!("{name}: {size} bytes"))?;
            }
        }
        Ok(Exit::Done)
    }

    fn sources(&self) -> Result<FileSources, PayloadError> {
        let open = |named: &Named| Ok((named.name.clone(), ImagePart::file(&named.path)?));
        let open: Result<BTreeMap<_, _>, PayloadError> = self.sources.iter().map(open).collect();
        Ok(FileSources(open?))
    }
}

fn open(path: &Path) -> Result<Box<dyn Read>, PayloadError> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdin().lock()));
    }
    let file = File::open(path).map_err(|error| PayloadError::File {
        path: path.to_owned(),
        error,
    })?;
    Ok(Box::new(BufReader::with_capacity(1 << 20, file)))
}
