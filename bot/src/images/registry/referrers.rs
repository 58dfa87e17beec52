//! What is said of an image beside it: provenance, lists of packages. Small manifests that refer to the image's.
//!
//! A registry that knows the referrers API of the OCI distribution specification 1.1 lists them by itself. For one that does not, the list is kept as
//! the specification says: an index under the tag `sha256-<digits of the subject>`. Such a tag can only be overwritten as a whole, so two
//! who write at once would lose one entry. So each referrer also gets a tag of its own, `sha256-<digits>.<16 digits of its own>`, before the
//! index is touched; who has written the index looks at those tags afterwards, and writes again if one is missing there. Whoever writes last
//! has seen them all, since every tag is older than the index that its owner wrote.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::header::{ACCEPT, LINK};
use reqwest::{Body, Method, Url};
use serde::Deserialize;
use windlass_core::image::{Digest, ImageName};

use super::Registry;
use super::error::RegistryError;
use super::http::Access;
use super::images::LARGEST;
use crate::images::oci::spec::{self, Descriptor, EMPTY, INDEX, Index, MANIFEST, Manifest};

/// How often a list is written again before it is given up.
const TRIES: u32 = 20;

/// The largest list of tags that is read.
const LARGEST_LIST: usize = 32 << 20;

/// How many pages of tags are read.
const MOST_PAGES: usize = 1000;

/// How many digits of its digest a referrer's own tag has.
const OWN_DIGITS: usize = 16;

/// Something that is said of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// What kind of statement it is, as in `application/vnd.in-toto+json`.
    pub artifact_type: String,
    /// What its bytes are.
    pub media_type: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What is said of it.
    pub annotations: BTreeMap<String, String>,
}

/// Something that refers to an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referrer {
    /// Its manifest.
    pub descriptor: Descriptor,
}

impl Referrer {
    /// What kind of statement it is.
    pub fn artifact_type(&self) -> &str {
        self.descriptor.artifact_type.as_deref().unwrap_or_default()
    }
}

/// What became of a look at the list.
enum Listed {
    /// All were in it.
    Already,
    /// It was written anew, and may have been overwritten since.
    Written,
}

#[derive(Deserialize)]
struct Tags {
    #[serde(default)]
    tags: Option<Vec<String>>,
}

