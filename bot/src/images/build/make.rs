//! Making one image: its context, its Dockerfile with the names of its bases filled in, its labels, and a look at the result.

use std::collections::BTreeMap;

use serde_json::json;
use sha2::{Digest as _, Sha256};
use windlass_core::hex::hex;
use windlass_core::image::dockerfile::instruction::{Instruction, Source, Transfer};
use windlass_core::image::dockerfile::seed;
use windlass_core::image::dockerfile::sources::What;
use windlass_core::image::{ImageName, label};

use super::context::{self, Context, Prepared};
use super::error::BuildError;
use super::family::{Ground, Member};
use super::inputs::{self, BaseNow, Counted};
use super::layer::{DOCKERFILE, Layer, Order, packed};
use super::request::Cache;
use super::rewrite::{Edit, rewritten};
use super::session::Session;
use super::stock::{Have, Stock};
use super::{family, record};
use crate::images::engine::{Builder, Engine, EngineBuild};

/// What came of it.
#[derive(Debug)]
pub enum Made {
    /// It was built.
    Image(Have),
    /// It turned out to be there: `.pre` made what it made before.
    UpToDate(Have),
    /// `.pre` says that it cannot be built here.
    Skipped(String),
}

/// What a build takes besides its request.
#[derive(Debug)]
pub struct Given<'a> {
    /// What each base is, in order.
    pub bases: &'a [(Ground, BaseNow)],
    /// What is there under the name.
    pub have: Option<&'a Have>,
    /// Images whose layers may be taken.
    pub cache_from: Vec<String>,
}

/// A word that no other run has.
pub(super) fn instance() -> String {
    let mut sum = Sha256::new();
    sum.update(std::process::id().to_le_bytes());
    sum.update(
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |time| time.as_nanos())
            .to_le_bytes(),
    );
    sum.update(std::fs::read("/proc/sys/kernel/random/uuid").unwrap_or_default());
    hex(&sum.finalize())[..24].to_owned()
}

/// Makes an image. Every base is known by now.
///
/// # Errors
/// Whatever goes wrong; nothing is left then but what was there before.
pub async fn make(session: &Session, member: &Member, given: Given<'_>) -> Result<Made, BuildError> {
    let mut say = session.listener();
    let prepared = session
        .unless_stopped(context::prepare(member, &session.machine, &mut say))
        .await?;
    let context = match prepared {
        Prepared::Ready(context) => context,
        Prepared::Skipped(why) => return Ok(Made::Skipped(why)),
    };
    context.notes.iter().for_each(|note| session.say(note));
    let counted = inputs::count(session, member, given.bases, Some(&context), &BTreeMap::new())?;
    let checksum = counted.inputs.digest().to_string();
    if let Some(have) = given.have
        && member.request.cache == Cache::Take
        && have.labels.get(label::CHECKSUM) == Some(&checksum)
    {
        return Ok(Made::UpToDate(have.clone()));
    }
    let text = named(member, given.bases)?;
    let mut labels = member.request.what.labels.clone();
    labels.extend(ours(member, given.bases, &counted));
    match (member.request.what.user()?, &session.stock) {
        (None, Stock::Engine(engine)) => {
            by_engine(
                session,
                engine,
                member,
                &context,
                text,
                &member.request.tag,
                labels,
                &given,
            )
            .await?;
        }
        (None, Stock::Layouts(layouts)) => {
            let built = order(member, &context, text, &member.request.tag, labels)
                .build(layouts.as_ref().clone())
                .await?;
            built.notes.iter().for_each(|note| session.say(note));
        }
        (Some(user), stock) => {
            // The image as its Dockerfile says, under a name of its own that goes again; the user comes on top.
            let part = ImageName::local(&format!("windlass-part/{}", instance())).map_err(|_| BuildError::Stopped)?;
            // What comes on top has labels of its own; this one tells whether the part is ours.
            let mark = BTreeMap::from([(label::TAG.to_owned(), part.to_string())]);
            let result = async {
                match stock {
                    Stock::Engine(engine) => {
                        by_engine(session, engine, member, &context, text, &part, mark, &given).await?;
                    }
                    Stock::Layouts(layouts) => {
                        order(member, &context, text, &part, mark)
                            .build(layouts.as_ref().clone())
                            .await?;
                    }
                }
                let layer = Layer {
                    from: part.clone(),
                    tag: member.request.tag.clone(),
                    files: None,
                    user: Some(user),
                    labels,
                    platform: member.request.what.platform.clone(),
                };
                layer.put(session).await
            };
            let result = result.await;
            remove_part(session, &part).await;
            result?;
        }
    }
    let have = session.stock.look(&member.request.tag).await?;
    let have = have.filter(|have| have.labels.get(label::CHECKSUM) == Some(&checksum));
    let have = have.ok_or_else(|| BuildError::NotOurs(member.request.tag.to_string()))?;
    if let Some(dir) = &session.records
        && let Err(error) = record::keep(
            dir,
            &member.request.tag,
            &member.request.dockerfile,
            &member.request.what,
        )
    {
        session.say(&format!(
            "how it was built cannot be kept below '{}': {error}",
            dir.display()
        ));
    }
    Ok(Made::Image(have))
}

