//! One engine, as builds use it: what is asked of its API, and what its failures mean.
//!
//! Everything here blocks, as builds do, on a runtime that all engines share. What an engine says is bounded and believed as far as
//! its machine is: that a container ended, and how. What a *container* holds is never believed; see `results`.

use std::collections::HashMap;
use std::fs::File;
use std::future::Future;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use bollard::models::{ContainerConfig, ContainerCreateBody, ContainerState, ImageInspect, VolumeCreateRequest};
use bollard::query_parameters as query;
use bollard::{Docker, body_stream};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};

use super::super::need::{Limit, SandboxError};
use crate::config::BuildHost;
use crate::images::engine::{Choice, Engine, Environment, Limits, Probed, Where};
use crate::stages::StopFlag;

/// Where all talk with engines happens.
static RUNTIME: LazyLock<io::Result<tokio::runtime::Runtime>> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("engines")
        .enable_all()
        .build()
});

/// How often it is looked at whether a build is to end.
const LOOK: Duration = Duration::from_millis(100);

/// How much is sent at once.
const PIECE: usize = 256 << 10;

/// Why an engine did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// There is no such thing on it.
    Absent(String),
    /// It does not do that; another one might not either.
    Refused(String),
    /// It is not there, does not answer, or fails.
    Lost(String),
}

impl Fault {
    /// What it says.
    pub(crate) fn message(&self) -> &str {
        match self {
            Self::Absent(message) | Self::Refused(message) | Self::Lost(message) => message,
        }
    }
}

impl From<bollard::errors::Error> for Fault {
    fn from(error: bollard::errors::Error) -> Self {
        // An engine's answer may hold anything.
        let said =
            |text: &str| windlass_core::escape::escaped(text.trim().chars().take(500).collect::<String>().as_str());
        if let bollard::errors::Error::DockerResponseServerError { status_code, message } = &error {
            return match status_code {
                404 => Self::Absent(said(message)),
                400..=499 => Self::Refused(said(message)),
                _ => Self::Lost(format!("{status_code}: {}", said(message))),
            };
        }
        // The reason is often only in what lies below.
        let mut text = error.to_string();
        let mut below = std::error::Error::source(&error);
        while let Some(error) = below {
            text = format!("{text}: {error}");
            below = error.source();
        }
        Self::Lost(said(&text))
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Lost(error.to_string())
    }
}

/// Until when something may take, and what ends it before.
#[derive(Debug, Clone)]
pub(crate) struct Patience {
    pub(super) stop: StopFlag,
    pub(super) deadline: Instant,
    pub(super) timeout: Duration,
}

impl Patience {
    /// Whether it is over, and why.
    pub(super) fn is_over(&self) -> Option<SandboxError> {
        if self.stop.is_set() {
            Some(SandboxError::Stopped)
        } else if Instant::now() >= self.deadline {
            Some(SandboxError::Limit(Limit::Time(self.timeout)))
        } else {
            None
        }
    }
}

/// The way to one engine. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    docker: Docker,
    /// What was started to reach it ends with this.
    _engine: Engine,
    /// How long one answer may take.
    answer: Duration,
}

impl Link {
    /// Makes the way, and asks the engine who it is.
    pub(crate) fn connect(host: &BuildHost, answer: Duration) -> Result<(Self, Probed), Fault> {
        let limits = Limits {
            probe: answer,
            answer,
            start: answer,
            ..Limits::default()
        };
        let place = Where {
            host: Some(host.host.clone()),
            certificates: host.tls.clone(),
        };
        let found = runtime()?.block_on(Engine::find_within(
            Choice::Auto,
            &place,
            &Environment::process(),
            limits,
        ));
        let engine = found.map_err(|none| {
            // It was the only one that was looked at.
            let why = none
                .tried
                .into_iter()
                .next()
                .map_or_else(String::new, |tried| tried.why);
            Fault::Lost(windlass_core::escape::escaped(&why.replace("\n\nhint: ", "; ")))
        })?;
        let docker = engine.client().map_err(|error| Fault::Lost(error.to_string()))?;
        let probed = engine.probed().clone();
        Ok((
            Self {
                docker,
                answer,
                _engine: engine,
            },
            probed,
        ))
    }

    /// Waits for one answer, no longer than an engine may take.
    fn asked<T>(&self, answer: impl Future<Output = Result<T, bollard::errors::Error>>) -> Result<T, Fault> {
        let most = self.answer;
        runtime()?.block_on(async {
            match tokio::time::timeout(most, answer).await {
                Ok(answer) => answer.map_err(Fault::from),
                Err(_) => Err(Fault::Lost(format!("it does not answer within {} s", most.as_secs()))),
            }
        })
    }

