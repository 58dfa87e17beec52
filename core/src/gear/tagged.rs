//! What a tag holds for an export: its commit and date, the rules in its tree, the spec with its variables filled in.

use crate::escape::{escaped, escaped_bytes};
use crate::gear::error::{GearError, at};
use crate::gear::keywords::Variables;
use crate::gear::limits::Limits;
use crate::gear::objects::{Entry, EntryKind, ObjectKind, Objects, Reader, over};
use crate::gear::rules::{Rules, file_name};
use crate::gear::spec::Preamble;
use crate::gear::trees::Trees;
use crate::id::ObjectId;
use crate::refusal::Refusal;
use crate::signing::{Policy, Reading};

/// Where the rules are looked for, in this order.
const RULES: [&str; 2] = [".gear-rules", ".gear/rules"];

/// The longest label of an archive.
const LONGEST_LABEL: usize = 100;

/// A tag, opened.
pub(super) struct Tagged<'a> {
    pub(super) commit: ObjectId,
    /// The tagger's date, in seconds since 1970.
    pub(super) mtime: u64,
    /// Where the rules are; none if there are none.
    pub(super) place: Option<&'static str>,
    pub(super) rules: Rules,
    pub(super) variables: Variables,
    pub(super) trees: Trees<'a>,
    pub(super) spec: Spec,
}

/// The spec file.
pub(super) struct Spec {
    /// Its name without directories.
    pub(super) name: String,
    /// The object that it was before variables were filled in.
    pub(super) object: ObjectId,
    pub(super) executable: bool,
    /// Its text with variables filled in.
    pub(super) text: Vec<u8>,
}

impl<'a> Tagged<'a> {
    pub(super) fn open(reader: &'a Reader<'a>, tag: &ObjectId) -> Result<Self, GearError> {
        let limits = reader.limits();
        match reader.header(tag)?.kind {
            ObjectKind::Tag => {}
            ObjectKind::Commit => {
                return Err(Refusal::new(
                    "lightweight",
                    format!("the tag points straight at commit {tag}: it is lightweight, and has no date of its own"),
                )
                .hint(format!("make an annotated one: git tag -a -f NAME {tag}"))
                .into());
            }
            kind @ (ObjectKind::Tree | ObjectKind::Blob) => {
                return Err(
                    Refusal::new("not_a_tag", format!("object {tag} is a {}, not a tag", kind.as_str())).into(),
                );
            }
        }
        let bytes = reader.read(tag, ObjectKind::Tag, limits.tag)?;
        let policy = Policy::default();
        let reading = Reading::of(&bytes, &policy);
        let unreadable =
            |what: &str| Refusal::new("bad_structure", format!("tag {tag}: {what}")).hint("git cat-file tag shows it");
        let commit = reading
            .target
            .clone()
            .ok_or_else(|| unreadable("what it points at cannot be read"))?;
        let kind = reader.header(&commit)?.kind;
        if kind != ObjectKind::Commit {
            return Err(unreadable(&format!("it points at the {} {commit}, not at a commit", kind.as_str())).into());
        }
        let tagger = reading
            .tagger
            .ok_or_else(|| unreadable("its tagger and date cannot be read"))?;
        let trees = Trees::of(reader, &commit)?;
        let (place, rules) = read_rules(&trees, limits)?;
        let in_rules = |refusal| at(place.unwrap_or(RULES[1]), refusal);
        let variables = Variables::read(&rules.specsubst, reading.message).map_err(in_rules)?;
        let spec = read_spec(&trees, reader, rules.spec.as_deref(), &variables)?;
        let label = rules.kind.as_ref().map_or(0, |kind| kind.len() + 1) + spec.name.len();
        if label > LONGEST_LABEL {
            let why =
                format!("the spec's name is too long for the archive's label: {label} bytes, and {LONGEST_LABEL} fit");
            return Err(Refusal::new("bad_file_name", why).into());
        }
        Ok(Self {
            commit,
            mtime: tagger.seconds,
            place,
            trees: trees.with_tags(rules.tags.clone()),
            rules,
            variables,
            spec,
        })
    }

