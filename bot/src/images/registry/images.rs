//! Images in a registry: resolved, looked at, pushed, pulled.

use std::path::Path;

use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Body, Method, StatusCode};
use serde::de::DeserializeOwned;
use windlass_core::image::dockerfile::Platform;
use windlass_core::image::{Digest, ImageName};

use super::error::RegistryError;
use super::http::Access;
use super::{Registry, opened};
use crate::http::Pieces;
use crate::images::oci::layout::LARGEST_DOCUMENT;
use crate::images::oci::spec::{
    DOCKER_LIST, DOCKER_MANIFEST, Descriptor, INDEX, ImageConfig, Index, MANIFEST, Manifest,
};
use crate::images::oci::{Draft, Image, Layout};

/// The manifests that are understood.
const ACCEPTED: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";

/// The header with a manifest's digest.
const DIGEST: &str = "docker-content-digest";

/// The largest document, as layouts take it.
pub(super) const LARGEST: usize = 4 << 20;

/// A manifest as a registry has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Raw {
    /// Its very bytes.
    pub(super) bytes: Vec<u8>,
    /// Their digest, computed.
    pub(super) digest: Digest,
    /// What it says it is.
    pub(super) media_type: String,
}

impl Registry {
    /// The digest that a name stands for. One question, without the manifest itself.
    pub async fn resolve(&self, name: &ImageName) -> Result<Digest, RegistryError> {
        let repository = self.own(name)?.repository();
        let url = self
            .http
            .address(&format!("{repository}/manifests/{}", reference(name)))?;
        let request = self.http.request(Method::HEAD, url, repository, Access::Pull).await?;
        let answer = self
            .http
            .send_soon(request.header(ACCEPT, ACCEPTED), &name.to_string())
            .await?;
        let said = answer
            .headers()
            .get(DIGEST)
            .map(|said| said.to_str().unwrap_or_default().parse());
        let digest: Digest = match said {
            Some(said) => said.map_err(|error| self.http.nonsense(format!("{error}")))?,
            // An old registry: the digest is computed from the manifest.
            None => self.manifest_bytes(name).await?.digest,
        };
        match name.digest() {
            Some(want) if *want != digest => Err(self
                .http
                .nonsense(format!("asked for {name}, it answers with {digest}"))),
            Some(_) | None => Ok(digest),
        }
    }

