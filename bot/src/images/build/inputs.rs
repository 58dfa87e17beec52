//! What counts for an image: everything that can change it, as one list with one digest.
//!
//! That is: the Dockerfile after parsing, every base in order (ours by the digest of the image that is there, foreign ones by their pin or by what
//! is there), build arguments that it declares, platform, target, user, labels that were asked for, packages of our repositories, extra files, the executable with its libraries, `.pre` with what it made, and what COPY and ADD take of the context.
//!
//! A look runs nothing. What `.pre` made stands on the image as one digest, and counts as it stands there while the script itself is
//! the same; a build runs it, and counts what it made.

use std::collections::BTreeMap;

use windlass_core::image::dockerfile::ContextSource;
use windlass_core::image::dockerfile::sources::What;
use windlass_core::image::inputs::{Input, Inputs, Kind, Recorded};
use windlass_core::image::{Digest, label};

use super::context::{self, Context};
use super::error::BuildError;
use super::family::{FamilyError, Ground, Member};
use super::session::Session;
use super::tree::shown;
use super::{pre, sources};

/// What a base is by now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BaseNow {
    /// This image, by the digest of its configuration.
    Image(String),
    /// Pinned to this digest in its registry.
    Pinned(Digest),
    /// One of ours that would be built first.
    WouldBeBuilt,
    /// Not here yet: it would be pulled.
    Absent,
}

/// What counts.
#[derive(Debug, Clone)]
pub struct Counted {
    /// The list.
    pub inputs: Inputs,
    /// The digest of what `.pre` made, where there is such a script and that is known.
    pub made: Option<Digest>,
    /// What is still to come: bases, what `.pre` makes. The digest is of use only where there is nothing.
    pub awaited: Vec<String>,
    /// What there is to say about the executable.
    pub notes: Vec<String>,
}

impl BaseNow {
    /// Its digest, where it has one by now.
    pub fn digest(&self) -> Option<&str> {
        match self {
            Self::Image(id) => Some(id),
            Self::Pinned(digest) => Some(digest.as_str()),
            Self::WouldBeBuilt | Self::Absent => None,
        }
    }
}

impl Counted {
    /// The digest of all, where all of it is known.
    pub fn checksum(&self) -> Option<String> {
        self.awaited.is_empty().then(|| self.inputs.digest().to_string())
    }
}

/// The list that an image carries, if it carries one that can be read.
pub fn recorded(labels: &BTreeMap<String, String>) -> Option<Recorded> {
    Recorded::from_label(labels.get(label::INPUTS)?).ok()
}

/// Lists what counts for an image. `context` is what a build has prepared; without it a look is taken, and `labels` (those of an image
/// that is there) say what `.pre` made.
///
/// # Errors
/// Something cannot be read.
pub fn count(
    session: &Session,
    member: &Member,
    bases: &[(Ground, BaseNow)],
    context: Option<&Context>,
    labels: &BTreeMap<String, String>,
) -> Result<Counted, BuildError> {
    let looked;
    let context = if let Some(context) = context {
        context
    } else {
        looked = context::look(member, &session.machine)?;
        &looked
    };
    let what = &member.request.what;
    let mut digests = session.digests(member);
    let mut awaited = Vec::new();
    let mut list = vec![
        Input::new(
            Kind::Dockerfile,
            "Dockerfile",
            Digest::of(member.file.canonical().as_bytes()),
        ),
        Input::named(Kind::Platform, member.platform.to_string()),
    ];
    for (ground, now) in bases {
        let name = ground.name.to_string();
        match now.digest() {
            Some(digest) => list.push(base(name, digest)),
            None => {
                awaited.push(match now {
                    BaseNow::WouldBeBuilt => format!("its base {name} would be built"),
                    BaseNow::Image(_) | BaseNow::Pinned(_) | BaseNow::Absent => {
                        format!("its base {name} is not here: it would be pulled")
                    }
                });
            }
        }
    }
    list.extend(what.target.iter().map(|target| Input::named(Kind::Target, target)));
    list.extend(
        what.user
            .iter()
            .map(|(name, uid)| Input::named(Kind::User, format!("{name} ({uid})"))),
    );
    for (name, value) in member.file.counted(&member.arguments) {
        list.push(Input::new(Kind::Argument, name, Digest::of(value.as_bytes())));
    }
    for (name, value) in &what.labels {
        list.push(Input::new(
            Kind::Option,
            format!("--label {name}"),
            Digest::of(value.as_bytes()),
        ));
    }
    // The network of RUN commands does not count: it comes down to the bases from whatever stands on them.
    if let Some(packages) = &member.request.origin.packages {
        list.extend(packages.lines().map(|line| {
            let (name, version) = line.split_once(' ').unwrap_or((line, ""));
            Input::text(Kind::Package, name, version)
        }));
    }
    let made = script(member, context, labels, &mut list, &mut digests, &mut awaited)?;
    for file in &what.extra_files {
        let name = file.file_name().map(std::path::PathBuf::from).unwrap_or_default();
        if let Some(entry) = context.tree.get(&name) {
            list.push(sources::input(Kind::Extra, shown(&name), entry, &mut digests)?);
        }
    }
    for piece in &context.pieces {
        let path = piece.image.strip_prefix("/").unwrap_or(&piece.image);
        let itself = what
            .executable
            .as_deref()
            .and_then(|file| std::fs::canonicalize(file).ok());
        let kind = if itself.as_ref() == Some(&piece.host) {
            Kind::Executable
        } else {
            Kind::Library
        };
        if let Some(entry) = context.tree.get(path) {
            list.push(sources::input(kind, shown(&piece.image), entry, &mut digests)?);
        }
    }
    files(member, context, &mut list, &mut digests)?;
    digests.keep();
    Ok(Counted {
        inputs: list.into_iter().collect(),
        made,
        awaited,
        notes: context.notes.clone(),
    })
}

