//! The options that say what goes into an image: the same for building it and for asking whether it is up to date.

use std::path::PathBuf;

use windlass_core::image::ImageName;

use crate::exit::Usage;
use crate::images::build::BuildRequest;
use crate::images::build::request::{PREFIXES, Places, What};
use crate::images::build::tree::Limits;
use crate::images::build::user::User;

/// What goes into an image besides its Dockerfile.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct WhatArgs {
    /// The directory that COPY and ADD take from, less what .dockerignore takes out
    #[arg(long, value_name = "DIR")]
    context: Option<PathBuf>,
    /// A program that goes into the context with all its libraries, each under its own path
    #[arg(short = 'e', long, visible_alias = "executable", value_name = "PROGRAM")]
    include_executable: Option<PathBuf>,
    /// Do not ask `binfmt_misc` where the program goes: to its own path
    #[arg(long)]
    skip_binfmt: bool,
    /// Files that go into the root of the context
    #[arg(long, value_name = "FILE", num_args = 0..)]
    extra_files: Vec<PathBuf>,
    /// Add the current user to the image's passwd
    #[arg(short = 'u', long)]
    add_current_user: bool,
    /// A value for an ARG of the Dockerfile; NAME alone takes it from the environment
    #[arg(long, value_name = "NAME[=VALUE]")]
    build_arg: Vec<String>,
    /// A label for the image
    #[arg(long, value_name = "NAME=VALUE")]
    label: Vec<String>,
    /// The stage that is built; the last one when left out
    #[arg(long, value_name = "STAGE")]
    target: Option<String>,
    /// As in linux/arm64; the engine's own when left out
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<String>,
    /// The network of RUN commands
    #[arg(long, value_name = "NETWORK")]
    network: Option<String>,
    /// What names of own images begin with [default: localhost/ windlass/]; FROM PREFIX/name is built from name.docker beside the file
    #[arg(long, value_name = "PREFIX")]
    own_prefix: Vec<String>,
    /// The file that pins foreign bases [default: images.lock beside the Dockerfile]
    #[arg(long, value_name = "FILE")]
    lock: Option<PathBuf>,
    /// How much a context may have
    #[arg(long, value_name = "MIB", default_value_t = Limits::default().bytes >> 20)]
    context_limit: u64,
}

impl WhatArgs {
    /// Whether anything at all is said that counts for the image.
    pub(super) fn says_something(&self) -> bool {
        self.context.is_some()
            || self.include_executable.is_some()
            || !self.extra_files.is_empty()
            || self.add_current_user
            || !self.build_arg.is_empty()
            || !self.label.is_empty()
            || self.target.is_some()
            || self.platform.is_some()
            || self.network.is_some()
    }

    /// A request for this image.
    pub(super) fn request(&self, tag: ImageName, dockerfile: PathBuf) -> anyhow::Result<BuildRequest> {
        let mut request = BuildRequest::new(tag, dockerfile);
        request.what = self.what()?;
        request.places = Places {
            prefixes: prefixes(&self.own_prefix),
            lock: self.lock.clone(),
        };
        request.limits.bytes = self.context_limit.saturating_mul(1 << 20);
        Ok(request)
    }

    fn what(&self) -> anyhow::Result<What> {
        let mut what = What {
            context: self.context.clone(),
            executable: self.include_executable.clone(),
            skip_binfmt: self.skip_binfmt,
            extra_files: self.extra_files.clone(),
            target: self.target.clone(),
            platform: self.platform.clone(),
            network: self.network.clone(),
            ..What::default()
        };
        if self.add_current_user {
            let user = User::current()?;
            what.user = Some((user.name().to_owned(), user.uid()));
        }
        for given in &self.build_arg {
            let (name, value) = match given.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (given.as_str(), std::env::var(given).ok()),
            };
            if name.is_empty() {
                return Err(Usage::new(format!("--build-arg '{given}' has no name"))
                    .hint("--build-arg NAME=VALUE")
                    .into());
            }
            // One that is neither said nor set is none, as with the engines' own programs.
            if let Some(value) = value {
                what.build_args.insert(name.to_owned(), value);
            }
        }
        for given in &self.label {
            let (name, value) = given.split_once('=').unwrap_or((given, ""));
            if name.is_empty() || windlass_core::image::label::is_ours(name) {
                let error = Usage::new(format!("--label '{given}': this label cannot be set"));
                return Err(error
                    .hint("labels that begin with org.windlass. are written by this program")
                    .into());
            }
            what.labels.insert(name.to_owned(), value.to_owned());
        }
        Ok(what)
    }
}

/// The prefixes that are said, or the usual ones; each ends with a slash.
pub(super) fn prefixes(said: &[String]) -> Vec<String> {
    if said.is_empty() {
        return PREFIXES.map(str::to_owned).to_vec();
    }
    let closed = said.iter().map(|prefix| format!("{}/", prefix.trim_end_matches('/')));
    closed.collect()
}
