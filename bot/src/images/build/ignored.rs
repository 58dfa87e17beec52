//! The ignore file of a context: the one of the Dockerfile's own name beside it, else `.dockerignore` in the context's root.

use std::path::Path;

use windlass_core::image::ignore::{Ignore, files_for};

use super::error::BuildError;
use super::tree::Ignoring;

/// What an ignore file takes out of a context; and the ignore file itself, which is no part of what is built.
#[derive(Debug, Clone, Default)]
pub struct Ignored(Ignore);

impl Ignored {
    /// Reads the ignore file, if there is one.
    ///
    /// # Errors
    /// It cannot be read, or a pattern in it is none.
    pub fn of(folder: &Path, dockerfile: &Path) -> Result<Self, BuildError> {
        let (own, root) = files_for(&dockerfile.to_string_lossy());
        for path in [Path::new(&own).to_owned(), folder.join(root)] {
            let text = match std::fs::read(&path) {
                Ok(bytes) => String::from_utf8(bytes),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(BuildError::file(&path)(error)),
            };
            let wrong = |why: String| BuildError::Ignore {
                path: path.clone(),
                why,
            };
            let text = text.map_err(|_| wrong("it is no UTF-8 text".to_owned()))?;
            return Ok(Self(
                Ignore::parse(&text).map_err(|problems| wrong(problems.to_string()))?,
            ));
        }
        Ok(Self::default())
    }
}

impl Ignoring for Ignored {
    fn excludes(&self, path: &str, _: bool) -> bool {
        path == ".dockerignore" || self.0.excludes(path)
    }

    fn prunes(&self, path: &str) -> bool {
        self.0.all_below(path)
    }
}
