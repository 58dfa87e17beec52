//! What no single key of `[[image]]`, `[[registry]]` and `[jobs]` can say.

use std::collections::HashSet;
use std::path::{Component, Path};

use windlass_core::escape::escaped;
use windlass_core::id::{ArchName, RepositoryName};
use windlass_core::refusal::nearest;

use super::super::image::Image;
use super::{Checker, span_of};
use crate::config::Config;

/// Where an image or a registry lies, or neither: parts as the registries' protocol has them.
fn is_place(place: &str) -> bool {
    let mut parts = place.split('/');
    let host = parts.next().unwrap_or_default();
    is_host(host) && parts.all(is_part)
}

/// A host, with a port where one is given. A bare word is a host only where it says so by a dot, a port, or being this machine.
fn is_host(host: &str) -> bool {
    let (name, port) = host
        .split_once(':')
        .map_or((host, None), |(name, port)| (name, Some(port)));
    let port_is_good = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    let name_is_good = !name.is_empty()
        && name.len() <= 253
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-".contains(&b))
        && !name.starts_with(['-', '.'])
        && !name.ends_with(['-', '.']);
    name_is_good && port_is_good && (name.contains('.') || port.is_some() || name == "localhost")
}

/// One part of an image's name.
fn is_part(part: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    part.len() <= 128
        && part.bytes().next().is_some_and(is_plain)
        && part.bytes().last().is_some_and(is_plain)
        && part.bytes().all(|b| is_plain(b) || b"._-".contains(&b))
}

fn is_tag(tag: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    tag.len() <= 128
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|b| is_word(b) || b"._-".contains(&b))
}

pub(super) fn is_clean(path: &Path) -> bool {
    path.is_absolute() && !path.components().any(|part| part == Component::ParentDir)
}

/// What something says of where it installs from.
pub(super) struct Sources<'a> {
    /// The section, and its number.
    pub(super) section: &'static str,
    pub(super) number: &'a str,
    pub(super) name: &'a str,
    /// The repositories that it names, and those that follow.
    pub(super) named: &'a [RepositoryName],
    pub(super) found: &'a [&'a RepositoryName],
    pub(super) architecture: Option<&'a ArchName>,
}

