//! What is to be done, and why.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{DeviceName, Generation, ImageId, JobId, NightlyName, PayloadName, RepositoryName, UserName};

/// What is to be done: a tag and its fields.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "job", rename_all = "kebab-case")]
pub enum JobKind {
    /// An image is built and pushed.
    ImageBuild(ImageBuild),
    /// The next version of a payload is made.
    PayloadBuild(PayloadBuild),
    /// A lab device is flashed.
    Flash(FlashJob),
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

/// The flash of a lab device.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FlashJob {
    /// The device.
    pub device: DeviceName,
    /// The payload.
    pub payload: PayloadName,
    /// Its version.
    pub version: String,
    /// What for. Flashes for the same reason are one rollout.
    pub because: Rollout,
    /// Whether the others wait for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub canary: bool,
    /// How often it is tried again after transient failures; as often as any job where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// What is left of the rollout is not begun once so many of a hundred of its flashes have failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_at: Option<u8>,
}

/// Why devices are flashed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "because", rename_all = "kebab-case")]
pub enum Rollout {
    /// A new version was made.
    Made {
        /// By this job.
        by_job: JobId,
    },
    /// A nightly run.
    Nightly {
        /// Which.
        nightly: NightlyName,
        /// Its number.
        run: u32,
    },
}

/// What the jobs of a kind have to share: so many of each sort run at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// This machine.
    Machine,
    /// The lab.
    Lab,
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
    /// A lab device.
    Device(DeviceName),
}

impl Subject {
    /// What jobs about it have to share.
    pub fn lane(&self) -> Lane {
        match self {
            Self::Image(_) | Self::Payload(_) => Lane::Machine,
            Self::Device(_) => Lane::Lab,
        }
    }
}

impl JobKind {
    /// What it is about.
    pub fn subject(&self) -> Subject {
        match self {
            Self::ImageBuild(build) => Subject::Image(build.image.clone()),
            Self::PayloadBuild(build) => Subject::Payload(build.payload.clone()),
            Self::Flash(flash) => Subject::Device(flash.device.clone()),
        }
    }

    /// The kind's name, as in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ImageBuild(_) => "image-build",
            Self::PayloadBuild(_) => "payload-build",
            Self::Flash(_) => "flash",
        }
    }

    /// Why it is done, one line a reason.
    pub fn reasons(&self) -> Vec<String> {
        let (because, more) = match self {
            Self::ImageBuild(build) => (&build.because, build.more),
            Self::PayloadBuild(build) => (&build.because, build.more),
            Self::Flash(flash) => {
                let canary = if flash.canary { "; it is a canary" } else { "" };
                return vec![format!("{}{canary}", flash.because)];
            }
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
            Self::Flash(flash) => write!(f, "flash {} with {} {}", flash.device, flash.payload, flash.version),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(image) => write!(f, "image {image}"),
            Self::Payload(payload) => write!(f, "payload {payload}"),
            Self::Device(device) => write!(f, "device {device}"),
        }
    }
}

impl fmt::Display for Rollout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Made { by_job } => write!(f, "job {by_job} made this version"),
            Self::Nightly { nightly, run } => write!(f, "run {run} of nightly {nightly}"),
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
