//! `windlass gear`: makes the source archive of a tag, as the first stage of a task does, or shows what would be in it.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _, Seek as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::json;
use tempfile::NamedTempFile;
use windlass_core::escape::escaped;
use windlass_core::gear::{GearError, Limits, Plan};
use windlass_core::id::{ObjectId, SourcePath, TagName, UserName};
use windlass_core::refusal::Refusal;

use super::tag::{git_dir_at, tag_at};
use super::{Context, Run};
use crate::exit::{Broken, Exit, Usage};
use crate::git::GitObjects;
use crate::stages::pkgtar::Spooled;

/// Arguments of `windlass gear`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make the source archive (pkg.tar) of a tag
    Export(Export),
}

/// Arguments of `windlass gear export`.
#[derive(Debug, clap::Args)]
#[command(
    long_about = "\
Make the source archive (pkg.tar) of a tag, as the first stage of a task does: the spec file, and what
.gear-rules or .gear/rules in the tagged tree name. The same tag gives the same bytes everywhere.

The tag must be annotated, since every file gets the tagger's date. It need not be signed: nothing is
judged here (windlass tag check does that).",
    after_help = "\
REPO is a directory, for which no configuration is needed, or a source repository by its short name
(alice/hello, shared/gcc).

Examples:
  windlass gear export . 1.0-alt1 --list             # what would be in it, and which rule it comes from
  windlass gear export . 1.0-alt1 -o pkg.tar
  windlass gear export . 1.0-alt1 | tar -xf - -C ~/rpmbuild/SOURCES
  windlass gear export alice/hello 1.0-alt1 --list --json | jq '.files[].name'"
)]
struct Export {
    /// The repository
    repo: PathBuf,
    /// The tag's name, or the id of the tag object
    #[arg(value_name = "TAG-OR-OBJECT-ID")]
    tag: String,
    /// Where the archive goes; '-' is standard output [default: standard output, if it is no terminal]
    #[arg(short, long, value_name = "FILE", conflicts_with = "list")]
    output: Option<PathBuf>,
    /// Show what would be in it, with sizes and rules, and write nothing
    #[arg(long)]
    list: bool,
    /// Show it as JSON
    #[arg(long, requires = "list")]
    json: bool,
}

impl Run for Args {
    fn run(self, context: &mut Context) -> anyhow::Result<Exit> {
        match self.action {
            Action::Export(export) => export.run(context),
        }
    }
}

/// Where an archive goes.
enum Target {
    Nowhere,
    Stdout,
    File(PathBuf),
}

