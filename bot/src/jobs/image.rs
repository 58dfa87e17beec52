//! The build of an image, from the pinned generations to the record: build, look at what it holds, push, say where it comes from.
//!
//! Each step may be done twice: what was built is up to date then, what was pushed is there, a statement is made again beside the first. So
//! an attempt that is killed anywhere is simply followed by another.

use std::collections::BTreeMap;
use std::io::Seek as _;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use windlass_core::id::{JobId, TaskId};
use windlass_core::image::{ImageName, label};
use windlass_core::job::{BuiltImage, ImageBuild, JobResult};
use windlass_core::task::Action;

use super::logs::Log;
use super::packages;
use super::pinned::{Pinned, Wish};
use super::place::{self, Place};
use super::runner::{JobRunner, Order};
use super::{Trouble, statements};
use crate::config::Image;
use crate::crash;
use crate::images::build::{self, BuildError, BuildRequest, Built, Session, Stock};
use crate::images::engine::{Container, Engine, EngineError, RunOrder};
use crate::images::logins::Logins;
use crate::images::registry::Registry;
use crate::images::sbom::Package;
use crate::stages::StageLog;
use crate::stop::Stopping;

/// The largest package database that is copied out of an image.
const LARGEST: u64 = 2 << 30;

/// What a build needs to know.
pub(super) struct Surroundings<'a> {
    pub(super) runner: &'a JobRunner,
    pub(super) order: &'a Order,
    pub(super) build: &'a ImageBuild,
}

/// Builds an image, pushes it, and says what it is.
pub(super) async fn make(around: &Surroundings<'_>, log: StageLog, stop: Stopping) -> Result<JobResult, Trouble> {
    let log = Log::new(log);
    let made = Box::pin(make_said(around, &log, stop)).await;
    log.end(made)
}

async fn make_said(around: &Surroundings<'_>, log: &Log, mut stop: Stopping) -> Result<JobResult, Trouble> {
    let began = Timestamp::now();
    let (config, order) = (&around.runner.config, around.build);
    let image = config
        .image(&order.image)
        .ok_or_else(|| Trouble::lasting(format!("image {} is not configured any more", order.image)))?;
    for reason in around.order.kind.reasons() {
        log.say(&format!("because: {reason}"));
    }
    let wish = Wish {
        what: format!("image {}", image.name),
        arch: image.arch(config),
        packages: image.packages.clone(),
        from: image.repositories(config),
    };
    let pinned = Pinned::of(config, &around.runner.repositories, wish)?;
    let name = ImageName::local(&image.reference()).map_err(|error| Trouble::lasting(error.to_string()))?;
    let Place { stock, no_engine } = place::place(around.runner, image).await?;
    let logins = place::logins(around.runner, image)?;
    let registry = match &image.registry {
        Some(_) => Some(place::registry(around.runner, image)?),
        None => None,
    };
    let request = request(around, image, &name, &pinned);
    let session = session(around.runner, stock.clone(), logins.clone(), log, stop.clone());
    let built = Box::pin(build::build(&session, &request))
        .await
        .map_err(|error| of_build(&error, no_engine.as_deref()))?;
    let (id, reused) = match &built {
        Built::Skipped { why, .. } => return Ok(JobResult::Skipped { why: why.clone() }),
        Built::UpToDate { id } | Built::Fetched { id, .. } => (id.clone(), true),
        Built::Built { id, .. } => (id.clone(), false),
    };
    crash::point("job.built");
    let looking = Box::pin(installed(around, &stock, &name, &id));
    let installed = unless_stopped(&mut stop, looking).await?;
    log.say(&format!("its package database holds {} packages", installed.len()));
    let mut result = BuiltImage {
        name: name.to_string(),
        digest: id,
        pushed: false,
        reused,
        generations: pinned.generations(),
        packages: installed.iter().map(Package::nevra).collect(),
        provenance: None,
        sbom: None,
    };
    result.packages.sort();
    result.packages.dedup();
    let Some(registry) = registry else {
        return Ok(JobResult::Image(result));
    };
    let pushing = Box::pin(push(&stock, &registry, &name, &logins, log, stop.clone()));
    result.digest = unless_stopped(&mut stop, pushing).await?;
    result.pushed = true;
    crash::point("job.pushed");
    let story = statements::Story {
        image,
        build: order,
        job: around.order.id,
        tasks: &around.order.tasks,
        began,
        queued: around.order.queued,
        commit: commit(around).await,
        result: &result,
        installed: &installed,
    };
    let platform = place::platform(image, &session.native())?;
    let attaching = Box::pin(story.attach(&registry, &name, &platform));
    let (provenance, sbom) = unless_stopped(&mut stop, attaching).await?;
    result.provenance = Some(provenance);
    result.sbom = Some(sbom);
    crash::point("job.attached");
    Ok(JobResult::Image(result))
}

