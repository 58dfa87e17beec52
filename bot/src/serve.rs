//! The bot: takes requests in, decides them, answers; from start to orderly end.
//!
//! Start: the state is locked, the journal opened and folded, the socket bound. Then, side by side: clients of the socket,
//! files of the spool, pushes whose hook was killed, the tasks that are run, the jobs that follow from them. Nothing that happens at a start happens twice, however often it is
//! killed: every request has its id on record. End: at SIGTERM or SIGINT no new client is let in, what is being decided is
//! answered, and the socket goes.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use rustix::fs::FlockOperation;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use tokio::time::MissedTickBehavior;
use windlass_hooks::claims::Ledger;
use windlass_hooks::settings::{Settings, uid_of};

use crate::commands::Commands;
use crate::commands::facts::Sources;
use crate::commands::repo::Desk;
use crate::config::Config;
use crate::devices::server::{Offers, Server as UpdateServer};
use crate::devices::stock::Stock;
use crate::exit::Broken;
use crate::http::Server;
use crate::intake::socket::{Door, Socket};
use crate::intake::spool::Intake;
use crate::jobs::JobRunner;
use crate::reconcile::reconcile;
use crate::repository::{Repositories, RepositoryError};
use crate::runner::{Runner, recover};
use crate::sandbox::{Builder, Sweeps};
use crate::stop::{self, Stopping};
use crate::writer::{Handle, Writer};

/// How often what is old is cleared away in the repositories.
const GARBAGE_EVERY: Duration = Duration::from_hours(1);

/// How often the spool is looked into.
const SPOOL_EVERY: Duration = Duration::from_millis(500);

/// Serves until told to stop.
///
/// # Errors
/// Something that is needed cannot be had: [`Broken`] says what and how to mend it.
pub fn serve(config: &Config, settings: &Settings) -> anyhow::Result<()> {
    room_for_clients();
    // What the bot writes is its own; the socket says otherwise of itself.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let paths = &settings.paths;
    let _lock = StateLock::take(&paths.state())?;
    let writer = Writer::start(&paths.journal())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot start")?;
    let served = runtime.block_on(run(config, settings, &writer));
    // Whoever still waits for something holds a handle: with the runtime it goes.
    runtime.shutdown_timeout(Duration::from_secs(5));
    writer.finish();
    tracing::info!("stopped");
    served
}

async fn run(config: &Config, settings: &Settings, writer: &Writer) -> anyhow::Result<()> {
    let paths = &settings.paths;
    let (stop, stopping) = stop::channel();
    let repositories = Arc::new(open_repositories(config, settings, writer).await?);
    let desk = Desk::new(Arc::clone(&repositories), config, writer.handle());
    let commands = Commands::new(Sources::new(config, settings), writer.handle(), stopping.clone()).with_desk(desk);
    let runner = Runner {
        config: Arc::new(config.clone()),
        paths: paths.clone(),
        writer: writer.handle(),
        sources: Arc::clone(commands.sources()),
        repositories: Arc::clone(&repositories),
        builder: builder(config, settings)?,
    };
    let offers = Offers::default();
    let jobs = JobRunner {
        budget: config.lab.budget(),
        config: Arc::clone(&runner.config),
        paths: paths.clone(),
        writer: writer.handle(),
        repositories: Arc::clone(&repositories),
        builder: runner.builder.clone(),
        offers: offers.clone(),
    };
    let trusted = trusted(settings);
    let door = Door {
        trusted: trusted.clone(),
        admins: admins(settings),
        most: config.server.max_connections,
        patience: Duration::from_secs(config.server.request_timeout.as_secs()),
    };
    let server = Server::bind(config, Arc::clone(&repositories)).await?;
    let updates = UpdateServer::configured(config, offers.clone())
        .await
        .map_err(Broken::from)?;
    let path = paths.socket();
    let socket = Socket::bind(&path).map_err(|error| no_socket(&path, &error))?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let head = commands.writer().call(|state| Ok(state.head())).await?;
    tracing::info!(socket = %path.display(), journal.seq = head.seq, "serving at {}, the journal has {} rows", path.display(), head.seq);

    let http = server.map(|server| {
        if let Ok(address) = server.address() {
            tracing::info!(http.address = %address, "repositories are served at http://{address}/repos/");
        }
        tokio::spawn(server.serve(stopping.clone()))
    });
    let updates = updates.map(|server| {
        let address = server.address();
        tracing::info!(http.address = %address, "updates are served at http://{address}/update");
        // Reading what is on offer takes a while: nobody waits for it.
        let (config, stock) = (config.clone(), Stock::below(&paths.state()));
        tokio::task::spawn_blocking(move || {
            offers.put_configured(&config);
            offers.put_stock(&stock);
        });
        tokio::spawn(server.serve(stopping.clone()))
    });
    let clients = tokio::spawn(socket.serve(door, commands.clone(), stopping.clone()));
    let intake = Intake::new(paths.spool(), paths.state().join("rejected"), trusted);
    let spool = tokio::spawn(watch_spool(intake, commands.clone(), stopping.clone()));
    let every = Duration::from_secs(config.server.reconcile_every.as_secs().max(1));
    let ledger = Ledger::new(paths.claims());
    let pushes = tokio::spawn(watch_pushes(ledger, every, commands, stopping.clone()));
    let garbage = tokio::spawn(watch_garbage(repositories, writer.handle(), stopping.clone()));
    let jobs = tokio::spawn(jobs.run(stopping.clone()));
    let tasks = tokio::spawn(runner.run(stopping));

    tokio::select! {
        _ = terminate.recv() => tracing::info!("told to stop"),
        _ = interrupt.recv() => tracing::info!("interrupted"),
    }
    stop.now();
    for part in [clients, spool, pushes, tasks, jobs, garbage]
        .into_iter()
        .chain(http)
        .chain(updates)
    {
        if let Err(error) = part.await {
            tracing::error!(%error, "a part of the bot has failed: {error}");
        }
    }
    Ok(())
}

