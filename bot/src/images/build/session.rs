//! What one command works with: where images are, where its own files lie, who listens, and the word to stop.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use windlass_core::image::ImageName;
use windlass_core::image::dockerfile::Platform;

use super::context::Machine;
use super::digests::{self, Digests};
use super::error::BuildError;
use super::family::{Ground, Member};
use super::inputs::BaseNow;
use super::lockfile::Pins;
use super::plan::Now;
use super::stock::{Stock, Survey};
use super::{record, taglock};
use crate::images::logins::Logins;
use crate::stop::Stopping;

/// Where the talk of builds goes; several may talk at once.
pub type Talk = Arc<Mutex<dyn FnMut(&str) + Send>>;

/// What one command works with.
#[derive(Clone)]
pub struct Session {
    /// Where images are.
    pub stock: Stock,
    /// The machine's own parts.
    pub machine: Machine,
    /// Where digests of files are kept, if anywhere.
    pub digests: Option<PathBuf>,
    /// Where it is kept how images were built, if anywhere.
    pub records: Option<PathBuf>,
    /// Where tags are locked.
    pub locks: PathBuf,
    /// Who we are to registries.
    pub logins: Logins,
    /// Build arguments that do not count: proxies.
    pub proxies: BTreeMap<String, String>,
    /// Who listens.
    pub talk: Talk,
    /// The word to stop.
    pub stop: Stopping,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("stock", &self.stock)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// One with the usual places.
    pub fn new(stock: Stock, talk: Talk, stop: Stopping) -> Self {
        Self {
            stock,
            machine: Machine::default(),
            digests: digests::directory(),
            records: record::directory(),
            locks: taglock::directory(),
            logins: Logins::default(),
            proxies: BTreeMap::new(),
            talk,
            stop,
        }
    }

    /// The platform that images are for where nothing else is said: the engine's.
    pub fn native(&self) -> Platform {
        match &self.stock {
            Stock::Engine(engine) if !engine.probed().architecture.is_empty() => {
                Platform::linux(&engine.probed().architecture)
            }
            Stock::Engine(_) => Platform::linux(std::env::consts::ARCH),
            Stock::Layouts(layouts) => layouts.platform().clone(),
        }
    }

    /// One line of talk.
    pub fn say(&self, line: &str) {
        let mut talk = self.talk.lock().unwrap_or_else(PoisonError::into_inner);
        talk(line);
    }

    /// A listener for one image, that says of which it is where several are built.
    pub fn listener(&self) -> impl FnMut(&str) + Send + use<> {
        let talk = Arc::clone(&self.talk);
        move |line: &str| {
            let mut talk = talk.lock().unwrap_or_else(PoisonError::into_inner);
            talk(line);
        }
    }

    /// The digests that are kept for an image.
    pub fn digests(&self, member: &Member) -> Digests {
        let path = std::path::absolute(&member.request.dockerfile);
        let path = path.unwrap_or_else(|_| member.request.dockerfile.clone());
        let subject = format!("{}\n{}", member.request.tag, path.display());
        self.digests
            .as_deref()
            .map_or_else(Digests::none, |dir| Digests::open(dir, &subject))
    }

    /// What each base of an image is by now, in the order in which the Dockerfile names them.
    ///
    /// # Errors
    /// The file of pins is wrong; the engine's.
    pub async fn bases(
        &self,
        member: &Member,
        now: &Now,
        survey: &mut Survey,
    ) -> Result<Vec<(Ground, BaseNow)>, BuildError> {
        let pins = Pins::read(&member.request.lock())?;
        let mut found = Vec::with_capacity(member.bases.len());
        for ground in &member.bases {
            let state = match now.get(&ground.name).filter(|_| ground.own) {
                Some(state) => state.clone(),
                None => self.foreign(&ground.name, &pins, survey).await?,
            };
            found.push((ground.clone(), state));
        }
        Ok(found)
    }

    async fn foreign(&self, name: &ImageName, pins: &Pins, survey: &mut Survey) -> Result<BaseNow, BuildError> {
        if let Some(digest) = name.digest() {
            return Ok(BaseNow::Pinned(digest.clone()));
        }
        if let Some(digest) = pins.of(name) {
            return Ok(BaseNow::Pinned(digest));
        }
        Ok(match self.stock.known(survey, name).await? {
            Some(have) => BaseNow::Image(have.id),
            None => BaseNow::Absent,
        })
    }
    /// What a piece of work gives, unless the word to stop comes first: then it is given up.
    ///
    /// # Errors
    /// The work's, or that we were stopped.
    pub async fn unless_stopped<T, E: Into<BuildError>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, BuildError> {
        let mut stop = self.stop.clone();
        tokio::select! {
            () = stop.word() => Err(BuildError::Stopped),
            done = work => done.map_err(Into::into),
        }
    }
}
