//! Decides what pkg.tar consists of: the spec, and what each rule makes, by name. Nothing is written here.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;

use crate::escape::{escaped, escaped_bytes};
use crate::gear::archive::Archive;
use crate::gear::compress::Compression;
use crate::gear::error::{GearError, at};
use crate::gear::glob::Glob;
use crate::gear::keywords::Keywords;
use crate::gear::limits::Limits;
use crate::gear::objects::{Entry, EntryKind, Objects, Reader, over};
use crate::gear::patch::Patch;
use crate::gear::rules::{Directive, FileGlob, Makes, file_name, relative};
use crate::gear::spec::Preamble;
use crate::gear::tagged::Tagged;
use crate::gear::trees::{Found, Meaning};
use crate::gear::walk::Excludes;
use crate::id::ObjectId;
use crate::refusal::Refusal;

/// What pkg.tar consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The tag object.
    pub tag: ObjectId,
    /// The commit that it names.
    pub commit: ObjectId,
    /// Every date, in seconds since 1970: the tagger's.
    pub mtime: u64,
    /// The spec file's name.
    pub spec: String,
    /// The word of `type:`.
    pub kind: Option<String>,
    /// What the spec says of itself.
    pub preamble: Preamble,
    /// The files, sorted by name.
    pub members: Vec<Member>,
    /// What the packager should know although it is no error.
    pub notes: Vec<String>,
}

/// One file of pkg.tar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name, without directories.
    pub name: String,
    /// What it comes from, as in `line 3: tar`.
    pub from: String,
    /// Whether it may be executed.
    pub executable: bool,
    /// What is in it.
    pub content: Content,
}

/// What is in a file of pkg.tar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// These bytes.
    Text(Vec<u8>),
    /// A file of the repository.
    File {
        /// Its object.
        object: ObjectId,
        /// How it is compressed.
        compression: Option<Compression>,
    },
    /// An archive of a tree.
    Archive(Archive),
    /// A patch.
    Patch {
        /// From what to what.
        patch: Patch,
        /// How it is compressed.
        compression: Option<Compression>,
    },
}

impl Plan {
    /// Reads a tag and its rules.
    ///
    /// # Errors
    /// The rules or what they name cannot be exported, or the repository cannot be read.
    pub fn of(objects: &dyn Objects, tag: &ObjectId, limits: &Limits) -> Result<Self, GearError> {
        let reader = Reader::new(objects, limits);
        let tagged = Tagged::open(&reader, tag)?;
        let preamble = Preamble::read(&tagged.spec.text);
        let mut making = Making {
            keywords: Keywords::of(&preamble, &tagged.variables),
            reader: &reader,
            tagged: &tagged,
            members: BTreeMap::new(),
            notes: Vec::new(),
        };
        making.add(Member {
            name: tagged.spec.name.clone(),
            from: "the spec".to_owned(),
            executable: tagged.spec.executable,
            content: Content::Text(tagged.spec.text.clone()),
        })?;
        let place = tagged.place.unwrap_or_default();
        for directive in &tagged.rules.directives {
            making.make(directive).map_err(|error| match error {
                GearError::Refused(refusal) => at(format_args!("{place} {directive}"), refusal).into(),
                GearError::Objects(_) | GearError::Io(_) => error,
            })?;
        }
        Ok(Self {
            tag: tag.clone(),
            commit: tagged.commit.clone(),
            mtime: tagged.mtime,
            spec: tagged.spec.name.clone(),
            kind: tagged.rules.kind.clone(),
            members: making.members.into_values().collect(),
            notes: making.notes,
            preamble,
        })
    }

    /// The label of pkg.tar: `[type/]spec-file`.
    pub fn label(&self) -> String {
        match &self.kind {
            Some(kind) => format!("{kind}/{}", self.spec),
            None => self.spec.clone(),
        }
    }
}

struct Making<'a> {
    reader: &'a Reader<'a>,
    tagged: &'a Tagged<'a>,
    keywords: Keywords,
    members: BTreeMap<String, Member>,
    notes: Vec<String>,
}

