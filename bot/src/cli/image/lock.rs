//! `windlass image lock update`: what foreign bases stand for from now on.
//!
//! A Dockerfile's bases are pinned in the file that its build reads: `images.lock` beside it, or the one that is named. Every registry is
//! asked before anything is written, so that one that is away leaves all files as they are. Of two at once the second waits for the first.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde::Serialize;
use tokio::runtime::Runtime;
use windlass_core::escape::escaped;
use windlass_core::image::dockerfile::Platform;
use windlass_core::image::lock::Change;
use windlass_core::image::{Digest, ImageName};
use windlass_hooks::settings::Duration;

use super::Common;
use super::what::prefixes;
use crate::cli::Context;
use crate::exit::{Broken, Exit, Usage};
use crate::images::build::lockfile::{self, Pins, PinsLock};
use crate::images::build::request::{BuildRequest, Places};
use crate::images::build::{Family, folder};
use crate::images::registry::{Registry, RegistryError, Settings, Transport};
use crate::images::runtime;

/// Arguments of `windlass image lock`.
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true, disable_help_subcommand = true)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Pin foreign bases to what their registries have now
    Update(UpdateArgs),
}

/// Arguments of `windlass image lock update`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without names all foreign bases of the folder's Dockerfiles are pinned, and pins are removed that nobody names any more.
What stands on a base that moved is stale from then on: `windlass image graph` shows it.

Exit codes: 0 done, also where nothing moved; 1 a registry refuses or has no such image; 2 usage; 3 a registry is away.

Examples:
  windlass image lock update
  windlass image lock update debian:12 --dry-run
  windlass image lock update --folder dockerfiles/ --json")]
