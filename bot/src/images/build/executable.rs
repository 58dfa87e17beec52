//! An executable and every library that it needs, with the path that each is to have in an image.
//!
//! The rules are those of the dynamic loader, for the executable's own machine, by reading: nothing is run. `LD_LIBRARY_PATH` does not count,
//! because the image does not have it, and neither do variants for newer processors (`glibc-hwcaps`), because the image may run elsewhere.
//! What a program opens by itself while it runs (plugins, name services) is in no table and is not found.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use super::elf::{self, Elf, Kind, Sort};

/// Libraries of one executable, at most.
const MOST_LIBRARIES: usize = 4096;
/// How deep configuration files of the loader may include each other.
const DEEPEST: usize = 8;

/// One file for an image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Piece {
    /// Its path in the image, absolute.
    pub image: PathBuf,
    /// Where its content is, all links resolved.
    pub host: PathBuf,
}

/// What an executable consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closure {
    /// The executable itself and all libraries, by their path in the image. Without the executable where only libraries are wanted.
    pub pieces: Vec<Piece>,
    /// What there is to say about it.
    pub notes: Vec<String>,
}

/// Why there is no closure.
#[derive(Debug, thiserror::Error)]
pub enum ExecutableError {
    /// A file cannot be read as what it has to be.
    #[error("cannot take the executable '{}': '{}': {error}", executable.display(), file.display())]
    Read {
        /// The executable.
        executable: PathBuf,
        /// Which file.
        file: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// It is no program.
    #[error("'{}' is neither an ELF executable nor a script\n\nhint: --extra-files takes any file into the build", .0.display())]
    NoProgram(PathBuf),
    /// A library is not there, for this machine.
    #[error("the executable '{}' needs '{}', which is not on this machine{}\n\nhint: install it for {}, or build the executable static{}",
        executable.display(), library.display(), by_text(executable, needed_by), machine(*kind), looked_text(looked))]
    Missing {
        /// The executable.
        executable: PathBuf,
        /// The library's name, or the loader's path.
        library: PathBuf,
        /// Who needs it.
        needed_by: PathBuf,
        /// For which machine.
        kind: Kind,
        /// Where it was looked for.
        looked: Vec<PathBuf>,
    },
    /// It needs more than a program can.
    #[error("the executable '{}' needs more than {MOST_LIBRARIES} libraries", .0.display())]
    TooMany(PathBuf),
}

fn by_text(executable: &Path, needed_by: &Path) -> String {
    if executable == needed_by {
        String::new()
    } else {
        format!(" (needed by '{}')", needed_by.display())
    }
}

fn looked_text(looked: &[PathBuf]) -> String {
    let names: Vec<String> = looked.iter().map(|dir| dir.display().to_string()).collect();
    if names.is_empty() {
        String::new()
    } else {
        format!("; looked in {}", names.join(", "))
    }
}

fn machine(kind: Kind) -> String {
    let name = match kind.machine {
        3 => "x86 (32 bits)",
        62 => "x86-64",
        40 => "arm",
        183 => "aarch64",
        243 => "riscv",
        21 => "ppc64",
        22 => "s390x",
        8 => "mips",
        258 => "loongarch",
        other => return format!("machine {other}"),
    };
    name.to_owned()
}

/// The tree in which libraries are found: the machine's own, or that below another root.
#[derive(Debug, Clone)]
pub struct Host {
    root: PathBuf,
}

impl Default for Host {
    fn default() -> Self {
        Self::at("/")
    }
}

/// A directory where libraries are looked for: here, and where it will be in the image. They differ for `$ORIGIN` of a program that moves.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shelf {
    host: PathBuf,
    image: PathBuf,
}

/// A program or library on the way to its libraries, and who loads it.
struct Loaded {
    host: PathBuf,
    image: PathBuf,
    elf: Elf,
    loader: Option<Rc<Loaded>>,
}

