//! Stage build: one subtask on one architecture, from `pkg.tar` to packages.
//!
//! What a build depends on is known before it starts: `pkg.tar`, the packages of its root, the host, the macros. Their digest is the
//! result's key, and what was built under a key is not built again. What a package needs for its build is only known by running
//! rpm on its spec, which is code of the package's too; that is kept by what it depends on in the same way.

mod collect;
mod failure;
mod needs;
mod results;
mod root;
mod work;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use windlass_core::id::{ArchName, SubtaskNumber};
use windlass_core::repository::{ArchResult, Index};
use windlass_core::rpm::Package;

use self::needs::Needs;
use self::results::Results;
use self::root::Root;
use self::work::Work;
use super::{StageError, StopFlag};
use crate::sandbox::{Builder, Values};
use windlass_core::hex::hex;

/// What is to be built, on which architecture, and from what its build root may be taken.
#[derive(Debug, Clone)]
pub struct BuildOrder {
    /// The subtask.
    pub subtask: SubtaskNumber,
    /// The architecture.
    pub arch: ArchName,
    /// What it is built from.
    pub pkgtar: PathBuf,
    /// Its SHA-256, 64 lower-case hexadecimal digits.
    pub pkgtar_sha256: String,
    /// The spec file's name in it.
    pub spec: String,
    /// The value of `%dist`, where it is counted up: a rebuild of what is in the repository.
    pub dist: Option<String>,
    /// What the build root may be taken from; the first that has a package wins. The host's own package need not be here.
    pub layers: Vec<Layer>,
    /// Where the log of the build goes.
    pub log: PathBuf,
    /// The directory that gets the packages.
    pub out: PathBuf,
}

/// Packages for build roots: a task's earlier results, a repository, one of its bases.
#[derive(Debug, Clone)]
pub struct Layer {
    /// The packages.
    pub index: Index,
    /// Where their files are.
    pub files: Arc<dyn PackageFiles>,
}

/// Knows the files of packages.
pub trait PackageFiles: fmt::Debug + Send + Sync {
    /// The package's file on this machine; a foreign one is fetched for it.
    ///
    /// # Errors
    /// It cannot be had: mostly the infrastructure's fault.
    fn path(&self, package: &Package) -> Result<PathBuf, StageError>;
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct BuildOutcome {
    /// All that the result depends on, as 64 lower-case hexadecimal digits.
    pub key: String,
    /// Whether it was built before, and only taken over.
    pub reused: bool,
    /// What was built, or that it is not for this architecture.
    pub result: ArchResult,
    /// The packages' files, the source package's among them, by what [`Package::nevra`] says.
    pub files: BTreeMap<String, PathBuf>,
    /// The log of the build; of the first one, where it was built before.
    pub log: PathBuf,
    /// How long each step took, in the order in which they came.
    pub timings: Vec<(Step, Duration)>,
}

/// A step of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// What the host stands for is looked up.
    Host,
    /// Namespaces, file systems and limits are set up.
    Sandbox,
    /// `pkg.tar` is unpacked.
    Unpack,
    /// rpm says what the build needs.
    Requires,
    /// What has to be installed for it is worked out.
    Closure,
    /// It is installed.
    Root,
    /// rpm builds.
    Build,
    /// What it made is looked at and taken out.
    Collect,
    /// The result is kept for whoever builds the same again.
    Keep,
}

impl Step {
    /// The step's name, as in a log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Sandbox => "sandbox",
            Self::Unpack => "unpack",
            Self::Requires => "requires",
            Self::Closure => "closure",
            Self::Root => "root",
            Self::Build => "build",
            Self::Collect => "collect",
            Self::Keep => "keep",
        }
    }
}

/// Builds what was ordered, or takes over what was built before from the same.
///
/// It blocks; when `stop` is set the build is killed and nothing of it is left.
///
/// # Errors
/// The package cannot be built, the machine does not do its part, or the build was stopped.
pub fn run(builder: &Builder, order: &BuildOrder, stop: &StopFlag) -> Result<BuildOutcome, StageError> {
    let lost = Cell::new(None);
    for tries in 1.. {
        let result = attempt(builder, order, stop, &lost, tries);
        let Some(lost) = lost.take() else { return result };
        let why = match &result {
            Err(error) => error.to_string(),
            Ok(_) => return result,
        };
        match lost {
            // It is nobody's fault, and there may be another engine.
            Lost::Engine if tries < MOST_TRIES => {}
            // An engine that stops ends containers, and is not there the next time; a build that does it does it each time.
            Lost::Container if tries < MOST_ENDED => {}
            Lost::Container => return Err(failure::strange(order, &why)),
            Lost::Engine => return result,
        }
        tracing::warn!(%why, "a build is begun again: {why}");
        work::append(&order.log, &format!("windlass: {why}\nwindlass: it is begun again\n"));
    }
    Err(StageError::Stopped)
}

