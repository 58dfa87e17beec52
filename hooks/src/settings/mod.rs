//! What `windlass.toml` says to the git side: the sections `[paths] [users] [signing] [push] [ssh]`.
//!
//! Other tables are the bot's and are skipped here, so that a hook need not know them; inside these sections an unknown key is an
//! error. The bot's own reader uses the very same section types.

mod paths;
mod quantity;
mod sections;

use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use paths::{Paths, Users, uid_of};
pub use quantity::{BadQuantity, Duration, Size};
pub use sections::{BuildPolicy, Mode, OtherTags, Push, Signing, Ssh};

/// Where a real installation has its configuration.
pub const DEFAULT_FILE: &str = "/etc/windlass/windlass.toml";

/// The sections that the git side reads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Where things are.
    pub paths: Paths,
    /// Which Unix users play which part.
    pub users: Users,
    /// How a signed tag is judged.
    pub signing: Signing,
    /// What may be pushed.
    pub push: Push,
    /// The ssh door's limits.
    pub ssh: Ssh,
}

/// A configuration that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {error}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The file is no TOML or has a key or value that is wrong; the text names line and column.
    #[error("in the configuration {}: {error}", path.display())]
    Toml {
        /// Which file.
        path: PathBuf,
        /// What is wrong, and where.
        error: Box<toml::de::Error>,
    },
}

impl Settings {
    /// Reads the file; relative paths in it are taken from the directory in which it lies.
    pub fn load(path: &Path) -> Result<Self, SettingsError> {
        let text = std::fs::read_to_string(path).map_err(|error| SettingsError::Io {
            path: path.to_owned(),
            error,
        })?;
        let mut settings = Self::from_toml(&text).map_err(|error| SettingsError::Toml {
            path: path.to_owned(),
            error: Box::new(error),
        })?;
        let base = path.parent().unwrap_or(Path::new("/"));
        settings.settle(base);
        Ok(settings)
    }

    /// Makes relative paths absolute, from the directory in which the configuration lies.
    pub fn settle(&mut self, base: &Path) {
        self.paths.settle(base);
        if let Some(path) = &mut self.signing.allowed_signers {
            *path = base.join(&*path);
        }
    }

    /// Reads the text of a `windlass.toml`; relative paths stay relative.
    pub fn from_toml(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_the_default() {
        let settings = Settings::from_toml("").unwrap();
        assert_eq!(settings, Settings::default());
        assert_eq!(settings.paths.socket(), Path::new("/var/lib/windlass/run/bot.sock"));
        assert_eq!(settings.signing.future_tolerance.as_secs(), 300);
        assert_eq!(settings.signing.max_tag_size.bytes(), 64 << 10);
    }

    #[test]
    fn own_sections_are_strict_and_others_are_skipped() {
        let settings = Settings::from_toml(
            "[server]\nanything = 1\n[[repository]]\nname = \"sid\"\n[paths]\nroot = \"data\"\npeople = \"who\"\n\
             [users]\nlocal = \"alice\"\n[signing]\nmode = \"observe\"\nother_tags = \"refuse\"\nfuture_tolerance = \"90s\"\n\
             [push]\nbuild = \"always\"\nmax_input_size = \"1GiB\"\n[ssh]\ntime_limit = \"2h\"\n",
        );
        let mut settings = settings.unwrap();
        settings.settle(Path::new("/srv/w"));
        assert_eq!(settings.paths.people(), Path::new("/srv/w/who"));
        assert_eq!(settings.paths.spool(), Path::new("/srv/w/data/spool"));
        assert_eq!(settings.signing.mode, Mode::Observe);
        let error = Settings::from_toml("[signing]\nmod = \"observe\"\n")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("line 2") && error.contains("unknown field `mod`"),
            "{error}"
        );
        assert!(Settings::from_toml("[push]\nmax_input_size = \"12 bananas\"\n").is_err());
    }

    #[test]
    fn any_text_is_an_answer_and_no_panic() {
        bolero::check!().with_type::<String>().for_each(|text| {
            let _ = Settings::from_toml(text);
        });
    }
}
