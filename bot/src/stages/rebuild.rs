//! What a rebuild is built from: the source package that is in the repository, as a `pkg.tar`.
//!
//! The source package was made by a build once, so nothing in it is trusted: it is read as a stream, every size and name is
//! checked, and what comes out is plain files with plain names.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek as _, SeekFrom, Write};
use std::path::Path;

use sha2::{Digest as _, Sha256};
use windlass_core::escape::escaped_bytes;
use windlass_core::hex::hex;
use windlass_core::id::PackageName;
use windlass_core::repository::{Content, How, Plan, Problem};
use windlass_core::rpm::header;

use super::StageError;
use crate::repository::{Repository, source_directory};

/// The most that all files of a source package may come to.
const LARGEST: u64 = 8 << 30;

/// The most files.
const MOST: usize = 10_000;

/// A block of a tar file.
const BLOCK: usize = 512;

/// What a source package became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpacked {
    /// The SHA-256 of the archive, 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// The spec's name in it.
    pub spec: String,
    /// Which source package it was, as name-\[epoch:\]version-release.
    pub evr: String,
}

/// Makes the archive for a rebuild of a package that is in a repository.
///
/// # Errors
/// It is not there, or is no source package that can be taken apart.
pub fn run(
    repository: &Repository,
    content: &Content,
    package: &PackageName,
    out: &Path,
) -> Result<Unpacked, StageError> {
    let Some(source) = content.source.named(package.as_str()).max_by(|a, b| a.evr.cmp(&b.evr)) else {
        let message = format!(
            "{package} is not in {}: there is nothing to build once more",
            repository.name()
        );
        return Err(StageError::package(
            Problem::new("not_there", message).hint(format!("task add ID repo SOURCE TAG builds a tag of {package}")),
        ));
    };
    let path = repository
        .pool_file(&source_directory(), source)
        .ok_or_else(|| StageError::infrastructure(format!("{} has no file", source.nevra())))?;
    let cannot = |error: io::Error| StageError::io(&path.display().to_string(), &error);
    let mut file = File::open(&path).map_err(cannot)?;
    let header = header::read(&mut BufReader::new(&mut file))
        .map_err(|error| StageError::infrastructure(format!("{}: {error}", path.display())))?;
    file.seek(SeekFrom::Start(header.about.header_range.end))
        .map_err(cannot)?;
    if let Some(dir) = out.parent() {
        std::fs::create_dir_all(dir).map_err(cannot)?;
    }
    let mut archive = Archive::new(File::create(out).map_err(cannot)?);
    let names = convert(file, &mut archive, header.about.build_time.as_second()).map_err(|error| {
        if error.kind() != io::ErrorKind::InvalidData {
            return cannot(error);
        }
        StageError::package(Problem::new(
            "bad_source_package",
            format!("{} cannot be taken apart: {error}", source.nevra()),
        ))
    })?;
    let sha256 = archive.finish().map_err(cannot)?;
    let mut specs = names
        .iter()
        .filter(|name| Path::new(name).extension().is_some_and(|extension| extension == "spec"));
    match (specs.next(), specs.next()) {
        (Some(spec), None) => Ok(Unpacked {
            sha256,
            spec: spec.clone(),
            evr: format!("{}-{}", source.name, source.evr),
        }),
        (_, _) => Err(StageError::package(Problem::new(
            "bad_source_package",
            format!("{} has not exactly one spec", source.nevra()),
        ))),
    }
}

/// That what was built once more has grown.
///
/// # Errors
/// A spec does not use `%dist`: its release stays the same.
pub fn grows(plan: &Plan) -> Result<(), StageError> {
    let same = plan.changes.iter().filter(|change| {
        change.how == How::Rebuild && change.after.is_some() && change.after.as_ref() <= change.before.as_ref()
    });
    let problems: Vec<Problem> = same
        .map(|change| {
            let evr = change.after.as_ref().map(ToString::to_string).unwrap_or_default();
            Problem::new(
                "no_dist",
                format!("{} {evr} does not grow when it is built once more", change.package),
            )
            .of(change.subtask)
            .hint(
                "a rebuild counts %dist up: write `Release: 1%{?dist}` in the spec, and build that as a new tag first",
            )
        })
        .collect();
    if problems.is_empty() {
        return Ok(());
    }
    Err(StageError::Failed {
        fault: windlass_core::task::Fault::Package,
        problems,
    })
}

