//! Builds by an engine: BuildKit where Docker has it, the classic builder else, and on Podman its own.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Seek as _, SeekFrom};

use hyper::Method;
use serde_json::json;

use super::buildkit::{self, Trace};
use super::error::{Cause, EngineError};
use super::images::ImageFacts;
use super::login;
use super::messages::{Lines, Message};
use super::request::{Asked, CONTENT_TYPE_NAME, Payload, checked};
use super::{Engine, Log};
use crate::images::logins::Logins;
use crate::stop::Stopping;

/// Which builder of Docker's is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Builder {
    /// BuildKit where the engine has it, and the classic one where BuildKit cannot do it without a session.
    #[default]
    Auto,
    /// The classic one.
    Classic,
    /// BuildKit and nothing else.
    BuildKit,
}

/// What is to be built.
#[derive(Debug)]
pub struct EngineBuild {
    /// The full name that the image gets.
    pub tag: String,
    /// The context, an archive in tar's format; a file, because it may have to be sent twice.
    pub context: File,
    /// The Dockerfile's path within it.
    pub dockerfile: String,
    /// `--build-arg`
    pub build_args: BTreeMap<String, String>,
    /// Labels that are put on the image. The build counts as done when they are there.
    pub labels: BTreeMap<String, String>,
    /// `--target`
    pub target: Option<String>,
    /// `--platform`
    pub platform: Option<String>,
    /// `--network`
    pub network: Option<String>,
    /// `--add-host`, as `name:address`.
    pub extra_hosts: Vec<String>,
    /// `--memory`, in bytes.
    pub memory: Option<u64>,
    /// `--shm-size`, in bytes.
    pub shm_size: Option<u64>,
    /// `--pull`: newer bases are looked for.
    pub pull: bool,
    /// `--no-cache`
    pub no_cache: bool,
    /// Images whose layers may be taken.
    pub cache_from: Vec<String>,
    /// Whether the image is to carry what makes it a cache for others, where the engine can.
    pub inline_cache: bool,
    /// Which builder.
    pub builder: Builder,
    /// For bases that have to be pulled. BuildKit does not get them without a session: then the classic builder does.
    pub logins: Logins,
}

impl EngineBuild {
    /// A build of this name from this context, and nothing else said.
    pub fn new(tag: impl Into<String>, context: File, dockerfile: impl Into<String>) -> Self {
        Self {
            tag: tag.into(),
            context,
            dockerfile: dockerfile.into(),
            build_args: BTreeMap::new(),
            labels: BTreeMap::new(),
            target: None,
            platform: None,
            network: None,
            extra_hosts: Vec::new(),
            memory: None,
            shm_size: None,
            pull: false,
            no_cache: false,
            cache_from: Vec::new(),
            inline_cache: false,
            builder: Builder::Auto,
            logins: Logins::default(),
        }
    }
}

impl Engine {
    /// Builds an image, and looks whether it is the one that was asked for.
    ///
    /// When `stop` says so the engine sees us hang up and ends the build; no name is given to anything then.
    ///
    /// # Errors
    /// The engine's; [`Cause::Step`] where a command of the Dockerfile failed; [`Cause::NotDone`] where the engine said that all was well,
    /// and the image is not there or lacks our labels.
    pub async fn build(
        &self,
        build: &mut EngineBuild,
        log: &mut dyn Log,
        stop: &mut Stopping,
    ) -> Result<ImageFacts, EngineError> {
        let doing = format!("build {}", build.tag);
        checked(&doing, &build.tag)?;
        let has = self.probed().buildkit;
        let buildkit = match build.builder {
            Builder::Auto => has,
            Builder::Classic => false,
            Builder::BuildKit if has => true,
            Builder::BuildKit => {
                let why = format!("this {} has no BuildKit", self.probed().kind.name());
                return Err(EngineError::senseless(&doing, why).hint("leave the builder to be chosen"));
            }
        };
        let mut result = self.build_by(&doing, build, buildkit, log, stop).await;
        if let Err(error) = &result
            && buildkit
            && build.builder == Builder::Auto
            && wants_session(error)
        {
            log.line(&format!(
                "BuildKit cannot do this without a session ({}): the classic builder is taken",
                error.message()
            ));
            result = self.build_by(&doing, build, false, log, stop).await;
        }
        let said = result?;
        self.built(&doing, build, said).await
    }

