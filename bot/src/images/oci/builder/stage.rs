//! Stages: what each one stands on, and what its instructions make of that.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use windlass_core::escape::escaped;
use windlass_core::image::dockerfile::arguments::Globals;
use windlass_core::image::dockerfile::instruction::{Instruction, Kind};
use windlass_core::image::dockerfile::{Base, By, Ground, Lines, Problem, Scope, Stage};
use windlass_core::image::{Digest, Dockerfile};

use super::super::base::BaseLayer;
use super::super::error::OciError;
use super::super::layer::Changes;
use super::super::layout::{Image, Layout};
use super::super::spec::{History, ImageConfig, RootFs, RunConfig};
use super::super::store::Store;
use super::super::tree::{Tree, cleaned, parent};
use super::config::{self, Command};
use super::copy::Target;
use super::{OciBuild, Piece, context, described, owner};

/// Where programs are looked for in an image that stands on nothing: as the engines set it.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A stage that was carried out, or a base.
#[derive(Debug, Clone)]
pub(super) struct Made {
    /// Its files.
    pub(super) tree: Tree,
    /// Its layers.
    pub(super) pieces: Vec<Piece>,
    /// Its configuration.
    pub(super) config: ImageConfig,
}

/// The stages of a build.
pub(super) struct Stages<'a> {
    pub(super) order: &'a OciBuild<'a>,
    pub(super) store: Store,
    globals: Globals,
    bases: Vec<Base>,
    made: BTreeMap<usize, Rc<Made>>,
    making: BTreeSet<usize>,
    images: BTreeMap<Digest, Rc<Made>>,
    context: Option<Rc<Tree>>,
    created: String,
}

/// What is being made of a stage.
pub(super) struct Work {
    pub(super) tree: Tree,
    pub(super) config: ImageConfig,
    pieces: Vec<Piece>,
    command: Command,
    /// The stage's own number.
    pub(super) index: usize,
}

impl<'a> Stages<'a> {
    pub(super) fn new(order: &'a OciBuild<'a>, store: Store) -> Result<Self, OciError> {
        let globals = order
            .dockerfile
            .globals(order.arguments)
            .map_err(|problems| OciError::Asked(problems.to_string()))?;
        let bases = order
            .dockerfile
            .bases(order.arguments)
            .map_err(|problems| OciError::Asked(problems.to_string()))?;
        let created = i64::try_from(order.epoch)
            .ok()
            .and_then(|epoch| jiff::Timestamp::from_second(epoch).ok())
            .ok_or_else(|| OciError::Asked(format!("{} is no time that an image can have", order.epoch)))?;
        Ok(Self {
            order,
            store,
            globals,
            bases,
            made: BTreeMap::new(),
            making: BTreeSet::new(),
            images: BTreeMap::new(),
            context: None,
            created: created.to_string(),
        })
    }

    pub(super) fn into_store(self) -> Store {
        self.store
    }

    /// The stage that is wanted.
    pub(super) fn target(&self, name: Option<&str>) -> Result<usize, OciError> {
        let needed = self.order.dockerfile.needed_stages(&self.bases, name);
        let needed = needed.map_err(|problem| told(&problem))?;
        needed
            .last()
            .copied()
            .ok_or_else(|| OciError::Asked("no stage is wanted".to_owned()))
    }

    /// Carries out a stage, and before it those that it needs; each once.
    pub(super) fn make(&mut self, index: usize) -> Result<Rc<Made>, OciError> {
        if let Some(made) = self.made.get(&index) {
            return Ok(Rc::clone(made));
        }
        let dockerfile: &'a Dockerfile = self.order.dockerfile;
        let stage = &dockerfile.stages[index];
        if !self.making.insert(index) {
            return Err(OciError::Asked(format!("{} stands on itself", stage.title())));
        }
        let base = self.base(stage)?;
        let mut config = base.config.clone();
        let triggers = std::mem::take(&mut config.config.on_build);
        config.created = Some(self.created.clone());
        let mut work = Work {
            tree: base.tree.clone(),
            config,
            pieces: base.pieces.clone(),
            command: Command::default(),
            index,
        };
        let arguments = self.order.arguments;
        let globals = self.globals.clone();
        let mut scope = Scope::new(
            dockerfile.directives.escape,
            arguments,
            &globals,
            work.config.config.env.iter().filter_map(|variable| {
                let (name, value) = variable.split_once('=')?;
                Some((name.to_owned(), value.to_owned()))
            }),
        );
        for trigger in triggers {
            for instruction in triggered(&trigger, stage.from.lines)? {
                self.carry_out(&mut work, &mut scope, &instruction)?;
            }
        }
        for instruction in &stage.instructions {
            self.carry_out(&mut work, &mut scope, instruction)?;
        }
        let made = Rc::new(Made {
            tree: work.tree,
            pieces: work.pieces,
            config: work.config,
        });
        self.made.insert(index, Rc::clone(&made));
        Ok(made)
    }

