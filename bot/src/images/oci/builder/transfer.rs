//! COPY and ADD as a stage carries them out: where their sources come from, and with which flags.

use std::rc::Rc;

use windlass_core::escape::escaped;
use windlass_core::image::dockerfile::instruction::{Add, Copy, Source, Transfer};
use windlass_core::image::{Ignore, ImageName};

use super::super::error::OciError;
use super::super::layer::Changes;
use super::super::tree::{Content, Kind, Tree};
use super::copy::{self, Destination, Manner, Target, What};
use super::mode::ModeChange;
use super::stage::{Stages, Work, directory_of};
use super::{owner, unpack};
use crate::images::build::tree::Ignoring;

/// What an instruction changed, or why it cannot be carried out.
type Changed = Result<Result<Changes, String>, OciError>;

/// What ADD does with archives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Archives {
    /// They are unpacked.
    Unpacked,
    /// They are files like others.
    Copied,
}

impl Stages<'_> {
    /// COPY.
    pub(super) fn copy(&mut self, work: &mut Work, copy: &Copy) -> Changed {
        if copy.parents {
            return Ok(Err(
                "--parents is for engines\n\nhint: name the directories in the destination".to_owned(),
            ));
        }
        let from = match &copy.from {
            None => self.context(),
            Some(name) => match self.named(work, name)? {
                Ok(tree) => tree,
                Err(why) => return Ok(Err(why)),
            },
        };
        self.transfer(work, &from, &copy.transfer, Archives::Copied)
    }

    /// The files of a stage, or of an image of ours.
    fn named(&mut self, work: &Work, name: &str) -> Result<Result<Rc<Tree>, String>, OciError> {
        let stage = self
            .order
            .dockerfile
            .stage(name)
            .filter(|stage| stage.index < work.index);
        let made = match stage {
            Some(stage) => self.make(stage.index)?,
            None if name == "scratch" => return Ok(Ok(Rc::new(Tree::default()))),
            None => {
                let name = match ImageName::foreign(name) {
                    Ok(name) => name,
                    Err(bad) => return Ok(Err(bad.to_string())),
                };
                match (self.order.find_base)(&name)? {
                    Some((layout, image)) => self.image(&layout, &image)?,
                    None => {
                        return Ok(Err(format!(
                            "{name} was not built here, and without an engine no other image can be taken\n\nhint: build it first; or let an engine build: --engine docker or --engine podman"
                        )));
                    }
                }
            }
        };
        Ok(Ok(Rc::new(made.tree.clone())))
    }

    /// ADD.
    pub(super) fn add(&mut self, work: &mut Work, add: &Add) -> Changed {
        let address = add.transfer.sources.iter().find_map(|source| match source {
            Source::Path(path) if is_address(path) => Some(path),
            Source::Path(_) | Source::Inline(_) => None,
        });
        if let Some(address) = address {
            return Ok(Err(format!(
                "'{}' is an address: what it gives may be something else tomorrow, and the same inputs would no longer make the same image\n\nhint: download it beforehand, or build with --engine docker or --engine podman",
                escaped(address)
            )));
        }
        let from = self.context();
        let archives = if add.unpack == Some(false) {
            Archives::Copied
        } else {
            Archives::Unpacked
        };
        self.transfer(work, &from, &add.transfer, archives)
    }

    fn transfer(&mut self, work: &mut Work, from: &Tree, transfer: &Transfer, archives: Archives) -> Changed {
        let owner = match &transfer.chown {
            None => None,
            Some(text) => match owner::of(text, &work.tree, &mut self.store)? {
                Ok(owner) => Some(owner),
                Err(why) => return Ok(Err(format!("--chown={}: {why}", escaped(text)))),
            },
        };
        let mode = match &transfer.chmod {
            None => None,
            Some(text) => match ModeChange::parse(text) {
                Some(mode) => Some(mode),
                None => {
                    return Ok(Err(format!(
                        "--chmod={}: this is no mode\n\nhint: write 755, or u=rwX,go=rX",
                        escaped(text)
                    )));
                }
            },
        };
        let left = match Ignore::parse(&transfer.exclude.join("\n")) {
            Ok(ignore) => Excluded(ignore),
            Err(problems) => {
                let why = problems
                    .iter()
                    .next()
                    .map(|problem| problem.message.clone())
                    .unwrap_or_default();
                return Ok(Err(format!("--exclude: {why}")));
            }
        };
        let manner = Manner {
            owner,
            mode: mode.as_ref(),
            left: &left,
        };
        Ok(self.put(work, from, transfer, &manner, archives))
    }

    fn put(
        &mut self,
        work: &mut Work,
        from: &Tree,
        transfer: &Transfer,
        manner: &Manner<'_>,
        archives: Archives,
    ) -> Result<Changes, String> {
        let mut chosen = Vec::new();
        for source in &transfer.sources {
            match source {
                Source::Path(path) => chosen.extend(copy::choose(from, path, manner.left)?),
                Source::Inline(heredoc) => chosen.push(copy::inline(&heredoc.name, &heredoc.text())),
            }
        }
        let directory = directory_of(&work.config).to_owned();
        let destination = Destination::find(&work.tree, &directory, &transfer.destination)?;
        let mut target = Target {
            tree: &mut work.tree,
            changes: Changes::new(),
            owner: manner.owner.unwrap_or_default(),
        };
        if archives == Archives::Copied {
            target.copy(from, &chosen, &destination, manner)?;
            return Ok(target.changes);
        }
        destination.check(chosen.len())?;
        for one in chosen {
            let archive = match &one.what {
                What::One(node) => match &node.kind {
                    Kind::File(Content::Host(file)) => unpack::opened(file)
                        .map_err(|error| format!("'{}': {error}", escaped(&file.path.display().to_string())))?,
                    Kind::File(Content::Bytes(_) | Content::Layer(_) | Content::Spool(_))
                    | Kind::Directory
                    | Kind::Link(_)
                    | Kind::Pipe
                    | Kind::Device(_) => None,
                },
                What::Contents(_) => None,
            };
            match archive {
                Some(archive) => target.unpack(archive, &destination.name, &mut self.store)?,
                None => target.copy(from, &[one], &destination, manner)?,
            }
        }
        Ok(target.changes)
    }
}

/// What `--exclude` passes over.
struct Excluded(Ignore);

impl Ignoring for Excluded {
    fn excludes(&self, path: &str, _: bool) -> bool {
        self.0.excludes(path)
    }
    fn prunes(&self, path: &str) -> bool {
        self.0.all_below(path)
    }
}

/// Whether a source of ADD is not a file of the context.
fn is_address(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    ["http://", "https://", "ftp://", "git://", "ssh://", "git@"]
        .iter()
        .any(|scheme| lower.starts_with(scheme))
}
