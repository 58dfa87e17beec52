//! Arbitrary happenings in the life of jobs, for laws.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::id::Generation;

/// When everything begins.
pub(crate) fn start() -> Timestamp {
    "2026-11-21T10:00:00Z".parse().unwrap()
}

/// So many seconds later.
pub(crate) fn at(seconds: i64) -> Timestamp {
    start() + SignedDuration::from_secs(seconds)
}

/// alice, who does not want it any more.
pub(crate) fn alice() -> Canceller {
    Canceller::Person {
        by: "alice".parse().unwrap(),
    }
}

/// The build of an image because of a generation of sisyphus.
pub(crate) fn build_of(image: &str, generation: u64) -> JobKind {
    JobKind::ImageBuild(ImageBuild {
        image: image.parse().unwrap(),
        repository: "sisyphus".parse().unwrap(),
        generation: Generation(generation),
        because: Vec::new(),
        more: 0,
    })
}

/// The making of a payload because of a generation of sisyphus.
pub(crate) fn making_of(payload: &str, generation: u64) -> JobKind {
    JobKind::PayloadBuild(PayloadBuild {
        payload: payload.parse().unwrap(),
        repository: "sisyphus".parse().unwrap(),
        generation: Generation(generation),
        because: Vec::new(),
        more: 0,
    })
}

/// A payload that holds these packages.
pub(crate) fn payload_with(payload: &str, packages: &[&str]) -> JobResult {
    JobResult::Payload(Box::new(MadePayload {
        payload: payload.parse().unwrap(),
        board: "kiosk".to_owned(),
        version: "1.0.2".to_owned(),
        number: 2,
        digest: "00".repeat(32),
        size: 4096,
        reused: false,
        stateful: None,
        disk: None,
        delta: None,
        generations: BTreeMap::new(),
        packages: packages.iter().map(|package| (*package).to_owned()).collect(),
    }))
}

/// An image that holds these packages.
pub(crate) fn image_with(packages: &[&str]) -> JobResult {
    JobResult::Image(BuiltImage {
        name: "registry.example.org/web:latest".to_owned(),
        digest: "sha256:00".to_owned(),
        pushed: true,
        reused: false,
        generations: BTreeMap::new(),
        packages: packages.iter().map(|package| (*package).to_owned()).collect(),
        provenance: None,
        sbom: None,
    })
}

/// Something that is said of a job, whether it fits or not.
pub(crate) fn event() -> BoxedStrategy<JobEvent> {
    let attempt = || 0..4_u32;
    let moment = || (0..1000_i64).prop_map(at);
    prop_oneof![
        (0..3_u64).prop_map(|generation| JobEvent::Updated {
            kind: build_of("web", generation),
            after: BTreeSet::new(),
            task: None,
        }),
        (attempt(), moment()).prop_map(|(attempt, until)| JobEvent::Leased { attempt, until }),
        (attempt(), moment()).prop_map(|(attempt, until)| JobEvent::Renewed { attempt, until }),
        (attempt(), any::<bool>()).prop_map(|(attempt, is_image)| JobEvent::Succeeded {
            attempt,
            result: if is_image {
                image_with(&[])
            } else {
                payload_with("web", &[])
            },
        }),
        (attempt(), any::<bool>(), prop::option::of(moment())).prop_map(|(attempt, transient, retry_at)| {
            JobEvent::Failed {
                attempt,
                message: "the registry is away".to_owned(),
                transient,
                retry_at,
            }
        }),
        (attempt(), prop::option::of(moment())).prop_map(|(attempt, retry_at)| JobEvent::Lost { attempt, retry_at }),
        Just(JobEvent::Cancelled { by: alice() }),
        Just(JobEvent::Cancelled {
            by: Canceller::Rollout {
                why: "a canary failed".to_owned()
            }
        }),
        Just(JobEvent::AskedAgain {
            by: "alice".parse().unwrap()
        }),
    ]
    .boxed()
}