    fn base(&mut self, stage: &Stage) -> Result<Rc<Made>, OciError> {
        let is_of_stage = |base: &&Base| base.stage == stage.index && base.by == By::From;
        let Some(base) = self.bases.iter().find(is_of_stage).cloned() else {
            return Err(OciError::Asked(format!("{} stands on nothing", stage.title())));
        };
        let name = match base.ground {
            Ground::Scratch => return Ok(Rc::new(self.scratch())),
            Ground::Stage(earlier) => return self.make(earlier),
            Ground::Image(name) => name,
        };
        match (self.order.find_base)(&name)? {
            Some((layout, image)) => self.image(&layout, &image),
            None => Err(OciError::Instruction {
                line: stage.from.lines.first as usize,
                instruction: format!("FROM {}", escaped(&base.name)),
                why: format!(
                    "{name} was not built here, and without an engine no other image can be taken\n\nhint: build it first; or let an engine build: --engine docker or --engine podman"
                ),
            }),
        }
    }

    fn scratch(&self) -> Made {
        let platform = self.order.platform;
        Made {
            tree: Tree::default(),
            pieces: Vec::new(),
            config: ImageConfig {
                architecture: platform.architecture.clone(),
                os: platform.os.clone(),
                variant: Some(platform.variant.clone()).filter(|variant| !variant.is_empty()),
                created: None,
                author: None,
                config: RunConfig {
                    env: vec![format!("PATH={PATH}")],
                    ..RunConfig::default()
                },
                rootfs: RootFs {
                    kind: "layers".to_owned(),
                    diff_ids: Vec::new(),
                },
                history: Vec::new(),
                more: BTreeMap::new(),
            },
        }
    }

    /// Reads a base's files.
    pub(super) fn image(&mut self, layout: &Layout, image: &Image) -> Result<Rc<Made>, OciError> {
        if let Some(made) = self.images.get(&image.descriptor.digest) {
            return Ok(Rc::clone(made));
        }
        let mut tree = Tree::default();
        let mut pieces = Vec::new();
        for (descriptor, diff_id) in image.manifest.layers.iter().zip(&image.config.rootfs.diff_ids) {
            let layer = BaseLayer {
                descriptor: descriptor.clone(),
                diff_id: diff_id.clone(),
                path: layout.blob(&descriptor.digest),
            };
            layer.lay_over(&mut tree)?;
            self.store.know(&layer);
            pieces.push(Piece::Base(Box::new(layer)));
        }
        let made = Rc::new(Made {
            tree,
            pieces,
            config: image.config.clone(),
        });
        self.images.insert(image.descriptor.digest.clone(), Rc::clone(&made));
        Ok(made)
    }

    /// The files of the context.
    pub(super) fn context(&mut self) -> Rc<Tree> {
        let files = self.order.files;
        Rc::clone(self.context.get_or_insert_with(|| Rc::new(context::tree(files))))
    }

