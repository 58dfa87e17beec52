//! What is said of an image beside it in its registry: how it was made, and what is in it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use windlass_core::id::{JobId, TaskId};
use windlass_core::image::dockerfile::Platform;
use windlass_core::image::{Digest, ImageName, label};
use windlass_core::job::{BuiltImage, ImageBuild};

use super::Trouble;
use crate::config::Image;
use crate::images::provenance::{self, Cause, Dependency, Provenance};
use crate::images::registry::{Registry, RegistryError};
use crate::images::sbom::{self, Contents, Package};

/// Who builds: the installation is not named, since it has no name of its own.
const BUILDER: &str = "urn:windlass:bot";

/// A base, as a label of ours says it.
#[derive(Deserialize)]
struct Base {
    name: String,
    digest: Option<String>,
}

/// What is known of an image that was made.
pub(super) struct Story<'a> {
    pub(super) image: &'a Image,
    pub(super) build: &'a ImageBuild,
    pub(super) job: JobId,
    pub(super) tasks: &'a [TaskId],
    /// When the attempt began.
    pub(super) began: Timestamp,
    /// When the job was queued: what says when a list of packages was made, however often it is made again.
    pub(super) queued: Timestamp,
    /// The source repository and the commit whose tag made the job necessary.
    pub(super) commit: Option<(String, String)>,
    pub(super) result: &'a BuiltImage,
    pub(super) installed: &'a [Package],
}

impl Story<'_> {
    /// Puts both beside the image; their digests.
    pub(super) async fn attach(
        &self,
        registry: &Registry,
        name: &ImageName,
        platform: &Platform,
    ) -> Result<(String, String), Trouble> {
        let of = |error: RegistryError| Trouble::of(&error, error.is_transient());
        let digest: Digest = self
            .result
            .digest
            .parse()
            .map_err(|_| Trouble::lasting(format!("'{}' is no digest", self.result.digest)))?;
        let pushed = name.without_digest().with_digest(digest.clone());
        let there = registry.image(&pushed, platform).await.map_err(of)?;
        let subject = there.descriptor;
        let provenance = provenance::artifact(&Provenance {
            image: name,
            digest: &digest,
            builder: BUILDER,
            parameters: self.parameters(),
            dependencies: self.dependencies(&there.config.config.labels),
            cause: Cause {
                task: self.tasks.last().map(|task| task.get()),
                repository: Some(self.build.repository.to_string()),
                generation: Some(self.build.generation.0),
            },
            invocation: format!("job {}", self.job),
            started: self.began,
            finished: Timestamp::now(),
        });
        let sbom = sbom::artifact(&Contents {
            image: name,
            digest: &digest,
            distribution: None,
            packages: self.installed,
            created: self.queued,
        });
        let provenance = registry.push_referrer(name, &subject, &provenance).await.map_err(of)?;
        let sbom = registry.push_referrer(name, &subject, &sbom).await.map_err(of)?;
        Ok((provenance.digest.to_string(), sbom.digest.to_string()))
    }

    /// What it was made of: the commit behind it, and what its labels say: its bases, by what each was here, and all its inputs at once.
    fn dependencies(&self, labels: &BTreeMap<String, String>) -> Vec<Dependency> {
        let commit = self.commit.iter();
        let mut all: Vec<Dependency> = commit.map(|(source, id)| Dependency::commit(source, id)).collect();
        let bases = labels.get(label::BASES).map_or("[]", String::as_str);
        let bases: Vec<Base> = serde_json::from_str(bases).unwrap_or_default();
        all.extend(bases.iter().filter_map(|base| {
            let digest: Digest = base.digest.as_deref()?.parse().ok()?;
            Some(Dependency::input(&format!("base {}", base.name), digest.as_str()))
        }));
        let checksum = labels.get(label::CHECKSUM).and_then(|sum| sum.parse::<Digest>().ok());
        all.extend(checksum.map(|sum| Dependency::input("inputs", sum.as_str())));
        all
    }

    /// What was asked for, as people ask for it.
    fn parameters(&self) -> BTreeMap<String, String> {
        let packages: Vec<&str> = self.image.packages.iter().map(AsRef::as_ref).collect();
        let generations: Vec<String> = self
            .result
            .generations
            .iter()
            .map(|(name, generation)| format!("{name}:{generation}"))
            .collect();
        let mut parameters = BTreeMap::from([
            ("image".to_owned(), self.image.name.to_string()),
            ("dockerfile".to_owned(), self.image.dockerfile.display().to_string()),
            ("packages".to_owned(), packages.join(" ")),
            ("generations".to_owned(), generations.join(" ")),
        ]);
        parameters.extend(
            self.image
                .build_args
                .iter()
                .map(|(name, value)| (format!("build-arg {name}"), value.clone())),
        );
        parameters.extend(
            self.image
                .platform
                .iter()
                .map(|platform| ("platform".to_owned(), platform.clone())),
        );
        parameters
    }
}
