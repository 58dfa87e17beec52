//! An image and the images of ours that it stands on, each with its Dockerfile, in the order in which they have to be built.
//!
//! A base is one of ours if its name begins with one of the prefixes and its Dockerfile lies beside: for `FROM localhost/NAME` that is
//! `NAME.docker`, `NAME.dockerfile`, `NAME.Dockerfile`, `Dockerfile.NAME`, or `NAME/Dockerfile` with that directory as its context.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use windlass_core::image::dockerfile::{Arguments, Base, By, Platform, Problems};
use windlass_core::image::graph::{Cycle, Graph};
use windlass_core::image::{Dockerfile, ImageName};

use super::record;
use super::request::{BuildRequest, What};

/// Images of ours that may stand on each other.
const MOST: usize = 10_000;

/// One image with what its Dockerfile says.
#[derive(Debug, Clone)]
pub struct Member {
    /// What is to be built.
    pub request: BuildRequest,
    /// The Dockerfile's text.
    pub text: String,
    /// What is built by it: what it says, with what its bases of ours have for it behind ONBUILD.
    pub file: Dockerfile,
    /// The build arguments, for the platform.
    pub arguments: Arguments,
    /// For which platform.
    pub platform: Platform,
    /// The bases that the wanted stages have, and which of them are ours.
    pub bases: Vec<Ground>,
    /// The wanted stages.
    pub stages: Vec<usize>,
}

/// One base.
#[derive(Debug, Clone)]
pub struct Ground {
    /// Where and how it is named.
    pub base: Base,
    /// The image.
    pub name: ImageName,
    /// Whether it is built here.
    pub own: bool,
}

/// All of them, those below first.
#[derive(Debug, Clone)]
pub struct Family {
    members: Vec<Member>,
    graph: Graph,
}

