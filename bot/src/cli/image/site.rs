//! Where a command builds: the engine that is found, or none; signals; and where its talk goes.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Runtime;
use windlass_core::image::ImageName;
use windlass_core::image::dockerfile::Platform;

use super::{Common, failure, no_engine};
use crate::exit::{Exit, Usage};
use crate::images::build::request::proxies;
use crate::images::build::session::Talk;
use crate::images::build::{BuildError, Layouts, Session, Stock};
use crate::images::engine::{Choice, Engine, Environment};
use crate::images::logins::Logins;
use crate::images::runtime;
use crate::images::signals::{Caught, listen};
use crate::output::Output;

/// Lines of a quiet build that are shown where it fails.
const TAIL: usize = 60;

/// What to do where no engine runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Without {
    /// Go on without one.
    GoOn,
    /// Give up.
    GiveUp,
}

/// A command's own runtime with everything in it.
pub(super) struct Site {
    pub(super) runtime: Runtime,
    pub(super) session: Session,
    caught: Caught,
    tail: Tail,
}

type Tail = Arc<Mutex<VecDeque<String>>>;

impl Site {
    /// Finds the engine and listens to signals.
    ///
    /// # Errors
    /// There is no engine, and one was named or is needed.
    pub(super) fn open(common: &Common, without: Without, output: Option<(&ImageName, &Path)>) -> anyhow::Result<Self> {
        let runtime = runtime()?;
        let (stop, caught) = runtime.block_on(async { listen() })?;
        let environment = Environment::process();
        let tail = Tail::default();
        let talk = talk(common, Arc::clone(&tail));
        if output.is_some() && matches!(common.engine, Choice::Docker | Choice::Podman) {
            let error = Usage::new("--output oci:DIR is written without an engine");
            return Err(error.hint("leave --engine out, or say --engine none").into());
        }
        let layouts = || {
            let layouts = Layouts::new(Layouts::directory(), Platform::linux(std::env::consts::ARCH));
            Stock::Layouts(Box::new(match output {
                Some((name, path)) => layouts.with_output(name, path),
                None => layouts,
            }))
        };
        let stock = if common.engine == Choice::None || output.is_some() {
            layouts()
        } else {
            let found = runtime.block_on(Engine::find_within(
                common.engine,
                &common.place(),
                &environment,
                common.limits(),
            ));
            match found {
                Ok(engine) => Stock::Engine(engine),
                // Whoever names an engine does not want his images elsewhere.
                Err(none) if without == Without::GiveUp || common.engine != Choice::Auto || is_named(common) => {
                    return Err(no_engine(&none));
                }
                Err(_) => {
                    let mut talk = talk.lock().unwrap_or_else(PoisonError::into_inner);
                    talk("no container engine runs here: building without one");
                    layouts()
                }
            }
        };
        let mut session = Session::new(stock, talk, stop);
        session.logins = Logins::usual(&environment);
        session.proxies = proxies(std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            Some((name, value.into_string().ok()?))
        }));
        Ok(Self {
            runtime,
            session,
            caught,
            tail,
        })
    }

    /// What an error of a build ends with; a quiet one's last words come first. Whoever was stopped by a signal ends as shells expect.
    ///
    /// # Errors
    /// The error, as the command's.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "two of many are about engines, one about being stopped"
    )]
    pub(super) fn failed(&self, output: &mut Output, error: BuildError) -> anyhow::Result<Exit> {
        let stopped = match &error {
            BuildError::Engine(error) => error.is_stopped(),
            other => matches!(other, BuildError::Stopped),
        };
        if let (true, Some(code)) = (stopped, self.caught.exit_code()) {
            output.say(BuildError::Stopped.to_string());
            return Ok(Exit::Command(code));
        }
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.iter().for_each(|line| output.say(line));
        Err(match error {
            BuildError::NoEngine(none) => no_engine(&none),
            BuildError::Engine(error) => failure(error),
            other => other.into(),
        })
    }
}

fn is_named(common: &Common) -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    common.host.is_some() || set("CONTAINER_HOST") || set("DOCKER_HOST")
}

fn talk(common: &Common, tail: Tail) -> Talk {
    if common.quiet {
        return Arc::new(Mutex::new(move |line: &str| {
            let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
            if tail.len() == TAIL {
                tail.pop_front();
            }
            tail.push_back(line.to_owned());
        }));
    }
    let mut output = Output::process();
    Arc::new(Mutex::new(move |line: &str| output.say(line)))
}

/// What an outcome of its own ends with: neither done nor failed.
pub(super) const SKIPPED: Exit = Exit::Environment;

/// `oci:DIR`
pub(super) fn oci(text: &str) -> Result<PathBuf, String> {
    match text.strip_prefix("oci:") {
        Some(path) if !path.is_empty() => Ok(path.into()),
        _ => Err("it is oci:DIR, a directory in the OCI image layout".to_owned()),
    }
}