/// The script beside the Dockerfile and what it made.
fn script(
    member: &Member,
    context: &Context,
    labels: &BTreeMap<String, String>,
    list: &mut Vec<Input>,
    digests: &mut super::digests::Digests,
    awaited: &mut Vec<String>,
) -> Result<Option<Digest>, BuildError> {
    let script = pre::script_of(&member.request.dockerfile);
    if std::fs::symlink_metadata(&script).is_err() {
        return Ok(None);
    }
    let real = std::fs::canonicalize(&script).map_err(BuildError::file(&script))?;
    let sum = digests.of(&real).map_err(BuildError::file(&script))?;
    let name = script.file_name().unwrap_or_default();
    list.push(Input::new(Kind::Pre, shown(name.as_ref()), Digest::from_sha256(&sum)));
    let made = match &context.made {
        Some(tree) => {
            let mut made = Vec::new();
            for (path, entry) in tree.entries() {
                made.push(sources::input(Kind::PreOutput, shown(path), entry, digests)?);
            }
            Some(made.into_iter().collect::<Inputs>().digest())
        }
        None => labels.get(label::PRE_OUTPUT).and_then(|text| text.parse().ok()),
    };
    match &made {
        Some(made) => list.push(Input::new(Kind::PreOutput, "everything", made.clone())),
        None => awaited.push(format!("what '{}' makes is not known yet", script.display())),
    }
    Ok(made)
}

/// What COPY, ADD and bind mounts take of the context, less what counts by itself already.
fn files(
    member: &Member,
    context: &Context,
    list: &mut Vec<Input>,
    digests: &mut super::digests::Digests,
) -> Result<(), BuildError> {
    let all = member
        .file
        .context_sources(&member.arguments)
        .map_err(|problems| FamilyError::Wrong {
            path: member.request.dockerfile.clone(),
            problems,
        })?;
    let wanted: Vec<&ContextSource> = all
        .iter()
        .filter(|source| member.stages.contains(&source.stage))
        .collect();
    for source in &wanted {
        if let What::Address(address) = &source.what {
            list.push(Input::named(Kind::Address, address));
        }
    }
    for (path, entry) in sources::taken(&context.tree, &wanted) {
        // What the script made counts as one, so that a look need not have it; what was named counts by itself already.
        let made = context.made.as_ref().is_some_and(|made| made.get(path).is_some());
        let placed = context
            .pieces
            .iter()
            .any(|piece| piece.image.strip_prefix("/").is_ok_and(|image| image == path));
        let extra = member
            .request
            .what
            .extra_files
            .iter()
            .any(|file| file.file_name() == Some(path.as_os_str()));
        if !(made || placed || extra) {
            list.push(sources::input(Kind::File, shown(path), entry, digests)?);
        }
    }
    Ok(())
}

/// A base by its digest.
pub fn base(name: String, digest: &str) -> Input {
    match digest.parse() {
        Ok(digest) => Input::new(Kind::Base, name, digest),
        Err(_) => Input::text(Kind::Base, name, digest),
    }
}
