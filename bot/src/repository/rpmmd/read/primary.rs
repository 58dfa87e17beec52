//! Reads `primary`: each package with what it provides, requires and so on, and a few of its files.

use std::collections::HashSet;

use windlass_core::escape::escaped;
use windlass_core::rpm::{Artifact, Comparison, Dependency, Evr, File, FileKind, Package, Requirement, rich};

use super::repomd::{Checksum, Digest, location};
use super::xml::{Attributes, Visit};
use super::{Budget, Limits};

/// The longest name of a package, version, architecture, in bytes; as headers are read.
const LONGEST_WORD: usize = 200;
/// The longest name or version of a capability, in bytes; as headers are read.
const LONGEST_NAME: usize = 4096;
/// The longest place of a package.
const LONGEST_PLACE: usize = 4096;

/// Collects packages.
pub(super) struct Primary<'a> {
    takes: &'a dyn Fn(&str) -> bool,
    limits: &'a Limits,
    budget: &'a mut Budget,
    listed: usize,
    seen: HashSet<String>,
    /// What was read, each with its `pkgid`.
    pub(super) packages: Vec<(String, Package)>,
    draft: Option<Draft>,
}

/// A package while it is read.
#[derive(Default)]
struct Draft {
    name: String,
    arch: String,
    evr: Option<Evr>,
    checksum_kind: Option<String>,
    /// What the package goes by in the other files.
    pkgid: String,
    sha256: Option<String>,
    size: u64,
    location: String,
    source_rpm: Option<String>,
    section: Option<Section>,
    provides: Vec<Dependency>,
    requires: Vec<Requirement>,
    conflicts: Vec<Requirement>,
    obsoletes: Vec<Dependency>,
    recommends: Vec<Requirement>,
    file_kind: Option<FileKind>,
    files: Vec<File>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    Provides,
    Requires,
    Conflicts,
    Obsoletes,
    Recommends,
}

impl<'a> Primary<'a> {
    pub(super) fn new(takes: &'a dyn Fn(&str) -> bool, limits: &'a Limits, budget: &'a mut Budget) -> Self {
        Self {
            takes,
            limits,
            budget,
            listed: 0,
            seen: HashSet::new(),
            packages: Vec::new(),
            draft: None,
        }
    }

    fn finish(&mut self, draft: Draft) -> Result<(), String> {
        self.listed += 1;
        if self.listed > self.limits.packages {
            return Err(format!("it lists more than {} packages", self.limits.packages));
        }
        let arch = word(&draft.arch, "an architecture")?;
        if !(self.takes)(arch) {
            return Ok(());
        }
        let name = word(&draft.name, "a package's name")?.to_owned();
        let evr = draft
            .evr
            .ok_or_else(|| format!("the package '{}' has no version", escaped(&name)))?;
        if draft.pkgid.is_empty() {
            return Err(format!("the package '{}' has no pkgid", escaped(&name)));
        }
        if !self.seen.insert(draft.pkgid.clone()) {
            // One file in two places is one package.
            return Ok(());
        }
        let is_source = matches!(arch, "src" | "nosrc");
        let mut provides = draft.provides;
        let itself = Dependency::exactly(&name, evr.clone());
        if !is_source && !provides.contains(&itself) {
            provides.push(itself);
        }
        let location = draft.location;
        let package = Package {
            arch: arch.to_owned(),
            source_rpm: draft.source_rpm.filter(|_| !is_source),
            provides,
            requires: draft.requires,
            conflicts: draft.conflicts,
            obsoletes: draft.obsoletes,
            recommends: draft.recommends,
            files: draft.files,
            artifact: draft.sha256.map(|sha256| Artifact {
                sha256,
                size: draft.size,
                location,
            }),
            name,
            evr,
        };
        self.packages.push((draft.pkgid, package));
        Ok(())
    }

