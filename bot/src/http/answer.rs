//! Answers requests: what a place holds, or why there is nothing.

use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use jiff::Timestamp;
use windlass_core::escape::escaped;
use windlass_core::id::{ArchName, RepositoryName};

use super::conditions::Facts;
use super::file::{self, ASK, Opened, host_of, not_allowed, plain};
use super::pieces::Pieces;
use super::place::{Kept, Place, What, Which, unescaped};
use crate::config::Config;
use crate::repository::{ClientConfig, Program, Repositories, Repository, Way, source_directory};

/// What may never change, for as long as clients like.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// What is served, and under which addresses.
#[derive(Debug)]
pub(super) struct Served {
    repositories: Arc<Repositories>,
    config: Config,
}

/// Why there is no answer of the usual kind.
struct Refused(StatusCode, String);

impl Refused {
    fn missing(text: impl Into<String>) -> Self {
        Self(StatusCode::NOT_FOUND, text.into())
    }
}

impl Served {
    pub(super) fn new(repositories: Arc<Repositories>, config: &Config) -> Self {
        Self {
            repositories,
            config: config.clone(),
        }
    }

    fn repository(&self, name: &RepositoryName) -> Result<&Arc<Repository>, Refused> {
        let missing = || Refused::missing(format!("there is no repository '{name}'"));
        self.repositories.get(name).ok_or_else(missing)
    }

    /// How the client that asks finds a repository: as configured, else as it found this server.
    fn url_of(&self, name: &RepositoryName, headers: &HeaderMap) -> Result<String, Refused> {
        if self.config.http.url.is_some() || self.config.repository(name).is_some_and(|one| one.url.is_some()) {
            return Ok(self.config.url_of(name).unwrap_or_default());
        }
        let named = host_of(headers).map(|host| format!("http://{host}/repos/{name}"));
        named.or_else(|| self.config.url_of(name)).ok_or_else(|| {
            let text = "the request does not say by which name it found this server";
            Refused(StatusCode::BAD_REQUEST, text.to_owned())
        })
    }
}

/// Answers one request.
pub(super) async fn answer(State(served): State<Arc<Served>>, request: Request) -> Response {
    // What a client sends beside the head is not read.
    let (request, _) = request.into_parts();
    let answered = respond(served, &request).await;
    let response = answered.unwrap_or_else(|Refused(status, text)| plain(status, ASK, format!("{text}\n")));
    tracing::debug!(
        http.status = response.status().as_u16(),
        "{} {} → {}",
        request.method,
        escaped(request.uri.path()),
        response.status().as_u16()
    );
    response
}