impl Registry {
    /// Pushes a statement about an image that is in the repository. The same statement twice is one.
    pub async fn push_referrer(
        &self,
        repository: &ImageName,
        subject: &Descriptor,
        artifact: &Artifact,
    ) -> Result<Descriptor, RegistryError> {
        self.own(repository)?;
        let content = Descriptor::of(&artifact.media_type, &artifact.bytes);
        let empty = Descriptor::of(EMPTY, b"{}");
        for (blob, bytes) in [(&content, artifact.bytes.clone()), (&empty, b"{}".to_vec())] {
            if !self.has_blob(repository, blob).await? {
                self.upload(repository, blob, Body::from(bytes)).await?;
            }
        }
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(MANIFEST.to_owned()),
            artifact_type: Some(artifact.artifact_type.clone()),
            config: empty,
            layers: vec![content],
            subject: Some(Descriptor {
                annotations: BTreeMap::new(),
                ..subject.clone()
            }),
            annotations: artifact.annotations.clone(),
        };
        let bytes = spec::bytes(&manifest);
        let descriptor = Descriptor {
            artifact_type: manifest.artifact_type,
            annotations: manifest.annotations,
            ..Descriptor::of(MANIFEST, &bytes)
        };
        let own = self.tagged(repository, &own_tag(&subject.digest, &descriptor.digest))?;
        let listed_by_registry = self.put_manifest(&own, MANIFEST, bytes).await?;
        if !listed_by_registry {
            self.list(repository, &subject.digest, &descriptor).await?;
        }
        Ok(descriptor)
    }

    fn tagged(&self, repository: &ImageName, tag: &str) -> Result<ImageName, RegistryError> {
        repository
            .with_tag(tag)
            .map_err(|error| self.http.nonsense(error.to_string()))
    }

    /// Brings an entry into the list under the fallback tag.
    async fn list(&self, repository: &ImageName, subject: &Digest, mine: &Descriptor) -> Result<(), RegistryError> {
        let mut last = RegistryError::Busy {
            registry: self.address.clone(),
            subject: subject.to_string(),
        };
        for attempt in 0..TRIES {
            if attempt > 0 {
                // Who writes at the same time does not go on doing so in step with us.
                let apart = u64::from(mine.digest.digits().as_bytes()[0]) % 16;
                tokio::time::sleep(Duration::from_millis(u64::from(attempt) * (10 + apart))).await;
            }
            match self.list_once(repository, subject, mine).await {
                Ok(Listed::Already) => return Ok(()),
                Ok(Listed::Written) => {}
                // Debian's registry answers 500 where two write one tag at the same moment.
                Err(error @ RegistryError::Answer { .. }) if error.is_transient() => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    /// Looks whether the list has every referrer that has a tag, and writes it where it has not.
    async fn list_once(
        &self,
        repository: &ImageName,
        subject: &Digest,
        mine: &Descriptor,
    ) -> Result<Listed, RegistryError> {
        let tag = self.tagged(repository, &list_tag(subject))?;
        let listed = self.listed(&tag).await?;
        let mut index = listed.clone().unwrap_or_else(|| Index::new(Vec::new()));
        if !index.manifests.iter().any(|one| one.digest == mine.digest) {
            index.manifests.push(mine.clone());
        }
        for own in self.own_tags(repository, subject).await? {
            let digits = own.rsplit('.').next().unwrap_or_default();
            let known = index
                .manifests
                .iter()
                .any(|one| one.digest.digits().starts_with(digits));
            if !known && let Some(other) = self.described(&self.tagged(repository, &own)?, subject).await? {
                index.manifests.push(other);
            }
        }
        if listed.as_ref() == Some(&index) {
            return Ok(Listed::Already);
        }
        self.put_manifest(&tag, INDEX, spec::bytes(&index)).await?;
        Ok(Listed::Written)
    }

    /// The list under the fallback tag.
    async fn listed(&self, tag: &ImageName) -> Result<Option<Index>, RegistryError> {
        match self.manifest_bytes(tag).await {
            Ok(raw) => serde_json::from_slice(&raw.bytes)
                .map(Some)
                .map_err(|error| self.http.nonsense(format!("the list {tag} makes no sense: {error}"))),
            Err(RegistryError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A referrer under its own tag, as a list has it; nothing where it is none, or gone.
    async fn described(&self, tag: &ImageName, subject: &Digest) -> Result<Option<Descriptor>, RegistryError> {
        let raw = match self.manifest_bytes(tag).await {
            Ok(raw) => raw,
            Err(RegistryError::Missing { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Ok(manifest) = serde_json::from_slice::<Manifest>(&raw.bytes) else {
            return Ok(None);
        };
        if manifest.subject.is_none_or(|of| of.digest != *subject) {
            return Ok(None);
        }
        Ok(Some(Descriptor {
            artifact_type: manifest.artifact_type,
            annotations: manifest.annotations,
            ..Descriptor::of(&raw.media_type, &raw.bytes)
        }))
    }

    /// The tags of a subject's referrers.
    async fn own_tags(&self, repository: &ImageName, subject: &Digest) -> Result<Vec<String>, RegistryError> {
        let list = list_tag(subject);
        let prefix = format!("{list}.");
        let path = repository.repository();
        let mut url = self.http.address(&format!("{path}/tags/list"))?;
        // Tags come in order: those before are of no use. A registry that does not know this gives all.
        url.query_pairs_mut()
            .append_pair("n", "1000")
            .append_pair("last", &list);
        let mut found = Vec::new();
        for _ in 0..MOST_PAGES {
            let request = self.http.request(Method::GET, url.clone(), path, Access::Pull).await?;
            let answer = match self.http.send_soon(request, &format!("tags of {path}")).await {
                Ok(answer) => answer,
                Err(RegistryError::Missing { .. }) => return Ok(found),
                Err(error) => return Err(error),
            };
            let next = answer
                .headers()
                .get(LINK)
                .and_then(|link| next_page(link.to_str().ok()?, answer.url()));
            let body = self.http.body(answer, LARGEST_LIST).await?;
            let tags: Tags = serde_json::from_slice(&body)
                .map_err(|error| self.http.nonsense(format!("its list of tags makes no sense: {error}")))?;
            let tags = tags.tags.unwrap_or_default();
            let is_past = tags.iter().any(|tag| *tag > prefix && !tag.starts_with(&prefix));
            found.extend(tags.into_iter().filter(|tag| tag.starts_with(&prefix)));
            match next {
                Some(next) if !is_past => url = next,
                Some(_) | None => return Ok(found),
            }
        }
        Err(self.http.nonsense("its list of tags has no end"))
    }

    /// What refers to an image, of all kinds.
    pub async fn referrers(&self, repository: &ImageName, subject: &Digest) -> Result<Vec<Referrer>, RegistryError> {
        let path = self.own(repository)?.repository();
        let url = self.http.address(&format!("{path}/referrers/{subject}"))?;
        let request = self.http.request(Method::GET, url, path, Access::Pull).await?;
        let what = format!("referrers of {subject}");
        let index = match self.http.send_soon(request.header(ACCEPT, INDEX), &what).await {
            Ok(answer) => {
                let body = self.http.body(answer, LARGEST).await?;
                let index: Index = serde_json::from_slice(&body).map_err(|error| {
                    self.http
                        .nonsense(format!("its list of {what} makes no sense: {error}"))
                })?;
                Some(index)
            }
            Err(RegistryError::Missing { .. }) => self.listed(&self.tagged(repository, &list_tag(subject))?).await?,
            Err(error) => return Err(error),
        };
        let manifests = index.map(|index| index.manifests).unwrap_or_default();
        Ok(manifests
            .into_iter()
            .map(|descriptor| Referrer { descriptor })
            .collect())
    }

    /// What a referrer says: the bytes of its only layer.
    pub async fn statement(&self, repository: &ImageName, referrer: &Referrer) -> Result<Vec<u8>, RegistryError> {
        let name = repository.with_digest(referrer.descriptor.digest.clone());
        let raw = self.manifest_bytes(&name).await?;
        let manifest: Manifest = serde_json::from_slice(&raw.bytes)
            .map_err(|error| self.http.nonsense(format!("{name} makes no sense: {error}")))?;
        match manifest.layers.as_slice() {
            [only] => self.blob_bytes(&name, only).await,
            _ => Err(self.http.nonsense(format!("{name} is no single statement"))),
        }
    }
}

/// The tag of the list of what refers to something.
fn list_tag(subject: &Digest) -> String {
    format!("sha256-{}", subject.digits())
}

/// A referrer's own tag.
fn own_tag(subject: &Digest, own: &Digest) -> String {
    format!("{}.{}", list_tag(subject), &own.digits()[..OWN_DIGITS])
}

/// The address of the next page, as in `</v2/…?last=x&n=1000>; rel="next"`; on the same host only.
fn next_page(link: &str, from: &Url) -> Option<Url> {
    let (address, rest) = link.strip_prefix('<')?.split_once('>')?;
    let next = from.join(address).ok()?;
    (rest.contains("rel=\"next\"") && next.origin() == from.origin()).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_names_that_registries_take() {
        let digest = Digest::of(b"x");
        let name: ImageName = "r.example.org/x".parse().unwrap();
        assert!(name.with_tag(&own_tag(&digest, &digest)).is_ok());
        assert!(
            own_tag(&digest, &digest) > list_tag(&digest),
            "they come after it in a list"
        );
    }

    #[test]
    fn the_next_page_is_on_the_same_host() {
        let from = Url::parse("https://r.example.org/v2/x/tags/list").unwrap();
        let next = next_page("</v2/x/tags/list?last=a&n=2>; rel=\"next\"", &from).unwrap();
        assert_eq!(next.as_str(), "https://r.example.org/v2/x/tags/list?last=a&n=2");
        assert_eq!(next_page("<https://evil.example.org/>; rel=\"next\"", &from), None);
        assert_eq!(next_page("nonsense", &from), None);
    }
}