impl Host {
    /// The tree below this root.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn below(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Finds everything that the executable needs. `place` is its path in the image; `None` where only its libraries are wanted.
    ///
    /// # Errors
    /// It is no program, or something that it needs is not there.
    pub fn closure(&self, executable: &Path, place: Option<&Path>) -> Result<Closure, ExecutableError> {
        let unreadable = |file: &Path| {
            let file = file.to_owned();
            move |error| ExecutableError::Read {
                executable: executable.to_owned(),
                file,
                error,
            }
        };
        let real = std::fs::canonicalize(executable).map_err(unreadable(executable))?;
        let mut pieces = BTreeMap::new();
        let image = place.map_or_else(|| real.clone(), normal);
        if place.is_some() {
            pieces.insert(image.clone(), real.clone());
        }
        let mut notes = Vec::new();
        match elf::look(&real).map_err(unreadable(&real))? {
            Sort::Other => return Err(ExecutableError::NoProgram(executable.to_owned())),
            Sort::Script(interpreter) => notes.push(format!(
                "'{}' is a script: its interpreter {} is left to the image",
                executable.display(),
                interpreter.display()
            )),
            Sort::Elf(elf) => {
                if elf.interpreter.is_none() && elf.needed.is_empty() {
                    notes.push(format!("'{}' needs no library (it is static)", executable.display()));
                }
                let program = Loaded {
                    host: real,
                    image,
                    elf,
                    loader: None,
                };
                self.libraries(executable, program, &mut pieces)?;
            }
        }
        let pieces = pieces.into_iter().map(|(image, host)| Piece { image, host }).collect();
        Ok(Closure { pieces, notes })
    }

    fn libraries(
        &self,
        executable: &Path,
        program: Loaded,
        pieces: &mut BTreeMap<PathBuf, PathBuf>,
    ) -> Result<(), ExecutableError> {
        let kind = program.elf.kind;
        let shared = self.shared(kind, program.elf.interpreter.as_deref());
        let missing = |library: &Path, needed_by: &Path, looked: Vec<PathBuf>| ExecutableError::Missing {
            executable: executable.to_owned(),
            library: library.to_owned(),
            needed_by: needed_by.to_owned(),
            kind,
            looked,
        };
        let mut known: BTreeSet<OsString> = BTreeSet::new();
        if let Some(interpreter) = &program.elf.interpreter {
            let host = self.below(interpreter);
            let loader = Self::library(&host, kind).ok_or_else(|| missing(interpreter, executable, Vec::new()))?;
            // Libraries name it too, by its file name: it is the same file.
            known.extend(interpreter.file_name().map(OsStr::to_owned));
            pieces.insert(normal(interpreter), loader.0);
        }
        let mut queue = VecDeque::from([Rc::new(program)]);
        while let Some(object) = queue.pop_front() {
            for name in &object.elf.needed {
                if !known.insert(name.clone().into_os_string()) {
                    continue;
                }
                if known.len() > MOST_LIBRARIES {
                    return Err(ExecutableError::TooMany(executable.to_owned()));
                }
                let shelves = if name.as_os_str().as_bytes().contains(&b'/') {
                    vec![Shelf::of(self, Path::new("/"))]
                } else {
                    self.shelves(&object, &shared)
                };
                let relative = name.strip_prefix("/").unwrap_or(name);
                let found = shelves.iter().find_map(|shelf| {
                    let host = shelf.host.join(relative);
                    let (real, elf) = Self::library(&host, kind)?;
                    Some((normal(shelf.image.join(relative)), host, real, elf))
                });
                let Some((image, host, real, elf)) = found else {
                    let looked = shelves.into_iter().map(|shelf| shelf.image).collect();
                    return Err(missing(name, &object.host, looked));
                };
                pieces.insert(image.clone(), real);
                queue.push_back(Rc::new(Loaded {
                    host,
                    image,
                    elf,
                    loader: Some(Rc::clone(&object)),
                }));
            }
        }
        Ok(())
    }

