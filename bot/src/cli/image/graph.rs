//! `windlass image graph`: which image stands on which, what is stale, and because of what.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;
use windlass_core::image::ImageName;
use windlass_core::image::graph::Because;

use super::Common;
use super::site::{Site, Without};
use super::what::prefixes;
use crate::cli::Context;
use crate::exit::{Exit, Usage};
use crate::images::build::request::{BuildRequest, Places, What};
use crate::images::build::{Family, folder, plan as plans};

/// Arguments of `windlass image graph`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes: 0 nothing is stale, 1 something is, 2 usage, 3 no engine.

Examples:
  windlass image graph dockerfiles/
  windlass image graph --json | jq -r '.[] | select(.stale) | .tag'
  windlass image graph dockerfiles/ --dot | dot -Tsvg > graph.svg")]
pub struct Args {
    /// A folder with Dockerfiles (NAME.docker, Dockerfile.NAME, NAME/Dockerfile); the configured images when left out
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
    /// What names of own images begin with [default: localhost/ windlass/]
    #[arg(long, value_name = "PREFIX")]
    own_prefix: Vec<String>,
    /// Answer in JSON
    #[arg(long, conflicts_with = "dot")]
    json: bool,
    /// Answer as a graph for Graphviz
    #[arg(long)]
    dot: bool,
}

/// One image of the graph.
#[derive(Debug, Serialize)]
struct Row {
    tag: String,
    dockerfile: String,
    bases: Vec<String>,
    foreign: Vec<String>,
    stale: bool,
    /// What differs of itself.
    reasons: Vec<String>,
    /// The way down to the image that makes it stale.
    because_of: Vec<String>,
}

pub(super) fn graph(context: &mut Context, common: &Common, args: &Args) -> anyhow::Result<Exit> {
    let places = Places {
        prefixes: prefixes(&args.own_prefix),
        lock: None,
    };
    let requests = match &args.folder {
        Some(folder) => folder::images(folder, &places)?,
        None => configured(context, &places)?,
    };
    let site = Site::open(common, Without::GiveUp, None)?;
    let session = &site.session;
    let work = async {
        let family = Family::of_all(&requests, &session.native())?;
        let plan = session.unless_stopped(plans::plan(session, &family)).await?;
        Ok((family, plan))
    };
    let (family, plan) = match site.runtime.block_on(work) {
        Ok(done) => done,
        Err(error) => return site.failed(&mut context.output, error),
    };
    let mut changed: BTreeMap<ImageName, Vec<String>> = BTreeMap::new();
    for (member, image) in family.members().iter().zip(&plan.images) {
        // What would be built only because its base would is stale because of that base.
        let own: Vec<String> = image
            .reasons
            .iter()
            .filter(|reason| !reason.ends_with(" would be built"))
            .cloned()
            .collect();
        if !image.up_to_date && !own.is_empty() {
            changed.insert(member.request.tag.clone(), own);
        }
    }
    let graph = family.graph();
    let mut stale: BTreeMap<&ImageName, Because<'_, Vec<String>>> = graph.stale(changed).into_iter().collect();
    let rows: Vec<Row> = family
        .members()
        .iter()
        .map(|member| {
            let tag = &member.request.tag;
            let because = stale.remove(tag);
            let names = |names: &mut dyn Iterator<Item = &ImageName>| names.map(ToString::to_string).collect();
            Row {
                tag: tag.to_string(),
                dockerfile: member.request.dockerfile.display().to_string(),
                bases: names(&mut graph.bases(tag)),
                foreign: names(&mut graph.foreign_of(tag).iter()),
                stale: because.is_some(),
                because_of: match &because {
                    Some(Because::Bases(way)) => way.iter().map(ToString::to_string).collect(),
                    Some(Because::Itself(_)) | None => Vec::new(),
                },
                reasons: match because {
                    Some(Because::Itself(reasons)) => reasons,
                    Some(Because::Bases(_)) | None => Vec::new(),
                },
            }
        })
        .collect();
    show(context, args, &rows)?;
    Ok(if rows.iter().any(|row| row.stale) {
        Exit::Failed
    } else {
        Exit::Done
    })
}

fn show(context: &mut Context, args: &Args, rows: &[Row]) -> std::io::Result<()> {
    let out = &mut context.output;
    if args.json {
        return out.json(&rows);
    }
    if args.dot {
        out.line("digraph images {")?;
        for row in rows {
            let style = if row.stale { " [style=dashed]" } else { "" };
            out.line(format!("  {:?}{style};", row.tag))?;
            for base in row.bases.iter().chain(&row.foreign) {
                out.line(format!("  {:?} -> {base:?};", row.tag))?;
            }
        }
        return out.line("}");
    }
    for row in rows {
        let state = if row.stale { "stale" } else { "up to date" };
        out.line(format!("{}: {state}", row.tag))?;
        for base in &row.bases {
            out.line(format!("  on {base}"))?;
        }
        for base in &row.foreign {
            out.line(format!("  on {base} (foreign)"))?;
        }
        for reason in &row.reasons {
            out.line(format!("  because {reason}"))?;
        }
        if !row.because_of.is_empty() {
            out.line(format!("  because of {}", row.because_of.join(" → ")))?;
        }
    }
    Ok(())
}

/// The images of the configuration.
fn configured(context: &Context, places: &Places) -> anyhow::Result<Vec<BuildRequest>> {
    let config = context.config()?;
    if config.images.is_empty() {
        let error = Usage::new("no images are configured, and no folder is named");
        return Err(error
            .hint("windlass image graph DIR, or [[image]] in the configuration")
            .into());
    }
    let mut requests = Vec::new();
    for image in &config.images {
        let mut request = BuildRequest::new(image.reference().parse()?, &image.dockerfile);
        request.places = places.clone();
        request.what = What {
            context: image
                .context
                .clone()
                .or_else(|| image.dockerfile.parent().map(Into::into)),
            build_args: image.build_args.clone(),
            platform: image.platform.clone(),
            ..What::default()
        };
        requests.push(request);
    }
    Ok(requests)
}