    fn entry(&mut self, attributes: &Attributes<'_>) -> Result<(), String> {
        let most = self.limits.dependencies;
        let Some(draft) = &mut self.draft else { return Ok(()) };
        let Some(section) = draft.section else { return Ok(()) };
        let name = attributes.need("name")?;
        if name.is_empty() {
            return Err("a dependency has an empty name".to_owned());
        }
        let longest = if name.starts_with('(') {
            rich::LONGEST
        } else {
            LONGEST_NAME
        };
        if name.len() > longest {
            return Err(format!("the name of a dependency has more than {longest} bytes"));
        }
        if section == Section::Requires && name.starts_with("rpmlib(") {
            return Ok(());
        }
        let name = self.budget.keep(name)?;
        let versions = match comparison(attributes)? {
            Some(comparison) => version(attributes)?.map(|evr| (comparison, evr)),
            None => None,
        };
        let count = match section {
            Section::Provides => push(&mut draft.provides, Dependency { name, versions }),
            Section::Obsoletes => push(&mut draft.obsoletes, Dependency { name, versions }),
            Section::Requires => push(&mut draft.requires, requirement(name, versions)),
            Section::Conflicts => push(&mut draft.conflicts, requirement(name, versions)),
            Section::Recommends => push(&mut draft.recommends, requirement(name, versions)),
        };
        if count > most {
            return Err(format!(
                "the package '{}' has more than {most} dependencies of a kind",
                escaped(&draft.name)
            ));
        }
        Ok(())
    }
}

fn push<T>(list: &mut Vec<T>, one: T) -> usize {
    list.push(one);
    list.len()
}

/// What begins as a boolean dependency and is none is a name that nobody provides, as libsolv sees it: the package that has it is
/// unmet, not the repository unreadable.
fn requirement(name: String, versions: Option<(Comparison, Evr)>) -> Requirement {
    Requirement::of_parts(&name, versions).unwrap_or_else(|_| Requirement::Plain(Dependency::any(name)))
}

fn comparison(attributes: &Attributes<'_>) -> Result<Option<Comparison>, String> {
    Ok(Some(match attributes.get("flags")?.as_deref() {
        None | Some("") => return Ok(None),
        Some("LT") => Comparison::Less,
        Some("LE") => Comparison::LessOrEqual,
        Some("EQ") => Comparison::Equal,
        Some("GE") => Comparison::GreaterOrEqual,
        Some("GT") => Comparison::Greater,
        Some(other) => return Err(format!("'{}' is no comparison of rpm-md's", escaped(other))),
    }))
}

/// `epoch`, `ver`, `rel`; nothing without a version.
fn version(attributes: &Attributes<'_>) -> Result<Option<Evr>, String> {
    let part = |name| -> Result<Option<String>, String> {
        match attributes.get(name)? {
            Some(text) if text.len() > LONGEST_NAME => Err(format!("a version has more than {LONGEST_NAME} bytes")),
            Some(text) if text.is_empty() => Ok(None),
            other => Ok(other.map(std::borrow::Cow::into_owned)),
        }
    };
    let Some(version) = part("ver")? else { return Ok(None) };
    let epoch = match part("epoch")? {
        Some(epoch) => epoch
            .parse()
            .map_err(|_| format!("'{}' is no epoch", escaped(&epoch.chars().take(80).collect::<String>())))?,
        None => 0,
    };
    Ok(Some(Evr {
        epoch,
        version,
        release: part("rel")?,
    }))
}

/// A word that may become part of a file's name.
fn word<'t>(text: &'t str, what: &str) -> Result<&'t str, String> {
    let is_fine = |byte: u8| byte.is_ascii_graphic() && byte != b'/' && byte != b'\\';
    if !text.is_empty() && text.len() <= LONGEST_WORD && !text.starts_with(['.', '-']) && text.bytes().all(is_fine) {
        return Ok(text);
    }
    let shown: String = text.chars().take(80).collect();
    Err(format!("'{}' cannot be {what}", escaped(&shown)))
}

/// What kind of file an element says.
pub(super) fn file_kind(attributes: &Attributes<'_>) -> Result<FileKind, String> {
    Ok(match attributes.get("type")?.as_deref() {
        Some("dir") => FileKind::Directory,
        Some("ghost") => FileKind::Ghost,
        _ => FileKind::Plain,
    })
}

/// A path, if it is one.
pub(super) fn path(text: &str) -> Result<&str, String> {
    if text.len() <= LONGEST_NAME {
        return Ok(text);
    }
    Err(format!("a path has more than {LONGEST_NAME} bytes"))
}