    /// A manifest's bytes, which are what the name's digest says, if it has one.
    pub(super) async fn manifest_bytes(&self, name: &ImageName) -> Result<Raw, RegistryError> {
        let repository = self.own(name)?.repository();
        let url = self
            .http
            .address(&format!("{repository}/manifests/{}", reference(name)))?;
        let request = self.http.request(Method::GET, url, repository, Access::Pull).await?;
        let answer = self
            .http
            .send_soon(request.header(ACCEPT, ACCEPTED), &name.to_string())
            .await?;
        let media_type = answer
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|said| said.to_str().ok())
            .map(|said| said.split(';').next().unwrap_or(said).trim().to_owned())
            .unwrap_or_default();
        let bytes = self.http.body(answer, LARGEST).await?;
        let digest = Digest::of(&bytes);
        if name.digest().is_some_and(|want| *want != digest) {
            return Err(self
                .http
                .nonsense(format!("the manifest of {name} is not what its digest says")));
        }
        Ok(Raw {
            bytes,
            digest,
            media_type,
        })
    }

    fn read<T: DeserializeOwned>(&self, what: &str, bytes: &[u8]) -> Result<T, RegistryError> {
        serde_json::from_slice(bytes).map_err(|error| self.http.nonsense(format!("{what} makes no sense: {error}")))
    }

    /// The image of a name: its manifest, and its configuration. Of one for several machines that for `platform`.
    pub async fn image(&self, name: &ImageName, platform: &Platform) -> Result<Image, RegistryError> {
        Ok(self.image_with_bytes(name, platform).await?.0)
    }

    async fn image_with_bytes(&self, name: &ImageName, platform: &Platform) -> Result<(Image, Raw), RegistryError> {
        let mut raw = self.manifest_bytes(name).await?;
        if matches!(raw.media_type.as_str(), INDEX | DOCKER_LIST) {
            let index: Index = self.read(&format!("the index of {name}"), &raw.bytes)?;
            let fits = |manifest: &&Descriptor| {
                let of = manifest.platform.as_ref();
                of.is_some_and(|of| of.os == platform.os && of.architecture == platform.architecture)
            };
            let found = index
                .manifests
                .iter()
                .find(fits)
                .ok_or_else(|| self.http.nonsense(format!("{name} is there, and not for {platform}")))?;
            raw = self.manifest_bytes(&name.with_digest(found.digest.clone())).await?;
        }
        if !matches!(raw.media_type.as_str(), MANIFEST | DOCKER_MANIFEST) {
            return Err(self.http.nonsense(format!("{name} is of a kind that is not known")));
        }
        let manifest: Manifest = self.read(&format!("the manifest of {name}"), &raw.bytes)?;
        let config = self.blob_bytes(name, &manifest.config).await?;
        let config: ImageConfig = self.read(&format!("the configuration of {name}"), &config)?;
        if config.rootfs.diff_ids.len() != manifest.layers.len() {
            return Err(self.http.nonsense(format!(
                "the manifest of {name} has more or fewer layers than its configuration"
            )));
        }
        let descriptor = Descriptor {
            media_type: raw.media_type.clone(),
            digest: raw.digest.clone(),
            size: raw.bytes.len() as u64,
            artifact_type: None,
            annotations: std::collections::BTreeMap::new(),
            platform: None,
        };
        let image = Image {
            descriptor,
            manifest,
            config,
        };
        Ok((image, raw))
    }

    /// The labels of an image.
    pub async fn labels(
        &self,
        name: &ImageName,
        platform: &Platform,
    ) -> Result<std::collections::BTreeMap<String, String>, RegistryError> {
        Ok(self.image(name, platform).await?.config.config.labels)
    }

    /// A small blob, which is what its digest says.
    pub(super) async fn blob_bytes(&self, name: &ImageName, blob: &Descriptor) -> Result<Vec<u8>, RegistryError> {
        if blob.size > LARGEST_DOCUMENT {
            return Err(self
                .http
                .nonsense(format!("{name} has a document of {} bytes", blob.size)));
        }
        let answer = self.get_blob(name, blob).await?;
        let bytes = self.http.body(answer, LARGEST).await?;
        if bytes.len() as u64 != blob.size || Digest::of(&bytes) != blob.digest {
            return Err(self
                .http
                .nonsense(format!("{} is not what its digest says", blob.digest)));
        }
        Ok(bytes)
    }

    async fn get_blob(&self, name: &ImageName, blob: &Descriptor) -> Result<reqwest::Response, RegistryError> {
        let repository = self.own(name)?.repository();
        let url = self.http.address(&format!("{repository}/blobs/{}", blob.digest))?;
        let request = self.http.request(Method::GET, url, repository, Access::Pull).await?;
        self.http.send(request, &format!("{} of {name}", blob.digest)).await
    }

    /// Pulls an image into a layout at `out`.
    pub async fn pull(&self, name: &ImageName, platform: &Platform, out: &Path) -> Result<Layout, RegistryError> {
        let (image, raw) = self.image_with_bytes(name, platform).await?;
        let mut draft = Draft::new(out)?;
        for blob in std::iter::once(&image.manifest.config).chain(&image.manifest.layers) {
            let mut answer = self.get_blob(name, blob).await?;
            let mut incoming = draft.incoming(blob)?;
            while let Some(piece) = self.http.piece(&mut answer).await? {
                incoming.write(&piece)?;
            }
            incoming.finish()?;
        }
        draft.image_bytes(&raw.bytes, &image.manifest, std::slice::from_ref(name))?;
        Ok(draft.finish()?)
    }

    /// Pushes an image of a layout under a name. Blobs that are there are not sent again. What the registry then has under the name is what was
    /// pushed.
    pub async fn push(&self, layout: &Layout, image: &Image, name: &ImageName) -> Result<Digest, RegistryError> {
        self.own(name)?;
        for blob in image.manifest.layers.iter().chain([&image.manifest.config]) {
            if !self.has_blob(name, blob).await? {
                let file = opened(&layout.blob(&blob.digest))?;
                let length = file
                    .metadata()
                    .map_err(|error| self.http.nonsense(error.to_string()))?
                    .len();
                if length != blob.size {
                    return Err(self
                        .http
                        .nonsense(format!("{} is not as long here as it has to be", blob.digest)));
                }
                self.upload(name, blob, Body::wrap(Pieces::of(file, 0..length))).await?;
            }
        }
        let bytes = layout.document_bytes(&image.descriptor)?;
        let name = name.without_digest();
        self.put_manifest(&name, &image.descriptor.media_type, bytes).await?;
        let there = self.resolve(&name).await?;
        if there != image.descriptor.digest {
            return Err(self.http.nonsense(format!(
                "{name} was pushed as {}, and the registry has {there} there: somebody else pushed, or it changes what it gets",
                image.descriptor.digest
            )));
        }
        Ok(there)
    }

    pub(super) async fn has_blob(&self, name: &ImageName, blob: &Descriptor) -> Result<bool, RegistryError> {
        let repository = name.repository();
        let url = self.http.address(&format!("{repository}/blobs/{}", blob.digest))?;
        let request = self.http.request(Method::HEAD, url, repository, Access::Push).await?;
        match self.http.send_soon(request, &blob.digest.to_string()).await {
            Ok(answer) => Ok(answer
                .headers()
                .get(CONTENT_LENGTH)
                .and_then(|length| length.to_str().ok()?.parse::<u64>().ok())
                .is_none_or(|length| length == blob.size)),
            Err(RegistryError::Missing { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Sends a blob in one piece. The registry computes its digest and refuses another one.
    pub(super) async fn upload(&self, name: &ImageName, blob: &Descriptor, body: Body) -> Result<(), RegistryError> {
        let repository = name.repository();
        let what = format!("the upload of {}", blob.digest);
        let url = self.http.address(&format!("{repository}/blobs/uploads/"))?;
        let request = self.http.request(Method::POST, url, repository, Access::Push).await?;
        let answer = self.http.send_soon(request.header(CONTENT_LENGTH, 0), &what).await?;
        let mut url = self.http.location(&answer)?;
        url.query_pairs_mut().append_pair("digest", blob.digest.as_str());
        let request = self.http.upload(url, repository, blob.size).await?;
        let request = request
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(CONTENT_LENGTH, blob.size)
            .body(body);
        let answer = self.http.send(request, &what).await?;
        if answer.status() == StatusCode::CREATED {
            return Ok(());
        }
        Err(self
            .http
            .nonsense(format!("it answers {} to {what}", answer.status().as_u16())))
    }

    /// Puts a manifest under a name's tag; says whether the registry lists by itself what refers to something.
    pub(super) async fn put_manifest(
        &self,
        name: &ImageName,
        media_type: &str,
        bytes: Vec<u8>,
    ) -> Result<bool, RegistryError> {
        let repository = name.repository();
        let url = self
            .http
            .address(&format!("{repository}/manifests/{}", reference(name)))?;
        let request = self.http.request(Method::PUT, url, repository, Access::Push).await?;
        let request = request.header(CONTENT_TYPE, media_type).body(bytes);
        let answer = self.http.send_soon(request, &name.to_string()).await?;
        Ok(answer.headers().contains_key("oci-subject"))
    }
}

/// What a manifest is asked for by: its digest, where the name has one.
fn reference(name: &ImageName) -> &str {
    match name.digest() {
        Some(digest) => digest.as_str(),
        None => name.tag().unwrap_or("latest"),
    }
}
