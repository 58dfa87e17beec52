//! Containers: made, started, waited for, ended, removed; archives into and out of them; found by their labels.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;

use bollard::query_parameters::{
    InspectContainerOptions, KillContainerOptionsBuilder, ListContainersOptionsBuilder, RemoveContainerOptionsBuilder,
    ResizeContainerTTYOptionsBuilder, StartContainerOptions, WaitContainerOptionsBuilder,
};
use futures_util::StreamExt as _;
use hyper::Method;

use super::Engine;
use super::error::{Cause, EngineError};
use super::request::{Asked, CONTENT_TYPE_NAME, Payload, checked, pieces};

/// A container of an engine. Nothing happens to it when this goes: who makes one removes it.
#[derive(Debug, Clone)]
pub struct Container {
    engine: Engine,
    id: String,
}

/// How a container ended, by `inspect`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exited {
    /// Its exit code: 137 where it was killed.
    pub code: i64,
    /// Whether it took more memory than it may have.
    pub out_of_memory: bool,
    /// What the engine says went wrong with it, where something did.
    pub error: String,
}

/// A container in a list.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ContainerFacts {
    /// Its id.
    pub id: String,
    /// Its names.
    pub names: Vec<String>,
    /// The image that it was made from.
    pub image: String,
    /// The id of that image.
    pub image_id: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// Whether it runs.
    pub running: bool,
}

/// What came out of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// How many bytes of archive.
    pub bytes: u64,
}

impl Engine {
    /// A container that is there, by its id.
    pub fn container(&self, id: impl Into<String>) -> Container {
        Container {
            engine: self.clone(),
            id: id.into(),
        }
    }

    /// Lists containers that have all these labels (`NAME` or `NAME=value`), also those that do not run; all containers where none is
    /// named.
    ///
    /// # Errors
    /// The engine's.
    pub async fn containers(&self, labels: &[String]) -> Result<Vec<ContainerFacts>, EngineError> {
        let doing = "list the containers";
        let filters = [("label".to_owned(), labels.to_vec())].into();
        let options = ListContainersOptionsBuilder::default()
            .all(true)
            .filters(&filters)
            .build();
        let found = self.ask(doing, self.0.docker.list_containers(Some(options))).await?;
        let facts = found.into_iter().filter_map(|one| {
            Some(ContainerFacts {
                id: one.id?,
                names: one.names.unwrap_or_default(),
                image: one.image.unwrap_or_default(),
                image_id: one.image_id.unwrap_or_default(),
                labels: one.labels.unwrap_or_default().into_iter().collect(),
                created: one.created.unwrap_or(0),
                running: one.state.is_some_and(|state| state.to_string() == "running"),
            })
        });
        // The engine's filter is a convenience; what is removed on its word is looked at here.
        Ok(facts
            .filter(|one| labels.iter().all(|label| has(&one.labels, label)))
            .collect())
    }
}

fn has(labels: &BTreeMap<String, String>, wanted: &str) -> bool {
    match wanted.split_once('=') {
        Some((name, value)) => labels.get(name).is_some_and(|found| found == value),
        None => labels.contains_key(wanted),
    }
}

impl Container {
    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The engine that has it.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    fn doing(&self, what: &str) -> String {
        format!("{what} the container {}", self.id.get(..12).unwrap_or(&self.id))
    }

    /// Starts it.
    ///
    /// # Errors
    /// The engine's, as that its command is not there.
    pub async fn start(&self) -> Result<(), EngineError> {
        let doing = self.doing("start");
        let docker = &self.engine.0.docker;
        let options = None::<StartContainerOptions>;
        self.engine.ask(&doing, docker.start_container(&self.id, options)).await
    }

    /// Waits for its end, however long that takes, and says how it ended.
    ///
    /// # Errors
    /// The engine's; also that it is gone.
    pub async fn wait(&self) -> Result<Exited, EngineError> {
        let doing = self.doing("wait for");
        loop {
            let options = WaitContainerOptionsBuilder::default().condition("not-running").build();
            let mut ends = std::pin::pin!(self.engine.0.docker.wait_container(&self.id, Some(options)));
            match ends.next().await {
                // The code is not believed: a negative one comes as a good answer, one above 0 as an error.
                Some(Ok(_) | Err(bollard::errors::Error::DockerContainerWaitError { .. })) => {}
                Some(Err(error)) => return Err(EngineError::of(&doing, &error)),
                None => return Err(EngineError::cut(&doing, "the engine hung up while the container ran")),
            }
            if let Some(exited) = self.exited().await? {
                return Ok(exited);
            }
        }
    }