/// The name of a part goes on every way out; where it cannot, it is said.
async fn remove_part(session: &Session, part: &ImageName) {
    let removed = match &session.stock {
        Stock::Engine(engine) => engine
            .remove_image(&part.to_string())
            .await
            .map(drop)
            .map_err(|error| error.to_string()),
        Stock::Layouts(layouts) => match std::fs::remove_dir_all(layouts.path(part)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.to_string()),
            Ok(()) | Err(_) => Ok(()),
        },
    };
    if let Err(error) = removed {
        session.say(&format!(
            "the image {part}, which was made on the way, is still there: {error}"
        ));
    }
}

#[expect(clippy::too_many_arguments, reason = "one call for an image, one for a part of one")]
async fn by_engine(
    session: &Session,
    engine: &Engine,
    member: &Member,
    context: &Context,
    text: String,
    tag: &ImageName,
    labels: BTreeMap<String, String>,
    given: &Given<'_>,
) -> Result<(), BuildError> {
    let what = &member.request.what;
    let mut tree = context.tree.clone();
    tree.add_text(DOCKERFILE, text)?;
    // The two files that steer the build are no part of it. Everything else is taken out already.
    tree.add_text(".dockerignore", format!("{DOCKERFILE}\n.dockerignore\n"))?;
    let mut build = EngineBuild::new(tag.to_string(), packed(&tree)?, DOCKERFILE);
    build.build_args = session.proxies.clone();
    build.build_args.extend(what.build_args.clone());
    build.labels = labels;
    build.target.clone_from(&what.target);
    build.platform.clone_from(&what.platform);
    build.network.clone_from(&what.network);
    build.no_cache = member.request.cache == Cache::Leave;
    build.cache_from.clone_from(&given.cache_from);
    build.inline_cache = true;
    build.builder = builder(member);
    build.logins = session.logins.clone();
    let mut log = session.listener();
    engine.build(&mut build, &mut log, &mut session.stop.clone()).await?;
    Ok(())
}

/// BuildKit takes the two files that steer a build for a part of a context that comes as an archive. Where a Dockerfile copies all of
/// it, and needs nothing that BuildKit alone can do, the classic builder is taken, which does not.
fn builder(member: &Member) -> Builder {
    let wanted = |stage: &usize| member.file.stages.get(*stage);
    let instructions = || {
        member
            .stages
            .iter()
            .filter_map(wanted)
            .flat_map(|stage| &stage.instructions)
    };
    let modern = member.file.directives.syntax.is_some()
        || instructions().any(|Instruction { kind, .. }| {
            let run = kind.as_run();
            run.is_some_and(|run| !(run.mounts.is_empty() && run.heredocs.is_empty()))
                || kind.transfer().is_some_and(is_modern)
        });
    let sources = member.file.context_sources(&member.arguments).unwrap_or_default();
    let all = sources.iter().any(|source| match &source.what {
        What::Path(path) => path == ".",
        What::Pattern(_) | What::Everything { .. } => true,
        What::Address(_) => false,
    });
    if all && !modern {
        Builder::Classic
    } else {
        Builder::Auto
    }
}

