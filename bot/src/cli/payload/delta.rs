//! `windlass payload delta`: what of each partition is not on the device already.

use std::path::PathBuf;
use std::str::FromStr;

use windlass_core::device::payload::PartitionName;

use super::failure;
use super::generate::Making;
use super::terminal::Session;
use crate::cli::Context;
use crate::devices::payload::{ChangedPartition, DeltaOrder, ImagePart, PayloadError, delta};
use crate::exit::Exit;

/// Arguments of `windlass payload delta`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A device applies it only if its partitions hold exactly what OLD does.

Example:
  windlass payload delta --partition root=1.0/root.img:1.1/root.img --key signing.pem -o 1.1.delta")]
pub struct Args {
    /// A partition, the image of what it holds, and the one of its new content; once for each
    #[arg(long = "partition", value_name = "NAME=OLD:NEW", required = true)]
    partitions: Vec<Changed>,
    #[command(flatten)]
    making: Making,
    /// The payload
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// `NAME=OLD:NEW`.
#[derive(Debug, Clone)]
struct Changed {
    name: PartitionName,
    old: PathBuf,
    new: PathBuf,
}

impl FromStr for Changed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let how = "it is NAME=OLD:NEW, as in root=old.img:new.img";
        let (name, images) = text.split_once('=').ok_or(how)?;
        let (old, new) = images.split_once(':').ok_or(how)?;
        if old.is_empty() || new.is_empty() {
            return Err(how.to_owned());
        }
        if new.contains(':') {
            return Err("more than one ':' is in it: give images with a ':' in their names other ones".to_owned());
        }
        Ok(Self {
            name: name.parse().map_err(|error| format!("{error}"))?,
            old: old.into(),
            new: new.into(),
        })
    }
}

impl Args {
    pub(super) fn run(self, context: &mut Context) -> anyhow::Result<Exit> {
        let partitions: Result<Vec<ChangedPartition>, PayloadError> = self
            .partitions
            .iter()
            .map(|changed| {
                Ok(ChangedPartition {
                    name: changed.name.clone(),
                    old: ImagePart::file(&changed.old)?,
                    new: ImagePart::file(&changed.new)?,
                })
            })
            .collect();
        let partitions = partitions.map_err(failure)?;
        let key = self.making.key().map_err(failure)?;
        let out = &mut context.output;
        if self.making.dry_run {
            let bytes = partitions.iter().map(|partition| partition.new.size()).sum();
            return self.making.plan(bytes, &self.output, out);
        }
        let order = DeltaOrder {
            partitions,
            key,
            zstd: self.making.zstd(),
            cache: self.making.cache().map_err(failure)?,
            max_timestamp: self.making.max_timestamp,
        };
        let session = Session::begin(self.making.jobs)?;
        match session.does("delta", out, |work| delta(&order, work, &self.output))? {
            Ok(made) => self.making.tell(&made, &self.output, out),
            Err(exit) => Ok(exit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_and_its_two_images() {
        let changed: Changed = "root=a.img:b.img".parse().unwrap();
        assert_eq!(
            (changed.name.as_str(), changed.old, changed.new),
            ("root", "a.img".into(), "b.img".into())
        );
        for wrong in ["root", "root=a", "root=:b", "root=a:", "root=a:b:c", "r/t=a:b"] {
            assert!(wrong.parse::<Changed>().is_err(), "{wrong}");
        }
    }
}