impl Visit for Primary<'_> {
    fn open(&mut self, depth: usize, name: &str, attributes: &Attributes<'_>) -> Result<(), String> {
        if (depth, name) == (1, "package") {
            let is_rpm = attributes.get("type")?.is_none_or(|kind| kind == "rpm");
            self.draft = is_rpm.then(Draft::default);
            return Ok(());
        }
        if (depth, name) == (4, "entry") {
            return self.entry(attributes);
        }
        let Some(draft) = &mut self.draft else { return Ok(()) };
        match (depth, name) {
            (2, "version") => {
                let evr = version(attributes)?;
                if let Some(evr) = &evr {
                    word(&evr.version, "a version")?;
                    word(evr.release.as_deref().unwrap_or("none"), "a release")?;
                }
                draft.evr = evr;
            }
            (2, "checksum") => {
                let kind = attributes.need("type")?.into_owned();
                let is_pkgid = attributes
                    .get("pkgid")?
                    .is_none_or(|said| said.eq_ignore_ascii_case("yes"));
                draft.checksum_kind = is_pkgid.then_some(kind);
            }
            (2, "size") => {
                let size = attributes.get("package")?;
                let size = size.as_deref().unwrap_or("0").parse();
                draft.size = size.map_err(|_| "the size of a package is no number".to_owned())?;
            }
            (2, "location") => draft.location = place(attributes)?,
            (3, "provides") => draft.section = Some(Section::Provides),
            (3, "requires") => draft.section = Some(Section::Requires),
            (3, "conflicts") => draft.section = Some(Section::Conflicts),
            (3, "obsoletes") => draft.section = Some(Section::Obsoletes),
            (3, "recommends") => draft.section = Some(Section::Recommends),
            (3, "file") => draft.file_kind = Some(file_kind(attributes)?),
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, depth: usize, name: &str, text: &str) -> Result<(), String> {
        if (depth, name) == (1, "package") {
            return match self.draft.take() {
                Some(draft) => self.finish(draft),
                None => Ok(()),
            };
        }
        let Some(draft) = &mut self.draft else { return Ok(()) };
        match (depth, name) {
            (2, "name") => draft.name = self.budget.keep(text)?,
            (2, "arch") => draft.arch = self.budget.keep(text)?,
            (2, "checksum") => {
                if let Some(kind) = draft.checksum_kind.take() {
                    let value = text.trim_ascii();
                    if value.len() > 128 || !value.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                        return Err(format!("the pkgid of '{}' is no digest", escaped(&draft.name)));
                    }
                    draft.pkgid = self.budget.keep(value.to_ascii_lowercase())?;
                    // By another digest its file cannot be told from a wrong one, so it has none.
                    draft.sha256 = match Digest::of(&kind, value) {
                        Ok(digest) if digest.kind == Checksum::Sha256 => Some(digest.value),
                        Ok(_) | Err(_) => None,
                    };
                }
            }
            (3, "sourcerpm") if !text.is_empty() => draft.source_rpm = Some(self.budget.keep(text)?),
            (3, "provides" | "requires" | "conflicts" | "obsoletes" | "recommends") => draft.section = None,
            (3, "file") => {
                let kind = draft.file_kind.take().unwrap_or(FileKind::Plain);
                let path = self.budget.keep(path(text)?)?;
                if push(&mut draft.files, File { path, kind }) > self.limits.files {
                    return Err(format!("'{}' has too many files", escaped(&draft.name)));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Where a package is: relative to the repository, or an address of its own.
fn place(attributes: &Attributes<'_>) -> Result<String, String> {
    let href = attributes.need("href")?;
    match attributes.get("base")?.as_deref().filter(|base| !base.is_empty()) {
        None => location(&href).map(str::to_owned),
        Some(base) if base.len() + href.len() <= LONGEST_PLACE && !base.contains(char::is_control) => {
            Ok(format!("{}/{}", base.trim_end_matches('/'), location(&href)?))
        }
        Some(_) => Err("the address of a package is too long, or no address".to_owned()),
    }
}
