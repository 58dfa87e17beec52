//! The making of a payload's next version, from the pinned generations to the stock: file systems, payload, archive, record.
//!
//! ```text
//! inputs ─▶ the same as the newest version's: nothing is made
//!    └────▶ filesystem (a sandbox: rpm, mkfs) ─▶ payload, delta, archive, disk ─▶ one rename ─▶ the record
//! ```
//! Until that rename everything has a temporary name. An attempt that is killed after it is followed by one that finds the version in the
//! stock: its inputs are the same.

mod files;
mod filesystem;
mod inputs;
mod tree;
mod write;

use windlass_core::job::{JobResult, PayloadBuild};

use self::inputs::Inputs;
use self::tree::Tree;
use self::write::Making;
use super::Trouble;
use super::logs::Log;
use super::pinned::{Pinned, Wish};
use super::runner::{JobRunner, Order};
use crate::config::Payload;
use crate::devices::stock::Stock;
use crate::stages::{StageLog, StopFlag};
use crate::stop::Stopping;

/// The places at which a test can make the bot die while it makes a payload, in the order in which they are passed.
pub const PAYLOAD_POINTS: [&str; 5] = [
    "job.leased",
    "payload.imaged",
    "payload.written",
    "payload.stocked",
    "job.recorded",
];

/// What is to be made, and for whom.
pub(super) struct Surroundings<'a> {
    pub(super) runner: &'a JobRunner,
    pub(super) order: &'a Order,
    pub(super) build: &'a PayloadBuild,
}

/// Makes a payload, and says what it is.
pub(super) async fn make(around: &Surroundings<'_>, log: StageLog, stop: Stopping) -> Result<JobResult, Trouble> {
    let log = Log::new(log);
    let made = Box::pin(make_said(around, &log, stop)).await;
    log.end(made)
}

async fn make_said(around: &Surroundings<'_>, log: &Log, mut stop: Stopping) -> Result<JobResult, Trouble> {
    let (runner, name) = (around.runner, &around.build.payload);
    let payload = runner
        .config
        .payload(name)
        .ok_or_else(|| Trouble::lasting(format!("payload {name} is not configured any more")))?;
    for reason in around.order.kind.reasons() {
        log.say(&format!("because: {reason}"));
    }
    let wish = Wish {
        what: format!("payload {name}"),
        arch: payload.arch(&runner.config),
        packages: payload.packages(),
        from: payload.repositories(&runner.config),
    };
    let pinned = Pinned::of(&runner.config, &runner.repositories, wish)?;
    for (repository, generation) in pinned.generations() {
        log.say(&format!("from generation {generation} of {repository}"));
    }
    let mut trees = Vec::new();
    for image in payload.images() {
        let tree = tokio::select! {
            tree = Tree::of(runner, around.order.id, &image) => tree?,
            () = stop.word() => return Err(Trouble::transient("it was stopped")),
        };
        trees.push((image, tree));
    }
    let before = last(around).await?;
    let making = Making {
        inputs: Inputs::of(payload.clone(), pinned, trees)?,
        job: around.order.id,
        before,
        builder: runner.builder.here(),
        stock: Stock::below(&runner.paths.state()),
        log: log.clone(),
        stop: StopFlag::new().map_err(|error| Trouble::transient(error.to_string()))?,
    };
    in_thread(making, stop).await
}

/// The number and the version on record, and what the images on record hold.
async fn last(around: &Surroundings<'_>) -> Result<write::Before, Trouble> {
    let name = around.build.payload.clone();
    let images = around
        .runner
        .config
        .payload(&name)
        .map(Payload::images)
        .unwrap_or_default();
    let found = around.runner.writer.call(move |state| {
        let jobs = state.world().jobs();
        let last = jobs.payload(&name).and_then(|record| record.last.as_ref());
        let held = |image| Some(jobs.image(image)?.last.as_ref()?.packages.clone());
        Ok(write::Before {
            last: last.map(|made| (made.number, made.version.clone())),
            in_images: images.iter().filter_map(held).flatten().collect(),
        })
    });
    found.await.map_err(|error| Trouble::transient(error.to_string()))
}

/// Makes it in a thread that may block. When the word to stop comes, or nobody waits any more, it ends soon.
async fn in_thread(making: Making, mut stop: Stopping) -> Result<JobResult, Trouble> {
    struct Ends(StopFlag);
    impl Drop for Ends {
        fn drop(&mut self) {
            self.0.set();
        }
    }
    let ends = Ends(making.stop.clone());
    let mut working = tokio::task::spawn_blocking(move || making.make());
    let ended = tokio::select! {
        ended = &mut working => ended,
        () = stop.word() => {
            ends.0.set();
            working.await
        }
    };
    ended.unwrap_or_else(|error| Err(Trouble::lasting(format!("a mistake of our own: {error}"))))
}
