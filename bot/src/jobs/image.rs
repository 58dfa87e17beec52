//! The build of an image, from the pinned generations to the record: build, look at what it holds, push.
//!
//! Each step may be done twice: an engine takes the layers that it has, what was pushed is there. So an attempt that is killed anywhere is
//! simply followed by another.

use std::collections::BTreeMap;
use std::io::Seek as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use windlass_core::image::label;
use windlass_core::job::{BuiltImage, ImageBuild, JobResult};

use super::Trouble;
use super::context::{self, Gathered};
use super::packages::{self, Package};
use super::pinned::Pinned;
use super::runner::{JobRunner, Order};
use crate::config::{EngineChoice, Image};
use crate::crash;
use crate::images::engine::{Choice, Engine, EngineBuild, EngineError, Environment, Logins, RunOrder, Where};
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

/// The log of an attempt, which several may write to.
#[derive(Clone)]
struct Log(Arc<Mutex<StageLog>>);

impl Log {
    fn line(&self, line: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).line(line);
    }

    /// A listener of its own for a step.
    fn listener(&self) -> impl FnMut(&str) + Send + use<> {
        let log = self.clone();
        move |line: &str| log.line(line)
    }
}

/// Builds an image, pushes it, and says what it is.
pub(super) async fn make(around: &Surroundings<'_>, log: StageLog, stop: Stopping) -> Result<JobResult, Trouble> {
    let log = Log(Arc::new(Mutex::new(log)));
    let made = Box::pin(make_said(around, &log, stop)).await;
    match &made {
        Ok(JobResult::Image(built)) => log.line(&format!("{}: {}", built.name, built.digest)),
        Ok(JobResult::Skipped { why }) => log.line(&format!("skipped: {why}")),
        Err(trouble) => trouble.message.lines().for_each(|line| log.line(line)),
    }
    made
}

async fn make_said(around: &Surroundings<'_>, log: &Log, mut stop: Stopping) -> Result<JobResult, Trouble> {
    let (config, wanted) = (&around.runner.config, around.build);
    let image = config
        .image(&wanted.image)
        .ok_or_else(|| Trouble::lasting(format!("image {} is not configured any more", wanted.image)))?;
    for reason in around.order.kind.reasons() {
        log.line(&format!("because: {reason}"));
    }
    let pinned = Pinned::of(config, &around.runner.repositories, image)?;
    let engine = engine(around.runner, image).await?;
    let logins = logins(around.runner, image)?;
    let (environment, limit) = (pinned.environment(), config.jobs.timeout.std());
    let mut listener = log.listener();
    let gathering = context::gather(image, &environment, limit, &mut listener);
    let archive = match unless_stopped(&mut stop, gathering).await? {
        Gathered::Ready(archive) => archive,
        Gathered::Skipped(why) => return Ok(JobResult::Skipped { why }),
    };
    let name = image.reference();
    let mut asked = EngineBuild::new(&name, archive, context::DOCKERFILE);
    asked.build_args.clone_from(&image.build_args);
    asked.platform.clone_from(&image.platform);
    asked.labels = labels(around, &name, &pinned);
    asked.logins = logins.clone();
    let built = engine
        .build(&mut asked, &mut log.listener(), &mut stop)
        .await
        .map_err(|error| of_error(&error))?;
    crash::point("job.built");
    let installed = unless_stopped(&mut stop, installed(&engine, &built.id)).await?;
    log.line(&format!("its package database holds {} packages", installed.len()));
    let mut result = BuiltImage {
        name: name.clone(),
        digest: built.id,
        pushed: false,
        reused: false,
        generations: pinned.generations(),
        packages: installed.iter().map(Package::nevra).collect(),
        provenance: None,
        sbom: None,
    };
    result.packages.sort();
    result.packages.dedup();
    if image.registry.is_some() {
        let pushed = engine
            .push(&name, &logins, &mut log.listener(), &mut stop)
            .await
            .map_err(|error| of_error(&error))?;
        result.digest =
            pushed.ok_or_else(|| Trouble::transient(format!("{name} was pushed, and nobody says as what")))?;
        result.pushed = true;
        crash::point("job.pushed");
    }
    Ok(JobResult::Image(result))
}

/// What a piece of work gives, unless the word to stop comes first: then it is given up.
async fn unless_stopped<T>(stop: &mut Stopping, work: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
    tokio::select! {
        done = work => done,
        () = stop.word() => Err(Trouble::transient("it was stopped")),
    }
}

