//! Images that an engine has: looked at, listed, named, removed, saved, loaded.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;

use bollard::models::ImageInspect;
use bollard::query_parameters::{ListImagesOptionsBuilder, RemoveImageOptionsBuilder, TagImageOptionsBuilder};
use futures_util::StreamExt as _;
use hyper::Method;

use super::Engine;
use super::error::EngineError;
use super::request::{Asked, CONTENT_TYPE_NAME, Payload, checked, pieces};

/// What an engine knows of an image.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ImageFacts {
    /// `sha256:…`, the digest of its configuration.
    pub id: String,
    /// All names that it has here.
    pub names: Vec<String>,
    /// `repository@sha256:…`, for each registry that it was pulled from or pushed to.
    pub digests: Vec<String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// When it was made, by its own words (RFC 3339).
    pub created: Option<jiff::Timestamp>,
    /// In bytes, with all layers.
    pub size: u64,
    /// `NAME=value`.
    pub environment: Vec<String>,
    /// What is run when nothing is named.
    pub command: Vec<String>,
    /// What a command is handed to.
    pub entrypoint: Vec<String>,
    /// As whom.
    pub user: String,
    /// Where.
    pub working_dir: String,
    /// As in `amd64`.
    pub architecture: String,
    /// As in `linux`.
    pub os: String,
    /// The digests of its layers, unpacked, the lowest first.
    pub layers: Vec<String>,
}

/// An image in a list.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ImageLine {
    /// `sha256:…`
    pub id: String,
    /// All names that it has here.
    pub names: Vec<String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// In bytes.
    pub size: u64,
    /// How many containers stand on it, where the engine says.
    pub containers: Option<u64>,
}

impl ImageFacts {
    fn of(doing: &str, found: ImageInspect) -> Result<Self, EngineError> {
        let id = found.id.filter(|id| !id.is_empty());
        let config = found.config.unwrap_or_default();
        Ok(Self {
            id: id.ok_or_else(|| EngineError::garbage(doing, "an image without an id"))?,
            names: found.repo_tags.unwrap_or_default(),
            digests: found.repo_digests.unwrap_or_default(),
            labels: config.labels.unwrap_or_default().into_iter().collect(),
            created: found.created.and_then(|time| time.parse().ok()),
            size: found.size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
            environment: config.env.unwrap_or_default(),
            command: config.cmd.unwrap_or_default(),
            entrypoint: config.entrypoint.unwrap_or_default(),
            user: config.user.unwrap_or_default(),
            working_dir: config.working_dir.unwrap_or_default(),
            architecture: found.architecture.unwrap_or_default(),
            os: found.os.unwrap_or_default(),
            layers: found.root_fs.and_then(|root| root.layers).unwrap_or_default(),
        })
    }
}