impl Export {
    fn run(self, context: &mut Context) -> anyhow::Result<Exit> {
        let target = self.target()?;
        let git_dir = self.git_dir(context)?;
        let tag = match self.tag.parse::<ObjectId>() {
            Ok(object) => object,
            Err(_) => self.tag_of(&git_dir)?,
        };
        let objects = GitObjects::at(&git_dir).map_err(|error| Broken::new(error.to_string()))?;
        let limits = Limits::default();
        let plan = Plan::of(&objects, &tag, &limits).map_err(told)?;
        // What is made on the way lies beside the file, where there is room for it.
        let dir = match &target {
            Target::File(path) if path.metadata().map_or(true, |there| there.is_file()) => path
                .parent()
                .filter(|dir| !dir.as_os_str().is_empty())
                .unwrap_or(Path::new("."))
                .to_owned(),
            Target::Nowhere | Target::Stdout | Target::File(_) => std::env::temp_dir(),
        };
        let cannot = |error: io::Error| Broken::new(format!("cannot write in '{}': {error}", dir.display()));
        let scratch = Spooled { dir: dir.clone() };
        let mut list = Vec::new();
        let mut notes = plan.notes.clone();
        let mut hear = |written: windlass_core::gear::Written<'_>| {
            let member = written.member;
            list.push((written.size, member.name.clone(), member.from.clone()));
            notes.extend(written.note());
        };
        let mut file = NamedTempFile::with_prefix_in(".windlass-pkg-", &dir).map_err(cannot)?;
        let size = {
            let mut sink = io::sink();
            let mut buffered = io::BufWriter::with_capacity(256 << 10, file.as_file_mut());
            let out: &mut dyn io::Write = if self.list { &mut sink } else { &mut buffered };
            plan.write((&objects, &limits), &scratch, out, &mut hear)
                .map_err(told)?
        };
        match target {
            Target::Nowhere => self.show(&plan, &list, &notes, size, context)?,
            Target::Stdout => {
                file.rewind().map_err(cannot)?;
                send(file.as_file_mut(), context)?;
            }
            // A pipe or a device is written to, not replaced.
            Target::File(path) if path.metadata().is_ok_and(|there| !there.is_file()) => {
                file.rewind().map_err(cannot)?;
                let mut out = File::options().write(true).open(&path).map_err(cannot)?;
                io::copy(file.as_file_mut(), &mut out).map_err(cannot)?;
            }
            Target::File(path) => {
                let umask = 0o666 & !umask();
                let mode = std::os::unix::fs::PermissionsExt::from_mode(umask);
                file.as_file().set_permissions(mode).map_err(cannot)?;
                file.persist(&path).map_err(|error| cannot(error.error))?;
            }
        }
        for note in notes {
            context.output.say(format!("note: {note}"));
        }
        Ok(Exit::Done)
    }

    fn target(&self) -> anyhow::Result<Target> {
        Ok(match &self.output {
            _ if self.list => Target::Nowhere,
            Some(path) if path == Path::new("-") => Target::Stdout,
            Some(path) => Target::File(path.clone()),
            None if io::stdout().is_terminal() => {
                return Err(Usage::new("an archive is nothing for a terminal")
                    .hint("-o FILE writes it into a file, '-o -' to the terminal all the same; --list shows what is in it")
                    .into());
            }
            None => Target::Stdout,
        })
    }

    fn git_dir(&self, context: &Context) -> anyhow::Result<PathBuf> {
        if let Some(git_dir) = git_dir_at(&self.repo) {
            return Ok(git_dir);
        }
        let typed = self.repo.to_string_lossy();
        let nobody = "nobody".parse::<UserName>()?;
        let source = SourcePath::resolve(&typed, &nobody).ok();
        let missing = |where_else: String| {
            Refusal::new(
                "no_such_source",
                format!("'{}' is no git repository here{where_else}", escaped(&typed)),
            )
            .hint("as in `windlass gear export . 1.0-alt1`, or a source repository by its name: alice/hello")
        };
        // Without a configuration there are only paths.
        let Some(source) = source.filter(|_| context.global.config.exists()) else {
            return Err(missing(String::new()).into());
        };
        let config = context.config()?;
        let root = context.settings(&config).paths.git();
        let git_dir = root.join(source.as_str());
        git_dir_at(&git_dir).ok_or_else(|| missing(format!(", nor one below '{}'", root.display())).into())
    }

    fn tag_of(&self, git_dir: &Path) -> anyhow::Result<ObjectId> {
        let bare = self.tag.strip_prefix("refs/tags/").unwrap_or(&self.tag);
        let name = bare.parse::<TagName>().map_err(|bad| {
            Usage::new(bad.to_string())
                .hint("a tag with such a name is never taken; the id of its object can be given instead")
        })?;
        tag_at(git_dir, &name)
    }

    fn show(
        &self,
        plan: &Plan,
        list: &[(u64, String, String)],
        notes: &[String],
        size: u64,
        context: &mut Context,
    ) -> anyhow::Result<()> {
        if self.json {
            let value = |value: &Option<windlass_core::gear::Value>| value.as_ref().map(|value| value.text.clone());
            let files: Vec<_> = list
                .iter()
                .map(|(size, name, from)| json!({ "name": name, "size": size, "from": from }))
                .collect();
            context.output.json(&json!({
                "tag": plan.tag,
                "commit": plan.commit,
                "date": plan.mtime,
                "label": plan.label(),
                "spec": plan.spec,
                "name": value(&plan.preamble.name),
                "epoch": value(&plan.preamble.epoch),
                "version": value(&plan.preamble.version),
                "release": value(&plan.preamble.release),
                "size": size,
                "files": files,
                "notes": notes,
            }))?;
            return Ok(());
        }
        let digits = list.iter().map(|(size, ..)| size.to_string().len()).max().unwrap_or(1);
        let width = list.iter().map(|(_, name, _)| name.chars().count()).max().unwrap_or(1);
        for (size, name, from) in list {
            context.output.line(format!("{size:>digits$}  {name:width$}  {from}"))?;
        }
        Ok(())
    }
}

/// The bits that this process takes from every new file. There is no other way to read them than to set them.
fn umask() -> u32 {
    let none = rustix::fs::Mode::empty();
    let mask = rustix::process::umask(none);
    rustix::process::umask(mask);
    mask.bits()
}

fn send(file: &mut File, context: &mut Context) -> anyhow::Result<()> {
    let mut buffer = vec![0; 256 << 10];
    loop {
        let read = file.read(&mut buffer).context("reading what was made")?;
        if read == 0 {
            return Ok(());
        }
        context.output.data(&buffer[..read])?;
    }
}

fn told(error: GearError) -> anyhow::Error {
    match error {
        GearError::Refused(refusal) => refusal.into(),
        error @ (GearError::Objects(_) | GearError::Io(_)) => Broken::new(error.to_string()).into(),
    }
}
