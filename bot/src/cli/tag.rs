//! `windlass tag`: judges a tag as a push would, without pushing.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Subcommand;
use jiff::Timestamp;
use serde_json::json;
use windlass_core::escape::escaped;
use windlass_core::id::{ObjectId, SourcePath, TagName, UserName};
use windlass_core::refusal::Refusal;
use windlass_core::signing::{Identity, SignatureKind, Signer, TagFacts, Verdict};
use windlass_hooks::claims::Ledger;
use windlass_hooks::judge::{Judgement, TagToJudge, judge_tag};
use windlass_hooks::keyring::Keyring;
use windlass_hooks::objects::RawStore;

use super::{Context, Run};
use crate::commands::refs;
use crate::config::Config;
use crate::exit::{Broken, Exit, Usage};

/// Arguments of `windlass tag`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Judge a tag as a push would, without pushing
    Check(Check),
}

/// Arguments of `windlass tag check`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
REPO is a directory, or a source repository by its short name (hello with --as, alice/hello,
shared/gcc). Exit code 0: good, 1: refused.

Examples:
  windlass tag check alice/hello 1.0-alt1 --as alice
  windlass tag check ~/src/hello 1.0-alt1 --keyring /etc/windlass/people
  windlass tag check . 1.0-alt1 --no-identity        # structure and signature alone
  windlass tag check shared/gcc 14-alt1 --at 2024-05-01T12:00:00Z --json | jq .reasons")]
struct Check {
    /// The repository
    repo: PathBuf,
    /// The tag's name, or the id of the tag object
    #[arg(value_name = "TAG-OR-OBJECT-ID")]
    tag: String,
    /// Who pushes it; not compared when not said
    #[arg(long = "as", value_name = "USER")]
    pusher: Option<UserName>,
    /// The reference under which it would be pushed [default: the tag's own]
    #[arg(long = "ref", value_name = "REF")]
    reference: Option<String>,
    /// Another directory of people or certificates
    #[arg(long, value_name = "DIR")]
    keyring: Option<PathBuf>,
    /// The server's time, as 2024-05-01T12:00:00Z [default: now]
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// Judge structure and signature alone, not whose they are
    #[arg(long, conflicts_with = "pusher")]
    no_identity: bool,
    /// Print the verdict as JSON
    #[arg(long)]
    json: bool,
}

impl Run for Args {
    fn run(self, context: &mut Context) -> anyhow::Result<Exit> {
        match self.action {
            Action::Check(check) => check.run(context),
        }
    }
}

/// The repository that is looked at.
struct Place {
    git_dir: PathBuf,
    /// Its name, if it is one of the server's.
    source: Option<SourcePath>,
}

impl Check {
    fn run(self, context: &mut Context) -> anyhow::Result<Exit> {
        let config = self.config(context)?;
        let place = self.place(&config)?;
        let (object, reference) = self.object(&place)?;
        let people = self.keyring.clone().unwrap_or_else(|| config.paths.people());
        let mut keyring = Keyring::open(&people).map_err(|error| {
            Broken::new(error.to_string()).hint("--keyring DIR names another directory of people or certificates")
        })?;
        if let (Some(file), None) = (&config.signing.allowed_signers, &self.keyring) {
            keyring = keyring.with_allowed_signers(file);
        }
        let mut policy = config.signing.policy();
        if self.no_identity {
            policy.identity = Identity::Ignored;
        }
        let store = RawStore::at(&place.git_dir).map_err(|error| Broken::new(error.to_string()))?;
        let question = TagToJudge {
            object: &object,
            reference: reference.as_deref().map(str::as_bytes),
            source: place.source.as_ref(),
            pusher: self.pusher.as_ref(),
        };
        let now = self.at.unwrap_or_else(Timestamp::now);
        let mut judgement =
            judge_tag(&store, &keyring, &policy, &question, now).map_err(|error| Broken::new(error.to_string()))?;
        if let Some(source) = &place.source {
            Ledger::new(config.paths.claims())
                .look_for_replay(source, &mut judgement)
                .map_err(|error| Broken::new(error.to_string()))?;
        }
        self.tell(context, &object, &judgement)
    }

    /// The configuration; with a keyring given, its absence means the defaults.
    fn config(&self, context: &Context) -> anyhow::Result<Config> {
        if self.keyring.is_some() && !context.global.config.exists() {
            return Ok(Config::default());
        }
        context.config()
    }

    fn place(&self, config: &Config) -> anyhow::Result<Place> {
        let root = config.paths.git();
        if let Some(git_dir) = git_dir_at(&self.repo) {
            let real = git_dir
                .canonicalize()
                .with_context(|| format!("cannot look at '{}'", git_dir.display()))?;
            let below = root
                .canonicalize()
                .ok()
                .and_then(|root| real.strip_prefix(root).ok().map(Path::to_owned));
            let source = below
                .as_deref()
                .and_then(Path::to_str)
                .and_then(|path| path.parse().ok());
            return Ok(Place { git_dir, source });
        }
        let typed = self.repo.to_string_lossy();
        let shown = escaped(&typed);
        let nobody = "nobody".parse::<UserName>()?;
        let source = SourcePath::resolve(&typed, self.pusher.as_ref().unwrap_or(&nobody)).ok();
        if let Some(source) = source {
            let git_dir = root.join(source.as_str());
            if git_dir_at(&git_dir).is_some() {
                return Ok(Place {
                    git_dir,
                    source: Some(source),
                });
            }
        }
        Err(Refusal::new(
            "no_such_source",
            format!(
                "'{shown}' is no git repository here, nor one below '{}'",
                root.display()
            ),
        )
        .hint("as in `windlass tag check alice/hello 1.0-alt1`, or the path of a directory")
        .into())
    }

