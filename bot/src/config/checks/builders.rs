//! Whether the builders fit one another, and the repositories that need them.

use std::collections::{BTreeMap, HashSet};

use super::{Checker, span_of};
use crate::config::build::SandboxKind;
use crate::config::builder::{is_name, is_qualified};
use crate::config::repository::is_architecture;
use crate::config::{BuildHost, Config};
use crate::images::engine::Address;

impl Checker<'_> {
    pub(super) fn builders(&mut self, config: &Config) {
        let mut names = HashSet::new();
        // By architecture, the image that its builds run in, and whose it is.
        let mut images: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
        for (at, builder) in config.builders.iter().enumerate() {
            let number = at.to_string();
            let shown = |text: &str| windlass_core::escape::escaped(text);
            if !is_name(&builder.name) {
                self.wrong(
                    &["builder", &number, "name"],
                    format!("'{}' is no name of a builder", shown(&builder.name)),
                    "letters, digits, '.', '_' and '-', at most 64",
                );
            } else if !names.insert(&builder.name) {
                let message = format!("there are two builders '{}'", builder.name);
                self.wrong(&["builder", &number, "name"], message, "");
            }
            self.builder_address(&number, builder);
            if !is_qualified(&builder.image) {
                self.wrong(
                    &["builder", &number, "image"],
                    format!("'{}' does not say in full which image it is", shown(&builder.image)),
                    "a registry, a name, and a tag or a digest, as in \"registry.example.org/build:el9\" or \"localhost/build:el9\"",
                );
            }
            if builder.slots == 0 {
                self.wrong(
                    &["builder", &number, "slots"],
                    "'slots' is 0: nothing is built on it",
                    "",
                );
            }
            if builder.architectures.is_empty() {
                let message = format!("builder '{}' has no architecture", shown(&builder.name));
                self.wrong(&["builder", &number, "architectures"], message, "as in [\"x86_64\"]");
            }
            for (index, architecture) in builder.architectures.iter().enumerate() {
                let place = ["builder", &number, "architectures", &index.to_string()];
                if !is_architecture(architecture) {
                    let message = format!("'{}' is no architecture", shown(architecture));
                    self.wrong(
                        &place,
                        message,
                        "rpm's word for a machine, as in \"x86_64\" or \"aarch64\"",
                    );
                    continue;
                }
                match images.get(architecture.as_str()) {
                    Some((image, other)) if *image != builder.image => {
                        let message = format!(
                            "'{}' and '{}' build for {architecture} in different images: '{}' and '{}'",
                            shown(other),
                            shown(&builder.name),
                            shown(image),
                            shown(&builder.image)
                        );
                        self.wrong(
                            &["builder", &number, "image"],
                            message,
                            "what is built must not depend on where: name one image for an architecture",
                        );
                    }
                    Some(_) => {}
                    None => {
                        images.insert(architecture, (&builder.image, &builder.name));
                    }
                }
            }
        }
        if config.build.sandbox != SandboxKind::Container {
            return;
        }
        for (at, repository) in config.repositories.iter().enumerate() {
            for (index, architecture) in repository.architectures.iter().enumerate() {
                if is_architecture(architecture) && !images.contains_key(architecture.as_str()) {
                    let message =
                        format!("no [[builder]] builds for '{architecture}', and [build] sandbox is \"container\"");
                    let mut place = vec![
                        "repository".to_owned(),
                        at.to_string(),
                        "architectures".to_owned(),
                        index.to_string(),
                    ];
                    if span_of(
                        self.table.get_ref(),
                        &place.iter().map(String::as_str).collect::<Vec<_>>(),
                    )
                    .is_none()
                    {
                        place = vec!["build".to_owned(), "sandbox".to_owned()];
                    }
                    let place: Vec<&str> = place.iter().map(String::as_str).collect();
                    self.wrong(&place, message, "add the architecture to a [[builder]]");
                }
            }
        }
    }

    fn builder_address(&mut self, number: &str, builder: &BuildHost) {
        let shown = windlass_core::escape::escaped(&builder.host);
        let tcp = match builder.address() {
            None => {
                return self.wrong(
                    &["builder", number, "host"],
                    format!("'{shown}' is no address of a container engine"),
                    "\"unix:///run/docker.sock\", \"ssh://USER@HOST\", or \"tcp://HOST:PORT\" with 'tls'",
                );
            }
            Some(Address::Tcp { .. }) => true,
            Some(Address::Unix(_) | Address::Ssh { .. }) => false,
        };
        match &builder.tls {
            None if tcp => self.wrong(
                &["builder", number, "host"],
                format!("'{shown}' needs 'tls': whoever can connect to an engine without it is root there"),
                "tls = \"/etc/windlass/tls/NAME\", a directory with ca.pem, cert.pem and key.pem",
            ),
            Some(_) if !tcp => {
                let message = format!("'tls' is for tcp:// only, and this is '{shown}'");
                self.wrong(&["builder", number, "tls"], message, "");
            }
            Some(tls) if tls.is_relative() => {
                let message = format!("'tls' is no absolute path: '{}'", tls.display());
                self.wrong(&["builder", number, "tls"], message, "");
            }
            Some(_) | None => {}
        }
    }
}