    /// The file at `path` with its links resolved, if it is a library for this kind of machine. The loader passes others over, too.
    fn library(path: &Path, kind: Kind) -> Option<(PathBuf, Elf)> {
        let real = std::fs::canonicalize(path).ok()?;
        match elf::look(&real) {
            Ok(Sort::Elf(elf)) if elf.kind == kind => Some((real, elf)),
            Ok(_) | Err(_) => None,
        }
    }

    /// Where the libraries of an object are looked for, first to last.
    fn shelves(&self, object: &Rc<Loaded>, shared: &[Shelf]) -> Vec<Shelf> {
        let mut shelves = Vec::new();
        if let Some(runpath) = &object.elf.runpath {
            // The new kind is for the object's own libraries, and switches the old kind off.
            self.expand(runpath, object, &mut shelves);
        } else {
            let mut at = Some(object);
            while let Some(loaded) = at {
                if loaded.elf.runpath.is_none() {
                    self.expand(&loaded.elf.rpath, loaded, &mut shelves);
                }
                at = loaded.loader.as_ref();
            }
        }
        shelves.extend_from_slice(shared);
        shelves
    }

    fn expand(&self, paths: &[u8], object: &Loaded, shelves: &mut Vec<Shelf>) {
        let directory = |path: &Path| path.parent().unwrap_or(Path::new("/")).as_os_str().as_bytes().to_vec();
        let lib: &[u8] = if object.elf.kind.wide { b"lib64" } else { b"lib" };
        for path in paths.split(|byte| *byte == b':').filter(|path| !path.is_empty()) {
            let with = |origin: &[u8]| {
                let path = [&b"$ORIGIN"[..], b"${ORIGIN}"]
                    .into_iter()
                    .fold(path.to_vec(), |path, word| replaced(&path, word, origin));
                let path = [&b"$LIB"[..], b"${LIB}"]
                    .into_iter()
                    .fold(path, |path, word| replaced(&path, word, lib));
                PathBuf::from(OsString::from_vec(path))
            };
            let image = with(&directory(&object.image));
            let host = with(&directory(&object.host));
            // A relative path means the directory in which the program is started: nobody's here.
            if !image.is_absolute() {
                continue;
            }
            let moves = replaced(path, b"ORIGIN", b"") != path;
            shelves.push(Shelf {
                host: if moves { host } else { self.below(&host) },
                image,
            });
        }
    }

    /// The directories that all programs of this kind share: `ld.so.conf` and what it includes, or musl's list; then the loader's own.
    fn shared(&self, kind: Kind, interpreter: Option<&Path>) -> Vec<Shelf> {
        let musl = interpreter
            .and_then(Path::file_name)
            .and_then(|name| name.as_bytes().strip_prefix(b"ld-musl-")?.strip_suffix(b".so.1"));
        let mut paths: Vec<PathBuf> = Vec::new();
        if let Some(arch) = musl {
            let mut name = b"/etc/ld-musl-".to_vec();
            name.extend_from_slice(arch);
            name.extend_from_slice(b".path");
            let list = std::fs::read(self.below(Path::new(OsStr::from_bytes(&name)))).ok();
            match list {
                Some(list) => paths.extend(
                    list.split(|byte| matches!(byte, b':' | b'\n'))
                        .filter(|path| !path.is_empty())
                        .map(|path| PathBuf::from(OsStr::from_bytes(path))),
                ),
                None => paths.extend(["/lib", "/usr/local/lib", "/usr/lib"].map(PathBuf::from)),
            }
        } else {
            self.configured(Path::new("/etc/ld.so.conf"), 0, &mut paths);
            if let Some(triplet) = triplet(kind) {
                paths.extend(["/lib", "/usr/lib"].map(|lib| Path::new(lib).join(triplet)));
            }
            if kind.wide {
                paths.extend(["/lib64", "/usr/lib64"].map(PathBuf::from));
            }
            paths.extend(["/lib", "/usr/lib"].map(PathBuf::from));
        }
        let mut seen = BTreeSet::new();
        paths.retain(|path| path.is_absolute() && seen.insert(path.clone()));
        paths.iter().map(|path| Shelf::of(self, path)).collect()
    }