    /// The object's id and the reference that its name is compared with.
    fn object(&self, place: &Place) -> anyhow::Result<(ObjectId, Option<String>)> {
        if let Ok(object) = self.tag.parse::<ObjectId>() {
            return Ok((object, self.reference.clone()));
        }
        let bare = self.tag.strip_prefix("refs/tags/").unwrap_or(&self.tag);
        let name = bare.parse::<TagName>().map_err(|bad| {
            Usage::new(bad.to_string()).hint("a tag with such a name is never taken; its object's id can be judged")
        })?;
        let object = tag_at(&place.git_dir, &name)?;
        let reference = self.reference.clone().unwrap_or_else(|| name.reference());
        Ok((object, Some(reference)))
    }

    fn tell(&self, context: &mut Context, object: &ObjectId, judgement: &Judgement) -> anyhow::Result<Exit> {
        let (signer, reasons) = match &judgement.verdict {
            Verdict::Good(signer) => (Some(signer), &[][..]),
            Verdict::Refused(reasons) => (None, reasons.as_slice()),
        };
        let exit = if reasons.is_empty() { Exit::Done } else { Exit::Failed };
        let name = judgement
            .facts
            .as_ref()
            .map_or(self.tag.as_str(), |facts| facts.tag.as_str());
        if self.json {
            context.output.json(&json!({
                "verdict": if reasons.is_empty() { "good" } else { "refused" },
                "object": object,
                "signer": signer,
                "reasons": reasons,
                "facts": judgement.facts,
            }))?;
            return Ok(exit);
        }
        let verdict = if reasons.is_empty() { "good" } else { "refused" };
        context.output.line(format!("{verdict}: tag {}", escaped(name)))?;
        if let Some(facts) = &judgement.facts {
            for line in fact_lines(facts) {
                context.output.line(format!("  {line}"))?;
            }
        }
        if let Some(signer) = signer {
            for line in signer_lines(signer) {
                context.output.line(format!("  {line}"))?;
            }
        }
        for reason in reasons {
            context
                .output
                .line(format!("  reason   {} [{}]", reason.message, reason.code))?;
        }
        let mut told: Vec<&str> = Vec::new();
        for hint in reasons.iter().filter_map(|reason| reason.hint.as_deref()) {
            if !told.contains(&hint) {
                context
                    .output
                    .line(format!("{}hint: {hint}", if told.is_empty() { "\n" } else { "" }))?;
                told.push(hint);
            }
        }
        Ok(exit)
    }
}

/// The object that a tag names in a repository.
pub(super) fn tag_at(git_dir: &Path, name: &TagName) -> anyhow::Result<ObjectId> {
    let object =
        refs::tag(git_dir, name).with_context(|| format!("cannot read the tags of '{}'", git_dir.display()))?;
    if let Some(object) = object {
        return Ok(object);
    }
    let known = refs::tags(git_dir).unwrap_or_default();
    let names: Vec<&str> = known.keys().map(TagName::as_str).collect();
    let refusal = Refusal::new(
        "unknown_tag",
        format!("there is no tag '{name}' in '{}'", git_dir.display()),
    );
    Err(match crate::config::strict::nearest(name.as_str(), &names) {
        Some(near) => refusal.hint(format!("did you mean '{near}'?")),
        None => refusal.hint(format!("git -C '{}' tag", git_dir.display())),
    }
    .into())
}

/// The directory of objects and references at a path: a bare repository, or that of a work tree.
pub(super) fn git_dir_at(path: &Path) -> Option<PathBuf> {
    if path.join("objects").is_dir() && path.join("HEAD").exists() {
        return Some(path.to_owned());
    }
    let inner = path.join(".git");
    if inner.is_dir() {
        return Some(inner);
    }
    // A further work tree of a repository: a file that says where.
    let text = std::fs::read_to_string(&inner).ok()?;
    let linked = path.join(text.strip_prefix("gitdir:")?.trim());
    let common = std::fs::read_to_string(linked.join("commondir")).ok();
    Some(match common {
        Some(common) => linked.join(common.trim()),
        None => linked,
    })
}

fn fact_lines(facts: &TagFacts) -> Vec<String> {
    let kind = match facts.signature {
        SignatureKind::OpenPgp => "OpenPGP",
        SignatureKind::Ssh => "SSH",
    };
    let when = facts.tagged_at.map_or_else(String::new, |at| format!(", {at}"));
    vec![
        format!("object   {}", facts.object),
        format!("commit   {}", facts.commit),
        format!("tagger   {} <{}>{when}", facts.tagger_name, facts.tagger_address),
        format!("subject  {}", facts.subject),
        format!("signed   {kind}, SHA-256 of what is signed {}", facts.payload_digest),
    ]
}

fn signer_lines(signer: &Signer) -> Vec<String> {
    let owner = signer.owner.as_ref().map_or("nobody here", |owner| owner.as_str());
    let mut lines = vec![format!("signer   {owner}"), format!("key      {}", signer.fingerprint)];
    lines.extend(signer.subkey.iter().map(|subkey| format!("subkey   {subkey}")));
    lines.extend(signer.signed_at.iter().map(|at| format!("at       {at}")));
    lines
}
