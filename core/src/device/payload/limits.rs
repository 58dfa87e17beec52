//! What a payload may hold at most. Whoever made it is not trusted: beyond these it is refused before memory is taken for it.

use prost::encoding::{WireType, decode_key, decode_varint};

use super::problem::{Place, Problem};

/// The most bytes of a manifest.
pub const MANIFEST: u64 = 32 << 20;
/// The most bytes of a signature message, the metadata's or the payload's.
pub const SIGNATURE: u64 = 64 << 10;
/// The most partitions.
pub const PARTITIONS: usize = 64;
/// The most operations of all partitions together.
pub const OPERATIONS: usize = 1 << 18;
/// The most extents of all operations together.
pub const EXTENTS: usize = 1 << 21;
/// The most bytes of a partition: 4 TiB.
pub const PARTITION: u64 = 4 << 40;
/// The most bytes of the data that comes with one operation.
pub const DATA: u64 = 256 << 20;
/// The most bytes that one operation makes from its data, or takes as the source of a patch.
pub const OUTPUT: u64 = 256 << 20;
/// The most memory that decompressing one operation's data takes.
pub const DECODER: u64 = 128 << 20;
/// The most problems that are listed of one payload.
pub const PROBLEMS: usize = 50;

/// Counts what a manifest would unpack to, before it is unpacked: a byte or two of an empty message become a hundred in memory.
pub(super) fn survey(manifest: &[u8]) -> Result<(), Problem> {
    let mut counts = Counts::default();
    counts.manifest(manifest).map_err(|_| Problem {
        place: Place::Manifest,
        what: "cannot be read: it is cut off, or no protobuf message".to_owned(),
    })?;
    for (what, found, most) in [
        ("partitions", counts.partitions, PARTITIONS),
        ("operations", counts.operations, OPERATIONS),
        ("extents", counts.extents, EXTENTS),
    ] {
        if found > most {
            return Err(Problem {
                place: Place::Manifest,
                what: format!("has {found} {what}, and {most} are the most"),
            });
        }
    }
    Ok(())
}

/// Not a message.
struct Broken;

#[derive(Default)]
struct Counts {
    partitions: usize,
    operations: usize,
    extents: usize,
}

impl Counts {
    fn manifest(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        fields(bytes, |field, content| match field {
            13 => {
                self.partitions += 1;
                self.partition(content)
            }
            _ => Ok(()),
        })
    }

    fn partition(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        fields(bytes, |field, content| match field {
            8 => {
                self.operations += 1;
                self.operation(content)
            }
            _ => Ok(()),
        })
    }

    fn operation(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        fields(bytes, |field, _| {
            self.extents += usize::from(matches!(field, 4 | 6));
            Ok(())
        })
    }
}

/// Goes over the fields of a message; those with a length are handed on.
fn fields<'a>(mut bytes: &'a [u8], mut each: impl FnMut(u32, &'a [u8]) -> Result<(), Broken>) -> Result<(), Broken> {
    while !bytes.is_empty() {
        let (field, wire) = decode_key(&mut bytes).map_err(|_| Broken)?;
        let length = match wire {
            WireType::Varint => {
                decode_varint(&mut bytes).map_err(|_| Broken)?;
                continue;
            }
            WireType::ThirtyTwoBit => 4,
            WireType::SixtyFourBit => 8,
            WireType::LengthDelimited => {
                usize::try_from(decode_varint(&mut bytes).map_err(|_| Broken)?).map_err(|_| Broken)?
            }
            WireType::StartGroup | WireType::EndGroup => return Err(Broken),
        };
        let (content, rest) = bytes.split_at_checked(length).ok_or(Broken)?;
        bytes = rest;
        if wire == WireType::LengthDelimited {
            each(field, content)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_messages_are_counted() {
        // Partitions of two bytes each.
        let manifest = [0x6a, 0].repeat(PARTITIONS + 1);
        let problem = survey(&manifest).unwrap_err();
        assert_eq!(
            problem.to_string(),
            "the manifest has 65 partitions, and 64 are the most"
        );
        assert!(survey(&manifest[2..]).is_ok());
    }

    #[test]
    fn what_is_cut_off_is_told() {
        assert!(survey(&[0x6a, 5, 0]).is_err());
        assert!(survey(&[0x6b]).is_err());
    }
}
