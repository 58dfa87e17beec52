//! `windlass image gc`: images of ours that newer ones have taken the place of.

use std::collections::BTreeMap;

use serde_json::json;
use windlass_core::image::label;
use windlass_hooks::settings::{Duration, Size};

use super::images::{megabytes, short};
use super::{Common, failure};
use crate::cli::Context;
use crate::exit::Exit;
use crate::images::engine::{Engine, EngineError, Environment, ImageLine};
use crate::images::runtime;

/// Arguments of `windlass image gc`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Only images that windlass built are looked at, and none on which a container stands is removed.
Of each name the newest --keep stay in any case. Of the others all go; with --max-age only those
that are older; with --max-size the oldest until all of ours together are no larger; with both,
what either says.

Examples:
  windlass image gc --dry-run
  windlass image gc --keep 3
  windlass image gc --max-age 30d --max-size 20GiB")]
pub struct Args {
    /// How many images of each name stay
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    keep: usize,
    /// Only what is older than this goes, as in 30d
    #[arg(long, value_name = "TIME")]
    max_age: Option<Duration>,
    /// How much our images may take together, as in 20GiB
    #[arg(long, value_name = "SIZE")]
    max_size: Option<Size>,
    /// Say what would be removed, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// What stays and what goes.
#[derive(Debug, Clone, Copy)]
struct Policy {
    keep: usize,
    /// In seconds.
    max_age: Option<u64>,
    /// In bytes.
    max_size: Option<u64>,
}

/// An image that goes, and why.
#[derive(Debug, PartialEq, Eq)]
struct Removal<'a> {
    image: &'a ImageLine,
    why: String,
}

pub(super) fn gc(context: &mut Context, common: &Common, args: &Args) -> anyhow::Result<Exit> {
    let policy = Policy {
        keep: args.keep,
        max_age: args.max_age.map(Duration::as_secs),
        max_size: args.max_size.map(Size::bytes),
    };
    let environment = Environment::process();
    runtime()?.block_on(async {
        let engine = common.find(&environment).await?;
        let images = engine.images(&[label::CHECKSUM.to_owned()]).await.map_err(failure)?;
        let used = engine.containers(&[]).await.map_err(failure)?;
        let used: Vec<&str> = used.iter().map(|container| container.image_id.as_str()).collect();
        let now = jiff::Timestamp::now().as_second();
        let mut lines = Vec::new();
        let mut wrong = None;
        for removal in plan(&images, &used, policy, now) {
            let Removal { image, why } = removal;
            let done = if args.dry_run {
                Ok(())
            } else {
                remove(&engine, image).await
            };
            let names = windlass_core::escape::escaped(&image.names.join(" "));
            match done {
                Ok(()) => {
                    let text = format!("{}  {:>10}  {names}  {why}", short(&image.id), megabytes(image.size));
                    lines.push((
                        json!({"id": image.id, "names": image.names, "size": image.size, "why": why}),
                        text,
                    ));
                }
                Err(error) => {
                    context.output.say(format!("windlass: {error}"));
                    wrong = Some(error);
                }
            }
        }
        if args.json {
            let values: Vec<_> = lines.into_iter().map(|(value, _)| value).collect();
            context.output.json(&values)?;
        } else if !common.quiet {
            for (_, text) in lines {
                context.output.line(text)?;
            }
        }
        wrong.map_or(Ok(Exit::Done), |error| Err(failure(error)))
    })
}

/// Removes an image with all of its names. What others stand on (a container, an image) the engine leaves, and says so.
async fn remove(engine: &Engine, image: &ImageLine) -> Result<(), EngineError> {
    for name in &image.names {
        engine.remove_image(name).await?;
    }
    // With its last name it is gone already.
    engine.remove_image(&image.id).await.map(|_| ())
}

