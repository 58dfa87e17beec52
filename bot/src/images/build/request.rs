//! What is asked for: which image, from which Dockerfile, with what besides it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use windlass_core::image::ImageName;

use super::tree::Limits;
use super::user::User;

/// What names of own images begin with, where nothing else is said: `FROM localhost/x` is built from `x.docker` beside the file.
pub const PREFIXES: [&str; 2] = ["localhost/", "windlass/"];

/// The file that pins foreign bases, beside a Dockerfile.
pub const LOCK: &str = "images.lock";

/// Environment variables that become build arguments of the same name, in lower case.
pub const PROXIES: [&str; 3] = ["ftp_proxy", "http_proxy", "https_proxy"];

/// What is to be built.
#[derive(Debug, Clone)]
pub struct BuildRequest {
    /// The image's name: `-t`.
    pub tag: ImageName,
    /// The Dockerfile: `-f`.
    pub dockerfile: PathBuf,
    /// What goes into it besides, and how it is built.
    pub what: What,
    /// Where caches are looked for: `-r`. A host, with a path or without.
    pub registry: Option<String>,
    /// Whether layers and images that are there are taken.
    pub cache: Cache,
    /// Whether newer foreign bases are looked for: `--pull`.
    pub pull: bool,
    /// Where the result goes instead of an engine: `--output oci:DIR`.
    pub output: Option<PathBuf>,
    /// What is read to find bases.
    pub places: Places,
    /// Whether a `.pre` script is run, and for how long.
    pub pre: Pre,
    /// What a `.pre` script finds in its environment beside ours. It does not count by itself: what the script makes of it does.
    pub environment: BTreeMap<String, String>,
    /// How much a context may have.
    pub limits: Limits,
    /// For whom and why it is built.
    pub origin: Origin,
}

/// What counts beside the Dockerfile; the same in every build of an image, so that it is kept with it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct What {
    /// The context directory; without it the context is what is listed here and what `.pre` makes.
    pub context: Option<PathBuf>,
    /// The executable that goes into the context with its libraries: `-e`.
    pub executable: Option<PathBuf>,
    /// It goes to its own path, whatever `binfmt_misc` says: `--skip-binfmt`.
    pub skip_binfmt: bool,
    /// Files that go into the context's root: `--extra-files`.
    pub extra_files: Vec<PathBuf>,
    /// The user that is added, by name and number: `-u`.
    pub user: Option<(String, u32)>,
    /// `--build-arg`, without proxies.
    pub build_args: BTreeMap<String, String>,
    /// `--label`
    pub labels: BTreeMap<String, String>,
    /// `--target`
    pub target: Option<String>,
    /// `--platform`
    pub platform: Option<String>,
    /// `--network`: of RUN commands.
    pub network: Option<String>,
}

/// Whether what is there is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cache {
    /// What is there is taken.
    #[default]
    Take,
    /// Everything is made anew: `--no-cache`.
    Leave,
}

/// Where bases are looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// What the names of own images begin with.
    pub prefixes: Vec<String>,
    /// The file that pins foreign bases; `images.lock` beside the Dockerfile where it is not said.
    pub lock: Option<PathBuf>,
}

/// Whether a `.pre` script is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pre {
    /// It is, for at most so long.
    Run(Duration),
    /// It is not: a Dockerfile that has one is refused. For those who build what others wrote.
    Refuse,
}

/// For whom and why an image is built; it goes into labels and does not count as an input.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The commit in which the Dockerfile stands.
    pub commit: Option<String>,
    /// The task whose commit made it necessary.
    pub task: Option<String>,
    /// What the image would install of our repositories now, as text; it counts as an input.
    pub packages: Option<String>,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            prefixes: PREFIXES.map(str::to_owned).to_vec(),
            lock: None,
        }
    }
}

impl Default for Pre {
    fn default() -> Self {
        Self::Run(Duration::from_hours(1))
    }
}

impl BuildRequest {
    /// An image of a Dockerfile, and nothing else said.
    pub fn new(tag: ImageName, dockerfile: impl Into<PathBuf>) -> Self {
        Self {
            tag,
            dockerfile: dockerfile.into(),
            what: What::default(),
            registry: None,
            cache: Cache::default(),
            pull: false,
            output: None,
            places: Places::default(),
            pre: Pre::default(),
            environment: BTreeMap::new(),
            limits: Limits::default(),
            origin: Origin::default(),
        }
    }

    /// The directory of the Dockerfile.
    pub fn folder(&self) -> &Path {
        match self.dockerfile.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        }
    }

    /// The file that pins foreign bases.
    pub fn lock(&self) -> PathBuf {
        self.places.lock.clone().unwrap_or_else(|| self.folder().join(LOCK))
    }

    /// An own base of this image: with what is known of it, and this request's way of building.
    #[must_use]
    pub fn of_base(&self, tag: ImageName, dockerfile: PathBuf, what: What) -> Self {
        Self {
            tag,
            dockerfile,
            what: What {
                platform: self.what.platform.clone().or(what.platform.clone()),
                network: self.what.network.clone().or(what.network.clone()),
                ..what
            },
            output: None,
            places: self.places.clone(),
            origin: Origin {
                packages: None,
                ..self.origin.clone()
            },
            cache: Cache::Take,
            ..self.clone()
        }
    }
}

impl What {
    /// The user that is added.
    ///
    /// # Errors
    /// The name cannot stand in a passwd file.
    pub fn user(&self) -> Result<Option<User>, super::user::UserError> {
        self.user.as_ref().map(|(name, uid)| User::new(name, *uid)).transpose()
    }

    /// The same with absolute paths, so that it means the same elsewhere.
    ///
    /// # Errors
    /// The working directory is gone.
    pub fn absolute(mut self) -> std::io::Result<Self> {
        for path in self
            .context
            .iter_mut()
            .chain(&mut self.executable)
            .chain(&mut self.extra_files)
        {
            *path = std::path::absolute(&path)?;
        }
        Ok(self)
    }
}

/// The proxies of an environment, as build arguments.
pub fn proxies(variables: impl IntoIterator<Item = (String, String)>) -> BTreeMap<String, String> {
    let named = variables.into_iter().filter_map(|(name, value)| {
        let name = name.to_ascii_lowercase();
        PROXIES.contains(&name.as_str()).then_some((name, value))
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_of_any_case_become_arguments_in_lower_case() {
        let variables = [
            ("HTTP_PROXY", "a"),
            ("https_Proxy", "b"),
            ("no_proxy", "c"),
            ("PATH", "d"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let expected = [("http_proxy", "a"), ("https_proxy", "b")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(proxies(variables), BTreeMap::from(expected));
    }

    #[test]
    fn what_is_kept_of_a_build_reads_back() {
        let what = What {
            context: Some("/src".into()),
            user: Some(("alice".into(), 1000)),
            build_args: [("v".to_owned(), "1".to_owned())].into(),
            ..What::default()
        };
        let text = serde_json::to_string(&what).unwrap();
        assert_eq!(serde_json::from_str::<What>(&text).unwrap(), what);
    }
}