/// The engine that builds it.
async fn engine(runner: &JobRunner, image: &Image) -> Result<Engine, Trouble> {
    let choice = match image.engine {
        EngineChoice::Auto => Choice::Auto,
        EngineChoice::Docker => Choice::Docker,
        EngineChoice::Podman => Choice::Podman,
        EngineChoice::None => {
            return Err(Trouble::lasting(format!(
                "image {} is to be built without an engine, which jobs do not do\n\nhint: engine = \"auto\" under [[image]]",
                image.name
            )));
        }
    };
    let place = Where {
        host: runner.config.jobs.engine_host.clone(),
        certificates: None,
    };
    let found = Engine::find(choice, &place, &Environment::process()).await;
    found.map_err(|error| Trouble::transient(error.to_string()))
}

/// Who we are to the image's registry.
fn logins(runner: &JobRunner, image: &Image) -> Result<Logins, Trouble> {
    let known = image.registry_host().and_then(|host| runner.config.registry(host));
    match known.and_then(|registry| registry.credentials.as_deref()) {
        Some(file) => Logins::read(file).map_err(|error| Trouble::lasting(error.to_string())),
        None => Ok(Logins::default()),
    }
}

/// Whose it is, and what it was made from.
fn labels(around: &Surroundings<'_>, name: &str, pinned: &Pinned) -> BTreeMap<String, String> {
    let tasks: Vec<String> = around.order.tasks.iter().map(ToString::to_string).collect();
    let mut labels = ours(around.order);
    labels.insert(label::PACKAGES.to_owned(), pinned.wanted(around.build));
    labels.insert(label::TAG.to_owned(), name.to_owned());
    if !tasks.is_empty() {
        labels.insert(label::TASK.to_owned(), tasks.join(" "));
    }
    labels
}

/// The labels by which what is ours is found, and cleared away where a kill left it.
fn ours(order: &Order) -> BTreeMap<String, String> {
    BTreeMap::from([
        (label::INSTANCE.to_owned(), format!("job-{}", order.id)),
        (label::OWNER.to_owned(), rustix::process::getuid().as_raw().to_string()),
    ])
}

/// What the image holds, by its own package database: copied out of a container that is never started.
async fn installed(engine: &Engine, id: &str) -> Result<Vec<Package>, Trouble> {
    let dir = tempfile::Builder::new().prefix("windlass-rpmdb-").tempdir();
    let dir = dir.map_err(|error| Trouble::transient(format!("no temporary directory: {error}")))?;
    let mut order = RunOrder::new(id, ["/windlass-never-starts-this"]);
    order.network = Some("none".to_owned());
    order.labels = BTreeMap::from([
        (label::INSTANCE.to_owned(), "job".to_owned()),
        (label::OWNER.to_owned(), rustix::process::getuid().as_raw().to_string()),
    ]);
    let container = engine.create(&order).await.map_err(|error| of_error(&error))?;
    let copied = copy(&container, dir.path()).await;
    let removed = container.remove().await;
    copied?;
    removed.map_err(|error| of_error(&error))?;
    let read = tokio::task::spawn_blocking(move || {
        let mut all = Vec::new();
        for place in packages::PLACES {
            let database = dir.path().join(place);
            if database.is_dir() {
                all.extend(packages::read(&database)?);
            }
        }
        Ok::<_, packages::PackagesError>(all)
    });
    let read = read.await.map_err(|error| Trouble::lasting(error.to_string()))?;
    read.map_err(|error| Trouble::lasting(error.to_string()))
}

async fn copy(container: &crate::images::engine::Container, into: &Path) -> Result<(), Trouble> {
    let disk = |error: std::io::Error| Trouble::transient(error.to_string());
    for place in packages::PLACES {
        let mut archive = tempfile::tempfile().map_err(disk)?;
        match container.copy_out(&format!("/{place}"), &mut archive, LARGEST).await {
            Ok(_) => {}
            Err(error) if error.is_absent() => continue,
            Err(error) => return Err(of_error(&error)),
        }
        archive.rewind().map_err(disk)?;
        let dir = into.join(place);
        std::fs::create_dir_all(&dir).map_err(disk)?;
        packages::unpack(archive, &dir).map_err(|error| Trouble::lasting(error.to_string()))?;
    }
    Ok(())
}

fn of_error(error: &EngineError) -> Trouble {
    Trouble::of(error, error.is_transient())
}
