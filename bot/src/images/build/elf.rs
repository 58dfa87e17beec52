//! What one ELF file says about how it is started: its machine, its loader, the libraries it needs and where it looks for them.
//!
//! Only what is asked for is read, by position and within limits: a file that lies about its tables is an error, not a crash, and a large
//! executable costs a few pages. Nothing is mapped into memory, so that a file that is cut off meanwhile is an error as well.

use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// Program headers of one file that are looked at.
const MOST_SEGMENTS: u16 = 4096;
/// Bytes of one dynamic section that are looked at.
const MOST_DYNAMIC: u64 = 1 << 20;
/// The longest string (a name, a search path) in bytes.
const LONGEST: u64 = 16 << 10;

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const DT_NULL: u64 = 0;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const DT_RPATH: u64 = 15;
const DT_RUNPATH: u64 = 29;

/// What has to agree between a program and its libraries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Whether addresses have 64 bits.
    pub wide: bool,
    /// Whether the most significant byte comes first.
    pub big_endian: bool,
    /// The machine's number in the ELF register (62 is x86-64, 183 aarch64).
    pub machine: u16,
}

/// What one file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elf {
    /// For which machine it is.
    pub kind: Kind,
    /// The loader that starts it; libraries and static executables have none.
    pub interpreter: Option<PathBuf>,
    /// The names of the libraries it needs, in order.
    pub needed: Vec<PathBuf>,
    /// Search paths of the old kind, which its libraries inherit.
    pub rpath: Vec<u8>,
    /// Search paths of the new kind, for its own libraries alone.
    pub runpath: Option<Vec<u8>>,
}

/// What a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sort {
    /// An ELF file.
    Elf(Elf),
    /// A script, with the interpreter that its first line names.
    Script(PathBuf),
    /// Something else.
    Other,
}

struct Reader<'a> {
    file: &'a File,
    kind: Kind,
}

struct Segment {
    sort: u32,
    offset: u64,
    address: u64,
    size: u64,
}

/// Looks at the file at `path`, following links.
pub fn look(path: &Path) -> io::Result<Sort> {
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file"));
    }
    let mut start = [0; 256];
    let read = fill(&file, &mut start, 0)?;
    let start = &start[..read];
    if let Some(line) = start.strip_prefix(b"#!") {
        let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let word = line
            .trim_ascii()
            .split(u8::is_ascii_whitespace)
            .next()
            .unwrap_or_default();
        return Ok(Sort::Script(path_of(word.to_vec())));
    }
    if !start.starts_with(b"\x7fELF") {
        return Ok(Sort::Other);
    }
    Ok(Sort::Elf(elf(&file, start)?))
}

fn elf(file: &File, start: &[u8]) -> io::Result<Elf> {
    let byte = |at: usize| start.get(at).copied().ok_or_else(|| broken("its header is cut off"));
    let wide = match byte(4)? {
        1 => false,
        2 => true,
        _ => return Err(broken("it is neither for 32 nor for 64 bits")),
    };
    let big_endian = match byte(5)? {
        1 => false,
        2 => true,
        _ => return Err(broken("its byte order is unknown")),
    };
    let mut reader = Reader {
        file,
        kind: Kind {
            wide,
            big_endian,
            machine: 0,
        },
    };
    reader.kind.machine = u16::try_from(reader.number(18, 2)?).map_err(|_| broken("its machine is unknown"))?;
    let segments = reader.segments()?;
    let interpreter = match segments.iter().find(|segment| segment.sort == PT_INTERP) {
        Some(segment) => Some(reader.path(segment.offset, segment.size)?),
        None => None,
    };
    let mut found = Elf {
        kind: reader.kind,
        interpreter,
        needed: Vec::new(),
        rpath: Vec::new(),
        runpath: None,
    };
    if let Some(dynamic) = segments.iter().find(|segment| segment.sort == PT_DYNAMIC) {
        reader.dynamic(dynamic, &segments, &mut found)?;
    }
    Ok(found)
}