/// Why nothing was built. What cannot be built without an engine may be built when one is there again.
fn of_build(error: &BuildError, no_engine: Option<&str>) -> Trouble {
    match no_engine {
        Some(why) => Trouble::transient(format!("{error}\n\nno engine is there that might do better: {why}")),
        None => Trouble::of(error, error.is_transient() || matches!(error, BuildError::Stopped)),
    }
}

/// What a piece of work gives, unless the word to stop comes first: then it is given up.
async fn unless_stopped<T>(stop: &mut Stopping, work: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
    tokio::select! {
        done = work => done,
        () = stop.word() => Err(Trouble::transient("it was stopped")),
    }
}

/// What is asked of the builder.
fn request(around: &Surroundings<'_>, image: &Image, name: &ImageName, pinned: &Pinned) -> BuildRequest {
    let mut request = BuildRequest::new(name.clone(), &image.dockerfile);
    request.what.context = Some(image.context().to_owned());
    request.what.build_args.clone_from(&image.build_args);
    request.what.platform.clone_from(&image.platform);
    request.environment = pinned.environment();
    request.pre = build::request::Pre::Run(around.runner.config.jobs.timeout.std());
    // Whatever stands on what is a job of its own: none is built on the way.
    request.places.prefixes = Vec::new();
    let tasks: Vec<String> = around.order.tasks.iter().map(ToString::to_string).collect();
    request.origin.task = (!tasks.is_empty()).then(|| tasks.join(" "));
    request.origin.packages = Some(pinned.wanted(around.build));
    request
}

fn session(runner: &JobRunner, stock: Stock, logins: Logins, log: &Log, stop: Stopping) -> Session {
    let to = log.clone();
    let talk = Arc::new(Mutex::new(move |line: &str| to.say(line)));
    let state = runner.paths.state().join("images");
    let mut session = Session::new(stock, talk, stop);
    session.digests = Some(state.join("digests"));
    session.records = None;
    session.locks = state.join("locks");
    session.logins = logins;
    session
}

/// What the image holds, by its own package database.
async fn installed(
    around: &Surroundings<'_>,
    stock: &Stock,
    name: &ImageName,
    id: &str,
) -> Result<Vec<Package>, Trouble> {
    let dir = tempfile::Builder::new()
        .prefix("windlass-rpmdb-")
        .tempdir()
        .map_err(|error| Trouble::transient(format!("no temporary directory: {error}")))?;
    match stock {
        Stock::Engine(engine) => of_engine(around, engine, id, dir.path()).await?,
        Stock::Layouts(layouts) => {
            let (layout, image) = layouts
                .image(name)
                .ok_or_else(|| Trouble::lasting(format!("{name} was built and is not there")))?;
            let layers = image.manifest.layers.iter();
            let layers: Vec<_> = layers
                .map(|layer| (layout.blob(&layer.digest), layer.media_type.clone()))
                .collect();
            let into = dir.path().to_owned();
            let unpacked = tokio::task::spawn_blocking(move || packages::unpack_layers(&layers, &into)).await;
            unpacked
                .map_err(|error| Trouble::lasting(error.to_string()))?
                .map_err(|error| Trouble::lasting(error.to_string()))?;
        }
    }
    let read = tokio::task::spawn_blocking(move || {
        let mut all = Vec::new();
        for place in packages::PLACES {
            let database = dir.path().join(place);
            if database.is_dir() {
                all.extend(packages::read(&database)?);
            }
        }
        all.sort();
        all.dedup();
        Ok::<_, packages::PackagesError>(all)
    });
    read.await
        .map_err(|error| Trouble::lasting(error.to_string()))?
        .map_err(|error| Trouble::lasting(error.to_string()))
}

