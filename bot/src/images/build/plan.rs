//! Whether an image would be built, and why: a value that can be printed, and that changes nothing.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use windlass_core::image::inputs::{Difference, Kind, difference, told};
use windlass_core::image::{ImageName, label};

use super::error::BuildError;
use super::family::{Family, Member};
use super::inputs::{self, BaseNow, Counted};
use super::request::Cache;
use super::session::Session;
use super::stock::{Have, Survey};

/// Differences that are told of one image.
const MOST: usize = 20;

/// What would be done, image by image, those below first.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// One for each image of ours.
    pub images: Vec<ImagePlan>,
}

/// What would be done with one image.
#[derive(Debug, Clone, Serialize)]
pub struct ImagePlan {
    /// Its name.
    pub tag: String,
    /// Its Dockerfile.
    pub dockerfile: String,
    /// Whether nothing would be done.
    pub up_to_date: bool,
    /// Why it would be built.
    pub reasons: Vec<String>,
    /// The images of ours that it stands on.
    pub bases: Vec<String>,
    /// The digest of its inputs, where all of them are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
    /// The digest of the image that is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// One image, looked at.
#[derive(Debug)]
pub struct Assessed {
    /// What counts for it.
    pub counted: Counted,
    /// What is there under its name.
    pub have: Option<Have>,
    /// Why it is not what it would be; nothing where it is.
    pub reasons: Vec<String>,
}

/// What each image of ours is by now.
pub type Now = BTreeMap<ImageName, BaseNow>;

impl Plan {
    /// Whether nothing would be done at all.
    pub fn is_empty(&self) -> bool {
        self.images.iter().all(|image| image.up_to_date)
    }

    /// The image that was asked for.
    pub fn target(&self) -> Option<&ImagePlan> {
        self.images.last()
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for image in &self.images {
            if image.up_to_date {
                writeln!(f, "{} is up to date", image.tag)?;
                continue;
            }
            writeln!(f, "{} would be built from {}:", image.tag, image.dockerfile)?;
            for reason in &image.reasons {
                writeln!(f, "  {reason}")?;
            }
        }
        Ok(())
    }
}

/// Looks at all images of a family.
///
/// # Errors
/// Something of theirs cannot be read; the engine's.
pub async fn plan(session: &Session, family: &Family) -> Result<Plan, BuildError> {
    let names: Vec<&ImageName> = family.members().iter().map(|member| &member.request.tag).collect();
    let mut survey = session.stock.survey(&names).await?;
    let mut now = Now::new();
    let mut images = Vec::with_capacity(names.len());
    for member in family.members() {
        let assessed = assess(session, member, &now, &mut survey).await?;
        let up_to_date = assessed.reasons.is_empty();
        let state = match &assessed.have {
            Some(have) if up_to_date => BaseNow::Image(have.id.clone()),
            Some(_) | None => BaseNow::WouldBeBuilt,
        };
        now.insert(member.request.tag.clone(), state);
        images.push(ImagePlan {
            tag: member.request.tag.to_string(),
            dockerfile: member.request.dockerfile.display().to_string(),
            up_to_date,
            reasons: assessed.reasons,
            bases: own_bases(member),
            checksum: assessed.counted.checksum(),
            id: assessed.have.map(|have| have.id),
        });
    }
    Ok(Plan { images })
}

fn own_bases(member: &Member) -> Vec<String> {
    let mut names: Vec<String> = member
        .bases
        .iter()
        .filter(|ground| ground.own)
        .map(|ground| ground.name.to_string())
        .collect();
    names.dedup();
    names
}

/// Looks at one image, given what those below it are by now. Nothing is run: what `.pre` made counts as it was recorded, as long as the
/// script is the same.
///
/// # Errors
/// Something of it cannot be read; the engine's.
pub async fn assess(
    session: &Session,
    member: &Member,
    now: &Now,
    survey: &mut Survey,
) -> Result<Assessed, BuildError> {
    let have = session.stock.known(survey, &member.request.tag).await?;
    let nothing = BTreeMap::new();
    let labels = have.as_ref().map_or(&nothing, |have| &have.labels);
    let bases = session.bases(member, now, survey).await?;
    let counted = inputs::count(session, member, &bases, None, labels)?;
    let reasons = reasons(member, have.as_ref(), &counted);
    Ok(Assessed { counted, have, reasons })
}

/// Why an image is not what it would be.
pub fn reasons(member: &Member, have: Option<&Have>, counted: &Counted) -> Vec<String> {
    let Some(have) = have else {
        return vec!["there is no such image".to_owned()];
    };
    if member.request.cache == Cache::Leave {
        return vec!["--no-cache asks for it".to_owned()];
    }
    let Some(checksum) = have.labels.get(label::CHECKSUM) else {
        return vec!["the image there carries no checksum of ours: something else made it".to_owned()];
    };
    if counted.checksum().as_ref() == Some(checksum) {
        return Vec::new();
    }
    let Some(old) = inputs::recorded(&have.labels) else {
        return vec!["the image there does not say what it was made from".to_owned()];
    };
    let differences = difference(&old, &counted.inputs);
    let updated = |one: &Difference| matches!(one, Difference::Removed { name, .. } if name == super::update::MARK);
    if differences.iter().any(updated) {
        return vec!["`windlass image update` has changed it since".to_owned()];
    }
    let mut reasons = counted.awaited.clone();
    // What is awaited is told already, and not as gone.
    let awaited = |one: &&Difference| match one {
        Difference::Removed { kind: Kind::Base, name } => {
            counted.awaited.iter().any(|told| told.contains(name.as_str()))
        }
        Difference::Removed { kind, .. } => *kind == Kind::PreOutput,
        Difference::Added { .. } | Difference::Changed { .. } | Difference::Below { .. } | Difference::Order => false,
    };
    let differing: Vec<Difference> = differences.iter().filter(|one| !awaited(one)).cloned().collect();
    reasons.extend(told(&differing, MOST));
    if reasons.is_empty() {
        reasons.push("its checksum and its list of inputs do not agree: something else has changed it".to_owned());
    }
    reasons
}