impl Reader<'_> {
    fn bytes(&self, at: u64, length: u64) -> io::Result<Vec<u8>> {
        let length = usize::try_from(length).map_err(|_| broken("a table is too long"))?;
        let mut bytes = vec![0; length];
        if fill(self.file, &mut bytes, at)? == length {
            Ok(bytes)
        } else {
            Err(broken("it is cut off"))
        }
    }

    fn value(&self, bytes: &[u8]) -> u64 {
        let add = |value: u64, byte: &u8| (value << 8) | u64::from(*byte);
        if self.kind.big_endian {
            bytes.iter().fold(0, add)
        } else {
            bytes.iter().rev().fold(0, add)
        }
    }

    fn number(&self, at: u64, length: u64) -> io::Result<u64> {
        Ok(self.value(&self.bytes(at, length)?))
    }

    fn segments(&self) -> io::Result<Vec<Segment>> {
        let wide = self.kind.wide;
        let table = if wide { self.number(32, 8)? } else { self.number(28, 4)? };
        let at = if wide { 54 } else { 42 };
        let (each, count) = (self.number(at, 2)?, self.number(at + 2, 2)?);
        let least = if wide { 56 } else { 32 };
        if count == 0 {
            return Ok(Vec::new());
        }
        if each < least || count > u64::from(MOST_SEGMENTS) {
            return Err(broken("its table of segments makes no sense"));
        }
        let bytes = self.bytes(table, each * count)?;
        let size = usize::try_from(each).map_err(|_| broken("its table of segments makes no sense"))?;
        let segments = bytes.chunks_exact(size).map(|entry| {
            let field = |from: usize, length: usize| self.value(&entry[from..from + length]);
            let sort = u32::try_from(field(0, 4)).unwrap_or(u32::MAX);
            if wide {
                Segment {
                    sort,
                    offset: field(8, 8),
                    address: field(16, 8),
                    size: field(32, 8),
                }
            } else {
                Segment {
                    sort,
                    offset: field(4, 4),
                    address: field(8, 4),
                    size: field(16, 4),
                }
            }
        });
        Ok(segments.collect())
    }

    fn dynamic(&self, dynamic: &Segment, segments: &[Segment], found: &mut Elf) -> io::Result<()> {
        if dynamic.size > MOST_DYNAMIC {
            return Err(broken("its dynamic section is too long"));
        }
        let bytes = self.bytes(dynamic.offset, dynamic.size)?;
        let word = if self.kind.wide { 8 } else { 4 };
        let entries: Vec<(u64, u64)> = bytes
            .chunks_exact(2 * word)
            .map(|entry| (self.value(&entry[..word]), self.value(&entry[word..])))
            .take_while(|(tag, _)| *tag != DT_NULL)
            .collect();
        let Some((_, address)) = entries.iter().find(|(tag, _)| *tag == DT_STRTAB) else {
            return Ok(());
        };
        let strings = segments
            .iter()
            .filter(|segment| segment.sort == PT_LOAD)
            .find_map(|segment| {
                let into = address.checked_sub(segment.address)?;
                (into < segment.size).then(|| segment.offset.checked_add(into))?
            })
            .ok_or_else(|| broken("its strings are in no segment"))?;
        for (tag, value) in entries {
            if !matches!(tag, DT_NEEDED | DT_RPATH | DT_RUNPATH) {
                continue;
            }
            let at = strings
                .checked_add(value)
                .ok_or_else(|| broken("a string is out of it"))?;
            let string = self.string(at, LONGEST)?;
            match tag {
                DT_NEEDED => found.needed.push(path_of(string)),
                DT_RPATH => found.rpath = string,
                _ => found.runpath = Some(string),
            }
        }
        Ok(())
    }

    fn path(&self, at: u64, length: u64) -> io::Result<PathBuf> {
        Ok(path_of(self.string(at, length.min(LONGEST))?))
    }

    /// The bytes up to the first zero byte, which has to come within `most`.
    fn string(&self, at: u64, most: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut piece = [0; 256];
        while (bytes.len() as u64) < most {
            let read = fill(self.file, &mut piece, at.saturating_add(bytes.len() as u64))?;
            match piece[..read].iter().position(|byte| *byte == 0) {
                Some(end) => {
                    bytes.extend_from_slice(&piece[..end]);
                    return Ok(bytes);
                }
                None if read < piece.len() => break,
                None => bytes.extend_from_slice(&piece),
            }
        }
        Err(broken("a string in it has no end"))
    }
}

/// Reads until the buffer is full or the file ends.
fn fill(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], at.saturating_add(filled as u64)) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // A position beyond what the system can count to is no place in the file either.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => break,
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn path_of(bytes: Vec<u8>) -> PathBuf {
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("a broken ELF file: {what}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn own() -> PathBuf {
        std::env::current_exe().unwrap()
    }

    #[test]
    fn this_very_program_needs_the_c_library_and_a_loader() {
        let Sort::Elf(elf) = look(&own()).unwrap() else {
            panic!("a test is an ELF file");
        };
        assert!(elf.interpreter.is_some(), "{elf:?}");
        assert!(
            elf.needed
                .iter()
                .any(|name| name.to_string_lossy().starts_with("libc.")),
            "{elf:?}"
        );
    }

    #[test]
    fn scripts_and_other_files_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str, content: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, content).unwrap();
            look(&path)
        };
        assert_eq!(
            at("script", b"#! /usr/bin/env  perl -w\nprint 1;").unwrap(),
            Sort::Script("/usr/bin/env".into())
        );
        assert_eq!(at("text", b"hello").unwrap(), Sort::Other);
        assert_eq!(at("empty", b"").unwrap(), Sort::Other);
        let error = at("stub", b"\x7fELF\x02\x01").unwrap_err();
        assert_eq!(error.to_string(), "a broken ELF file: it is cut off");
        assert!(look(dir.path()).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_damaged_file_is_an_error_or_something_else_and_never_a_crash(
            damage in prop::collection::vec((0_usize..4096, any::<u8>()), 1..24),
            cut in 0_usize..8192,
        ) {
            let mut start = vec![0; 8192];
            let read = fill(&File::open(own()).unwrap(), &mut start, 0).unwrap();
            start.truncate(read.min(cut));
            for (at, byte) in damage {
                if let Some(place) = start.get_mut(at) {
                    *place = byte;
                }
            }
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("damaged");
            std::fs::write(&path, start).unwrap();
            let _ = look(&path);
        }
    }
}