    /// Whether the root of its containers is somebody else on its machine: it runs without root, or maps ids.
    pub(super) fn maps_ids(&self) -> Result<bool, Fault> {
        let about = self.asked(self.docker.info())?;
        let options = about.security_options.unwrap_or_default();
        let named = |option: &String| {
            ["name=rootless", "name=userns"]
                .iter()
                .any(|name| option.starts_with(name))
        };
        Ok(options.iter().any(named))
    }

    /// What it says of an image; nothing if it has none of the name.
    pub(crate) fn image(&self, name: &str) -> Result<Option<ImageInspect>, Fault> {
        match self.asked(self.docker.inspect_image(name)) {
            Ok(image) => Ok(Some(image)),
            Err(Fault::Absent(_)) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Makes a container; its id comes back.
    pub(crate) fn create(&self, name: Option<&str>, body: ContainerCreateBody) -> Result<String, Fault> {
        let options = query::CreateContainerOptions {
            name: name.map(str::to_owned),
            ..query::CreateContainerOptions::default()
        };
        Ok(self.asked(self.docker.create_container(Some(options), body))?.id)
    }

    /// Starts a container.
    pub(crate) fn start(&self, container: &str) -> Result<(), Fault> {
        self.asked(
            self.docker
                .start_container(container, None::<query::StartContainerOptions>),
        )
    }

    /// Removes a container, whatever it does, with the volumes that are its only.
    pub(crate) fn remove(&self, container: &str) -> Result<(), Fault> {
        let options = query::RemoveContainerOptions {
            v: true,
            force: true,
            link: false,
        };
        gone(self.asked(self.docker.remove_container(container, Some(options))))
    }

    /// Makes a volume in memory that holds so many bytes.
    pub(crate) fn create_volume(&self, name: &str, bytes: u64, labels: HashMap<String, String>) -> Result<(), Fault> {
        // In blocks and not as `size=`, which Podman takes for a quota on a disk.
        let blocks = (bytes / 4096).max(1);
        let inodes = (bytes / 8192).max(65_536);
        // For everybody: where an engine maps ids, an owner would be another one than is meant. Only the builder runs where it is seen.
        let options = format!("nr_blocks={blocks},nr_inodes={inodes},mode=0777,nosuid,nodev");
        let request = VolumeCreateRequest {
            name: Some(name.to_owned()),
            driver: Some("local".to_owned()),
            driver_opts: Some(
                [
                    ("type", "tmpfs".to_owned()),
                    ("device", "tmpfs".to_owned()),
                    ("o", options),
                ]
                .map(|(key, value)| (key.to_owned(), value))
                .into(),
            ),
            labels: Some(labels),
            ..VolumeCreateRequest::default()
        };
        self.asked(self.docker.create_volume(request)).map(drop)
    }

    /// Removes a volume.
    pub(crate) fn remove_volume(&self, name: &str) -> Result<(), Fault> {
        let options = query::RemoveVolumeOptions { force: true };
        gone(self.asked(self.docker.remove_volume(name, Some(options))))
    }

    /// Makes an image of what a container has become.
    pub(crate) fn commit(
        &self,
        container: &str,
        name: &str,
        tag: &str,
        labels: HashMap<String, String>,
    ) -> Result<(), Fault> {
        let options = query::CommitContainerOptions {
            container: Some(container.to_owned()),
            repo: Some(name.to_owned()),
            tag: Some(tag.to_owned()),
            comment: None,
            author: None,
            pause: false,
            changes: None,
        };
        let config = ContainerConfig {
            labels: Some(labels),
            ..ContainerConfig::default()
        };
        // It copies what the container wrote.
        let patient = Self {
            answer: self.answer * 5,
            ..self.clone()
        };
        patient.asked(self.docker.commit_container(options, config)).map(drop)
    }

    /// Takes a name from an image, which goes with its last one.
    pub(crate) fn remove_image(&self, name: &str) -> Result<(), Fault> {
        let options = query::RemoveImageOptions {
            force: true,
            ..query::RemoveImageOptions::default()
        };
        gone(
            self.asked(self.docker.remove_image(name, Some(options), None))
                .map(drop),
        )
    }

    /// The containers, volumes and images that carry a label with this value.
    pub(super) fn labelled(&self, label: &str, value: &str) -> Result<Labelled, Fault> {
        // Images that people made carry labels too, but are for no build.
        let labels = vec![format!("{label}={value}"), super::label::BUILD.to_owned()];
        let filters: HashMap<String, Vec<String>> = [("label".to_owned(), labels)].into();
        let build = |mut labels: HashMap<String, String>| labels.remove(super::label::BUILD).unwrap_or_default();
        let containers = query::ListContainersOptions {
            all: true,
            filters: Some(filters.clone()),
            ..query::ListContainersOptions::default()
        };
        let volumes = query::ListVolumesOptions {
            filters: Some(filters.clone()),
        };
        let images = query::ListImagesOptions {
            filters: Some(filters),
            ..query::ListImagesOptions::default()
        };
        let containers = self.asked(self.docker.list_containers(Some(containers)))?;
        let volumes = self.asked(self.docker.list_volumes(Some(volumes)))?;
        let images = self.asked(self.docker.list_images(Some(images)))?;
        Ok(Labelled {
            containers: containers
                .into_iter()
                .filter_map(|one| Some((one.id?, build(one.labels?))))
                .collect(),
            volumes: volumes
                .volumes
                .unwrap_or_default()
                .into_iter()
                .map(|one| (one.name, build(one.labels)))
                .collect(),
            images: images
                .into_iter()
                .flat_map(|one| {
                    let build = build(one.labels);
                    one.repo_tags.into_iter().map(move |name| (name, build.clone()))
                })
                .collect(),
        })
    }

    /// Sends an archive into a container. The archive is read from its beginning.
    pub(crate) fn put(
        &self,
        container: &str,
        directory: &str,
        mut archive: File,
        patience: &Patience,
    ) -> Result<(), Trouble> {
        archive.rewind().map_err(Fault::from)?;
        let pieces = std::iter::from_fn(move || {
            let mut piece = vec![0; PIECE];
            let read = archive.read(&mut piece).ok().filter(|read| *read > 0)?;
            piece.truncate(read);
            Some(Bytes::from(piece))
        });
        let options = query::UploadToContainerOptions {
            path: directory.to_owned(),
            ..query::UploadToContainerOptions::default()
        };
        let sent = self
            .docker
            .upload_to_container(container, Some(options), body_stream(stream::iter(pieces)));
        patiently(patience, async move { sent.await.map_err(Fault::from) })
    }

    /// What kind of thing a path in a container is: whether it is a directory, and none by a link.
    pub(super) fn is_directory(&self, container: &str, path: &str) -> Result<bool, Fault> {
        // Go's bit for a directory, as the engines have it.
        const DIRECTORY: u32 = 1 << 31;
        let options = query::ContainerArchiveInfoOptions { path: path.to_owned() };
        match self.asked(self.docker.get_container_archive_info(container, Some(options))) {
            // Docker looks at the link itself; Podman follows it, and says where to.
            Ok(stat) => {
                Ok(stat.file_mode & DIRECTORY != 0 && (stat.link_target.is_empty() || stat.link_target == path))
            }
            Err(Fault::Absent(_)) => Ok(false),
            Err(fault) => Err(fault),
        }
    }

    /// Takes an archive of a path out of a container, into a file that is rewound; nothing where it has more than so many bytes.
    pub(super) fn get(
        &self,
        container: &str,
        path: &str,
        most: u64,
        patience: &Patience,
    ) -> Result<Option<File>, Trouble> {
        let options = query::DownloadFromContainerOptions { path: path.to_owned() };
        let pieces = self.docker.download_from_container(container, Some(options));
        self.kept(pieces, most, patience)
    }

    /// Takes an archive of all that a container has; nothing where it has more than so many bytes.
    pub(super) fn export(&self, container: &str, most: u64, patience: &Patience) -> Result<Option<File>, Trouble> {
        self.kept(self.docker.export_container(container), most, patience)
    }

    fn kept(
        &self,
        pieces: impl stream::Stream<Item = Result<Bytes, bollard::errors::Error>>,
        most: u64,
        patience: &Patience,
    ) -> Result<Option<File>, Trouble> {
        let mut file = tempfile::tempfile().map_err(Fault::from)?;
        let answer = self.answer;
        let whole = patiently(patience, async {
            let mut pieces = std::pin::pin!(pieces);
            let mut rest = most;
            loop {
                let Ok(piece) = tokio::time::timeout(answer, pieces.next()).await else {
                    return Err(Fault::Lost(format!("it sent nothing for {} s", answer.as_secs())));
                };
                let Some(piece) = piece.transpose()? else {
                    return Ok(true);
                };
                let Some(left) = rest.checked_sub(piece.len() as u64) else {
                    return Ok(false);
                };
                rest = left;
                file.write_all(&piece)?;
            }
        })?;
        file.rewind().map_err(Fault::from)?;
        Ok(whole.then_some(file))
    }

    /// Starts a container and gives all that it says to `said`, which tells whether it may say more; what became of it comes back.
    /// It may write so many bytes into its own layer, where that is said.
    pub(super) fn follow(
        &self,
        container: &str,
        patience: &Patience,
        said: &mut dyn FnMut(&[u8]) -> bool,
        most_written: Option<u64>,
    ) -> Result<Followed, Trouble> {
        let options = query::AttachContainerOptions {
            stream: true,
            stdout: true,
            stderr: true,
            ..query::AttachContainerOptions::default()
        };
        // Before it starts, so that nothing it says is missed.
        let mut attached = self.asked(self.docker.attach_container(container, Some(options)))?;
        self.start(container)?;
        let (link, answer) = (self.clone(), self.answer);
        patiently(patience, async {
            let mut tick = tokio::time::interval(TICK);
            let mut missed = 0;
            let mut is_open = true;
            loop {
                tokio::select! {
                    piece = attached.output.next(), if is_open => if let Some(Ok(piece)) = piece {
                        if !said(&piece.into_bytes()) {
                            return Ok(Followed::SaidTooMuch);
                        }
                    } else {
                        is_open = false;
                        tick.reset_immediately();
                    },
                    _ = tick.tick() => {
                        let options = query::InspectContainerOptions { size: most_written.is_some() };
                        let asked = link.docker.inspect_container(container, Some(options));
                        let seen = match tokio::time::timeout(answer, asked).await {
                            Ok(Ok(seen)) => seen,
                            Ok(Err(error)) => {
                                // One that is busy may miss a question; one that is gone misses all.
                                missed += 1;
                                let fault = Fault::from(error);
                                if missed >= MISSED || matches!(fault, Fault::Absent(_)) {
                                    return Err(Fault::Lost(fault.message().to_owned()));
                                }
                                tokio::time::sleep(LOOK).await;
                                continue;
                            }
                            Err(_) => return Err(Fault::Lost(format!("it does not answer within {} s", answer.as_secs()))),
                        };
                        missed = 0;
                        if most_written.is_some_and(|most| seen.size_rw.is_some_and(|size| size.unsigned_abs() > most)) {
                            return Ok(Followed::WroteTooMuch);
                        }
                        let state = seen.state.unwrap_or_default();
                        let runs = state.running == Some(true) || state.finished_at.as_deref().is_none_or(|at| at.starts_with("0001-"));
                        if runs {
                            if !is_open {
                                tokio::time::sleep(LOOK / 5).await;
                                tick.reset_immediately();
                            }
                        } else if !is_open {
                            return Ok(Followed::Ended(Box::new(state)));
                        } else {
                            // What it said last is still on its way, or its end was lost.
                            while let Ok(Some(Ok(piece))) = tokio::time::timeout(LAST, attached.output.next()).await {
                                if !said(&piece.into_bytes()) {
                                    return Ok(Followed::SaidTooMuch);
                                }
                            }
                            return Ok(Followed::Ended(Box::new(state)));
                        }
                    }
                }
            }
        })
    }
}

/// How often a container is looked at while it runs.
const TICK: Duration = Duration::from_secs(2);

/// How many questions in a row an engine may fail to answer while a container runs.
const MISSED: u32 = 3;

/// How long what an ended container said last is waited for.
const LAST: Duration = Duration::from_secs(2);

/// What became of a container that was followed.
#[derive(Debug)]
pub(super) enum Followed {
    /// It ended by itself.
    Ended(Box<ContainerState>),
    /// It was not let say more; it still runs.
    SaidTooMuch,
    /// It wrote more than it may; it still runs.
    WroteTooMuch,
}

/// Why a build did not go on.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It was to end, or took too long.
    Over(SandboxError),
    /// The engine.
    Engine(Fault),
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self::Engine(fault)
    }
}

/// What carries a label: names, and for which build each is.
#[derive(Debug, Default)]
pub(super) struct Labelled {
    pub(super) containers: Vec<(String, String)>,
    pub(super) volumes: Vec<(String, String)>,
    pub(super) images: Vec<(String, String)>,
}

/// What is not there need not be removed.
fn gone(done: Result<(), Fault>) -> Result<(), Fault> {
    match done {
        Err(Fault::Absent(_)) => Ok(()),
        other => other,
    }
}

/// Waits as long as a build may, and looks whether it is to end.
fn patiently<T>(patience: &Patience, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Trouble> {
    runtime()?.block_on(async {
        let mut work = std::pin::pin!(work);
        let mut look = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                done = &mut work => return done.map_err(Trouble::Engine),
                _ = look.tick() => if let Some(over) = patience.is_over() {
                    return Err(Trouble::Over(over));
                },
            }
        }
    })
}

fn runtime() -> Result<&'static tokio::runtime::Runtime, Fault> {
    RUNTIME
        .as_ref()
        .map_err(|error| Fault::Lost(format!("no runtime can be started: {error}")))
}