    /// How it ended; nothing while it runs or before it was started.
    ///
    /// # Errors
    /// The engine's; also that it is gone.
    pub async fn exited(&self) -> Result<Option<Exited>, EngineError> {
        let doing = self.doing("look at");
        let docker = &self.engine.0.docker;
        let found = self
            .engine
            .ask(
                &doing,
                docker.inspect_container(&self.id, None::<InspectContainerOptions>),
            )
            .await?;
        let state = found.state.unwrap_or_default();
        let status = state.status.map(|status| status.to_string()).unwrap_or_default();
        if state.running.unwrap_or(false) || !matches!(status.as_str(), "exited" | "stopped" | "dead") {
            return Ok(None);
        }
        Ok(Some(Exited {
            code: state
                .exit_code
                .ok_or_else(|| EngineError::garbage(&doing, "an end without an exit code"))?,
            out_of_memory: state.oom_killed.unwrap_or(false),
            error: windlass_core::escape::escaped(&state.error.unwrap_or_default()),
        }))
    }

    /// Sends it a signal, as in `SIGTERM`. One that has ended already is as good.
    ///
    /// # Errors
    /// The engine's.
    pub async fn signal(&self, signal: &str) -> Result<(), EngineError> {
        let doing = self.doing("signal");
        let options = KillContainerOptionsBuilder::default().signal(signal).build();
        let sent = self.engine.0.docker.kill_container(&self.id, Some(options));
        match self.engine.ask(&doing, sent).await {
            // Podman answers 500 to this, Docker 409: what counts is how it stands.
            Err(error) => match self.exited().await {
                Ok(Some(_)) => Ok(()),
                Err(gone) if gone.is_absent() => Ok(()),
                Ok(None) | Err(_) => Err(error),
            },
            Ok(()) => Ok(()),
        }
    }

    /// Removes it, running or not, with the volumes that have no name. One that is gone already is as good.
    ///
    /// # Errors
    /// The engine's.
    pub async fn remove(&self) -> Result<(), EngineError> {
        let doing = self.doing("remove");
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        let removed = self.engine.0.docker.remove_container(&self.id, Some(options));
        match self.engine.ask(&doing, removed).await {
            Err(error) if error.is_absent() => Ok(()),
            // Somebody else is at it.
            Err(error) if *error.cause() == Cause::Status(409) => self.gone(&doing).await,
            other => other,
        }
    }

    async fn gone(&self, doing: &str) -> Result<(), EngineError> {
        let options = WaitContainerOptionsBuilder::default().condition("removed").build();
        let limit = self.engine.0.limits.answer;
        let mut ends = std::pin::pin!(self.engine.0.docker.wait_container(&self.id, Some(options)));
        // Whatever it answers, it is the end of the removal.
        tokio::time::timeout(limit, ends.next())
            .await
            .map(|_| ())
            .map_err(|_| EngineError::timed_out(doing, limit))
    }

    /// Gives its terminal another size.
    ///
    /// # Errors
    /// The engine's.
    pub async fn resize(&self, rows: u16, columns: u16) -> Result<(), EngineError> {
        let doing = self.doing("resize the terminal of");
        let options = ResizeContainerTTYOptionsBuilder::default()
            .h(i32::from(rows))
            .w(i32::from(columns))
            .build();
        self.engine
            .ask(&doing, self.engine.0.docker.resize_container_tty(&self.id, options))
            .await
    }

    /// Unpacks an archive in tar's format into a directory of it, which has to be there.
    ///
    /// # Errors
    /// The engine's.
    pub async fn copy_in(&self, directory: &str, archive: File) -> Result<(), EngineError> {
        let doing = self.doing("copy into");
        let path = format!("/containers/{}/archive", checked(&doing, &self.id)?);
        let asked = Asked::new(Method::PUT, path, self.engine.0.limits.silence)
            .with("path", directory)
            .header(CONTENT_TYPE_NAME, "application/x-tar".into())
            .sending(Payload::File(archive));
        self.engine.send(&doing, asked).await.map(|_| ())
    }

    /// Writes a file or directory of it as an archive in tar's format. Nothing in the archive is to be trusted.
    ///
    /// # Errors
    /// The engine's, as that there is no such file; that it is longer than `most` bytes; the writer's.
    pub async fn copy_out(&self, path: &str, into: &mut (impl Write + Send), most: u64) -> Result<Copied, EngineError> {
        let doing = self.doing("copy out of");
        let url = format!("/containers/{}/archive", checked(&doing, &self.id)?);
        let silence = self.engine.0.limits.silence;
        let asked = Asked::new(Method::GET, url, silence).with("path", path);
        let answer = self.engine.send(&doing, asked).await?;
        let mut pieces = std::pin::pin!(pieces(&doing, answer, silence));
        let mut bytes = 0;
        while let Some(piece) = pieces.next().await {
            let piece = piece?;
            bytes += piece.len() as u64;
            if bytes > most {
                return Err(EngineError::senseless(
                    &doing,
                    format!("'{path}' is larger than {most} bytes"),
                ));
            }
            into.write_all(&piece)
                .map_err(|error| EngineError::local(&doing, &error))?;
        }
        Ok(Copied { bytes })
    }
}