/// What goes: pure, so that it can be shown before it is done.
fn plan<'a>(images: &'a [ImageLine], used: &[&str], policy: Policy, now: i64) -> Vec<Removal<'a>> {
    let mut by_name: BTreeMap<&str, Vec<&ImageLine>> = BTreeMap::new();
    for image in images {
        let name = image.labels.get(label::TAG).map_or("", String::as_str);
        by_name.entry(name).or_default().push(image);
    }
    let mut rest: Vec<&ImageLine> = Vec::new();
    for group in by_name.values_mut() {
        // The newest first; what still has a name is newer than what was made in the same second and has lost it.
        group.sort_by_key(|image| {
            (
                std::cmp::Reverse(image.created),
                image.names.is_empty(),
                image.id.clone(),
            )
        });
        rest.extend(group.iter().skip(policy.keep));
    }
    let in_use = |image: &ImageLine| used.iter().any(|id| is_same(id, &image.id));
    rest.retain(|image| !in_use(image));
    rest.sort_by_key(|image| (image.created, image.id.clone()));
    let mut total: u64 = images.iter().map(|image| image.size).sum();
    let mut removals = Vec::new();
    for image in rest {
        let age = u64::try_from(now.saturating_sub(image.created)).unwrap_or(0);
        let why = match (policy.max_age, policy.max_size) {
            (None, None) => Some("newer ones have taken its place".to_owned()),
            (Some(most), _) if age > most => Some(format!("older than {}", Duration::from_secs(most))),
            (_, Some(most)) if total > most => Some(format!("all of ours take more than {}", Size::from_bytes(most))),
            (Some(_) | None, Some(_) | None) => None,
        };
        if let Some(why) = why {
            total = total.saturating_sub(image.size);
            removals.push(Removal { image, why });
        }
    }
    removals
}

/// The fewest digits that stand for an image.
const ID_DIGITS: usize = 12;

/// Whether two ids are one image's: engines leave the algorithm out, or the end.
fn is_same(one: &str, other: &str) -> bool {
    let bare = |id| str::strip_prefix(id, "sha256:").unwrap_or(id);
    let (one, other) = (bare(one), bare(other));
    let begins = |long: &str, start: &str| start.len() >= ID_DIGITS && long.starts_with(start);
    begins(one, other) || begins(other, one)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(id: &str, name: &str, created: i64, size: u64) -> ImageLine {
        ImageLine {
            id: format!("sha256:{id:0>64}"),
            names: Vec::new(),
            labels: [(label::TAG.to_owned(), name.to_owned())].into(),
            created,
            size,
            containers: None,
        }
    }

    fn gone(images: &[ImageLine], used: &[&str], policy: Policy) -> Vec<i64> {
        let plan = plan(images, used, policy, 100);
        plan.into_iter().map(|removal| removal.image.created).collect()
    }

    const ALL: Policy = Policy {
        keep: 1,
        max_age: None,
        max_size: None,
    };

    #[test]
    fn the_newest_of_each_name_stay() {
        let images = [
            image("1", "a", 10, 5),
            image("2", "a", 20, 5),
            image("3", "a", 30, 5),
            image("4", "b", 1, 5),
        ];
        assert_eq!(gone(&images, &[], ALL), [10, 20]);
        assert_eq!(gone(&images, &[], Policy { keep: 2, ..ALL }), [10]);
        assert_eq!(gone(&images, &[], Policy { keep: 0, ..ALL }), [1, 10, 20, 30]);
        assert_eq!(gone(&images, &[&images[0].id], ALL), [20], "a container stands on it");
        let digits = images[1].id.trim_start_matches("sha256:");
        assert_eq!(gone(&images, &[digits], ALL), [10], "the engine names no algorithm");
        assert_eq!(gone(&images, &["sha256:", ""], ALL), [10, 20], "no id is nobody's");
        assert_eq!(
            gone(
                &images,
                &[],
                Policy {
                    max_age: Some(85),
                    ..ALL
                }
            ),
            [10]
        );
        assert_eq!(
            gone(
                &images,
                &[],
                Policy {
                    max_size: Some(15),
                    ..ALL
                }
            ),
            [10]
        );
        assert_eq!(
            gone(
                &images,
                &[],
                Policy {
                    max_size: Some(100),
                    ..ALL
                }
            ),
            Vec::<i64>::new()
        );
        let both = Policy {
            keep: 0,
            max_age: Some(85),
            max_size: Some(5),
        };
        assert_eq!(gone(&images, &[], both), [1, 10, 20]);
    }
}