struct UpdateArgs {
    /// Only these bases
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Only the bases of these Dockerfiles
    #[arg(short = 'f', long = "file", value_name = "FILE", conflicts_with = "folder")]
    files: Vec<PathBuf>,
    /// The folder of the Dockerfiles
    #[arg(long, value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// The file of pins [default: images.lock beside each Dockerfile]
    #[arg(long, value_name = "FILE")]
    lock: Option<PathBuf>,
    /// What names of own images begin with [default: localhost/ windlass/]
    #[arg(long, value_name = "PREFIX")]
    own_prefix: Vec<String>,
    /// A file of registry logins, for its owner alone to read
    #[arg(long, value_name = "FILE")]
    credentials: Option<PathBuf>,
    /// Speak to registries without TLS; those on this machine are spoken to so in any case
    #[arg(long)]
    plain_http: bool,
    /// How long a registry may take to answer, as in 2m
    #[arg(long, value_name = "TIME")]
    registry_timeout: Option<Duration>,
    /// Say what would move; write nothing
    #[arg(long)]
    dry_run: bool,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// What became of one base in one file.
#[derive(Debug, Serialize)]
struct Row {
    lock: PathBuf,
    name: String,
    change: What,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Digest>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum What {
    Added,
    Moved,
    Same,
    Removed,
}

/// A file of pins, as it is named, and the foreign bases that belong into it.
#[derive(Debug)]
struct Pinned {
    path: PathBuf,
    names: BTreeSet<ImageName>,
}

/// The files of pins by where they really are: two ways to one file are one file.
type Wanted = BTreeMap<PathBuf, Pinned>;

pub(super) fn lock(context: &mut Context, common: &Common, args: &Args) -> anyhow::Result<Exit> {
    let Action::Update(args) = &args.action;
    let named = foreign(args)?;
    let chosen = chosen(args, &named)?;
    let runtime = runtime()?;
    let mut files = Vec::new();
    // Always in the same order, so that no two wait for each other.
    for (real, Pinned { path, names }) in &named {
        let lock = if args.dry_run {
            None
        } else {
            let waits = |pid: Option<u32>| {
                let who = pid.map_or_else(String::new, |pid| format!(" (process {pid})"));
                let path = escaped(&path.display().to_string());
                context
                    .output
                    .say(format!("{path} is being changed by somebody else{who}: waiting"));
            };
            Some(runtime.block_on(PinsLock::take(real, waits))?)
        };
        files.push((path, names, Pins::read(real)?, lock));
    }
    let now = resolve(args, &chosen, &runtime)?;
    let mut rows = Vec::new();
    for (path, names, mut pins, lock) in files {
        let before = rows.len();
        for name in names {
            // Those that were not chosen stay as they are.
            if let Some(digest) = now.get(name) {
                let (change, from) = match pins.0.set(name, digest.clone())? {
                    Change::Added => (What::Added, None),
                    Change::Moved { from } => (What::Moved, Some(from)),
                    Change::Same => (What::Same, None),
                };
                rows.push(row(path, name, change, from, Some(digest.clone())));
            }
        }
        // Only whoever looks at all Dockerfiles knows what none of them names.
        if args.names.is_empty() && args.files.is_empty() {
            let gone = pins.0.keep(|name| names.contains(name));
            rows.extend(gone.iter().map(|name| row(path, name, What::Removed, None, None)));
        }
        if let Some(lock) = lock
            && rows[before..].iter().any(|row| row.change != What::Same)
        {
            pins.write(&lock)?;
        }
    }
    let out = &mut context.output;
    if args.json {
        out.json(&rows)?;
    } else if !common.quiet {
        for row in &rows {
            out.line(row.told(args.dry_run))?;
        }
    }
    Ok(Exit::Done)
}

/// The foreign bases of the Dockerfiles: those that are no image of ours and have no digest of their own.
fn foreign(args: &UpdateArgs) -> anyhow::Result<Wanted> {
    let places = Places {
        prefixes: prefixes(&args.own_prefix),
        lock: args.lock.clone(),
    };
    let requests = if args.files.is_empty() {
        folder::images(&args.folder, &places)?
    } else {
        let request = |(at, file): (usize, &PathBuf)| -> anyhow::Result<BuildRequest> {
            // Nobody sees the names: nothing is built.
            let mut request = BuildRequest::new(ImageName::local(&format!("windlass-lock/{at}"))?, file);
            request.places = places.clone();
            Ok(request)
        };
        args.files.iter().enumerate().map(request).collect::<Result<_, _>>()?
    };
    let family = Family::of_all(&requests, &Platform::linux(std::env::consts::ARCH))?;
    let mut wanted = Wanted::new();
    for member in family.members() {
        let foreign = member
            .bases
            .iter()
            .filter(|ground| !ground.own && !ground.name.is_local() && ground.name.digest().is_none())
            .map(|ground| ground.name.clone());
        let path = member.request.lock();
        let pinned = wanted.entry(lockfile::real(&path)?).or_insert_with(|| Pinned {
            path,
            names: BTreeSet::new(),
        });
        pinned.names.extend(foreign);
    }
    Ok(wanted)
}

/// Those of the bases that are to be looked at: all, or those that are said.
fn chosen(args: &UpdateArgs, named: &Wanted) -> anyhow::Result<BTreeSet<ImageName>> {
    let all: BTreeSet<ImageName> = named.values().flat_map(|pinned| &pinned.names).cloned().collect();
    if args.names.is_empty() {
        return Ok(all);
    }
    let mut chosen = BTreeSet::new();
    for text in &args.names {
        let name = ImageName::foreign(text).map_err(|bad| Usage::new(bad.to_string()))?;
        if !all.contains(&name) {
            let error = Usage::new(format!("no Dockerfile there stands on '{name}' without a digest"));
            return Err(error
                .hint("`windlass image graph DIR` shows the foreign bases; --folder says where the Dockerfiles are")
                .into());
        }
        chosen.insert(name);
    }
    Ok(chosen)
}

/// What the bases stand for in their registries now.
fn resolve(
    args: &UpdateArgs,
    names: &BTreeSet<ImageName>,
    runtime: &Runtime,
) -> anyhow::Result<BTreeMap<ImageName, Digest>> {
    let mut settings = Settings {
        credentials: args.credentials.clone(),
        ..Settings::default()
    };
    if args.plain_http {
        settings.transport = Transport::Plain;
    }
    if let Some(time) = args.registry_timeout {
        settings.document = time.std();
        settings.connect = settings.connect.min(time.std());
    }
    let mut now = BTreeMap::new();
    for name in names {
        let registry = Registry::of(name, &settings).map_err(failure)?;
        let digest = runtime.block_on(registry.resolve(name)).map_err(failure)?;
        now.insert(name.clone(), digest);
    }
    Ok(now)
}

/// A registry's error as an exit code: 3 where it is away, 1 where it would not.
fn failure(error: RegistryError) -> anyhow::Error {
    if error.is_transient() {
        return Broken::new(error.to_string())
            .hint("nothing was written; try again when it answers")
            .into();
    }
    error.into()
}

fn row(lock: &Path, name: &ImageName, change: What, from: Option<Digest>, to: Option<Digest>) -> Row {
    Row {
        lock: lock.to_owned(),
        name: name.to_string(),
        change,
        from,
        to,
    }
}

impl Row {
    /// As people read it.
    fn told(&self, dry_run: bool) -> String {
        let short = |digest: &Option<Digest>| digest.as_ref().map_or("", Digest::short).to_owned();
        let (name, from, to) = (&self.name, short(&self.from), short(&self.to));
        match (self.change, dry_run) {
            (What::Same, _) => format!("{name} is the same: {to}"),
            (What::Added, false) => format!("{name} is pinned: {to}"),
            (What::Added, true) => format!("{name} would be pinned: {to}"),
            (What::Moved, false) => format!("{name} moved: {from} → {to}"),
            (What::Moved, true) => format!("{name} would move: {from} → {to}"),
            (What::Removed, false) => format!("{name} is removed: no Dockerfile names it"),
            (What::Removed, true) => format!("{name} would be removed: no Dockerfile names it"),
        }
    }
}