impl Making<'_> {
    fn make(&mut self, directive: &Directive) -> Result<(), GearError> {
        match &directive.makes {
            Makes::Files {
                globs,
                compression,
                name,
            } => self.files(directive, globs, *compression, name.as_deref()),
            Makes::Archive {
                tree,
                format,
                name,
                base,
                suffix,
                spec,
                exclude,
            } => {
                let keywords = self.keywords_of(spec.as_deref())?;
                let Some(found) = self.tree(directive, &keywords, tree)? else {
                    return Ok(());
                };
                let keywords = keywords.with("dir", found.dir.as_deref());
                let usual = if found.dir.is_some() {
                    "@dir@-@version@"
                } else {
                    "@name@-@version@"
                };
                let name = keywords.expand(name.as_deref().unwrap_or(usual))?;
                let base = match base {
                    None => name.clone(),
                    Some(base) => keywords.expand(base)?,
                };
                let base = if base.is_empty() { base } else { relative(&base)? };
                if base.chars().any(char::is_control) {
                    return Err(Refusal::new(
                        "bad_file_name",
                        format!("base '{}' has a control character in it", escaped(&base)),
                    )
                    .into());
                }
                let suffix = match suffix {
                    None => format.suffix(),
                    Some(suffix) => keywords.expand(suffix)?,
                };
                let archive = Archive {
                    tree: found.tree,
                    base,
                    format: *format,
                    excludes: self.excludes(exclude),
                };
                self.add_made(directive, format!("{name}{suffix}"), false, Content::Archive(archive))
            }
            Makes::Patch {
                old,
                new,
                name,
                compression,
                spec,
                exclude,
            } => {
                let keywords = self.keywords_of(spec.as_deref())?;
                let Some(old) = self.tree(directive, &keywords, old)? else {
                    return Ok(());
                };
                let Some(new) = self.tree(directive, &keywords, new)? else {
                    return Ok(());
                };
                let usual = match new.dir {
                    Some(_) => "@new_dir@-@version@-@release@.patch",
                    None => "@name@-@version@-@release@.patch",
                };
                let keywords = keywords
                    .with("old_dir", old.dir.as_deref())
                    .with("new_dir", new.dir.as_deref());
                let name = keywords.expand(name.as_deref().unwrap_or(usual))?;
                let suffix = compression.map_or("", |compression| compression.codec.suffix());
                let patch = Patch {
                    old: old.tree,
                    new: new.tree,
                    excludes: self.excludes(exclude),
                };
                let content = Content::Patch {
                    patch,
                    compression: *compression,
                };
                self.add_made(directive, format!("{name}{suffix}"), false, content)
            }
        }
    }

    /// The keywords, with another spec's values where a rule names one.
    fn keywords_of(&self, spec: Option<&str>) -> Result<Keywords, GearError> {
        Ok(match spec {
            None => self.keywords.clone(),
            Some(path) => {
                let preamble = Preamble::read(&self.tagged.other_spec(self.reader, path)?);
                Keywords::of(&preamble, &self.tagged.variables)
            }
        })
    }

    fn excludes(&self, own: &[Glob]) -> Excludes {
        Excludes(self.tagged.rules.exclude.iter().chain(own).cloned().collect())
    }

    /// The tree that a rule names; nothing if there is none and the rule is optional.
    fn tree(&mut self, directive: &Directive, keywords: &Keywords, text: &str) -> Result<Option<Found>, GearError> {
        match self.tagged.trees.find(&keywords.expand(text)?)? {
            Meaning::Tree(found) => Ok(Some(found)),
            Meaning::Nothing(why) if directive.optional => {
                self.notes.push(format!("{directive}: left out, {}", why.message));
                Ok(None)
            }
            Meaning::Nothing(why) => Err(optional_hint(why, directive).into()),
        }
    }

    fn files(
        &mut self,
        directive: &Directive,
        globs: &[FileGlob],
        compression: Option<Compression>,
        name: Option<&str>,
    ) -> Result<(), GearError> {
        let mut found: Vec<Entry> = Vec::new();
        for glob in globs {
            match self.matching(glob)? {
                Ok(entries) => found.extend(entries),
                Err(why) if directive.optional => self.notes.push(format!("{directive}: left out, {}", why.message)),
                Err(why) => return Err(optional_hint(why, directive).into()),
            }
        }
        let name = name.map(|name| self.keywords.expand(name)).transpose()?;
        if let (Some(name), [_, _, ..]) = (&name, found.as_slice()) {
            let why = format!(
                "{} files match, and all would be called '{}'",
                found.len(),
                escaped(name)
            );
            return Err(Refusal::new("bad_rules", why).hint("name= goes with one file").into());
        }
        for entry in found {
            let EntryKind::File { executable } = entry.kind else {
                continue;
            };
            let own = String::from_utf8(entry.name.clone()).map_err(|_| {
                Refusal::new(
                    "bad_file_name",
                    format!("the file '{}': its name is no UTF-8, as rpm wants it", entry.shown()),
                )
                .hint("rename it, or leave it out with exclude:")
            })?;
            let name = match (&name, compression) {
                (Some(name), _) => name.clone(),
                (None, None) => own,
                (None, Some(compression)) => format!("{own}{}", compression.codec.suffix()),
            };
            let content = Content::File {
                object: entry.object,
                compression,
            };
            self.add_made(directive, name, executable, content)?;
        }
        Ok(())
    }

    /// The files that a pattern matches, or why there are none.
    fn matching(&self, glob: &FileGlob) -> Result<Result<Vec<Entry>, Refusal>, GearError> {
        let nothing = |why: String| Ok(Err(Refusal::new("no_such_file", why)));
        let trees = &self.tagged.trees;
        let dir = if glob.dir.is_empty() {
            trees.root().clone()
        } else {
            match trees.entry(trees.root(), &glob.dir)? {
                Some(entry) if entry.kind == EntryKind::Tree => entry.object,
                Some(_) | None => return nothing(format!("there is no directory '{}'", escaped(&glob.dir))),
            }
        };
        let left_out = self.excludes(&[]);
        let hidden = !glob.name.as_str().starts_with(['.', '\\']);
        let (mut found, mut others, mut excluded) = (Vec::new(), Vec::new(), 0);
        for entry in self.reader.tree(&dir)?.iter() {
            // As in a shell, a wildcard leaves names alone that begin with a dot.
            if (hidden && entry.name.starts_with(b".")) || !glob.name.matches(&entry.name) {
                continue;
            }
            let path = if glob.dir.is_empty() {
                entry.name.clone()
            } else {
                [glob.dir.as_bytes(), b"/", &entry.name].concat()
            };
            if left_out.takes(&path) {
                excluded += 1;
            } else if matches!(entry.kind, EntryKind::File { .. }) {
                found.push(entry.clone());
            } else {
                others.push(entry.clone());
            }
        }
        if !found.is_empty() {
            return Ok(Ok(found));
        }
        nothing(match others.first() {
            _ if excluded > 0 => format!("all that '{glob}' matches is excluded"),
            Some(entry) => {
                let what = match entry.kind {
                    EntryKind::Tree => "a directory",
                    EntryKind::Link => "a symbolic link",
                    EntryKind::Submodule => "a submodule",
                    EntryKind::File { .. } => "a file",
                };
                format!("'{}' is {what}, not a file", escaped_bytes(&entry.name))
            }
            None => format!("no file matches '{glob}'"),
        })
    }

    fn add_made(
        &mut self,
        directive: &Directive,
        name: String,
        executable: bool,
        content: Content,
    ) -> Result<(), GearError> {
        file_name(&name).map_err(|why| {
            Refusal::new(
                "bad_file_name",
                format!("'{}' cannot be a file's name: {why}", escaped(&name)),
            )
        })?;
        if name.contains('%') {
            self.notes.push(format!(
                "{directive}: '{}' has a macro in its name that only rpm can expand: name= gives it another",
                escaped(&name)
            ));
        }
        self.add(Member {
            name,
            from: directive.to_string(),
            executable,
            content,
        })
    }

    fn add(&mut self, member: Member) -> Result<(), GearError> {
        let limit = self.reader.limits().members;
        if self.members.len() >= limit {
            return Err(over("pkg.tar", "files", limit as u64));
        }
        let spec = &self.tagged.spec;
        match self.members.entry(member.name.clone()) {
            Slot::Vacant(vacant) => {
                vacant.insert(member);
            }
            Slot::Occupied(there) => {
                let there = there.get();
                let is_spec = there.name == spec.name
                    && matches!(&member.content, Content::File { object, compression: None } if *object == spec.object);
                if !is_spec && (there.content != member.content || there.executable != member.executable) {
                    return Err(Refusal::new(
                        "same_name",
                        format!(
                            "'{}' comes from {}, too, with other content",
                            escaped(&member.name),
                            there.from
                        ),
                    )
                    .hint("give one of them another name: name=…")
                    .into());
                }
            }
        }
        Ok(())
    }
}

fn optional_hint(why: Refusal, directive: &Directive) -> Refusal {
    if why.hint.is_some() {
        return why;
    }
    why.hint(format!("if it may be missing, write '{}?:'", directive.word))
}
