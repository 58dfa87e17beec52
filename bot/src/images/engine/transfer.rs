//! Images between an engine and registries: pull, push. Both count as done only when a look confirms it.

use hyper::Method;

use super::error::EngineError;
use super::images::{ImageFacts, split};
use super::login;
use super::messages::{Lines, Message};
use super::request::{Asked, checked};
use super::{Engine, Log};
use crate::images::logins::Logins;
use crate::stop::Stopping;

impl Engine {
    /// Pulls an image by its full name (with a tag or a digest), and looks at what came.
    ///
    /// # Errors
    /// The engine's and the registry's; that the image is not there although the engine said that all was well.
    pub async fn pull(
        &self,
        name: &str,
        platform: Option<&str>,
        logins: &Logins,
        log: &mut dyn Log,
        stop: &mut Stopping,
    ) -> Result<ImageFacts, EngineError> {
        let doing = format!("pull {name}");
        let full = checked(&doing, name)?;
        let (image, tag) = match full.split_once('@') {
            Some((image, digest)) => (split(image).0, digest),
            None => split(full),
        };
        let mut asked = Asked::new(Method::POST, "/images/create".into(), self.0.limits.silence)
            .with("fromImage", image)
            .with("tag", tag)
            .with_some("platform", platform);
        if let Some(known) = logins.of_image(full) {
            let registry = full.split('/').next().unwrap_or_default();
            asked = asked.header("X-Registry-Auth", login::one(known, registry));
        }
        self.transfer(&doing, asked, log, stop, |_| ()).await?;
        // A name with tag and digest is known by its digest only.
        let known = full.split_once('@').map(|(_, digest)| format!("{image}@{digest}"));
        self.inspect(known.as_deref().unwrap_or(full)).await?.ok_or_else(|| {
            EngineError::not_done(&doing, "the engine said that all was well, and the image is not there")
        })
    }

    /// Pushes an image under its full name; gives the digest of its manifest in the registry, where the engine says it.
    ///
    /// # Errors
    /// The engine's and the registry's.
    pub async fn push(
        &self,
        name: &str,
        logins: &Logins,
        log: &mut dyn Log,
        stop: &mut Stopping,
    ) -> Result<Option<String>, EngineError> {
        let doing = format!("push {name}");
        let (repository, tag) = split(checked(&doing, name)?);
        let registry = repository.split('/').next().unwrap_or_default();
        // Docker wants the header also from those who have no login.
        let header = logins
            .of(registry)
            .map_or_else(|| "e30=".to_owned(), |known| login::one(known, registry));
        let path = format!("/images/{repository}/push");
        let asked = Asked::new(Method::POST, path, self.0.limits.silence)
            .with("tag", tag)
            .header("X-Registry-Auth", header);
        let mut digest = None;
        self.transfer(&doing, asked, log, stop, |message| {
            let aux = message.aux.as_ref().and_then(|aux| aux["Digest"].as_str());
            let status = message.status.as_deref().and_then(digest_in);
            if let Some(found) = aux.or(status) {
                digest = Some(found.to_owned());
            }
        })
        .await?;
        Ok(digest)
    }

    async fn transfer(
        &self,
        doing: &str,
        asked: Asked,
        log: &mut dyn Log,
        stop: &mut Stopping,
        mut look: impl FnMut(&Message),
    ) -> Result<(), EngineError> {
        let mut lines = Lines::default();
        let mut last = String::new();
        self.hear(doing, asked, stop, |message| {
            look(&message);
            if let Some(text) = &message.stream {
                lines.push(text, |line| log.line(line));
            }
            // Progress comes many times a second; what is told is each new state.
            if let Some(status) = message.status.filter(|_| message.progress.is_none()) {
                let line = message
                    .id
                    .map_or_else(|| status.clone(), |id| format!("{id}: {status}"));
                if line != last {
                    lines.push(&format!("{line}\n"), |line| log.line(line));
                    last = line;
                }
            }
        })
        .await
    }
}

/// The digest in `latest: digest: sha256:… size: 528`.
fn digest_in(status: &str) -> Option<&str> {
    let (_, rest) = status.split_once("digest: ")?;
    rest.split(' ').next().filter(|digest| digest.starts_with("sha256:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_found_in_words() {
        assert_eq!(digest_in("1: digest: sha256:ab size: 5"), Some("sha256:ab"));
        assert_eq!(digest_in("Pushed"), None);
    }
}