    /// Sends the build and reads what comes; gives the id that the engine says the image has.
    async fn build_by(
        &self,
        doing: &str,
        build: &mut EngineBuild,
        buildkit: bool,
        log: &mut dyn Log,
        stop: &mut Stopping,
    ) -> Result<Option<String>, EngineError> {
        let local = |error| EngineError::local(doing, &error);
        build.context.seek(SeekFrom::Start(0)).map_err(local)?;
        let context = build.context.try_clone().map_err(local)?;
        let asked = self.build_request(build, buildkit).sending(Payload::File(context));
        let mut id = None;
        let mut lines = Lines::default();
        let mut trace = Trace::default();
        let each = |message: Message| {
            if let Some(text) = &message.stream {
                lines.push(text, |line| log.line(line));
            }
            if let Some(status) = message.status.filter(|_| message.progress.is_none()) {
                lines.push(&format!("{status}\n"), |line| log.line(line));
            }
            if let Some(aux) = &message.aux {
                if message.id.as_deref() == Some(buildkit::ID) {
                    trace.take(aux, |line| log.line(line));
                } else if let Some(found) = aux["ID"].as_str() {
                    id = Some(found.to_owned());
                }
            }
        };
        let result = self.hear(doing, asked, stop, each).await;
        trace.end(|line| log.line(line));
        lines.end(|line| log.line(line));
        result.map(|()| id)
    }

    fn build_request(&self, build: &EngineBuild, buildkit: bool) -> Asked {
        let mut args = build.build_args.clone();
        if buildkit && build.inline_cache {
            args.insert("BUILDKIT_INLINE_CACHE".into(), "1".into());
        }
        let memory = build.memory.map(|bytes| bytes.to_string());
        let shm_size = build.shm_size.map(|bytes| bytes.to_string());
        let hosts = build.extra_hosts.join(",");
        // The head of the answer comes with the first step, after the whole context is read.
        let mut asked = Asked::new(Method::POST, "/build".into(), self.0.limits.silence)
            .with("t", &build.tag)
            .with("dockerfile", &build.dockerfile)
            .with("buildargs", &json!(args).to_string())
            .with("labels", &json!(build.labels).to_string())
            .with("rm", "1")
            .with("forcerm", "1")
            .with_some("target", build.target.as_deref())
            .with_some("platform", build.platform.as_deref())
            .with_some("networkmode", build.network.as_deref())
            .with_some("extrahosts", Some(hosts.as_str()).filter(|hosts| !hosts.is_empty()))
            .with_some("memory", memory.as_deref())
            .with_some("shmsize", shm_size.as_deref())
            .header(CONTENT_TYPE_NAME, "application/x-tar".into());
        if build.pull {
            asked = asked.with("pull", "1");
        }
        if build.no_cache {
            asked = asked.with("nocache", "1");
        }
        if !build.cache_from.is_empty() {
            asked = asked.with("cachefrom", &json!(build.cache_from).to_string());
        }
        if buildkit {
            asked = asked.with("version", "2");
        }
        if !build.logins.is_empty() {
            asked = asked.header("X-Registry-Config", login::all(&build.logins));
        }
        asked
    }

    /// The engine said that all is well: a look whether it is.
    async fn built(&self, doing: &str, build: &EngineBuild, said: Option<String>) -> Result<ImageFacts, EngineError> {
        let Some(facts) = self.inspect(&build.tag).await? else {
            return Err(match said {
                Some(id) => EngineError::not_done(
                    doing,
                    format!("the engine says that it made {id}, and there is no {}", build.tag),
                ),
                None => EngineError::cut(doing, "the engine's answer ended before the build did"),
            });
        };
        let differs = build
            .labels
            .iter()
            .find(|(name, value)| facts.labels.get(*name) != Some(value));
        if let Some((name, _)) = differs {
            // An older image of this name, or none of ours.
            return Err(match said {
                Some(_) => EngineError::not_done(
                    doing,
                    format!(
                        "the engine says that it made the image, and {} does not carry our label {name}",
                        build.tag
                    ),
                ),
                None => EngineError::cut(doing, "the engine's answer ended before the build did"),
            });
        }
        if build.labels.is_empty() && said.as_deref() != Some(facts.id.as_str()) {
            return Err(EngineError::cut(
                doing,
                "the engine does not say that it made this image",
            ));
        }
        Ok(facts)
    }
}

/// BuildKit asks its client for secrets, logins and local files; a plain request has nobody to ask.
fn wants_session(error: &EngineError) -> bool {
    let said = error.message().to_ascii_lowercase();
    let session = [
        "no active session",
        "no active sessions",
        "buildkit is not",
        "buildkit not supported",
    ];
    match error.cause() {
        Cause::Said | Cause::Status(_) => {
            session.iter().any(|word| said.contains(word))
                // Anonymous, because logins come by the session.
                || (said.contains("authorization failed") || said.contains("pull access denied") || said.contains("401 unauthorized"))
        }
        Cause::Connection
        | Cause::TimedOut(_)
        | Cause::Step
        | Cause::Cut
        | Cause::Garbage
        | Cause::NotDone
        | Cause::Local
        | Cause::Stopped => false,
    }
}
