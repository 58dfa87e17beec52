//! `windlass image check`: whether an image is what a build would make now, or how old it is.

use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::json;
use windlass_core::image::ImageName;

use super::Common;
use super::site::{Site, Without};
use super::what::WhatArgs;
use crate::cli::Context;
use crate::exit::{Exit, Usage};
use crate::images::build::{BuildRequest, plan, record};

/// Arguments of `windlass image check`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without FILE, and without options that say what goes into the image, what counts is how it was
built here the last time. Nothing is run: what the script FILE.pre made counts as it is recorded
on the image, as long as the script is the same.

Exit codes: 0 up to date, 1 not (and what differs), 2 usage, 3 no engine.

Examples:
  windlass image check tool
  windlass image check tool tool.docker --context .
  windlass image check tool --checktype age --olderthan 1440")]
pub struct Args {
    /// The image's name
    #[arg(value_name = "TAG")]
    tag: ImageName,
    /// The Dockerfile
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// What is checked
    #[arg(long, value_enum, default_value_t = CheckType::Checksum)]
    checktype: CheckType,
    /// With --checktype age: how many minutes old it may be
    #[arg(long, value_name = "MINUTES", default_value_t = 60)]
    olderthan: u32,
    #[command(flatten)]
    what: WhatArgs,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum CheckType {
    /// Whether a build would make another one
    Checksum,
    /// How old it is
    Age,
}

pub(super) fn check(context: &mut Context, common: &Common, args: &Args) -> anyhow::Result<Exit> {
    match args.checktype {
        CheckType::Checksum => args.checksum(context, common),
        CheckType::Age => args.age(context, common),
    }
}

impl Args {
    fn request(&self) -> anyhow::Result<BuildRequest> {
        let record = record::directory().and_then(|dir| record::read(&dir, &self.tag));
        let same = |path: &PathBuf| match &self.file {
            Some(file) => std::path::absolute(file).is_ok_and(|file| file == *path),
            None => true,
        };
        let record = record.filter(|record| same(&record.dockerfile));
        let file = match (&self.file, &record) {
            (Some(file), _) => file.clone(),
            (None, Some(record)) => record.dockerfile.clone(),
            (None, None) => {
                let message = format!("{} was not built here: which Dockerfile is it made from?", self.tag);
                return Err(Usage::new(message)
                    .hint(format!("windlass image check {} FILE", self.tag))
                    .into());
            }
        };
        let mut request = self.what.request(self.tag.clone(), file)?;
        if let (Some(record), false) = (record, self.what.says_something()) {
            request.what = record.what;
        }
        Ok(request)
    }

    fn checksum(&self, context: &mut Context, common: &Common) -> anyhow::Result<Exit> {
        let request = self.request()?;
        let site = Site::open(common, Without::GiveUp, None)?;
        let plan = match site.runtime.block_on(plan(&site.session, &request)) {
            Ok(plan) => plan,
            Err(error) => return site.failed(&mut context.output, error),
        };
        let Some(image) = plan.images.iter().find(|image| image.tag == self.tag.to_string()) else {
            anyhow::bail!("{} is not among the images that were looked at", self.tag);
        };
        let out = &mut context.output;
        if self.json {
            out.json(image)?;
        } else if image.up_to_date {
            if !common.quiet {
                out.line(format!("{} is up to date", self.tag))?;
            }
        } else {
            out.line(format!("{} is not up to date:", self.tag))?;
            for reason in &image.reasons {
                out.line(format!("  {reason}"))?;
            }
        }
        Ok(if image.up_to_date { Exit::Done } else { Exit::Failed })
    }

    fn age(&self, context: &mut Context, common: &Common) -> anyhow::Result<Exit> {
        let site = Site::open(common, Without::GiveUp, None)?;
        let have = match site.runtime.block_on(site.session.stock.look(&self.tag)) {
            Ok(have) => have,
            Err(error) => return site.failed(&mut context.output, error),
        };
        // An image that does not say when it was made may be of any age.
        let created = have.as_ref().and_then(|have| have.created);
        let minutes = created.map(|created| Timestamp::now().duration_since(created).as_mins());
        let young = minutes.is_some_and(|minutes| minutes < i64::from(self.olderthan));
        let out = &mut context.output;
        let made = created.map_or_else(|| "at an unknown time".to_owned(), |created| format!("at {created}"));
        if self.json {
            out.json(&json!({
                "tag": self.tag.to_string(),
                "created": created.map(|created| created.to_string()),
                "minutes": minutes,
                "up_to_date": young,
            }))?;
        } else if have.is_none() {
            out.line(format!("there is no image {}", self.tag))?;
        } else if !young {
            out.line(format!(
                "{} was made {made}, {} minutes ago or more",
                self.tag, self.olderthan
            ))?;
        } else if !common.quiet {
            out.line(format!(
                "{} was made {made}, less than {} minutes ago",
                self.tag, self.olderthan
            ))?;
        }
        Ok(if young { Exit::Done } else { Exit::Failed })
    }
}
