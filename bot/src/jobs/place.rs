//! Where an image is built and where it goes: an engine or layouts of ours, and its registry.

use windlass_core::image::dockerfile::Platform;

use super::Trouble;
use super::runner::JobRunner;
use crate::config::{EngineChoice, Image};
use crate::images::build::{Layouts, Stock};
use crate::images::engine::{Choice, Engine, Environment, Where};
use crate::images::logins::Logins;
use crate::images::registry::{Registry, Settings, Transport};

/// Where an image is built.
pub(super) struct Place {
    pub(super) stock: Stock,
    /// Why that is no engine, where one would have been taken.
    pub(super) no_engine: Option<String>,
}

/// What builds it: an engine, or layouts in our state where none is wanted or, under `auto`, none is there.
pub(super) async fn place(runner: &JobRunner, image: &Image) -> Result<Place, Trouble> {
    let place = Where {
        host: runner.config.jobs.engine_host.clone(),
        certificates: None,
    };
    let choice = match image.engine {
        EngineChoice::None => return without_engine(runner, image, None),
        EngineChoice::Docker => Choice::Docker,
        EngineChoice::Podman => Choice::Podman,
        EngineChoice::Auto => Choice::Auto,
    };
    match Engine::find(choice, &place, &Environment::process()).await {
        Ok(engine) => Ok(Place {
            stock: Stock::Engine(engine),
            no_engine: None,
        }),
        // One that is named and does not answer is away; where none is named there may be none.
        Err(why) if image.engine == EngineChoice::Auto && place.host.is_none() => {
            without_engine(runner, image, Some(why.to_string()))
        }
        Err(why) => Err(Trouble::transient(why.to_string())),
    }
}

fn without_engine(runner: &JobRunner, image: &Image, no_engine: Option<String>) -> Result<Place, Trouble> {
    let platform = platform(image, &Platform::linux(std::env::consts::ARCH))?;
    let dir = runner.paths.state().join("images/layouts");
    Ok(Place {
        stock: Stock::Layouts(Box::new(Layouts::new(dir, platform))),
        no_engine,
    })
}

/// The platform that an image is for; `native` where nothing is said.
pub(super) fn platform(image: &Image, native: &Platform) -> Result<Platform, Trouble> {
    match &image.platform {
        Some(platform) => platform.parse().map_err(|_| {
            Trouble::lasting(format!(
                "'{platform}' is no platform\n\nhint: platform = \"linux/amd64\" under [[image]]"
            ))
        }),
        None => Ok(native.clone()),
    }
}

/// Who we are to the image's registry.
pub(super) fn logins(runner: &JobRunner, image: &Image) -> Result<Logins, Trouble> {
    let host = image.registry_host().unwrap_or_default();
    let known = runner.config.registry(host);
    match known.and_then(|registry| registry.credentials.as_deref()) {
        Some(file) => Logins::ours(file, host).map_err(|error| Trouble::lasting(error.to_string())),
        None => Ok(Logins::default()),
    }
}

/// The image's registry, spoken to without an engine.
pub(super) fn registry(runner: &JobRunner, image: &Image) -> Result<Registry, Trouble> {
    let host = image.registry_host().unwrap_or_default();
    let known = runner.config.registry(host);
    let settings = Settings {
        transport: if known.is_some_and(|registry| registry.plain_http) {
            Transport::Plain
        } else {
            Transport::Tls
        },
        credentials: known.and_then(|registry| registry.credentials.clone()),
        ..Settings::default()
    };
    Registry::new(host, &settings).map_err(|error| Trouble::of(&error, error.is_transient()))
}