    /// The text of another spec in the tagged tree, with variables filled in.
    pub(super) fn other_spec(&self, reader: &Reader<'_>, path: &str) -> Result<Vec<u8>, GearError> {
        Ok(read_spec(&self.trees, reader, Some(path), &self.variables)?.text)
    }
}

/// What a tagged spec says of itself, without exporting anything.
///
/// # Errors
/// It cannot be told: then the export will fail, too, or the repository cannot be read.
pub fn preamble(objects: &dyn Objects, tag: &ObjectId, limits: &Limits) -> Result<Preamble, GearError> {
    let reader = Reader::new(objects, limits);
    Ok(Preamble::read(&Tagged::open(&reader, tag)?.spec.text))
}

fn read_rules(trees: &Trees<'_>, limits: &Limits) -> Result<(Option<&'static str>, Rules), GearError> {
    for place in RULES {
        match trees.entry(trees.root(), place)? {
            Some(Entry {
                kind: EntryKind::File { .. },
                ..
            }) => {
                let content = trees.file(place, limits.rules)?.unwrap_or_default();
                let rules = Rules::parse(&content).map_err(|refusal| at(place, refusal))?;
                return Ok((Some(place), rules));
            }
            Some(_) => return Err(Refusal::new("bad_rules", format!("{place} is no file")).into()),
            None => {}
        }
    }
    Ok((None, Rules::default()))
}

fn read_spec(
    trees: &Trees<'_>,
    reader: &Reader<'_>,
    path: Option<&str>,
    variables: &Variables,
) -> Result<Spec, GearError> {
    let entry = match path {
        Some(path) => {
            let entry = trees.entry(trees.root(), path)?;
            entry.ok_or_else(|| Refusal::new("no_spec", format!("there is no spec file '{}'", escaped(path))))?
        }
        None => only_spec(trees, reader)?,
    };
    let shown = escaped(path.unwrap_or_default());
    let shown = if shown.is_empty() { entry.shown() } else { shown };
    let EntryKind::File { executable } = entry.kind else {
        return Err(Refusal::new("no_spec", format!("the spec '{shown}' is no file")).into());
    };
    let name = std::str::from_utf8(&entry.name).map_err(|_| "it is no UTF-8");
    let name = name.and_then(|name| file_name(name).map(|()| name));
    let name = name.map_err(|why| Refusal::new("bad_file_name", format!("the spec's name '{shown}': {why}")))?;
    let limit = reader.limits().spec;
    let text = reader.read(&entry.object, ObjectKind::Blob, limit)?;
    let text = variables
        .substitute(&text, limit)
        .ok_or_else(|| over("the spec with its variables", "bytes", limit))?;
    Ok(Spec {
        name: name.to_owned(),
        object: entry.object,
        executable,
        text,
    })
}

/// The only `*.spec` at the top.
fn only_spec(trees: &Trees<'_>, reader: &Reader<'_>) -> Result<Entry, GearError> {
    let entries = reader.tree(trees.root())?;
    let is_spec = |entry: &&Entry| entry.name.ends_with(b".spec") && matches!(entry.kind, EntryKind::File { .. });
    let specs: Vec<&Entry> = entries.iter().filter(is_spec).collect();
    match specs.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(
            Refusal::new("no_spec", "there is no spec file at the top of the tagged tree")
                .hint("add NAME.spec, or name it in .gear/rules: 'spec: PATH'")
                .into(),
        ),
        [first, second, ..] => Err(Refusal::new(
            "many_specs",
            format!(
                "there are {} spec files at the top of the tagged tree: {}, {}{}",
                specs.len(),
                escaped_bytes(&first.name),
                escaped_bytes(&second.name),
                if specs.len() > 2 { ", …" } else { "" }
            ),
        )
        .hint("say which in .gear/rules: 'spec: PATH'")
        .into()),
    }
}
