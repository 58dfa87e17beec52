//! Takes an existing tree of packages in: one generation, all or nothing.
//!
//! The tree is foreign: nothing in it is followed out of it, everything read is bounded, and what cannot be read is listed. Where
//! there are several versions of a package the newest is taken (that is what a client would install), unless all are asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use quick_xml::events::Event;
use windlass_core::escape::escaped;
use windlass_core::id::{ArchName, UserName};
use windlass_core::refusal::Refusal;
use windlass_core::repository::record::Cause;
use windlass_core::repository::{Content, Index, runs_on};
use windlass_core::rpm::Package;

use super::admin::Meant;
use super::dirs::source_directory;
use super::{Change, Files, Repository, RepositoryError, files, sign};

/// How deep a tree may be, and how many entries it may have.
const DEEPEST: usize = 32;
const MOST_ENTRIES: usize = 2_000_000;

/// The most that advisories may come to.
const LARGEST_UPDATEINFO: u64 = 256 << 20;

/// Which versions of a package are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versions {
    /// The newest; an older one in the repository goes.
    Newest,
    /// All of them; what is in the repository stays.
    All,
}

/// What is done about packages that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bad {
    /// Nothing is taken in.
    Refuse,
    /// They are left out.
    Skip,
}

/// How a tree is taken in.
#[derive(Debug, Clone)]
pub struct Import {
    /// The tree.
    pub tree: PathBuf,
    /// Which versions.
    pub versions: Versions,
    /// What about packages that cannot be read.
    pub bad: Bad,
    /// A file of advisories, as XML.
    pub updateinfo: Option<PathBuf>,
    /// Who does it.
    pub by: UserName,
}

/// What was found in a tree.
#[derive(Debug, Default)]
pub struct Found {
    /// How many package files there are.
    pub packages: usize,
    /// Those that cannot be read, each with why.
    pub bad: Vec<String>,
    /// How many are for no architecture of the repository.
    pub elsewhere: usize,
    /// How many are there already, or are older than another one.
    pub superseded: usize,
}

/// A package of the tree.
#[derive(Debug, Clone)]
struct Candidate {
    package: Arc<Package>,
    file: PathBuf,
}

impl Repository {
    /// What taking a tree in means. `told` hears how far it is.
    ///
    /// # Errors
    /// The tree cannot be read; something in it is no package, and is not to be left out; nothing new is in it.
    pub fn meant_import(&self, import: &Import, told: &mut dyn FnMut(&str)) -> Result<(Meant, Found), RepositoryError> {
        let content = self.content();
        if content.generation.0 == 0 {
            return Err(RepositoryError::NotMade(self.name.clone()));
        }
        let mut found = Found::default();
        let paths = walk(&import.tree)?;
        found.packages = paths.len();
        told(&format!("{} package files found", paths.len()));
        let shelves = self.read_all(paths, &mut found, told);
        if !found.bad.is_empty() && import.bad == Bad::Refuse {
            return Err(refused_for(&found).into());
        }
        let meant = self.choose(shelves, &content, import, &mut found)?;
        if meant.added == 0 && meant.change.updateinfo.is_none() {
            let text = format!(
                "nothing in {} is new to repository {}",
                import.tree.display(),
                self.name
            );
            return Err(Refusal::new("nothing_new", text)
                .hint(format!("windlass repo ls -b {} shows what it has", self.name))
                .into());
        }
        Ok((meant, found))
    }

    /// Reads the headers of all files and sorts them by directory and name.
    fn read_all(
        &self,
        paths: Vec<PathBuf>,
        found: &mut Found,
        told: &mut dyn FnMut(&str),
    ) -> BTreeMap<ArchName, BTreeMap<String, Vec<Candidate>>> {
        let mut shelves: BTreeMap<ArchName, BTreeMap<String, Vec<Candidate>>> = BTreeMap::new();
        let total = paths.len();
        for (at, file) in paths.into_iter().enumerate() {
            if at > 0 && at.is_multiple_of(1000) {
                told(&format!("{at} of {total} read"));
            }
            let package = match sign::read_whole(&file)
                .and_then(|header| Ok((fit_for_a_name(&file, &header.package)?, header)))
            {
                Ok(((), header)) => header.package,
                Err(error) => {
                    found
                        .bad
                        .push(error.to_string().lines().next().unwrap_or_default().to_owned());
                    continue;
                }
            };
            let directories: Vec<ArchName> = if package.is_source() {
                vec![source_directory()]
            } else {
                let fits = |arch: &&ArchName| runs_on(&package.arch, arch);
                self.architectures.iter().filter(fits).cloned().collect()
            };
            if directories.is_empty() {
                found.elsewhere += 1;
            }
            for directory in directories {
                let named = shelves
                    .entry(directory)
                    .or_default()
                    .entry(package.name.clone())
                    .or_default();
                named.push(Candidate {
                    package: Arc::clone(&package),
                    file: file.clone(),
                });
            }
        }
        shelves
    }

