//! What is ours on engines that others use too: labels, and the removal of what killed bots left.

use std::collections::{BTreeSet, HashMap};

use super::engine::{Fault, Link};

pub(super) use windlass_core::image::label::{INSTANCE, OWNER};

/// For which build it is.
pub(super) const BUILD: &str = "org.windlass.build";

/// The labels of something that is ours; the instance is the set-up of Windlass, whichever of its processes made it.
pub(super) fn of(instance: &str, build: &str) -> HashMap<String, String> {
    [
        (INSTANCE, instance.to_owned()),
        (OWNER, rustix::process::geteuid().as_raw().to_string()),
        (BUILD, build.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// Removes what carries our label and is for none of these builds; says how much it was.
pub(super) fn sweep(link: &Link, instance: &str, ours: &BTreeSet<String>) -> Result<usize, Fault> {
    let found = link.labelled(INSTANCE, instance)?;
    let left = |build: &str| !ours.contains(build);
    let mut removed = 0;
    // Containers first: what they use cannot go before them.
    for (container, build) in &found.containers {
        if left(build) {
            link.remove(container)?;
            removed += 1;
        }
    }
    for (volume, build) in &found.volumes {
        if left(build) {
            link.remove_volume(volume)?;
            removed += 1;
        }
    }
    for (image, build) in &found.images {
        if left(build) {
            link.remove_image(image)?;
            removed += 1;
        }
    }
    Ok(removed)
}
