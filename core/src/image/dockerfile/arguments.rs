//! Build arguments: those given, those that every build has, and what a file makes of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use super::Dockerfile;
use super::expand::{Lexer, Variables};
use super::instruction::Kind;
use super::problem::{Problem, Problems};
use crate::escape::escaped;

/// Arguments that need no ARG: a RUN sees them, and they do not make another image.
pub const PROXIES: [&str; 10] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "FTP_PROXY",
    "ftp_proxy",
    "NO_PROXY",
    "no_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// `os/architecture[/variant]`, as in `linux/amd64` or `linux/arm/v7`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Platform {
    /// `linux`.
    pub os: String,
    /// As Go names it: `amd64`, `arm64`, `386`.
    pub architecture: String,
    /// `v7`; empty for most.
    pub variant: String,
}

/// A text that is no platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no platform\n\nhint: write os/architecture, as in linux/amd64 or linux/arm/v7")]
pub struct BadPlatform(String);

impl Platform {
    /// The platform of a Linux machine whose architecture is named as Rust or the kernel name it: `x86_64`, `aarch64`.
    pub fn linux(machine: &str) -> Self {
        let (architecture, variant) = match machine {
            "x86_64" => ("amd64", ""),
            "aarch64" => ("arm64", ""),
            "x86" | "i386" | "i486" | "i586" | "i686" => ("386", ""),
            "arm" | "armv7" | "armv7l" => ("arm", "v7"),
            "armv6l" => ("arm", "v6"),
            "powerpc64le" => ("ppc64le", ""),
            "loongarch64" => ("loong64", ""),
            other => (other, ""),
        };
        Self {
            os: "linux".to_owned(),
            architecture: architecture.to_owned(),
            variant: variant.to_owned(),
        }
    }
}

impl FromStr for Platform {
    type Err = BadPlatform;
    fn from_str(text: &str) -> Result<Self, BadPlatform> {
        let parts: Vec<&str> = text.split('/').collect();
        let good = |part: &&str| {
            !part.is_empty()
                && part.len() <= 32
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
        };
        let (os, architecture, variant) = match parts.as_slice() {
            [os, architecture] => (*os, *architecture, ""),
            [os, architecture, variant] => (*os, *architecture, *variant),
            _ => return Err(BadPlatform(escaped(text))),
        };
        if !parts.iter().all(good) {
            return Err(BadPlatform(escaped(text)));
        }
        let mut platform = Self {
            os: os.to_lowercase(),
            ..Self::linux(&architecture.to_lowercase())
        };
        if !variant.is_empty() {
            variant.clone_into(&mut platform.variant);
        }
        // arm64 is v8 by itself; nobody says so.
        if platform.architecture == "arm64" && platform.variant == "v8" {
            platform.variant.clear();
        }
        Ok(platform)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if !self.variant.is_empty() {
            write!(f, "/{}", self.variant)?;
        }
        Ok(())
    }
}

/// What a build is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arguments {
    given: BTreeMap<String, String>,
    platforms: BTreeMap<&'static str, String>,
}

impl Arguments {
    /// No arguments, for an image of one platform, built on another one.
    pub fn new(target: &Platform, build: &Platform) -> Self {
        let of = |names: [&'static str; 4], platform: &Platform| {
            let values = [
                platform.to_string(),
                platform.os.clone(),
                platform.architecture.clone(),
                platform.variant.clone(),
            ];
            names.into_iter().zip(values)
        };
        let target = of(["TARGETPLATFORM", "TARGETOS", "TARGETARCH", "TARGETVARIANT"], target);
        let build = of(["BUILDPLATFORM", "BUILDOS", "BUILDARCH", "BUILDVARIANT"], build);
        Self {
            given: BTreeMap::new(),
            platforms: target.chain(build).collect(),
        }
    }

    /// No arguments, for an image of the platform on which it is built.
    pub fn native(platform: &Platform) -> Self {
        Self::new(platform, platform)
    }

    /// The same with one more.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.given.insert(name.into(), value.into());
        self
    }

    /// Those given, by name.
    pub fn given(&self) -> impl Iterator<Item = (&str, &str)> {
        self.given.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// One of those given.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.given.get(name).map(String::as_str)
    }
}

/// The values of the ARGs above the first FROM, and those of the platforms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Globals(BTreeMap<String, String>);

impl Variables for Globals {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl Dockerfile {
    /// What FROM lines may refer to.
    ///
    /// # Errors
    /// Defaults that cannot be filled in.
    pub fn globals(&self, arguments: &Arguments) -> Result<Globals, Problems> {
        let lexer = Lexer::new(self.directives.escape);
        let platforms = arguments
            .platforms
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()));
        let mut globals = Globals(platforms.collect());
        let mut problems = Vec::new();
        for instruction in &self.globals {
            let Kind::Arg(declared) = &instruction.kind else {
                continue;
            };
            for argument in declared {
                let value = match (arguments.get(&argument.name), &argument.default) {
                    (Some(given), _) => given.to_owned(),
                    (None, None) => continue,
                    (None, Some(default)) => match lexer.word(default, &globals) {
                        Ok(value) => value.into_owned(),
                        Err(bad) => {
                            problems.push(Problem::new(instruction.lines, bad.message).hint(bad.hint));
                            continue;
                        }
                    },
                };
                globals.0.insert(argument.name.clone(), value);
            }
        }
        Problems::unless_none(problems)?;
        Ok(globals)
    }

    /// The names of all ARGs.
    fn declared(&self) -> BTreeSet<&str> {
        let below = self.stages.iter().flat_map(|stage| &stage.instructions);
        let mut names = BTreeSet::new();
        for instruction in self.globals.iter().chain(below) {
            if let Kind::Arg(declared) = &instruction.kind {
                names.extend(declared.iter().map(|argument| argument.name.as_str()));
            }
        }
        names
    }

    /// Those of the given arguments that can make another image: those that an ARG declares. Proxies alone do not count.
    pub fn counted<'a>(&self, arguments: &'a Arguments) -> Vec<(&'a str, &'a str)> {
        let declared = self.declared();
        arguments.given().filter(|(name, _)| declared.contains(name)).collect()
    }

    /// Those of the given arguments that nothing takes: a person has mistyped them, or they are for another file.
    pub fn unused<'a>(&self, arguments: &'a Arguments) -> Vec<&'a str> {
        let declared = self.declared();
        let known = |name: &&str| declared.contains(name) || PROXIES.contains(name) || name.starts_with("BUILDKIT_");
        arguments
            .given()
            .map(|(name, _)| name)
            .filter(|name| !known(name))
            .collect()
    }
}