    fn choose(
        &self,
        shelves: BTreeMap<ArchName, BTreeMap<String, Vec<Candidate>>>,
        content: &Content,
        import: &Import,
        found: &mut Found,
    ) -> Result<Meant, RepositoryError> {
        let (mut plan, mut files) = (self.no_plan(), Files::default());
        let (source, nothing) = (source_directory(), Index::default());
        for (directory, names) in shelves {
            let index = if directory == source {
                &content.source
            } else {
                content.arches.get(&directory).unwrap_or(&nothing)
            };
            let changes = if directory == source {
                &mut plan.source
            } else {
                plan.arches.entry(directory.clone()).or_default()
            };
            for (name, mut candidates) in names {
                // Newest first; of the same version the first file by name.
                candidates.sort_by(|one, two| {
                    let versions = two.package.evr.cmp(&one.package.evr);
                    versions
                        .then_with(|| one.package.arch.cmp(&two.package.arch))
                        .then_with(|| one.file.cmp(&two.file))
                });
                let there: Vec<&Arc<Package>> = index.named(&name).collect();
                let before = candidates.len();
                let mut taken = BTreeSet::new();
                candidates.retain(|candidate| {
                    let same = |other: &&Arc<Package>| other.nevra() == candidate.package.nevra();
                    let newer = |other: &&Arc<Package>| other.evr.compare(&candidate.package.evr).is_gt();
                    !there.iter().any(same)
                        && (import.versions == Versions::All || !there.iter().any(newer))
                        && taken.insert(candidate.package.nevra())
                });
                if import.versions == Versions::Newest {
                    candidates.truncate(1);
                }
                found.superseded += before - candidates.len();
                if import.versions == Versions::Newest && !candidates.is_empty() {
                    changes.removed.extend(there.into_iter().cloned());
                }
                for candidate in candidates {
                    files.insert(directory.clone(), &candidate.package, candidate.file);
                    changes.added.push(candidate.package);
                }
            }
        }
        let updateinfo = match &import.updateinfo {
            None => None,
            Some(path) => {
                let text = files::read_at_most(path, LARGEST_UPDATEINFO).map_err(RepositoryError::file(path))?;
                Some(checked_updateinfo(path, text)?)
            }
        };
        let change = Change {
            updateinfo,
            ..Change::new(plan, files)
        };
        let cause = Cause::Import { by: import.by.clone() };
        Ok(Meant::new(change, cause))
    }
}

/// Advisories go to clients as they are: at least they are the XML that they should be.
fn checked_updateinfo(path: &Path, text: String) -> Result<Vec<u8>, RepositoryError> {
    let mut reader = quick_xml::Reader::from_str(&text);
    let mut first = None;
    loop {
        let event = reader.read_event().map_err(|error| RepositoryError::Package {
            file: path.to_owned(),
            why: format!("it is no XML: {error}"),
        })?;
        if matches!(event, Event::Eof) {
            break;
        }
        if let (None, Event::Start(start) | Event::Empty(start)) = (first, &event) {
            first = Some(start.name().as_ref() == "updates");
        }
    }
    if first == Some(true) {
        return Ok(text.into_bytes());
    }
    Err(RepositoryError::Package {
        file: path.to_owned(),
        why: "it holds no <updates>".to_owned(),
    })
}

/// A package's file is called by its name, version and architecture: they must be fit for that.
fn fit_for_a_name(file: &Path, package: &Package) -> Result<(), RepositoryError> {
    let name = package.file_name();
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"._+~^-".contains(&byte);
    if name.bytes().all(good) && name.len() <= 250 && !name.starts_with(['.', '-']) {
        return Ok(());
    }
    Err(RepositoryError::Package {
        file: file.to_owned(),
        why: format!("its name or version is unusable: '{}'", escaped(&name)),
    })
}

fn refused_for(found: &Found) -> Refusal {
    const SHOWN: usize = 20;
    let mut text = format!("{} of {} files cannot be taken in:", found.bad.len(), found.packages);
    for bad in found.bad.iter().take(SHOWN) {
        text.push_str("\n  ");
        text.push_str(bad);
    }
    if found.bad.len() > SHOWN {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n  and {} more", found.bad.len() - SHOWN);
    }
    Refusal::new("bad_packages", text).hint("--skip-bad leaves them out")
}

/// The package files of a tree, by name; links are not followed.
fn walk(tree: &Path) -> Result<Vec<PathBuf>, RepositoryError> {
    let too_much =
        |what: &str| Refusal::new("tree_too_large", format!("{} {what}", tree.display())).hint("import it in parts");
    let mut pending = vec![(tree.to_owned(), 0)];
    let (mut found, mut entries) = (Vec::new(), 0);
    while let Some((directory, depth)) = pending.pop() {
        for entry in std::fs::read_dir(&directory).map_err(RepositoryError::file(&directory))? {
            let entry = entry.map_err(RepositoryError::file(&directory))?;
            entries += 1;
            if entries > MOST_ENTRIES {
                return Err(too_much(&format!("has more than {MOST_ENTRIES} entries")).into());
            }
            let path = entry.path();
            let kind = entry.file_type().map_err(RepositoryError::file(&path))?;
            if kind.is_dir() {
                if depth == DEEPEST {
                    return Err(too_much(&format!("is more than {DEEPEST} directories deep")).into());
                }
                pending.push((path, depth + 1));
            } else if path.extension() == Some(OsStr::new("rpm")) && !kind.is_dir() {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