fn bad(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

/// Reads a payload and writes its files; their names come back.
fn convert(mut file: File, out: &mut Archive, time: i64) -> io::Result<BTreeSet<String>> {
    let mut magic = [0; 6];
    file.read_exact(&mut magic)?;
    file.seek(SeekFrom::Current(-6))?;
    let file = BufReader::new(file);
    let plain: Box<dyn Read> = match magic {
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(zstd::stream::read::Decoder::new(file)?),
        [0x1f, 0x8b, ..] => Box::new(flate2::read::MultiGzDecoder::new(file)),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => Box::new(liblzma::read::XzDecoder::new_multi_decoder(file)),
        [b'0', b'7', b'0', b'7', ..] => Box::new(file),
        _ => return Err(bad("its payload is compressed in a way that is not known here")),
    };
    let mut plain = plain.take(LARGEST + (1 << 20));
    let mut names = BTreeSet::new();
    let mut total = 0u64;
    while let Some((name, size)) = entry(&mut plain)? {
        total = total.saturating_add(size);
        if names.len() >= MOST || total > LARGEST {
            return Err(bad("it is too large"));
        }
        out.begin(&name, size, time)?;
        let copied = io::copy(&mut (&mut plain).take(size), out)?;
        if copied != size {
            return Err(bad("it is cut off"));
        }
        out.pad(size)?;
        skip(&mut plain, (4 - size % 4) % 4)?;
        if !names.insert(name.clone()) {
            return Err(bad(format!("it has {name} twice")));
        }
    }
    Ok(names)
}

/// The next file of a cpio archive of the "new ASCII" form; none at its end.
fn entry(from: &mut impl Read) -> io::Result<Option<(String, u64)>> {
    let mut head = [0; 110];
    from.read_exact(&mut head)?;
    if !matches!(&head[..6], b"070701" | b"070702") {
        return Err(bad("its payload is no cpio archive"));
    }
    let field = |number: usize| -> io::Result<u64> {
        let digits = head.get(6 + number * 8..14 + number * 8).unwrap_or_default();
        let text = std::str::from_utf8(digits).map_err(|_| bad("its payload has a bad number"))?;
        u64::from_str_radix(text, 16).map_err(|_| bad("its payload has a bad number"))
    };
    let (mode, size, length) = (field(1)?, field(6)?, field(11)?);
    if length == 0 || length > 4096 {
        return Err(bad("it has a name that is too long"));
    }
    let mut name = vec![0; usize::try_from(length).unwrap_or_default()];
    from.read_exact(&mut name)?;
    skip(from, (4 - (110 + length) % 4) % 4)?;
    name.pop();
    if name == b"TRAILER!!!" {
        return Ok(None);
    }
    let plain = name.strip_prefix(b"./").unwrap_or(&name);
    let shown = || escaped_bytes(plain);
    if mode & 0o170_000 != 0o100_000 {
        return Err(bad(format!("{} is no plain file", shown())));
    }
    let text = std::str::from_utf8(plain).map_err(|_| bad(format!("{} is no file name", shown())))?;
    if text.is_empty() || text.starts_with('.') || text.contains(['/', '\0']) || text.len() > 100 {
        return Err(bad(format!("{} is no plain file name of at most 100 bytes", shown())));
    }
    Ok(Some((text.to_owned(), size)))
}

fn skip(from: &mut impl Read, count: u64) -> io::Result<()> {
    let mut nothing = [0; 4];
    from.read_exact(
        nothing
            .get_mut(..usize::try_from(count).unwrap_or_default())
            .unwrap_or_default(),
    )
}

/// A flat tar file that is being written, and its digest.
struct Archive {
    out: BufWriter<File>,
    sha256: Sha256,
}

impl Archive {
    fn new(file: File) -> Self {
        Self {
            out: BufWriter::new(file),
            sha256: Sha256::new(),
        }
    }

    fn begin(&mut self, name: &str, size: u64, time: i64) -> io::Result<()> {
        let mut block = [0u8; BLOCK];
        let mut put = |at: usize, bytes: &[u8]| {
            if let Some(place) = block.get_mut(at..at + bytes.len()) {
                place.copy_from_slice(bytes);
            }
        };
        put(0, name.as_bytes());
        put(100, b"0000644\0");
        put(108, b"0000000\0");
        put(116, b"0000000\0");
        put(124, format!("{size:011o}\0").as_bytes());
        put(136, format!("{:011o}\0", time.max(0)).as_bytes());
        put(148, b"        ");
        put(156, b"0");
        put(257, b"ustar\x0000root");
        put(297, b"root");
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        let text = format!("{sum:06o}\0 ");
        if let Some(place) = block.get_mut(148..156) {
            place.copy_from_slice(text.as_bytes());
        }
        self.write_all(&block)
    }

    fn pad(&mut self, size: u64) -> io::Result<()> {
        let rest = usize::try_from(size % BLOCK as u64).unwrap_or_default();
        if rest == 0 {
            return Ok(());
        }
        self.write_all(&[0; BLOCK][rest..])
    }

    fn finish(mut self) -> io::Result<String> {
        self.write_all(&[0; 2 * BLOCK])?;
        self.out.flush()?;
        Ok(hex(&self.sha256.finalize()))
    }
}

impl Write for Archive {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write_all(bytes)?;
        self.sha256.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of a cpio archive of the "new ASCII" form.
    fn file(name: &str, mode: u32, content: &[u8]) -> Vec<u8> {
        let mut out = b"070701".to_vec();
        let fields = [
            1,
            mode as usize,
            0,
            0,
            1,
            0,
            content.len(),
            0,
            0,
            0,
            0,
            name.len() + 1,
            0,
        ];
        for field in fields {
            out.extend(format!("{field:08x}").bytes());
        }
        out.extend(name.bytes());
        out.push(0);
        out.resize(out.len().next_multiple_of(4), 0);
        out.extend(content);
        out.resize(out.len().next_multiple_of(4), 0);
        out
    }

    /// Takes a payload apart: the names in it, and the archive that came of it.
    fn taken_apart(parts: &[Vec<u8>]) -> io::Result<(BTreeSet<String>, Vec<u8>)> {
        let dir = tempfile::tempdir().unwrap();
        let (payload, out) = (dir.path().join("payload"), dir.path().join("out"));
        std::fs::write(&payload, parts.concat()).unwrap();
        let mut archive = Archive::new(File::create(&out).unwrap());
        let names = convert(File::open(&payload).unwrap(), &mut archive, 1_000_000_000)?;
        archive.finish().unwrap();
        Ok((names, std::fs::read(&out).unwrap()))
    }

    const PLAIN: u32 = 0o100_644;

    #[test]
    fn a_payload_becomes_a_flat_archive_that_others_can_read() {
        let parts = [
            file("./hello.spec", PLAIN, b"Name: hello\n"),
            file("hello-1.0.tar", PLAIN, &[7; 513]),
            file("TRAILER!!!", 0, b""),
        ];
        let (names, bytes) = taken_apart(&parts).unwrap();
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["hello-1.0.tar", "hello.spec"]);
        let mut archive = tar::Archive::new(&bytes[..]);
        let found: Vec<(String, u64)> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                assert_eq!(entry.header().mtime().unwrap(), 1_000_000_000);
                (entry.path().unwrap().display().to_string(), entry.size())
            })
            .collect();
        assert_eq!(
            found,
            [("hello.spec".to_owned(), 12), ("hello-1.0.tar".to_owned(), 513)]
        );
    }

    #[test]
    fn nothing_but_plain_files_with_plain_names_comes_out() {
        for (what, name, mode) in [
            ("a path", "../evil", PLAIN),
            ("a path", "dir/evil", PLAIN),
            ("a hidden file", ".rpmmacros", PLAIN),
            ("a link", "link", 0o120_777),
            ("a device", "sda", 0o060_600),
            ("a directory", "dir", 0o040_755),
            ("a long name", &"x".repeat(101), PLAIN),
            ("no name", "./", PLAIN),
        ] {
            let error = taken_apart(&[file(name, mode, b""), file("TRAILER!!!", 0, b"")]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{what}: {error}");
        }
        let twice = [
            file("a", PLAIN, b"1"),
            file("a", PLAIN, b"2"),
            file("TRAILER!!!", 0, b""),
        ];
        assert!(taken_apart(&twice).unwrap_err().to_string().contains("twice"));
        assert!(taken_apart(&[b"no archive at all".to_vec()]).is_err());
        let mut cut = file("a", PLAIN, &[1; 100]);
        cut.truncate(150);
        assert!(taken_apart(&[cut]).is_err());
    }
}
