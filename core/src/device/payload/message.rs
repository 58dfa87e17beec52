//! The manifest's messages, written down by hand: only the fields that are used, under the numbers of `update_metadata.proto`.

use prost::Message as _;

use super::limits;
use super::problem::{Place, Problem};

/// What a payload does: `DeltaArchiveManifest`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Manifest {
    /// The size of a block; 4096 where it is not said.
    #[prost(uint32, optional, tag = "3")]
    pub block_size: Option<u32>,
    /// Where the payload's signature begins, from the first blob on.
    #[prost(uint64, optional, tag = "4")]
    pub signatures_offset: Option<u64>,
    /// How many bytes it has.
    #[prost(uint64, optional, tag = "5")]
    pub signatures_size: Option<u64>,
    /// 0 for a full payload; otherwise which operations a delta may have.
    #[prost(uint32, optional, tag = "12")]
    pub minor_version: Option<u32>,
    /// What is written.
    #[prost(message, repeated, tag = "13")]
    pub partitions: Vec<Partition>,
    /// The newest time of a build in it, in seconds since 1970: devices refuse one that is older than theirs.
    #[prost(int64, optional, tag = "14")]
    pub max_timestamp: Option<i64>,
}

/// How one partition is made: `PartitionUpdate`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Partition {
    /// Its name, as in `root` or `kernel`.
    #[prost(string, tag = "1")]
    pub name: String,
    /// What a delta starts from.
    #[prost(message, optional, tag = "6")]
    pub old: Option<PartitionInfo>,
    /// What comes of it.
    #[prost(message, optional, tag = "7")]
    pub new: Option<PartitionInfo>,
    /// What is done, in this order.
    #[prost(message, repeated, tag = "8")]
    pub operations: Vec<Operation>,
}

/// What a partition holds.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PartitionInfo {
    /// Its size in bytes.
    #[prost(uint64, optional, tag = "1")]
    pub size: Option<u64>,
    /// SHA-256 of so many bytes.
    #[prost(bytes = "vec", optional, tag = "2")]
    pub hash: Option<Vec<u8>>,
}

/// One step: `InstallOperation`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Operation {
    /// Which kind of step; see [`Operation::known`].
    #[prost(enumeration = "Kind", tag = "1")]
    pub kind: i32,
    /// Where its data begins, from the first blob on.
    #[prost(uint64, optional, tag = "2")]
    pub data_offset: Option<u64>,
    /// How many bytes of data it has.
    #[prost(uint64, optional, tag = "3")]
    pub data_length: Option<u64>,
    /// Which blocks of the old partition it reads.
    #[prost(message, repeated, tag = "4")]
    pub src_extents: Vec<Extent>,
    /// How many bytes of them.
    #[prost(uint64, optional, tag = "5")]
    pub src_length: Option<u64>,
    /// Which blocks of the new partition it writes.
    #[prost(message, repeated, tag = "6")]
    pub dst_extents: Vec<Extent>,
    /// How many bytes of them.
    #[prost(uint64, optional, tag = "7")]
    pub dst_length: Option<u64>,
    /// SHA-256 of its data.
    #[prost(bytes = "vec", optional, tag = "8")]
    pub data_hash: Option<Vec<u8>>,
    /// SHA-256 of what it reads.
    #[prost(bytes = "vec", optional, tag = "9")]
    pub src_hash: Option<Vec<u8>>,
}

/// A run of blocks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct Extent {
    /// The first one.
    #[prost(uint64, optional, tag = "1")]
    pub start_block: Option<u64>,
    /// How many.
    #[prost(uint64, optional, tag = "2")]
    pub num_blocks: Option<u64>,
}

