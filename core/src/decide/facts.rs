//! What was found out before a decision: configuration, people, judged tags.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use crate::device::lab::{Calendar, FlashLine};
use crate::id::{
    ArchName, DeviceName, GroupName, ImageId, NightlyName, ObjectId, PackageName, PayloadName, RepositoryName,
    SourcePath, TagName, UserName,
};
use crate::refusal::Refusal;
use crate::rpm::Evr;
use crate::task::SignedBy;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The person.
    pub user: UserName,
    /// Whether he may do everything.
    pub superuser: bool,
}

/// What a decision depends on beside the world.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The binary repositories that are configured.
    pub repositories: BTreeMap<RepositoryName, RepositoryFacts>,
    /// The one that is meant when none is named.
    pub default_repository: Option<RepositoryName>,
    /// The container images that are configured, each with the repositories that it installs from.
    pub images: BTreeMap<ImageId, Vec<RepositoryName>>,
    /// The payloads that are configured, in the same way. None is called as an image is.
    pub payloads: BTreeMap<PayloadName, Vec<RepositoryName>>,
    /// The lab's devices that are configured.
    pub devices: BTreeMap<DeviceName, DeviceFacts>,
    /// What is configured of the lab.
    pub lab: LabFacts,
    /// The nightly runs that are configured.
    pub nightlies: BTreeMap<NightlyName, NightlyFacts>,
    /// The newest flashes of the device that [`needs_flashes`](super::needs_flashes) named, newest first.
    pub flashes: Vec<FlashLine>,
    /// How much one person may have.
    pub limits: Limits,
    /// Everybody there is.
    pub people: BTreeSet<UserName>,
    /// Who may do everything.
    pub superusers: BTreeSet<UserName>,
    /// The verdicts on the tags that [`needs`](super::needs) named.
    pub tags: BTreeMap<(SourcePath, TagName), TagFacts>,
    /// Accounts of programs, whose tags others may push and add.
    pub bots: BTreeSet<UserName>,
    /// Whether a pushed tag is built without being asked for.
    pub build_every_push: bool,
}

/// What is configured for one binary repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RepositoryFacts {
    /// Its architectures.
    pub architectures: Vec<ArchName>,
    /// Whether a package without an access list is closed to all.
    pub deny_unlisted: bool,
    /// The groups of which an approval is needed.
    pub required_approvals: Vec<GroupName>,
}

/// What is configured for one lab device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceFacts {
    /// Its board, where that is said.
    pub board: Option<String>,
    /// How it is reached.
    pub address: String,
    /// What updates it.
    pub driver: String,
    /// Its tags.
    pub tags: BTreeSet<String>,
    /// The payload that it takes.
    pub payload: Option<PayloadName>,
    /// Whether it is flashed whenever a commit made a new one.
    pub after_merge: bool,
}

/// What is configured for one nightly run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NightlyFacts {
    /// When.
    pub calendar: Calendar,
    /// The devices with all these tags.
    pub tags: BTreeSet<String>,
    /// Those with this board.
    pub board: Option<String>,
    /// The payload; each device's own where none is named.
    pub payload: Option<PayloadName>,
    /// The tag of those that come first; the lab's where none is named.
    pub canary_tag: Option<String>,
    /// So many of them at most.
    pub canaries: Option<u32>,
    /// What is left is given up once so many of a hundred flashes have failed.
    pub stop_at: u8,
    /// How often a flash is tried again after a transient failure.
    pub retries: u32,
}

/// What is configured of the lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabFacts {
    /// The longest that somebody may have a device for himself.
    pub longest_reservation: SignedDuration,
    /// How many devices are flashed at once.
    pub at_once: usize,
    /// The tag of those that are flashed before the others.
    pub canary: String,
}

impl Default for LabFacts {
    fn default() -> Self {
        Self {
            longest_reservation: SignedDuration::from_hours(7 * 24),
            at_once: 4,
            canary: "canary".to_owned(),
        }
    }
}

/// How much one person may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The most tasks of one owner that are neither landed nor removed.
    pub open_tasks_per_user: usize,
    /// The most subtasks of one task.
    pub subtasks_per_task: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            open_tasks_per_user: 200,
            subtasks_per_task: 500,
        }
    }
}

/// The verdict on a tag, as it is at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagFacts {
    /// It is good.
    Good(GoodTag),
    /// It is not, or is not there: all reasons.
    Refused(Vec<Refusal>),
    /// Policy does not take it for a build tag, as upstream's own tags: it is never built.
    Other,
}

/// A good tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoodTag {
    /// The tag object.
    pub object: ObjectId,
    /// The commit that it names.
    pub commit: ObjectId,
    /// Whose signature it carries.
    pub signer: SignedBy,
    /// The source package's name, where it can be told before a build; else the source repository's name stands for it.
    pub package: Option<PackageName>,
    /// The source package's epoch, version and release, where the spec alone tells them.
    pub evr: Option<Evr>,
}