/// Copies the databases out of a container that is never started.
async fn of_engine(
    around: &Surroundings<'_>,
    engine: &Engine,
    id: &str,
    into: &std::path::Path,
) -> Result<(), Trouble> {
    let container = container(around.order.id, engine, id).await?;
    let copied = async {
        for place in packages::PLACES {
            let mut archive = tempfile::tempfile().map_err(|error| Trouble::transient(error.to_string()))?;
            match container.copy_out(&format!("/{place}"), &mut archive, LARGEST).await {
                Ok(_) => {}
                Err(error) if error.is_absent() => continue,
                Err(error) => return Err(of_error(&error)),
            }
            archive
                .rewind()
                .map_err(|error| Trouble::transient(error.to_string()))?;
            let dir = into.join(place);
            std::fs::create_dir_all(&dir).map_err(|error| Trouble::transient(error.to_string()))?;
            packages::unpack(archive, &dir).map_err(|error| Trouble::lasting(error.to_string()))?;
        }
        Ok(())
    };
    let copied = copied.await;
    let removed = container.remove().await;
    copied?;
    removed.map_err(|error| of_error(&error))
}

/// A container of an image that is never started: only to copy out of it.
pub(super) async fn container(job: JobId, engine: &Engine, id: &str) -> Result<Container, Trouble> {
    let mut order = RunOrder::new(id, ["/windlass-never-starts-this"]);
    order.network = Some("none".to_owned());
    order.labels = BTreeMap::from([
        (label::INSTANCE.to_owned(), format!("job-{job}")),
        (label::OWNER.to_owned(), rustix::process::getuid().as_raw().to_string()),
    ]);
    engine.create(&order).await.map_err(|error| of_error(&error))
}

pub(super) fn of_error(error: &EngineError) -> Trouble {
    Trouble::of(error, error.is_transient())
}

/// Pushes it; the digest of its manifest in the registry.
async fn push(
    stock: &Stock,
    registry: &Registry,
    name: &ImageName,
    logins: &Logins,
    log: &Log,
    mut stop: Stopping,
) -> Result<String, Trouble> {
    let of_registry = |error: crate::images::registry::RegistryError| Trouble::of(&error, error.is_transient());
    match stock {
        Stock::Engine(engine) => {
            let mut talk = |line: &str| log.say(line);
            let digest = engine
                .push(&name.to_string(), logins, &mut talk, &mut stop)
                .await
                .map_err(|error| of_error(&error))?;
            match digest {
                Some(digest) => Ok(digest),
                None => Ok(registry.resolve(name).await.map_err(of_registry)?.to_string()),
            }
        }
        Stock::Layouts(layouts) => {
            let (layout, image) = layouts
                .image(name)
                .ok_or_else(|| Trouble::lasting(format!("{name} was built and is not there")))?;
            let digest = registry.push(&layout, &image, name).await.map_err(of_registry)?;
            Ok(digest.to_string())
        }
    }
}

/// The source and the commit whose tag made the job necessary, if a task did: the newest one's first.
async fn commit(around: &Surroundings<'_>) -> Option<(String, String)> {
    let tasks = around.order.tasks.clone();
    let found = around.runner.writer.call(move |state| {
        let world = state.world();
        let of = |id: &TaskId| {
            world
                .task(*id)?
                .subtasks
                .iter()
                .find_map(|subtask| match &subtask.action {
                    Action::Build { source, commit, .. } => Some((source.to_string(), commit.to_string())),
                    Action::Remove { .. } | Action::Rebuild { .. } | Action::Copy { .. } => None,
                })
        };
        Ok(tasks.iter().rev().find_map(of))
    });
    found.await.ok().flatten()
}
