//! The words of the command line that name partitions: `NAME=FILE`.

use std::path::PathBuf;
use std::str::FromStr;

use windlass_core::device::payload::PartitionName;

use super::failure;
use crate::devices::payload::{Trust, public_key};
use crate::exit::Usage;

/// `NAME=FILE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) name: PartitionName,
    pub(super) path: PathBuf,
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, path) = text.split_once('=').ok_or("it is NAME=FILE, as in root=root.img")?;
        if path.is_empty() {
            return Err(format!("no file is named for partition '{name}'"));
        }
        Ok(Self {
            name: name.parse().map_err(|error| format!("{error}"))?,
            path: path.into(),
        })
    }
}

/// `NAME=NUMBER:IMAGE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Numbered {
    pub(super) name: PartitionName,
    pub(super) number: u32,
    pub(super) image: PathBuf,
}

impl FromStr for Numbered {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let how = "it is NAME=NUMBER:IMAGE, as in root=3:disk.img";
        let (name, place) = text.split_once('=').ok_or(how)?;
        let (number, image) = place.split_once(':').ok_or(how)?;
        if image.is_empty() {
            return Err(how.to_owned());
        }
        Ok(Self {
            name: name.parse().map_err(|error| format!("{error}"))?,
            number: number.parse().map_err(|_| how)?,
            image: image.into(),
        })
    }
}

/// What a payload is held against.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct TrustArgs {
    /// The public key, in PEM, that has to have signed it
    #[arg(long, value_name = "PEM")]
    pub(super) pubkey: Option<PathBuf>,
    /// The `payload_properties.txt` that it has to agree with
    #[arg(long, value_name = "FILE")]
    pub(super) properties: Option<PathBuf>,
}

impl TrustArgs {
    /// Reads the files.
    pub(super) fn trust(&self) -> anyhow::Result<Trust> {
        let properties = match &self.properties {
            None => None,
            Some(path) => {
                let text = crate::devices::payload::text(path).map_err(failure)?;
                let read = text.parse();
                Some(read.map_err(|error| Usage::new(format!("'{}': {error}", path.display())))?)
            }
        };
        Ok(Trust {
            key: self.pubkey.as_deref().map(public_key).transpose().map_err(failure)?,
            properties,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_and_its_file() {
        let named: Named = "root=a=b.img".parse().unwrap();
        assert_eq!((named.name.as_str(), named.path), ("root", PathBuf::from("a=b.img")));
        assert!("root".parse::<Named>().is_err());
        assert!("root=".parse::<Named>().is_err());
        assert!("ro/ot=a".parse::<Named>().is_err());
    }

    #[test]
    fn a_partition_in_a_disk_image() {
        let numbered: Numbered = "root=3:a:b.img".parse().unwrap();
        assert_eq!(
            (numbered.name.as_str(), numbered.number, numbered.image),
            ("root", 3, PathBuf::from("a:b.img"))
        );
        for wrong in ["root", "root=3", "root=3:", "root=x:a", "ro/ot=3:a"] {
            assert!(wrong.parse::<Numbered>().is_err(), "{wrong}");
        }
    }
}
