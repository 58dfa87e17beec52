//! The labels that our images carry: what they were made from, by whom, and whose they are.
//!
//! Read back they decide whether an image is up to date, and what `image clean` and `image gc` may touch: nothing
//! without our labels is ever removed.

/// SHA-256 over all inputs ([`Inputs::digest`](super::inputs::Inputs::digest)): `sha256:…`.
pub const CHECKSUM: &str = "org.windlass.checksum";
/// The inputs themselves, as compact JSON ([`Inputs::to_label`](super::inputs::Inputs::to_label)).
pub const INPUTS: &str = "org.windlass.inputs";
/// SHA-1 of the preprocessed Dockerfile, as the script whose place this took computed it
/// ([`seed`](super::dockerfile::seed)): for those who compare it still.
pub const SEED_CHECKSUM: &str = "org.windlass.dockerfile-sha1";
/// The commit of the repository in which the Dockerfile stands.
pub const COMMIT: &str = "org.windlass.commit";
/// The bases, in order, each with its digest, as JSON.
pub const BASES: &str = "org.windlass.bases";
/// The task whose commit made the build necessary.
pub const TASK: &str = "org.windlass.task";
/// The packages of our repositories that the image's package database holds, as JSON.
pub const PACKAGES: &str = "org.windlass.packages";
/// The name under which the image was built, fully qualified.
pub const TAG: &str = "org.windlass.tag";
/// The digest of what the script beside the Dockerfile made; a look at what is up to date does not run it.
pub const PRE_OUTPUT: &str = "org.windlass.pre-output";
/// On containers and on images: which run of ours made it.
pub const INSTANCE: &str = "org.windlass.instance";
/// On containers and on images: which user's it is, as a number; only his own does anybody remove.
pub const OWNER: &str = "org.windlass.owner";
/// On containers: it was asked to stay.
pub const KEEP: &str = "org.windlass.keep";

/// What every label of ours begins with; a Dockerfile that sets one itself is overruled.
pub const PREFIX: &str = "org.windlass.";

/// All of them, in the order in which they are written.
pub const ALL: [&str; 12] = [
    CHECKSUM,
    INPUTS,
    SEED_CHECKSUM,
    COMMIT,
    BASES,
    TASK,
    PACKAGES,
    TAG,
    PRE_OUTPUT,
    INSTANCE,
    OWNER,
    KEEP,
];

/// Whether a label is ours.
pub fn is_ours(label: &str) -> bool {
    label.starts_with(PREFIX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_is_ours_and_stands_once() {
        assert!(ALL.iter().all(|label| is_ours(label)));
        assert_eq!(ALL.iter().collect::<BTreeSet<_>>().len(), ALL.len());
        assert!(!is_ours("org.windlassx"));
    }
}