    fn carry_out(&mut self, work: &mut Work, scope: &mut Scope<'_>, instruction: &Instruction) -> Result<(), OciError> {
        let filled = scope.step(instruction).map_err(|problem| told(&problem))?;
        let line = instruction.lines.first as usize;
        let failed = |why: String| OciError::Instruction {
            line,
            instruction: described::shown(&filled.kind),
            why,
        };
        let mut changes = Changes::new();
        match &filled.kind {
            Kind::Run(_) => {
                return Err(OciError::NeedsEngine {
                    line,
                    instruction: described::shown(&instruction.kind),
                });
            }
            Kind::Copy(copy) => changes = self.copy(work, copy)?.map_err(failed)?,
            Kind::Add(add) => changes = self.add(work, add)?.map_err(failed)?,
            Kind::Workdir(path) => changes = self.workdir(work, path)?.map_err(failed)?,
            Kind::Maintainer(author) => work.config.author = Some(author.clone()),
            Kind::Arg(_)
            | Kind::Cmd(_)
            | Kind::Entrypoint(_)
            | Kind::Env(_)
            | Kind::Expose(_)
            | Kind::Healthcheck(_)
            | Kind::Label(_)
            | Kind::Onbuild(_)
            | Kind::Shell(_)
            | Kind::Stopsignal(_)
            | Kind::User(_)
            | Kind::Volume(_) => {
                config::apply(&mut work.config.config, &mut work.command, &filled.kind).map_err(failed)?;
            }
        }
        work.config.history.push(History {
            created: Some(self.created.clone()),
            created_by: Some(described::line(&filled.kind)),
            comment: Some("windlass".to_owned()),
            empty_layer: changes.is_empty(),
            ..History::default()
        });
        if !changes.is_empty() {
            bring_parents(&mut changes, &work.tree);
            work.pieces.push(Piece::New(Arc::new(changes)));
        }
        Ok(())
    }

    /// Sets the working directory, and makes it: whoever USER names owns it, as with BuildKit and Podman.
    fn workdir(&mut self, work: &mut Work, path: &str) -> Result<Result<Changes, String>, OciError> {
        if path.is_empty() {
            return Ok(Err("the path is empty".to_owned()));
        }
        let full = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("{}/{path}", directory_of(&work.config))
        };
        let name = cleaned(full.as_bytes());
        let shown = format!("/{}", String::from_utf8_lossy(&name));
        let place = match work.tree.resolve(&name) {
            Ok(place) => place,
            Err(error) => return Ok(Err(format!("'{}': {error}", escaped(&shown)))),
        };
        work.config.config.working_dir = shown;
        if work.tree.is_directory(&place) {
            return Ok(Ok(Changes::new()));
        }
        let owner = match owner::of(&work.config.config.user, &work.tree, &mut self.store)? {
            Ok(owner) => owner,
            Err(why) => return Ok(Err(format!("USER {}: {why}", escaped(&work.config.config.user)))),
        };
        let mut target = Target {
            tree: &mut work.tree,
            changes: Changes::new(),
            owner,
        };
        Ok(target.make_directory(&place).map(|()| target.changes))
    }
}

/// Adds the directories above what an instruction changed, as they are. Engines unpack each layer by itself: a directory that is not among its
/// entries they make anew, as root's, and that one hides what lower layers say of it.
fn bring_parents(changes: &mut Changes, tree: &Tree) {
    let mut missing = Changes::new();
    for name in changes.keys() {
        let mut at = name.as_slice();
        while let Some(above) = parent(at).filter(|above| !above.is_empty()) {
            if changes.contains_key(above) || missing.contains_key(above) {
                break;
            }
            if let Some(node) = tree.look(above) {
                missing.insert(above.to_vec(), node.clone());
            }
            at = above;
        }
    }
    changes.extend(missing);
}

/// The working directory of a stage.
pub(super) fn directory_of(config: &ImageConfig) -> &str {
    match config.config.working_dir.as_str() {
        "" => "/",
        directory => directory,
    }
}

/// The instruction that an ONBUILD of the base says.
fn triggered(text: &str, lines: Lines) -> Result<Vec<Instruction>, OciError> {
    let bad = |why: String| OciError::Instruction {
        line: lines.first as usize,
        instruction: format!("ONBUILD {}", escaped(text)),
        why,
    };
    let parsed = Dockerfile::parse(&format!("FROM scratch\n{text}\n")).map_err(|problems| bad(problems.to_string()))?;
    match parsed.stages.as_slice() {
        [one] => Ok(one
            .instructions
            .iter()
            .map(|instruction| Instruction {
                lines,
                kind: instruction.kind.clone(),
            })
            .collect()),
        _ => Err(bad("an instruction of the base begins a stage".to_owned())),
    }
}

fn told(problem: &Problem) -> OciError {
    OciError::Asked(problem.to_string())
}
