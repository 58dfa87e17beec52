//! `windlass image`: container images built, run, moved, cleared away, by whichever engine there is.

mod build;
mod cc;
mod check;
mod clean;
mod fetch;
mod gc;
mod graph;
mod images;
mod lock;
mod order;
mod probe;
mod run;
mod site;
mod terminal;
mod update;
mod what;

use std::path::PathBuf;

use clap::Subcommand;
use windlass_core::image::ImageName;
use windlass_hooks::settings::Duration;

use super::{Context, Run};
use crate::exit::{Broken, Exit, Usage};
use crate::images::engine::{Cause, Choice, Engine, EngineError, Environment, Limits, NoEngine, Where};
use crate::images::logins::{BadLogins, Logins};

/// Arguments of `windlass image`.
#[derive(Debug, clap::Args)]
#[command(
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "\
Engines are looked for in this order: --host, CONTAINER_HOST, DOCKER_HOST; podman's sockets,
podman started for the time of the command; docker's current context, docker's sockets.
`windlass image probe` shows which it is.

Exit codes: 0 done, 1 failed, 2 usage, 3 no engine; `run` and `cc` end with the command's own."
)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    action: Action,
}

/// What every command about images takes, before or after its name.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Common {
    /// Which engine: auto, docker, podman, none
    #[arg(long, global = true, value_name = "ENGINE", default_value = "auto")]
    pub(super) engine: Choice,
    // No comment for the help: rustdoc would take these for links.
    #[arg(
        long,
        global = true,
        value_name = "ADDRESS",
        help = "The engine's address: unix:///run/docker.sock, tcp://host:2376, ssh://user@host"
    )]
    pub(super) host: Option<String>,
    /// For tcp://, a directory with ca.pem, cert.pem and key.pem
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) tls_certificates: Option<PathBuf>,
    /// How long an engine may take to say that it is one, as in 5s
    #[arg(long, global = true, value_name = "TIME")]
    pub(super) probe_timeout: Option<Duration>,
    /// How long the engine may take to answer a small question, as in 2m
    #[arg(long, global = true, value_name = "TIME")]
    pub(super) engine_timeout: Option<Duration>,
    /// How long a build, a pull or a push may say nothing, as in 1h
    #[arg(long, global = true, value_name = "TIME")]
    pub(super) silence_timeout: Option<Duration>,
    /// Say nothing unless something goes wrong
    #[arg(long, global = true)]
    pub(super) quiet: bool,
}

/// What to do with images.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Build an image from a Dockerfile, unless it is up to date
    Build(Box<build::Args>),
    /// Check whether an image is up to date, or how old it is
    Check(Box<check::Args>),
    /// Add a program with its libraries, or a user, to an image that is there
    Update(update::Args),
    /// Show which image stands on which, what is stale, and because of what
    Graph(graph::Args),
    /// Pin foreign bases to what their registries have now
    Lock(lock::Args),
    /// Show which engine is taken; exit code 1 when there is none
    Probe(probe::Args),
    /// Run a command in an image; the exit code is the command's
    Run(Box<run::Args>),
    /// Compile in an image: the working directory can be written, other paths only read
    Cc(cc::Args),
    /// Get an image from a registry and give it its local name
    Fetch(fetch::Args),
    /// List the images that the engine has
    Images(images::Args),
    /// Remove containers of ours that were left over
    Clean(clean::Args),
    /// Remove images of ours that newer ones have taken the place of
    Gc(gc::Args),
}

impl Run for Args {
    fn run(self, context: &mut Context) -> anyhow::Result<Exit> {
        let common = &self.common;
        match self.action {
            Action::Build(args) => build::build(context, common, &args),
            Action::Check(args) => check::check(context, common, &args),
            Action::Update(args) => update::update(context, common, args),
            Action::Graph(args) => graph::graph(context, common, &args),
            Action::Lock(args) => lock::lock(context, common, &args),
            Action::Probe(args) => probe::probe(context, common, &args),
            Action::Run(args) => run::run(context, common, *args),
            Action::Cc(args) => cc::cc(context, common, args),
            Action::Fetch(args) => fetch::fetch(context, common, &args),
            Action::Images(args) => images::images(context, common, &args),
            Action::Clean(args) => clean::clean(context, common, &args),
            Action::Gc(args) => gc::gc(context, common, &args),
        }
    }
}

impl Common {
    /// Where an engine is named.
    pub(super) fn place(&self) -> Where {
        Where {
            host: self.host.clone(),
            certificates: self.tls_certificates.clone(),
        }
    }

    /// The limits, with what was said on the command line.
    pub(super) fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        if let Some(time) = self.probe_timeout {
            limits.probe = time.std();
            limits.probe_last = time.std();
        }
        if let Some(time) = self.engine_timeout {
            limits.answer = time.std();
        }
        if let Some(time) = self.silence_timeout {
            limits.silence = time.std();
        }
        limits
    }

    /// The engine.
    ///
    /// # Errors
    /// There is none (exit code 3): each that was looked at, and why it is none.
    pub(super) async fn find(&self, environment: &Environment) -> anyhow::Result<Engine> {
        Engine::find_within(self.engine, &self.place(), environment, self.limits())
            .await
            .map_err(|none| no_engine(&none))
    }
}

/// There is no engine, as an exit code.
pub(super) fn no_engine(none: &NoEngine) -> anyhow::Error {
    let text = none.to_string();
    let (message, hint) = text.split_once("\n\nhint: ").unwrap_or((&text, ""));
    Broken::new(message).hint(hint).into()
}

/// What went wrong with an engine, as an exit code: 3 where the engine is away, 1 where it would not.
pub(super) fn failure(error: EngineError) -> anyhow::Error {
    match error.cause() {
        Cause::Connection | Cause::TimedOut(_) | Cause::Cut | Cause::Garbage => Broken::new(error.to_string()).into(),
        Cause::Status(_) | Cause::Said | Cause::Step | Cause::NotDone | Cause::Local | Cause::Stopped => error.into(),
    }
}

/// The name of an image of ours, as typed.
pub(super) fn local_name(name: &str) -> anyhow::Result<ImageName> {
    ImageName::local(name).map_err(|error| Usage::new(error.to_string()).into())
}

/// Where the logins to registries come from.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Credentials {
    /// A file of registry logins in place of those of docker and podman
    #[arg(long, value_name = "FILE")]
    credentials: Option<PathBuf>,
}

impl Credentials {
    /// The logins.
    ///
    /// # Errors
    /// The file that was named cannot be read.
    pub(super) fn logins(&self, environment: &Environment) -> Result<Logins, BadLogins> {
        self.credentials
            .as_deref()
            .map_or_else(|| Ok(Logins::usual(environment)), Logins::read)
    }
}