/// The kinds of operation that there are. What is not written here is never carried out, but it has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
#[expect(missing_docs, reason = "the format's own names")]
pub enum Kind {
    Replace = 0,
    ReplaceBz = 1,
    Move = 2,
    Bsdiff = 3,
    SourceCopy = 4,
    SourceBsdiff = 5,
    Zero = 6,
    Discard = 7,
    ReplaceXz = 8,
    Puffdiff = 9,
    BrotliBsdiff = 10,
    Zucchini = 11,
    Lz4diffBsdiff = 12,
    Lz4diffPuffdiff = 13,
    ReplaceZstd = 14,
}

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It writes what its data unpacks to.
    Unpack(Codec),
    /// It copies blocks of the old partition.
    Copy,
    /// It applies a BSDIFF40 patch to blocks of the old partition.
    Patch,
    /// It writes zeros.
    Zero,
}

/// How data is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// As it is.
    Stored,
    /// By bzip2.
    Bzip2,
    /// By xz.
    Xz,
    /// By Zstandard.
    Zstd,
}

impl Codec {
    /// The kind of operation that unpacks it.
    pub fn kind(self) -> Kind {
        match self {
            Self::Stored => Kind::Replace,
            Self::Bzip2 => Kind::ReplaceBz,
            Self::Xz => Kind::ReplaceXz,
            Self::Zstd => Kind::ReplaceZstd,
        }
    }
}

impl Manifest {
    /// Unpacks a manifest, within [`limits`].
    pub fn read(bytes: &[u8]) -> Result<Self, Problem> {
        limits::survey(bytes)?;
        Self::decode(bytes).map_err(|error| Problem {
            place: Place::Manifest,
            what: format!("cannot be read: {error}"),
        })
    }

    /// The manifest's bytes.
    pub fn write(&self) -> Vec<u8> {
        self.encode_to_vec()
    }

    /// Whether it needs nothing of what the device has.
    pub fn is_full(&self) -> bool {
        self.minor_version() == super::MINOR_FULL
    }
}

impl Operation {
    /// Its kind, if it is one that there is.
    pub fn known(&self) -> Option<Kind> {
        Kind::try_from(self.kind).ok()
    }

    /// What is done, if it is something that is done here.
    pub fn action(&self) -> Option<Action> {
        match self.known()? {
            Kind::Replace => Some(Action::Unpack(Codec::Stored)),
            Kind::ReplaceBz => Some(Action::Unpack(Codec::Bzip2)),
            Kind::ReplaceXz => Some(Action::Unpack(Codec::Xz)),
            Kind::ReplaceZstd => Some(Action::Unpack(Codec::Zstd)),
            Kind::SourceCopy => Some(Action::Copy),
            Kind::SourceBsdiff => Some(Action::Patch),
            Kind::Zero => Some(Action::Zero),
            Kind::Move
            | Kind::Bsdiff
            | Kind::Discard
            | Kind::Puffdiff
            | Kind::BrotliBsdiff
            | Kind::Zucchini
            | Kind::Lz4diffBsdiff
            | Kind::Lz4diffPuffdiff => None,
        }
    }
}

impl Extent {
    /// So many blocks from this one on.
    pub fn new(start: u64, blocks: u64) -> Self {
        Self {
            start_block: Some(start),
            num_blocks: Some(blocks),
        }
    }
}

impl Kind {
    /// Its name, as the format has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Replace => "REPLACE",
            Self::ReplaceBz => "REPLACE_BZ",
            Self::Move => "MOVE",
            Self::Bsdiff => "BSDIFF",
            Self::SourceCopy => "SOURCE_COPY",
            Self::SourceBsdiff => "SOURCE_BSDIFF",
            Self::Zero => "ZERO",
            Self::Discard => "DISCARD",
            Self::ReplaceXz => "REPLACE_XZ",
            Self::Puffdiff => "PUFFDIFF",
            Self::BrotliBsdiff => "BROTLI_BSDIFF",
            Self::Zucchini => "ZUCCHINI",
            Self::Lz4diffBsdiff => "LZ4DIFF_BSDIFF",
            Self::Lz4diffPuffdiff => "LZ4DIFF_PUFFDIFF",
            Self::ReplaceZstd => "REPLACE_ZSTD",
        }
    }
}