impl Engine {
    /// Looks at an image, by its full name or id.
    ///
    /// # Errors
    /// The engine's; that there is none is no error.
    pub async fn inspect(&self, name: &str) -> Result<Option<ImageFacts>, EngineError> {
        let doing = format!("look at the image {name}");
        let name = checked(&doing, name)?;
        match self.ask(&doing, self.0.docker.inspect_image(name)).await {
            Ok(found) => ImageFacts::of(&doing, found).map(Some),
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lists images that have all these labels (`NAME` or `NAME=value`); all images where none is named.
    ///
    /// # Errors
    /// The engine's.
    pub async fn images(&self, labels: &[String]) -> Result<Vec<ImageLine>, EngineError> {
        let doing = "list the images";
        let mut options = ListImagesOptionsBuilder::default();
        if !labels.is_empty() {
            options = options.filters(&[("label".to_owned(), labels.to_vec())].into());
        }
        let found = self
            .ask(doing, self.0.docker.list_images(Some(options.build())))
            .await?;
        Ok(found
            .into_iter()
            .map(|image| ImageLine {
                id: image.id,
                names: image
                    .repo_tags
                    .into_iter()
                    .filter(|name| name != "<none>:<none>")
                    .collect(),
                labels: image.labels.into_iter().collect(),
                created: image.created,
                size: u64::try_from(image.size).unwrap_or(0),
                containers: u64::try_from(image.containers).ok(),
            })
            .collect())
    }

    /// Gives an image one more full name, which has a tag.
    ///
    /// # Errors
    /// The engine's, as that there is no such image.
    pub async fn tag(&self, image: &str, name: &str) -> Result<(), EngineError> {
        let doing = format!("name the image {image} {name}");
        let image = checked(&doing, image)?;
        let (repository, tag) = split(checked(&doing, name)?);
        let options = TagImageOptionsBuilder::default().repo(repository).tag(tag).build();
        self.ask(&doing, self.0.docker.tag_image(image, Some(options))).await
    }

    /// Takes a name from an image; the image goes with its last name. Says whether it was there.
    ///
    /// # Errors
    /// The engine's, as that a container stands on it.
    pub async fn remove_image(&self, name: &str) -> Result<bool, EngineError> {
        let doing = format!("remove the image {name}");
        let name = checked(&doing, name)?;
        let options = RemoveImageOptionsBuilder::default().force(false).noprune(false).build();
        match self
            .ask(&doing, self.0.docker.remove_image(name, Some(options), None))
            .await
        {
            Ok(_) => Ok(true),
            Err(error) if error.is_absent() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Writes an image as Docker's archive into a file.
    ///
    /// # Errors
    /// The engine's, and the file's.
    pub async fn save(&self, name: &str, into: &mut File) -> Result<(), EngineError> {
        let doing = format!("save the image {name}");
        let path = format!("/images/{}/get", checked(&doing, name)?);
        let answer = self
            .send(&doing, Asked::new(Method::GET, path, self.0.limits.silence))
            .await?;
        let mut pieces = std::pin::pin!(pieces(&doing, answer, self.0.limits.silence));
        while let Some(piece) = pieces.next().await {
            into.write_all(&piece?)
                .map_err(|error| EngineError::local(&doing, &error))?;
        }
        Ok(())
    }

    /// Takes in an archive as `docker save` or our own builder writes it; gives the names (or ids) that the engine says it holds.
    ///
    /// # Errors
    /// The engine's.
    pub async fn load(&self, archive: File) -> Result<Vec<String>, EngineError> {
        let doing = "load an archive of images";
        let asked = Asked::new(Method::POST, "/images/load".into(), self.0.limits.silence)
            .with("quiet", "1")
            .header(CONTENT_TYPE_NAME, "application/x-tar".into())
            .sending(Payload::File(archive));
        let answer = self.send(doing, asked).await?;
        let pieces = pieces(doing, answer, self.0.limits.silence);
        let mut names = Vec::new();
        super::messages::read(doing, pieces, self.0.limits.message_bytes, |message| {
            let text = message.stream.unwrap_or_default();
            for line in text.lines() {
                let known = ["Loaded image: ", "Loaded image ID: ", "Loaded image(s): "];
                if let Some(rest) = known.iter().find_map(|start| line.strip_prefix(start)) {
                    names.extend(rest.split(',').map(|name| name.trim().to_owned()));
                }
            }
        })
        .await?;
        if names.is_empty() {
            return Err(EngineError::not_done(
                doing,
                "the engine does not say that it loaded anything",
            ));
        }
        Ok(names)
    }
}

/// A full name without its tag, and the tag.
pub(super) fn split(name: &str) -> (&str, &str) {
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        Some(_) | None => (name, "latest"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_no_tag() {
        assert_eq!(split("127.0.0.1:5000/x"), ("127.0.0.1:5000/x", "latest"));
        assert_eq!(split("127.0.0.1:5000/x:1"), ("127.0.0.1:5000/x", "1"));
        assert_eq!(split("localhost/x"), ("localhost/x", "latest"));
    }
}