/// Why a build is worth another try at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lost {
    /// The engine that it ran on is lost.
    Engine,
    /// Somebody ended its container.
    Container,
}

fn attempt(
    builder: &Builder,
    order: &BuildOrder,
    stop: &StopFlag,
    lost: &Cell<Option<Lost>>,
    tries: u32,
) -> Result<BuildOutcome, StageError> {
    let mut clock = Clock::start();
    let found = builder.site(&order.arch, stop);
    let (host, target) = found.map_err(|error| failure::of_sandbox(order, builder.settings(), error, lost))?;
    let values = Values {
        dist: order.dist.as_deref(),
        database: host.database.as_deref(),
    };
    let macros = target.macros(builder.settings(), &values);
    clock.lap(Step::Host);
    let mut work = Work::new(work::Place {
        builder,
        order,
        stop,
        target: &target,
        macros: &macros,
        host: &host,
        lost,
        is_first: tries == 1,
    })?;
    let results = Results::of(builder);
    let base = key(&[
        "base 1",
        &order.pkgtar_sha256,
        &order.spec,
        &host.digest,
        order.arch.as_str(),
        &macros,
    ]);
    let mut needs = Needs::get(&mut work, &base, &mut clock)?;
    if let Some(why) = needs.excluded {
        work.say(&format!("not for {}: {why}", order.arch));
        return Ok(BuildOutcome {
            key: base,
            reused: !work.is_started(),
            result: ArchResult::Excluded { why },
            files: BTreeMap::new(),
            log: order.log.clone(),
            timings: clock.laps,
        });
    }
    loop {
        let root = Root::resolve(order, &host, &needs.requires)?;
        clock.lap(Step::Closure);
        let key = key(&[&base, &root.digest()]);
        if let Some(kept) = results.take(&key, order)? {
            clock.lap(Step::Collect);
            return Ok(kept.outcome(key, true, order, clock.laps));
        }
        if needs.is_dynamic() {
            // What it needs depends on what is there: it is asked again with that, until it asks for nothing new.
            match needs.more(&mut work, &root, &key, &mut clock)? {
                Some(more) => {
                    needs = more;
                    continue;
                }
                None => needs = needs.settled(),
            }
        }
        work.install(&root, &mut clock)?;
        if let Some(more) = work.build(&mut clock)? {
            // The spec asks for more where its text did not show it.
            needs = needs.grown(more);
            continue;
        }
        let built = collect::collect(&mut work, &results, &key)?;
        clock.lap(Step::Collect);
        let kept = results.keep(builder, built, &key, order)?;
        clock.lap(Step::Keep);
        work.say(&clock.summary());
        return Ok(kept.outcome(key, false, order, clock.laps));
    }
}

/// How often a build is begun, where engines are lost under it.
const MOST_TRIES: u32 = 5;

/// How often, where its container is ended by somebody.
const MOST_ENDED: u32 = 3;

/// A digest of texts, none of which can pass for another.
fn key(parts: &[&str]) -> String {
    let parts: Vec<String> = parts.iter().map(|part| format!("{}:{part}", part.len())).collect();
    hex(&Sha256::digest(parts.concat()))
}

/// How long each step took.
#[derive(Debug)]
struct Clock {
    last: Instant,
    laps: Vec<(Step, Duration)>,
}

impl Clock {
    fn start() -> Self {
        Self {
            last: Instant::now(),
            laps: Vec::new(),
        }
    }

    /// A step is over.
    fn lap(&mut self, step: Step) {
        let now = Instant::now();
        let took = now - self.last;
        self.last = now;
        match self.laps.iter_mut().find(|(known, _)| *known == step) {
            Some((_, sum)) => *sum += took,
            None => self.laps.push((step, took)),
        }
    }

    fn summary(&self) -> String {
        let laps: Vec<String> = self
            .laps
            .iter()
            .map(|(step, took)| format!("{} {} ms", step.as_str(), took.as_millis()))
            .collect();
        format!("time: {}", laps.join(", "))
    }
}