async fn respond(served: Arc<Served>, request: &Parts) -> Result<Response, Refused> {
    if !matches!(request.method, Method::GET | Method::HEAD) {
        return Ok(not_allowed("GET, HEAD", "repositories can be read, and nothing else"));
    }
    let place = Place::parse(request.uri.path()).ok_or_else(|| Refused::missing("there is nothing here"))?;
    let repository = Arc::clone(served.repository(&place.repository)?);
    match place.what {
        What::Mirrorlist => {
            let arch = asked_for(request.uri.query(), "arch");
            let url = served.url_of(&place.repository, &request.headers)?;
            let list = blocking(move || mirrorlist(&repository, arch.as_deref(), &url)).await??;
            Ok(plain(StatusCode::OK, ASK, list))
        }
        What::Configuration => {
            let config = ClientConfig {
                url: served.url_of(&place.repository, &request.headers)?,
                repository: place.repository,
                program: Program::Dnf,
                way: Way::Mirrorlist,
                arch: None,
            };
            Ok(plain(StatusCode::OK, ASK, config.to_string()))
        }
        What::Key => {
            let path = repository.dirs().key_file();
            let opened = blocking(move || open(&path, "application/pgp-keys", ASK)).await??;
            Ok(file(request, opened))
        }
        What::File(which, kept) => {
            let opened = blocking(move || open_kept(&repository, which, &kept)).await??;
            Ok(file(request, opened))
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refused> {
    let failed = |_| {
        Refused(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the request could not be answered".to_owned(),
        )
    };
    tokio::task::spawn_blocking(work).await.map_err(failed)
}

/// The first value of a key in a query.
fn asked_for(query: Option<&str>, key: &str) -> Option<String> {
    let pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.into_iter().find(|(name, _)| *name == key)?;
    unescaped(value)
}

/// The list of one mirror: this server, at one generation.
fn mirrorlist(repository: &Repository, arch: Option<&str>, url: &str) -> Result<String, Refused> {
    let names: Vec<&str> = repository.architectures().iter().map(ArchName::as_str).collect();
    let names = names.join(", ");
    let name = repository.name();
    let Some(arch) = arch else {
        let text = format!("say for which architecture: mirrorlist?arch=…, with one of {names}, source");
        return Err(Refused(StatusCode::BAD_REQUEST, text));
    };
    let directory = arch.parse().ok().and_then(|arch| directory_for(repository, &arch));
    let directory = directory.ok_or_else(|| {
        let arch = escaped(arch);
        Refused::missing(format!(
            "repository {name} has no architecture '{arch}'; it has: {names}, source"
        ))
    })?;
    let generation = current(repository)?;
    Ok(format!("{url}/generations/{generation}/{directory}/\n"))
}

/// The directory that an architecture's word stands for. Clients name the family (`i386`) where a repository names the member.
fn directory_for(repository: &Repository, word: &ArchName) -> Option<ArchName> {
    let all = repository.architectures();
    if all.contains(word) || *word == source_directory() {
        return Some(word.clone());
    }
    let family = family(word.as_str())?;
    all.iter()
        .find(|arch| self::family(arch.as_str()) == Some(family))
        .cloned()
}

/// The family of an architecture that has several words, by dnf's and zypper's own lists.
fn family(word: &str) -> Option<&'static str> {
    match word {
        "i386" | "i486" | "i586" | "i686" | "athlon" | "geode" | "pentium3" | "pentium4" => Some("i386"),
        "x86_64" | "amd64" | "ia32e" => Some("x86_64"),
        "arm" | "armv5tel" | "armv6hl" | "armv7hl" | "armv7hnl" | "armhfp" => Some("arm"),
        _ => None,
    }
}

fn current(repository: &Repository) -> Result<windlass_core::id::Generation, Refused> {
    let path = repository.dirs().current();
    let current = repository
        .dirs()
        .read_current()
        .map_err(|error| unreadable(&path, &error))?;
    let none = || Refused::missing(format!("repository {} has no generation yet", repository.name()));
    current.ok_or_else(none)
}

fn unreadable(path: &std::path::Path, error: &io::Error) -> Refused {
    tracing::error!(path = %path.display(), %error, "{}: {error}", path.display());
    Refused(
        StatusCode::INTERNAL_SERVER_ERROR,
        "this cannot be read at the moment".to_owned(),
    )
}

fn open_kept(repository: &Repository, which: Which, kept: &Kept) -> Result<Opened, Refused> {
    let generation = match which {
        Which::Current => current(repository)?,
        Which::Numbered(generation) => generation,
    };
    let dirs = repository.dirs();
    let directory_of = |word: &ArchName| {
        let missing = || Refused::missing(format!("repository {} has no '{word}'", repository.name()));
        directory_for(repository, word).ok_or_else(missing)
    };
    let path: PathBuf = match kept {
        Kept::Manifest(name) => dirs.generation(generation).join(name),
        Kept::Metadata { directory, file } => {
            let directory = directory_of(directory)?;
            dirs.generation(generation)
                .join(directory.as_str())
                .join("repodata")
                .join(file)
        }
        Kept::Package {
            directory,
            digest,
            file,
        } => {
            // The link that a plain web server follows, without following links.
            let directory = directory_of(directory)?;
            dirs.packages(&directory).join(digest).join(file)
        }
    };
    let lasts = match which {
        Which::Current if !kept.is_content_named() => ASK,
        Which::Current | Which::Numbered(_) => FOR_EVER,
    };
    open(&path, kind_of(&path), lasts)
}

fn kind_of(path: &std::path::Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("rpm") => "application/x-rpm",
        Some("xml") => "text/xml",
        Some("asc") => "application/pgp-signature",
        Some("json") => "application/json",
        Some("zst") => "application/zstd",
        Some("gz") => "application/gzip",
        _ => "application/octet-stream",
    }
}

fn open(path: &std::path::Path, kind: &'static str, lasts: &'static str) -> Result<Opened, Refused> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let opened = File::options()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
        .and_then(|file| Ok((file.metadata()?, file)));
    match opened {
        Ok((meta, file)) if meta.is_file() => Ok(Opened {
            facts: facts_of(&meta),
            file: Arc::new(file),
            kind,
            lasts,
        }),
        Ok(_) => Err(Refused::missing("there is no such file")),
        // Links are not followed.
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
                || error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) =>
        {
            Err(Refused::missing("there is no such file"))
        }
        Err(error) => Err(unreadable(path, &error)),
    }
}

/// A file never changes in place: which one it is, its size and when it was written tell it from every other.
fn facts_of(meta: &std::fs::Metadata) -> Facts {
    let etag = format!(
        "\"{:x}-{:x}-{:x}-{:x}\"",
        meta.ino(),
        meta.len(),
        meta.mtime(),
        meta.mtime_nsec()
    );
    let old = meta
        .modified()
        .ok()
        .and_then(|modified| SystemTime::now().duration_since(modified).ok());
    // Its name may stand for another file within the same second: until that is over, no date is told.
    let modified = old
        .filter(|old| old.as_secs() >= 2)
        .and_then(|_| Timestamp::from_second(meta.mtime()).ok());
    Facts {
        size: meta.len(),
        etag,
        modified,
    }
}

/// A file, or what a client gets of it.
fn file(request: &Parts, opened: Opened) -> Response {
    file::respond(&request.method, &request.headers, opened, |file, range| {
        Body::new(Pieces::of(file, range))
    })
}
