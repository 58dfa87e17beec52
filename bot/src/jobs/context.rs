//! What an engine gets to see of an image: its context with what the script beside the Dockerfile made, as one archive.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::path::Path;
use std::time::Duration;

use windlass_core::image::Ignore;

use super::Trouble;
use crate::config::Image;
use crate::images::build::pre::{self, Outcome};
use crate::images::build::tree::{Ignoring, Limits, Tree};

/// The Dockerfile's name in the archive: no file of the context has it.
pub(super) const DOCKERFILE: &str = ".windlass.dockerfile";

/// The most that is read of a Dockerfile or an ignore file.
const LARGEST: u64 = 1 << 20;

/// What came of gathering it.
pub(super) enum Gathered {
    /// The archive.
    Ready(File),
    /// The script says that there is nothing to build.
    Skipped(String),
}

/// What an ignore file takes out.
struct Ignored(Ignore);

impl Ignoring for Ignored {
    fn excludes(&self, path: &str, _: bool) -> bool {
        self.0.excludes(path)
    }

    fn prunes(&self, path: &str) -> bool {
        self.0.all_below(path)
    }
}

/// Runs the script, and packs everything.
pub(super) async fn gather(
    image: &Image,
    environment: &BTreeMap<String, String>,
    limit: Duration,
    say: &mut (dyn FnMut(&str) + Send),
) -> Result<Gathered, Trouble> {
    let made = tempfile::Builder::new().prefix("windlass-job-").tempdir();
    let made = made.map_err(|error| Trouble::transient(format!("no temporary directory: {error}")))?;
    let ran = pre::run_with(&image.dockerfile, made.path(), environment, limit, say).await;
    match ran.map_err(|error| Trouble::lasting(error.to_string()))? {
        Outcome::Skipped(why) => return Ok(Gathered::Skipped(why)),
        Outcome::None | Outcome::Done => {}
    }
    let image = image.clone();
    let packed = tokio::task::spawn_blocking(move || {
        let archive = pack(&image, made.path());
        drop(made);
        archive
    });
    let packed = packed.await.map_err(|error| Trouble::lasting(error.to_string()))?;
    packed
        .map(Gathered::Ready)
        .map_err(|error| Trouble::lasting(error.to_string()))
}

fn pack(image: &Image, made: &Path) -> anyhow::Result<File> {
    let mut tree = Tree::new(Limits::default());
    let ignore = image.context().join(".dockerignore");
    let ignored = if ignore.exists() { text(&ignore)? } else { String::new() };
    let ignored = Ignored(Ignore::parse(&ignored)?);
    tree.add_folder(image.context(), &ignored)?;
    tree.add_folder(made, &crate::images::build::tree::Nothing)?;
    tree.add_text(DOCKERFILE, text(&image.dockerfile)?)?;
    // What the script made is no part of what the ignore file of the context speaks of: it was heard already.
    tree.add_text(".dockerignore", format!("{DOCKERFILE}\n.dockerignore\n"))?;
    let mut archive = tempfile::tempfile()?;
    tree.pack(&mut archive)?;
    archive.rewind()?;
    Ok(archive)
}

fn text(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(LARGEST).read_to_string(&mut text));
    read.map_err(|error| anyhow::anyhow!("cannot read '{}': {error}", path.display()))?;
    Ok(text)
}