/// Why the images cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum FamilyError {
    /// A Dockerfile cannot be read.
    #[error("cannot read the Dockerfile '{}': {error}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why; not a source, since the message has it.
        error: std::io::Error,
    },
    /// A Dockerfile is wrong.
    #[error("'{}': {problems}", path.display())]
    Wrong {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        problems: Problems,
    },
    /// The platform is none.
    #[error(transparent)]
    Platform(#[from] windlass_core::image::dockerfile::arguments::BadPlatform),
    /// Images stand on each other in a circle.
    #[error(transparent)]
    Circle(#[from] Cycle),
    /// There are too many.
    #[error("{0} stands on more than {MOST} images")]
    TooMany(String),
}

impl Family {
    /// Reads the Dockerfiles of an image and of everything of ours below it. `native` is the platform that counts where none is said.
    ///
    /// # Errors
    /// One cannot be read or is wrong, or they stand on each other in a circle.
    pub fn of(request: &BuildRequest, native: &Platform) -> Result<Self, FamilyError> {
        Self::of_all(std::slice::from_ref(request), native)
    }

    /// The same for several images at once.
    ///
    /// # Errors
    /// One cannot be read or is wrong, or they stand on each other in a circle.
    pub fn of_all(requests: &[BuildRequest], native: &Platform) -> Result<Self, FamilyError> {
        let records = record::directory();
        // What was asked for itself counts, and not what is known of it as somebody's base.
        let asked: BTreeMap<&ImageName, &BuildRequest> =
            requests.iter().map(|request| (&request.tag, request)).collect();
        let mut open: Vec<BuildRequest> = requests.to_vec();
        let mut found: BTreeMap<ImageName, Member> = BTreeMap::new();
        let mut settled: BTreeSet<ImageName> = BTreeSet::new();
        let below = |member: &Member| -> Vec<BuildRequest> {
            let request = &member.request;
            let own = member
                .bases
                .iter()
                .filter(|ground| ground.own && !asked.contains_key(&ground.name));
            own.filter_map(|ground| {
                let dockerfile = beside(request, &ground.base.name)?;
                Some(base(request, ground, &dockerfile, records.as_deref()))
            })
            .collect()
        };
        loop {
            while let Some(request) = open.pop() {
                if found.contains_key(&request.tag) {
                    continue;
                }
                if found.len() >= MOST {
                    return Err(FamilyError::TooMany(request.tag.to_string()));
                }
                let member = read(&request, native)?;
                open.extend(below(&member));
                found.insert(request.tag.clone(), member);
            }
            // Whatever these are built on is read by now: what it has behind ONBUILD may name more.
            let new: Vec<ImageName> = found.keys().filter(|name| !settled.contains(name)).cloned().collect();
            if new.is_empty() {
                break;
            }
            for name in new {
                if let Some(member) = found
                    .get(&name)
                    .map(|member| triggered(member, &found))
                    .transpose()?
                    .flatten()
                {
                    open.extend(below(&member));
                    found.insert(name.clone(), member);
                }
                settled.insert(name);
            }
        }
        let edges = found.values().map(|member| {
            let own = member.bases.iter().filter(|ground| ground.own);
            (
                member.request.tag.clone(),
                own.map(|ground| ground.name.clone()).collect(),
            )
        });
        let graph = Graph::new(edges.collect::<Vec<_>>())?;
        let members = graph.order().filter_map(|name| found.remove(name)).collect();
        Ok(Self { members, graph })
    }

    /// All of them, those below first.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// One of them.
    pub fn member(&self, name: &ImageName) -> Option<&Member> {
        self.members.iter().find(|member| member.request.tag == *name)
    }

    /// Those that can be built side by side, those below first.
    pub fn levels(&self) -> Vec<Vec<&Member>> {
        let levels = self.graph.levels().into_iter();
        levels
            .map(|level| level.into_iter().filter_map(|name| self.member(name)).collect())
            .collect()
    }

    /// Who stands on whom.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }
}

/// A base as it was built the last time from that Dockerfile, or as it would be built first.
fn base(request: &BuildRequest, ground: &Ground, dockerfile: &Path, records: Option<&Path>) -> BuildRequest {
    let record = records.and_then(|dir| record::read(dir, &ground.name));
    let same = std::path::absolute(dockerfile).unwrap_or_else(|_| dockerfile.to_owned());
    let what = match record {
        Some(record) if record.dockerfile == same => record.what,
        Some(_) | None => What {
            context: (dockerfile.file_name() == Some("Dockerfile".as_ref()))
                .then(|| dockerfile.parent().map(Path::to_owned))
                .flatten(),
            ..What::default()
        },
    };
    request.of_base(ground.name.clone(), dockerfile.to_owned(), what)
}

/// Reads one Dockerfile.
fn read(request: &BuildRequest, native: &Platform) -> Result<Member, FamilyError> {
    let path = &request.dockerfile;
    let bytes = std::fs::read(path).map_err(|error| FamilyError::Read {
        path: path.clone(),
        error,
    })?;
    let file = Dockerfile::from_bytes(&bytes).map_err(wrong(path))?;
    let platform = match &request.what.platform {
        Some(platform) => platform.parse()?,
        None => native.clone(),
    };
    let arguments = request
        .what
        .build_args
        .iter()
        .fold(Arguments::new(&platform, native), |arguments, (name, value)| {
            arguments.with(name, value)
        });
    let mut member = Member {
        request: request.clone(),
        // It was read as UTF-8.
        text: String::from_utf8_lossy(&bytes).into_owned(),
        file,
        arguments,
        platform,
        bases: Vec::new(),
        stages: Vec::new(),
    };
    member.find_bases()?;
    Ok(member)
}

/// The image with what its bases of ours have for it behind ONBUILD; nothing, where they have nothing.
fn triggered(member: &Member, found: &BTreeMap<ImageName, Member>) -> Result<Option<Member>, FamilyError> {
    let mut built = member.clone();
    for ground in member.bases.iter().filter(|ground| ground.base.by == By::From) {
        let Some(base) = found.get(&ground.name).filter(|_| ground.own) else {
            continue;
        };
        let texts = base
            .stages
            .last()
            .map_or_else(Vec::new, |stage| base.file.triggers(*stage));
        let file = built.file.with_triggers(ground.base.stage, &texts);
        built.file = file.map_err(wrong(&member.request.dockerfile))?;
    }
    if built.file == member.file {
        return Ok(None);
    }
    built.find_bases()?;
    Ok(Some(built))
}

impl Member {
    /// Whether a base is named by the Dockerfile's own text, and not by what an image that it is built on has behind ONBUILD.
    pub fn names(&self, ground: &Ground) -> bool {
        let Base { by, lines, stage, .. } = &ground.base;
        *by == By::From
            || self
                .file
                .stages
                .get(*stage)
                .is_none_or(|stage| stage.from.lines != *lines)
    }

    /// Finds the bases of the wanted stages, and which of them are ours.
    fn find_bases(&mut self) -> Result<(), FamilyError> {
        let request = &self.request;
        let wrong = || wrong(&request.dockerfile);
        let bases = self.file.bases(&self.arguments).map_err(wrong())?;
        let stages = self.file.needed_stages(&bases, request.what.target.as_deref());
        let stages = stages.map_err(|problem| wrong()(problem.into()))?;
        let bases = bases
            .into_iter()
            .filter(|base| stages.contains(&base.stage))
            .filter_map(|base| {
                let foreign = base.image()?.clone();
                let own = own_name(request, &base.name).filter(|_| beside(request, &base.name).is_some());
                Some(Ground {
                    own: own.is_some(),
                    name: own.unwrap_or(foreign),
                    base,
                })
            })
            .collect();
        self.bases = bases;
        self.stages = stages;
        Ok(())
    }
}

fn wrong(path: &Path) -> impl FnOnce(Problems) -> FamilyError {
    let path = path.to_owned();
    move |problems| FamilyError::Wrong { path, problems }
}

/// The image of ours that a name in a Dockerfile would be; one that is pinned is nobody's.
fn own_name(request: &BuildRequest, written: &str) -> Option<ImageName> {
    let ours = request
        .places
        .prefixes
        .iter()
        .any(|prefix| written.starts_with(prefix.as_str()));
    let name = ours.then(|| ImageName::local(written).ok()).flatten()?;
    name.digest().is_none().then_some(name)
}

/// The Dockerfile of a name with an own prefix, if it lies beside the file that names it.
fn beside(request: &BuildRequest, written: &str) -> Option<PathBuf> {
    let rest = request
        .places
        .prefixes
        .iter()
        .find_map(|prefix| written.strip_prefix(prefix.as_str()))?;
    let (name, _) = rest.split_once(':').unwrap_or((rest, ""));
    find(request.folder(), name)
}

/// The Dockerfile of an image in a folder.
pub fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    // The grammar of names lets nothing through that leads out of the folder.
    ImageName::local(name).ok()?;
    let names = [
        format!("{name}.docker"),
        format!("{name}.dockerfile"),
        format!("{name}.Dockerfile"),
        format!("Dockerfile.{name}"),
        format!("{name}/Dockerfile"),
    ];
    names
        .into_iter()
        .map(|name| folder.join(name))
        .find(|path| path.is_file())
}

#[cfg(test)]
#[path = "family/tests.rs"]
mod tests;
