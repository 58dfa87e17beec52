//! The stateful archive: a partition as gzip, as devices have always taken it beside the payload.
//!
//! It is cut into pieces, each a gzip member of its own, compressed on all processors; gunzip and busybox read members one after the
//! other as one file. The same partition makes the same archive, with any number of threads.

use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use libdeflater::{CompressionLvl, Compressor};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use windlass_core::device::payload::Digest;

use super::ordered::in_order;
use super::payload::{ImagePart, PayloadError, Work, folder, settle};

/// The partition of a disk image that holds what stays over updates.
pub const PARTITION: u32 = 1;

/// How much is in one member: what a member costs, and what it cannot refer back to, is little against that.
const MEMBER: u64 = 4 << 20;

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Archived {
    /// How many bytes the partition has.
    pub content: u64,
    /// How many bytes the archive has.
    pub size: u64,
    /// SHA-256 of the archive.
    pub hash: Digest,
}

/// Archives a partition. The file is there when all of it is.
///
/// # Errors
/// The image cannot be read, the archive cannot be written, or the word to stop came.
pub fn archive(partition: &ImagePart, work: &Work<'_>, out: &Path) -> Result<Archived, PayloadError> {
    let mut file = tempfile::Builder::new()
        .prefix(".stateful-")
        .permissions(Permissions::from_mode(0o644))
        .tempfile_in(folder(out))
        .map_err(PayloadError::file(out))?;
    let mut hash = Sha256::new();
    let (mut offset, mut done, mut size) = (0, 0, 0);
    in_order(
        work.jobs,
        || {
            let begin = offset;
            offset += MEMBER;
            Ok((begin < partition.size()).then_some(begin))
        },
        |begin| {
            let length = usize::try_from((partition.size() - begin).min(MEMBER)).unwrap_or(0);
            let mut bytes = vec![0; length];
            partition.read(begin, &mut bytes)?;
            Ok((member(&bytes), length))
        },
        |(member, length)| {
            hash.update(&member);
            size += member.len() as u64;
            file.write_all(&member).map_err(PayloadError::file(out))?;
            done += length as u64;
            work.step(done, partition.size())
        },
    )?;
    settle(file, out)?;
    Ok(Archived {
        content: partition.size(),
        size,
        hash: Digest::from(<[u8; 32]>::from(hash.finalize())),
    })
}

/// A gzip member without a name and a time.
fn member(bytes: &[u8]) -> Vec<u8> {
    let mut compressor = Compressor::new(CompressionLvl::default());
    let mut member = vec![0; compressor.gzip_compress_bound(bytes.len())];
    let length = compressor
        .gzip_compress(bytes, &mut member)
        .expect("there is room for the most that it can become");
    member.truncate(length);
    member
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::num::NonZeroUsize;

    use flate2::read::MultiGzDecoder;

    use super::*;

    #[test]
    fn what_is_archived_comes_back_and_is_always_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("image");
        let content: Vec<u8> = (0..9_000_001_u32)
            .map(|at| (at % 251 * (at >> 16)).to_le_bytes()[0])
            .collect();
        std::fs::write(&image, &content).unwrap();
        let part = ImagePart::file(&image).unwrap();
        let mut archives = Vec::new();
        for jobs in [1, 3] {
            let out = dir.path().join("stateful.gz");
            let work = Work {
                jobs: NonZeroUsize::new(jobs).unwrap(),
                ..Work::default()
            };
            let made = archive(&part, &work, &out).unwrap();
            let bytes = std::fs::read(&out).unwrap();
            assert_eq!((made.size, made.content), (bytes.len() as u64, content.len() as u64));
            assert_eq!(made.hash, Digest::of(&bytes));
            let mut back = Vec::new();
            MultiGzDecoder::new(&bytes[..]).read_to_end(&mut back).unwrap();
            assert!(back == content);
            archives.push(bytes);
        }
        assert!(archives[0] == archives[1]);
    }
}
