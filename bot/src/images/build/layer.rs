//! One more layer on an image that is there: files, a user in its `passwd`, and labels; without running anything in it.
//!
//! This is how `--add-current-user` works on any image, with a shell in it or without, and how `image update` works.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Read};
use std::path::Path;

use windlass_core::image::dockerfile::{Arguments, Platform};
use windlass_core::image::{Dockerfile, ImageName, label};

use super::error::BuildError;
use super::session::Session;
use super::stock::{Layouts, Stock};
use super::tree::{Limits, Tree};
use super::user::{Accounts, User};
use crate::images::engine::{Engine, EngineBuild, RunOrder};
use crate::images::oci::{self, Image, Layout, OciBuild};

/// The largest of the files that hold users.
const MOST: u64 = 16 << 20;
/// The Dockerfile's name in a context that we make ourselves.
pub const DOCKERFILE: &str = ".windlass.Dockerfile";

/// What is put on an image.
#[derive(Debug)]
pub struct Layer {
    /// The image, by a name under which it is there.
    pub from: ImageName,
    /// How the result is called.
    pub tag: ImageName,
    /// Files for its root.
    pub files: Option<Tree>,
    /// A user for its `passwd`.
    pub user: Option<User>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// For which platform it is.
    pub platform: Option<String>,
}

/// The three files, and who owns each with which permissions.
#[derive(Debug, Default)]
struct Found {
    accounts: Accounts,
    shadow: Option<(u64, u64, u32)>,
}

impl Layer {
    /// Puts it there.
    ///
    /// # Errors
    /// The engine's; the user's number is another's in the image.
    pub async fn put(self, session: &Session) -> Result<(), BuildError> {
        let found = match (&self.user, &session.stock) {
            (None, _) => Found::default(),
            (Some(_), Stock::Engine(engine)) => of_engine(engine, &self.from).await?,
            (Some(_), Stock::Layouts(layouts)) => of_layout(layouts, &self.from)?,
        };
        let (text, tree) = self.context(&found)?;
        match &session.stock {
            Stock::Engine(engine) => {
                let mut tree = tree;
                tree.add_text(DOCKERFILE, text)?;
                let mut build = EngineBuild::new(self.tag.to_string(), packed(&tree)?, DOCKERFILE);
                build.labels = self.labels;
                build.platform = self.platform;
                let mut log = session.listener();
                engine.build(&mut build, &mut log, &mut session.stop.clone()).await?;
                Ok(())
            }
            Stock::Layouts(layouts) => {
                let order = Order {
                    text,
                    files: tree,
                    arguments: Arguments::native(layouts.platform()),
                    target: None,
                    labels: self.labels,
                    platform: layouts.platform().clone(),
                    tag: self.tag,
                };
                order.build(layouts.as_ref().clone()).await.map(drop)
            }
        }
    }

    fn context(&self, found: &Found) -> Result<(String, Tree), BuildError> {
        let mut tree = Tree::new(Limits::default());
        let mut text = format!("FROM {}\n", self.from);
        if let Some(files) = &self.files {
            tree.add_tree(Path::new("root"), files)?;
            text += "COPY root/ /\n";
        }
        if let Some(user) = &self.user
            && let Some(accounts) = user.add(&found.accounts)?
        {
            let mut add = |name: &str, content: Option<Vec<u8>>, owner: u64, group: u64, mode: u32| {
                if let Some(content) = content {
                    tree.add_file(Path::new("accounts").join(name), content, mode)?;
                    // Writing to a String cannot fail.
                    let _ = writeln!(text, "COPY --chown={owner}:{group} accounts/{name} /etc/{name}");
                }
                Ok::<_, BuildError>(())
            };
            add("passwd", accounts.passwd, 0, 0, 0o644)?;
            add("group", accounts.group, 0, 0, 0o644)?;
            let (owner, group, mode) = found.shadow.unwrap_or((0, 0, 0o640));
            add("shadow", accounts.shadow, owner, group, mode)?;
        }
        Ok((text, tree))
    }
}

/// A context as an archive in a file that has no name, so that nothing is left of it.
pub(super) fn packed(tree: &Tree) -> Result<std::fs::File, BuildError> {
    let temporary = std::env::temp_dir();
    let file = tempfile::tempfile().map_err(BuildError::file(&temporary))?;
    let mut buffered = io::BufWriter::with_capacity(1 << 20, file);
    tree.pack(&mut buffered)?;
    buffered
        .into_inner()
        .map_err(|error| BuildError::file(&temporary)(error.into_error()))
}

/// A build without an engine, with everything that it needs its own.
pub(super) struct Order {
    pub(super) text: String,
    pub(super) files: Tree,
    pub(super) arguments: Arguments,
    pub(super) target: Option<String>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) platform: Platform,
    pub(super) tag: ImageName,
}

