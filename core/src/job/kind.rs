//! What is to be done, and why.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{Generation, ImageId, PayloadName, RepositoryName, UserName};

/// What is to be done. A device, a nightly run are further kinds of the same form: a tag and its fields.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "job", rename_all = "kebab-case")]
pub enum JobKind {
    /// An image is built and pushed.
    ImageBuild(ImageBuild),
    /// The next version of a payload is made.
    PayloadBuild(PayloadBuild),
}

/// The build of an image.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ImageBuild {
    /// The image.
    pub image: ImageId,
    /// The repository that has changed.
    pub repository: RepositoryName,
    /// Its generation that made the image stale. What is built holds this generation's packages, or a newer one's.
    pub generation: Generation,
    /// Why: the first reasons.
    pub because: Vec<Because>,
    /// How many reasons there are beside these.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: u32,
}

/// The making of a payload's next version.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PayloadBuild {
    /// The payload.
    pub payload: PayloadName,
    /// The repository that has changed.
    pub repository: RepositoryName,
    /// Its generation that made the payload stale. What is made holds this generation's packages, or a newer one's.
    pub generation: Generation,
    /// Why: the first reasons.
    pub because: Vec<Because>,
    /// How many reasons there are beside these.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference over")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Why an image or a payload is stale.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "because", rename_all = "kebab-case")]
pub enum Because {
    /// A package that it holds, or would hold, is another one now.
    Package {
        /// The package.
        package: String,
        /// What the repository had, as epoch:version-release.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<String>,
        /// What it has.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<String>,
    },
    /// An image that it stands on is built again.
    Base {
        /// That image.
        image: ImageId,
    },
    /// Somebody asked for it.
    Asked {
        /// Who.
        by: UserName,
    },
}

/// What a job is about. Of one subject one job at most waits to be begun, and one at most is worked on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// A configured image.
    Image(ImageId),
    /// A configured payload.
    Payload(PayloadName),
}

impl JobKind {
    /// What it is about.
    pub fn subject(&self) -> Subject {
        match self {
            Self::ImageBuild(build) => Subject::Image(build.image.clone()),
            Self::PayloadBuild(build) => Subject::Payload(build.payload.clone()),
        }
    }

    /// The kind's name, as in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ImageBuild(_) => "image-build",
            Self::PayloadBuild(_) => "payload-build",
        }
    }

    /// Why it is done, one line a reason.
    pub fn reasons(&self) -> Vec<String> {
        let (because, more) = match self {
            Self::ImageBuild(build) => (&build.because, build.more),
            Self::PayloadBuild(build) => (&build.because, build.more),
        };
        let mut lines: Vec<String> = because.iter().map(ToString::to_string).collect();
        if more > 0 {
            lines.push(format!("and {more} more"));
        }
        lines
    }
}

impl fmt::Display for JobKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ImageBuild(build) => write!(
                f,
                "build image {} with generation {} of {}",
                build.image, build.generation, build.repository
            ),
            Self::PayloadBuild(build) => write!(
                f,
                "make payload {} with generation {} of {}",
                build.payload, build.generation, build.repository
            ),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(image) => write!(f, "image {image}"),
            Self::Payload(payload) => write!(f, "payload {payload}"),
        }
    }
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Package { package, before, after } => match (before, after) {
                (Some(before), Some(after)) => write!(f, "{package} {before} → {after}"),
                (None, Some(after)) => write!(f, "{package} {after} came"),
                (Some(before), None) => write!(f, "{package} {before} went"),
                (None, None) => write!(f, "{package} changed"),
            },
            Self::Base { image } => write!(f, "its base {image} is built again"),
            Self::Asked { by } => write!(f, "{by} asked for it"),
        }
    }
}