fn is_modern(transfer: &Transfer) -> bool {
    let inline = |source: &Source| matches!(source, Source::Inline(_));
    transfer.link || transfer.chmod.is_some() || transfer.sources.iter().any(inline)
}

fn order(member: &Member, context: &Context, text: String, tag: &ImageName, labels: BTreeMap<String, String>) -> Order {
    Order {
        text,
        files: context.tree.clone(),
        arguments: member.arguments.clone(),
        target: member.request.what.target.clone(),
        labels,
        platform: member.platform.clone(),
        tag: tag.clone(),
    }
}

/// The Dockerfile with full names: ours by their tag, foreign ones by their digest where they have one.
fn named(member: &Member, bases: &[(Ground, BaseNow)]) -> Result<String, BuildError> {
    let edits: Vec<Edit<'_>> = bases
        .iter()
        .filter(|(ground, _)| member.names(ground))
        .map(|(ground, now)| Edit {
            base: &ground.base,
            name: match now {
                // Some engines refuse a name with both.
                BaseNow::Pinned(digest) => {
                    format!("{}/{}@{digest}", ground.name.registry(), ground.name.repository())
                }
                BaseNow::Image(_) | BaseNow::WouldBeBuilt | BaseNow::Absent => ground.name.to_string(),
            },
        })
        .collect();
    rewritten(&member.text, &edits).map_err(|problem| BuildError::Dockerfile {
        path: member.request.dockerfile.clone(),
        problem,
    })
}

/// Our labels.
fn ours(member: &Member, bases: &[(Ground, BaseNow)], counted: &Counted) -> BTreeMap<String, String> {
    let request = &member.request;
    let bases: Vec<_> = bases
        .iter()
        .map(|(ground, now)| json!({ "name": ground.name.to_string(), "digest": now.digest() }))
        .collect();
    let mut labels = BTreeMap::from([
        (label::CHECKSUM.to_owned(), counted.inputs.digest().to_string()),
        (label::INPUTS.to_owned(), counted.inputs.to_label()),
        (label::BASES.to_owned(), json!(bases).to_string()),
        (label::TAG.to_owned(), request.tag.to_string()),
    ]);
    let optional = [
        (label::COMMIT, &request.origin.commit),
        (label::TASK, &request.origin.task),
        (label::PACKAGES, &request.origin.packages),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            labels.insert(name.to_owned(), value.clone());
        }
    }
    if let Some(made) = &counted.made {
        labels.insert(label::PRE_OUTPUT.to_owned(), made.to_string());
    }
    if let Some(sum) = seeds(member) {
        labels.insert(label::SEED_CHECKSUM.to_owned(), sum);
    }
    labels
}

/// The checksum of the script whose place this took; none where it would have had none.
fn seeds(member: &Member) -> Option<String> {
    let request = &member.request;
    let prefix = request.places.prefixes.iter().map(|prefix| format!("FROM {prefix}"));
    let prefix = prefix
        .into_iter()
        .find(|prefix| member.text.lines().any(|line| line.starts_with(prefix.as_str())));
    let mut base = |name: &str| {
        let path = family::find(request.folder(), name)?;
        std::fs::read_to_string(path).ok().map(std::borrow::Cow::Owned)
    };
    let text = seed::preprocessed(&member.text, prefix.as_deref().unwrap_or_default(), &mut base).ok()?;
    Some(seed::sha1(&text))
}