impl Checker<'_> {
    pub(super) fn images(&mut self, config: &Config) {
        self.jobs(config);
        self.registries(config);
        let mut names = HashSet::new();
        for (at, image) in config.images.iter().enumerate() {
            let number = at.to_string();
            if !names.insert(&image.name) {
                let message = format!("there are two images '{}'", image.name);
                self.wrong(&["image", &number, "name"], message, "");
            }
            self.image(&number, image);
            let sources = Sources {
                section: "image",
                number: &number,
                name: image.name.as_str(),
                named: &image.repositories,
                found: &image.repositories(config),
                architecture: image.architecture.as_ref(),
            };
            self.sources_of(&sources, config);
        }
    }

    fn image(&mut self, number: &str, image: &Image) {
        if !is_part(image.name.as_str()) {
            let message = format!("'{}' is no name that a registry takes", image.name);
            self.wrong(
                &["image", number, "name"],
                message,
                "lower-case letters, digits, '.', '_', '-', a letter or digit first and last",
            );
        }
        let paths = [
            ("dockerfile", Some(&image.dockerfile)),
            ("context", image.context.as_ref()),
        ];
        for (key, path) in paths {
            if let Some(path) = path.filter(|path| !is_clean(path)) {
                self.wrong(
                    &["image", number, key],
                    format!("'{key}' is no absolute path: '{}'", path.display()),
                    "write it from '/' on, without '..'",
                );
            }
        }
        if let Some(registry) = image.registry.as_deref().filter(|registry| !is_place(registry)) {
            self.wrong(
                &["image", number, "registry"],
                format!("'{}' is no place in a registry", escaped(registry)),
                "as in \"registry.example.org/team\" or \"localhost:5000\": without https:// and without the image's own name",
            );
        }
        if !is_tag(&image.tag) {
            self.wrong(
                &["image", number, "tag"],
                format!("'{}' is no tag of an image", escaped(&image.tag)),
                "letters, digits, '.', '_', '-', as in \"latest\"",
            );
        }
        for (name, value) in &image.build_args {
            let is_name = !name.is_empty()
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
                && !name.starts_with(|c: char| c.is_ascii_digit());
            if !is_name || !value.chars().all(windlass_core::escape::is_plain) {
                self.wrong(
                    &["image", number, "build_args", name],
                    format!("'{}' cannot be given to a Dockerfile so", escaped(name)),
                    "a name has letters, digits and '_'; its value is one line",
                );
            }
        }
        if let Some(platform) = &image.platform {
            let parts: Vec<&str> = platform.split('/').collect();
            if !(2..=3).contains(&parts.len()) || !parts.iter().all(|part| is_part(part)) {
                self.wrong(
                    &["image", number, "platform"],
                    format!("'{}' is no platform", escaped(platform)),
                    "as in \"linux/amd64\" or \"linux/arm/v7\"",
                );
            }
        }
    }

    /// The repositories that it installs from, and the architecture that it takes of them.
    pub(super) fn sources_of(&mut self, sources: &Sources<'_>, config: &Config) {
        let Sources { section, number, .. } = *sources;
        let known: Vec<&str> = config.repositories.iter().map(|one| one.name.as_str()).collect();
        let mut seen: HashSet<&RepositoryName> = HashSet::new();
        for (index, name) in sources.named.iter().enumerate() {
            let place = [section, number, "repositories", &index.to_string()];
            if config.repository(name).is_none() {
                let hint = nearest(name.as_str(), &known).map_or_else(
                    || format!("there are: {}", known.join(", ")),
                    |near| format!("did you mean '{near}'?"),
                );
                self.wrong(&place, format!("there is no repository '{name}'"), &hint);
            } else if !seen.insert(name) {
                self.wrong(&place, format!("'{name}' stands twice in 'repositories'"), "");
            }
        }
        if sources.found.is_empty() {
            self.wrong(
                &[section, number, "name"],
                format!("{section} '{}' installs from no repository", sources.name),
                "repositories = [\"NAME\"]",
            );
        }
        let Some(arch) = sources.architecture else { return };
        for source in sources.found {
            let Some(repository) = config.repository(source) else {
                continue;
            };
            if !repository.architectures().contains(arch) {
                let arches = repository.architectures.join(", ");
                self.wrong(
                    &[section, number, "architecture"],
                    format!("repository '{source}' has no '{arch}'"),
                    &format!("it has: {arches}"),
                );
            }
        }
    }

    fn registries(&mut self, config: &Config) {
        let mut hosts = HashSet::new();
        for (at, registry) in config.registries.iter().enumerate() {
            let number = at.to_string();
            if !is_host(&registry.host) {
                self.wrong(
                    &["registry", &number, "host"],
                    format!("'{}' is no registry's host", escaped(&registry.host)),
                    "as in \"registry.example.org\" or \"localhost:5000\": without https:// and without a path",
                );
            } else if !hosts.insert(&registry.host) {
                let message = format!("there are two registries '{}'", registry.host);
                self.wrong(&["registry", &number, "host"], message, "");
            }
            if let Some(file) = registry.credentials.as_deref().filter(|file| !is_clean(file)) {
                self.wrong(
                    &["registry", &number, "credentials"],
                    format!("'credentials' is no absolute path: '{}'", file.display()),
                    "",
                );
            }
        }
    }

    fn jobs(&mut self, config: &Config) {
        let jobs = &config.jobs;
        let zeros = [
            ("at_once", jobs.at_once == 0),
            ("attempts", jobs.attempts == 0),
            ("back_off", jobs.back_off.as_secs() == 0),
            ("timeout", jobs.timeout.as_secs() == 0),
        ];
        for (key, zero) in zeros {
            if zero {
                self.wrong(&["jobs", key], format!("'{key}' is 0: nothing would work"), "");
            }
        }
        if jobs.lease.as_secs() < 3 {
            let message = format!("'lease' is {}: it would run out between two signs of life", jobs.lease);
            self.wrong(&["jobs", "lease"], message, "it is 3s at least");
        }
        if jobs.longest_back_off < jobs.back_off {
            let message = format!(
                "'longest_back_off' ({}) is shorter than 'back_off' ({})",
                jobs.longest_back_off, jobs.back_off
            );
            let key = if span_of(self.table.get_ref(), &["jobs", "longest_back_off"]).is_some() {
                "longest_back_off"
            } else {
                "back_off"
            };
            self.wrong(&["jobs", key], message, "");
        }
        if let Some(host) = &jobs.engine_host
            && (!host.contains("://") || !host.bytes().all(|b| b.is_ascii_graphic()))
        {
            self.wrong(
                &["jobs", "engine_host"],
                format!("'{}' is no engine's address", escaped(host)),
                "as in \"unix:///run/podman/podman.sock\"",
            );
        }
    }
}