    /// Takes the directories of one configuration file of the loader, and of those that it includes.
    fn configured(&self, file: &Path, depth: usize, paths: &mut Vec<PathBuf>) {
        let Ok(text) = std::fs::read_to_string(self.below(file)) else {
            return;
        };
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            let mut words = line.split_whitespace();
            match words.next() {
                Some("include") if depth < DEEPEST => {
                    for pattern in words {
                        for included in self.matching(file, pattern) {
                            self.configured(&included, depth + 1, paths);
                        }
                    }
                }
                None | Some("include" | "hwcap") => {}
                Some(_) => {
                    // `DIR=TYPE` is from the days of libc5.
                    let all = line.split([':', ',', ' ', '\t']).filter(|path| !path.is_empty());
                    paths.extend(all.map(|path| PathBuf::from(path.split('=').next().unwrap_or(path))));
                }
            }
        }
    }

    /// The files that a pattern in the last part of a path names, sorted.
    fn matching(&self, file: &Path, pattern: &str) -> Vec<PathBuf> {
        let pattern = file.parent().unwrap_or(Path::new("/")).join(pattern);
        let (Some(dir), Some(name)) = (pattern.parent(), pattern.file_name().and_then(OsStr::to_str)) else {
            return Vec::new();
        };
        let Ok(entries) = std::fs::read_dir(self.below(dir)) else {
            return Vec::new();
        };
        let mut found: Vec<PathBuf> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|entry| !entry.starts_with('.') && fits(name, entry))
            .map(|entry| dir.join(entry))
            .collect();
        found.sort();
        found
    }
}

impl Shelf {
    fn of(host: &Host, path: &Path) -> Self {
        Self {
            host: host.below(path),
            image: path.to_owned(),
        }
    }
}

/// Whether a name fits a pattern of `*` and `?`.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.chars().next() {
        None => name.is_empty(),
        Some('*') => {
            let rest = &pattern[1..];
            std::iter::once(name.len())
                .chain(name.char_indices().map(|(at, _)| at))
                .any(|at| fits(rest, &name[at..]))
        }
        Some(first) => {
            let mut chars = name.chars();
            match chars.next() {
                Some(have) if first == '?' || first == have => fits(&pattern[first.len_utf8()..], chars.as_str()),
                _ => false,
            }
        }
    }
}

fn replaced(text: &[u8], word: &[u8], by: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix(word) {
            out.extend_from_slice(by);
            rest = after;
        } else {
            out.push(rest[0]);
            rest = &rest[1..];
        }
    }
    out
}

/// A path without `.` and `..`, absolute.
fn normal(path: impl AsRef<Path>) -> PathBuf {
    let mut out = PathBuf::from("/");
    for part in path.as_ref().components() {
        match part {
            Component::Normal(name) => out.push(name),
            Component::ParentDir => {
                out.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    out
}

/// The folder that Debian's loader looks into for a machine.
fn triplet(kind: Kind) -> Option<&'static str> {
    Some(match (kind.machine, kind.wide, kind.big_endian) {
        (62, true, false) => "x86_64-linux-gnu",
        (62, false, false) => "x86_64-linux-gnux32",
        (3, false, false) => "i386-linux-gnu",
        (183, true, false) => "aarch64-linux-gnu",
        (40, false, false) => "arm-linux-gnueabihf",
        (243, true, false) => "riscv64-linux-gnu",
        (21, true, false) => "powerpc64le-linux-gnu",
        (22, true, true) => "s390x-linux-gnu",
        (8, true, false) => "mips64el-linux-gnuabi64",
        (258, true, false) => "loongarch64-linux-gnu",
        _ => return None,
    })
}

#[cfg(test)]
#[path = "executable/tests.rs"]
mod tests;