/// Opens all repositories, and finishes or takes back what a crash cut off.
async fn open_repositories(config: &Config, settings: &Settings, writer: &Writer) -> anyhow::Result<Repositories> {
    let (config, paths, writer) = (config.clone(), settings.paths.clone(), writer.handle());
    let opened = tokio::task::spawn_blocking(move || {
        let repositories = Repositories::open(&config, &paths)?;
        recover(&repositories, &writer, &paths)?;
        Ok::<_, RepositoryError>(repositories)
    });
    opened.await?.map_err(|error| Broken::new(error.to_string()).into())
}

/// What builds packages; what builds of a killed bot left is gone then.
fn builder(config: &Config, settings: &Settings) -> anyhow::Result<Builder> {
    let builder = Builder::of_this_program(config, &settings.paths, Sweeps::Yes)
        .context("the system does not say which program this is")?;
    builder.sweep();
    Ok(builder)
}

/// Looks into the spool at start and then again and again.
async fn watch_spool(mut intake: Intake, commands: Commands, mut stopping: Stopping) {
    let mut again = tokio::time::interval(SPOOL_EVERY);
    again.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = false;
    loop {
        tokio::select! {
            _ = again.tick() => {}
            () = stopping.word() => return,
        }
        match intake.take_all(&commands).await {
            Ok(_) => told = false,
            Err(error) if !told => {
                tracing::error!(%error, "the spool cannot be read: {error}");
                told = true;
            }
            Err(_) => {}
        }
    }
}

/// Looks for pushes that nobody handed over, at start and then again and again.
async fn watch_pushes(ledger: Ledger, every: Duration, commands: Commands, mut stopping: Stopping) {
    let mut again = tokio::time::interval(every);
    again.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = again.tick() => {}
            () = stopping.word() => return,
        }
        match reconcile(&ledger, &commands).await {
            Ok(round) if round.left > 0 => {
                tracing::warn!(left = round.left, "{} pushes could not be taken up", round.left);
            }
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "{error}"),
        }
    }
}

/// Clears away in the repositories, at start and then again and again.
async fn watch_garbage(repositories: Arc<Repositories>, writer: Handle, mut stopping: Stopping) {
    let mut again = tokio::time::interval(GARBAGE_EVERY);
    again.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = again.tick() => {}
            () = stopping.word() => return,
        }
        for repository in repositories.iter() {
            let (repository, writer) = (Arc::clone(repository), writer.clone());
            let name = repository.name().clone();
            let cleared = tokio::task::spawn_blocking(move || repository.clear_away(&writer)).await;
            match cleared {
                Ok(Ok(garbage)) if garbage.generations.is_empty() && garbage.files.is_empty() => {}
                Ok(Ok(garbage)) => tracing::info!(
                    repository = %name, generations = garbage.generations.len(), files = garbage.files.len(), bytes = garbage.bytes,
                    "{name}: cleared away {} generations and {} package files",
                    garbage.generations.len(),
                    garbage.files.len()
                ),
                Ok(Err(error)) => {
                    tracing::error!(repository = %name, %error, "{name} cannot be cleared of what is old: {error}");
                }
                Err(error) => tracing::error!(repository = %name, %error, "clearing {name} has failed: {error}"),
            }
        }
    }
}

/// Who may speak for everybody: git's user, the bot's, root, and whoever runs this.
fn trusted(settings: &Settings) -> Vec<u32> {
    let mut trusted = settings.users.trusted_uids();
    let own = rustix::process::geteuid().as_raw();
    if !trusted.contains(&own) {
        trusted.push(own);
    }
    trusted
}

/// Who may change repositories as a whole: the bot's user, root, and whoever runs this.
fn admins(settings: &Settings) -> Vec<u32> {
    let mut admins = vec![0, rustix::process::geteuid().as_raw()];
    admins.extend(uid_of(&settings.users.bot));
    admins
}

/// Every client is an open file: as many as the system lets us have.
fn room_for_clients() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "the limit of open files stays as it is: {error}");
    }
}

fn no_socket(path: &Path, error: &io::Error) -> Broken {
    let broken = Broken::new(format!("the socket {} cannot be bound: {error}", path.display()));
    let kind = error.kind();
    if matches!(kind, io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) {
        broken.hint("windlass doctor --fix makes its directory with the right owner and mode")
    } else if kind == io::ErrorKind::InvalidInput {
        broken.hint("a socket's path has at most 107 bytes: set [paths] socket to a shorter one")
    } else {
        broken
    }
}

/// The right to write the state. Only one process has it, and it goes with the process.
#[derive(Debug)]
pub struct StateLock {
    _file: File,
}

impl StateLock {
    /// Takes the lock of a state directory.
    ///
    /// # Errors
    /// Another process has it, or the directory cannot be written.
    pub fn take(state: &Path) -> Result<Self, Broken> {
        Self::try_take(state)?.ok_or_else(|| {
            Broken::new(format!(
                "another bot, or a restore, has the state directory {}",
                state.display()
            ))
            .hint("there is one bot to a state directory: systemctl status windlass")
        })
    }

    /// As [`StateLock::take`]; nothing where another process has it.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn try_take(state: &Path) -> Result<Option<Self>, Broken> {
        let path: PathBuf = state.join("lock");
        let cannot = |error: io::Error| {
            Broken::new(format!(
                "the state directory cannot be used: {}: {error}",
                path.display()
            ))
            .hint("windlass doctor --fix makes it with the right owner and mode")
        };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(cannot)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(cannot(error.into())),
        }
    }
}
