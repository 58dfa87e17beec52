//! What no single key of `[[payload]]` can say.

use std::collections::HashSet;
use std::path::{Component, Path};

use windlass_core::escape::escaped;
use windlass_core::refusal::nearest;

use super::Checker;
use super::images::{Sources, is_clean};
use crate::config::{Config, Payload, PayloadFile, PayloadPartition};

/// The longest label of an ext4 file system.
const LONGEST_LABEL: usize = 16;

/// The smallest file system that is made: less holds nothing.
const SMALLEST: u64 = 1 << 20;

impl Checker<'_> {
    pub(super) fn payloads(&mut self, config: &Config) {
        let mut names = HashSet::new();
        let mut boards = HashSet::new();
        for (at, payload) in config.payloads.iter().enumerate() {
            let number = at.to_string();
            let name = ["payload", number.as_str(), "name"];
            if !names.insert(&payload.name) {
                self.wrong(&name, format!("there are two payloads '{}'", payload.name), "");
            }
            let is_image = |image: &crate::config::Image| image.name.as_str() == payload.name.as_str();
            if config.images.iter().any(is_image) {
                let message = format!("there is an image '{}', too", payload.name);
                self.wrong(&name, message, "'job build' would not know which one is meant");
            }
            let board = Some(payload.board.to_string());
            if config.update_server.offers.iter().any(|offer| offer.board == board) {
                self.wrong(
                    &["payload", &number, "board"],
                    format!(
                        "an [[update_server.offer]] is for the board '{}' already",
                        payload.board
                    ),
                    "take it away: the newest version of the payload is offered to that board",
                );
            }
            if !boards.insert(&payload.board) {
                self.wrong(
                    &["payload", &number, "board"],
                    format!("another payload is for the board '{}' already", payload.board),
                    "one payload writes all partitions of a board",
                );
            }
            self.payload(&number, payload, config);
            let sources = Sources {
                section: "payload",
                number: &number,
                name: payload.name.as_str(),
                named: &payload.repositories,
                found: &payload.repositories(config),
                architecture: payload.architecture.as_ref(),
            };
            self.sources_of(&sources, config);
        }
    }

    fn payload(&mut self, number: &str, payload: &Payload, config: &Config) {
        let paths = [
            ("key", payload.key.as_deref()),
            ("rpm_database", Some(payload.rpm_database.as_path())),
        ];
        for (key, path) in paths {
            if let Some(path) = path.filter(|path| !is_clean(path) || *path == Path::new("/")) {
                let message = format!("'{key}' is no absolute path: '{}'", path.display());
                self.wrong(&["payload", number, key], message, "write it from '/' on, without '..'");
            }
        }
        if payload.keep == 0 {
            self.wrong(&["payload", number, "keep"], "'keep' is 0: nothing would be left", "");
        }
        if payload.partitions.is_empty() {
            let message = format!("payload '{}' writes no partition", payload.name);
            self.wrong(
                &["payload", number, "name"],
                message,
                "[[payload.partition]] with name = \"root\" and packages = [\"…\"]",
            );
        }
        let mut names = HashSet::new();
        for (at, partition) in payload.partitions.iter().enumerate() {
            let at = at.to_string();
            let place = ["payload", number, "partition", &at];
            if !names.insert(&partition.name) {
                let message = format!("there are two partitions '{}'", partition.name);
                self.wrong(&[&place[..], &["name"]].concat(), message, "");
            }
            self.partition(&place, partition, config);
        }
        if let Some(stateful) = &payload.stateful {
            let place = ["payload", number, "stateful"];
            if names.contains(&stateful.name) {
                let message = format!("there are two partitions '{}'", stateful.name);
                self.wrong(&[&place[..], &["name"]].concat(), message, "");
            }
            self.partition(&place, stateful, config);
        }
    }

    fn partition(&mut self, place: &[&str], partition: &PayloadPartition, config: &Config) {
        let at = |key| [place, &[key]].concat();
        let name = &partition.name;
        let said = [
            partition.source.is_some(),
            partition.image.is_some(),
            !partition.packages.is_empty(),
        ];
        match said.iter().filter(|said| **said).count() {
            0 if partition.files.is_empty() && partition.size.is_none() => self.wrong(
                &at("name"),
                format!("nothing says what partition '{name}' holds"),
                "one of: source = \"FILE\", image = \"NAME\", packages = [\"…\"]; or size = \"16MiB\" for an empty file system",
            ),
            0 | 1 => {}
            _ => self.wrong(
                &at("name"),
                format!("partition '{name}' is to hold several things"),
                "one of: source, image, packages",
            ),
        }
        if let Some(source) = &partition.source {
            if !is_clean(source) {
                let message = format!("'source' is no absolute path: '{}'", source.display());
                self.wrong(&at("source"), message, "write it from '/' on, without '..'");
            }
            if partition.size.is_some() || partition.slack.is_some() || !partition.files.is_empty() {
                let message = format!("partition '{name}' is the file as it is");
                self.wrong(
                    &at("source"),
                    message,
                    "'size', 'slack' and files are for file systems that are made",
                );
            }
            return;
        }
        if let Some(image) = partition.image.as_ref().filter(|image| config.image(image).is_none()) {
            let known: Vec<&str> = config.images.iter().map(|image| image.name.as_str()).collect();
            let hint = nearest(image.as_str(), &known).map_or_else(
                || "an [[image]] section names it".to_owned(),
                |near| format!("did you mean '{near}'?"),
            );
            self.wrong(&at("image"), format!("there is no image '{image}'"), &hint);
        }
        if name.as_str().len() > LONGEST_LABEL {
            let message = format!("'{name}' is longer than a file system's label may be");
            self.wrong(&at("name"), message, "16 characters at most");
        }
        if partition.size.is_some() && partition.slack.is_some() {
            let message = "'slack' is what a file system has beside what fits; 'size' says all of it";
            self.wrong(&at("slack"), message, "one of the two");
        }
        if let Some(size) = partition
            .size
            .filter(|size| size.bytes() < SMALLEST || size.bytes() % 4096 != 0)
        {
            let message = format!("no file system has {size}");
            self.wrong(&at("size"), message, "1MiB at least, in whole blocks of 4KiB");
        }
        let mut seen = HashSet::new();
        for (index, file) in partition.files.iter().enumerate() {
            let index = index.to_string();
            let place = [place, &["file", &index]].concat();
            self.file(&place, file);
            if !seen.insert(file.path.trim_start_matches('/')) {
                let message = format!("'{}' is written twice", escaped(&file.path));
                self.wrong(&[&place[..], &["path"]].concat(), message, "");
            }
        }
    }

    fn file(&mut self, place: &[&str], file: &PayloadFile) {
        let parts = Path::new(file.path.trim_start_matches('/')).components();
        let is_plain = file.path.chars().all(windlass_core::escape::is_plain) && !file.path.ends_with('/');
        if !is_plain || parts.clone().count() == 0 || !parts.clone().all(|part| matches!(part, Component::Normal(_))) {
            let message = format!("'{}' is no file of a file system", escaped(&file.path));
            self.wrong(&[place, &["path"]].concat(), message, "as in \"etc/lsb-release\"");
        }
        if file.mode().is_none() {
            let message = format!("'{}' are no permissions", escaped(&file.mode));
            self.wrong(&[place, &["mode"]].concat(), message, "octal digits, as in \"755\"");
        }
    }
}