impl Order {
    /// Carries it out, in a thread of its own: it is never left half done.
    pub(super) async fn build(self, layouts: Layouts) -> Result<oci::Built, BuildError> {
        let work = tokio::task::spawn_blocking(move || self.carried_out(&layouts));
        match work.await {
            Ok(built) => built,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime ends, and this with it.
                Err(_) => Err(BuildError::Stopped),
            },
        }
    }

    fn carried_out(&self, layouts: &Layouts) -> Result<oci::Built, BuildError> {
        let out = layouts.path(&self.tag);
        if let Some(parent) = out.parent() {
            std::fs::create_dir_all(parent).map_err(BuildError::file(parent))?;
        }
        let dockerfile = Dockerfile::parse(&self.text).map_err(|problems| super::family::FamilyError::Wrong {
            path: DOCKERFILE.into(),
            problems,
        })?;
        let find = |name: &ImageName| Ok(layouts.image(name));
        let build = OciBuild {
            dockerfile: &dockerfile,
            files: &self.files,
            arguments: &self.arguments,
            target: self.target.as_deref(),
            labels: &self.labels,
            platform: &self.platform,
            epoch: epoch(),
            names: std::slice::from_ref(&self.tag),
            find_base: &find,
        };
        Ok(oci::build(&build, &out)?)
    }
}

/// The time of everything in an image: `SOURCE_DATE_EPOCH`, or 0.
fn epoch() -> u64 {
    std::env::var("SOURCE_DATE_EPOCH")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

/// The files of an image in an engine: of a container that is made for it, never started, and removed.
async fn of_engine(engine: &Engine, image: &ImageName) -> Result<Found, BuildError> {
    // Engines refuse an image without a command; this one is never run.
    let mut order = RunOrder::new(image.to_string(), ["/never"]);
    let uid = rustix::process::getuid().as_raw().to_string();
    order.labels.insert(label::OWNER.to_owned(), uid);
    order.labels.insert(label::INSTANCE.to_owned(), super::make::instance());
    let container = engine.create(&order).await?;
    let mut found = Found::default();
    let mut result: Result<(), BuildError> = Ok(());
    for (name, path) in [
        ("passwd", "/etc/passwd"),
        ("group", "/etc/group"),
        ("shadow", "/etc/shadow"),
    ] {
        let mut archive = Vec::new();
        match container.copy_out(path, &mut archive, MOST).await {
            Ok(_) => {}
            Err(error) if error.is_absent() => continue,
            Err(error) => {
                result = Err(error.into());
                break;
            }
        }
        found.take(name, &archive);
    }
    let removed = container.remove().await;
    result?;
    removed?;
    Ok(found)
}

/// The files of an image in a layout: those of its highest layer that has them.
fn of_layout(layouts: &Layouts, image: &ImageName) -> Result<Found, BuildError> {
    let Some((layout, image)) = layouts.image(image) else {
        return Err(BuildError::NoBase {
            name: image.to_string(),
            why: "no layout holds it".to_owned(),
            hint: "windlass image build makes it".to_owned(),
        });
    };
    let mut found = Found::default();
    for name in ["passwd", "group", "shadow"] {
        if let Some(archive) = highest(&layout, &image, &format!("etc/{name}"))? {
            found.take(name, &archive);
        }
    }
    Ok(found)
}

/// A file of an image as an archive of one entry; nothing where it has none, or its highest layer takes it away.
fn highest(layout: &Layout, image: &Image, path: &str) -> Result<Option<Vec<u8>>, BuildError> {
    let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
    for layer in image.manifest.layers.iter().rev() {
        let blob = layout.blob(&layer.digest);
        let failed = |error| BuildError::file(&blob)(error);
        let mut archive = tar::Archive::new(opened(&blob).map_err(failed)?);
        let mut gone = false;
        let mut have = None;
        for entry in archive.entries().map_err(failed)? {
            let mut entry = entry.map_err(failed)?;
            let at = entry
                .path()
                .map_err(failed)?
                .to_string_lossy()
                .trim_start_matches("./")
                .to_owned();
            gone |= at == format!("{dir}/.wh.{name}") || at == format!("{dir}/.wh..wh..opq");
            if at == path && entry.header().entry_type().is_file() {
                let mut content = Vec::new();
                entry.by_ref().take(MOST).read_to_end(&mut content).map_err(failed)?;
                let mut one = tar::Builder::new(Vec::new());
                let mut header = entry.header().clone();
                header.set_size(content.len() as u64);
                one.append_data(&mut header, path, content.as_slice()).map_err(failed)?;
                have = Some(one.into_inner().map_err(failed)?);
            }
        }
        if have.is_some() || gone {
            return Ok(have);
        }
    }
    Ok(None)
}

/// A layer, decompressed by what it is, whatever it is called.
fn opened(blob: &Path) -> io::Result<Box<dyn Read>> {
    let mut file = io::BufReader::new(std::fs::File::open(blob)?);
    Ok(match io::BufRead::fill_buf(&mut file)? {
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(zstd::Decoder::with_buffer(file)?),
        _ => Box::new(file),
    })
}

impl Found {
    /// Takes the first file of an archive; what is no file is as good as none.
    fn take(&mut self, name: &str, archive: &[u8]) {
        let mut archive = tar::Archive::new(archive);
        let Some(Ok(mut entry)) = archive.entries().ok().and_then(|mut entries| entries.next()) else {
            return;
        };
        let mut content = Vec::new();
        if !entry.header().entry_type().is_file() || entry.by_ref().take(MOST).read_to_end(&mut content).is_err() {
            return;
        }
        match name {
            "passwd" => self.accounts.passwd = Some(content),
            "group" => self.accounts.group = Some(content),
            _ => {
                let header = entry.header();
                let number = |number: io::Result<u64>| number.unwrap_or(0);
                self.shadow = Some((
                    number(header.uid()),
                    number(header.gid()),
                    header.mode().unwrap_or(0o640) & 0o7777,
                ));
                self.accounts.shadow = Some(content);
            }
        }
    }
}
