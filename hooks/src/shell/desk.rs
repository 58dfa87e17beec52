//! The commands that concern source repositories alone: `check`, `init-repo`, `pushers`. They need no bot, at the ssh door as on the
//! command line.

use std::io::Write;
use std::path::Path;

use jiff::Timestamp;
use rustix::fs::FlockOperation;
use serde_json::json;
use windlass_core::command::{CheckArgs, Command, InitRepoArgs, PushersArgs, PushersChange};
use windlass_core::id::{ObjectId, SourcePath, TagName, UserName};
use windlass_core::refusal::Refusal;
use windlass_core::signing::{Judgement, Verdict};

use crate::caller::Caller;
use crate::claims::Ledger;
use crate::install::{InitError, Installation, init_repository};
use crate::judge::{TagToJudge, judge_tag};
use crate::keyring::Keyring;
use crate::objects::RawStore;
use crate::process;
use crate::settings::Settings;
use crate::sources::{Source, SourceError};

/// Where such commands are carried out.
pub struct Desk<'a> {
    /// The configuration.
    pub settings: &'a Settings,
    /// The file that it was read from, which new repositories' hooks name.
    pub config: &'a Path,
    /// Who is who.
    pub keyring: &'a Keyring,
    /// Who asks.
    pub caller: &'a Caller,
    /// The server's clock.
    pub now: Timestamp,
    /// What `git remote add` is given for a source repository: an address at the ssh door, a path on this machine.
    pub address: &'a dyn Fn(&SourcePath) -> String,
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// Ready to be told.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Something on the server cannot be read or written.
    #[error("{0:#}")]
    Broken(anyhow::Error),
}

fn broken(error: impl Into<anyhow::Error>) -> DeskError {
    DeskError::Broken(error.into())
}

impl From<SourceError> for DeskError {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Refused(refusal) => Self::Refused(refusal),
            SourceError::Io { .. } => broken(error),
        }
    }
}

impl Desk<'_> {
    /// Carries a command out; data goes to `out`, talk to `err`. None if it is not one of these commands.
    pub fn carry_out(
        &self,
        command: &Command,
        out: &mut impl Write,
        err: &mut impl Write,
    ) -> Option<Result<u8, DeskError>> {
        match command {
            Command::Check(args) => Some(self.check(args, out, err)),
            Command::InitRepo(args) => Some(self.init_repo(args, out, err)),
            Command::Pushers(args) => Some(self.pushers(args, out, err)),
            Command::Task(_) | Command::Job(_) | Command::Device(_) | Command::Build(_) | Command::Acl(_) => None,
        }
    }

    fn check(&self, args: &CheckArgs, out: &mut impl Write, err: &mut impl Write) -> Result<u8, DeskError> {
        let source = Source::find(&self.settings.paths.git(), &args.source.resolve(&self.caller.name))?;
        let object = tag_object(&source, &args.tag)?;
        let reference = args.tag.reference();
        let tag = TagToJudge {
            object: &object,
            reference: Some(reference.as_bytes()),
            source: Some(&source.path),
            pusher: Some(&self.caller.name),
        };
        let store = RawStore::at(&source.git_dir).map_err(broken)?;
        let policy = self.settings.signing.policy();
        let mut judgement = judge_tag(&store, self.keyring, &policy, &tag, self.now).map_err(broken)?;
        Ledger::new(self.settings.paths.claims())
            .look_for_replay(&source.path, &mut judgement)
            .map_err(broken)?;
        let written = if args.flags.json {
            write_json(&judgement, &args.tag, out)
        } else {
            write_text(&judgement, &args.tag, out, err)
        };
        written.map_err(broken)?;
        Ok(u8::from(!judgement.verdict.reasons().is_empty()))
    }

    fn init_repo(&self, args: &InitRepoArgs, out: &mut impl Write, err: &mut impl Write) -> Result<u8, DeskError> {
        let caller = &self.caller.name;
        let path = SourcePath::resolve(args.name.as_str(), caller)
            .map_err(|error| Refusal::new("bad_name", error.to_string()))?;
        let root = self.settings.paths.git();
        let most = self.settings.ssh.repositories_per_user;
        let has = std::fs::read_dir(root.join(format!("people/{caller}/packages"))).map_or(0, Iterator::count);
        if has >= usize::try_from(most).unwrap_or(usize::MAX) {
            let refusal = Refusal::new(
                "over_quota",
                format!("{caller} has {has} source repositories, as many as one may have"),
            );
            return Err(refusal
                .hint("ask the administrator: ssh.repositories_per_user in windlass.toml")
                .into());
        }
        let installation = Installation::beside_us(self.config, self.settings).map_err(broken)?;
        if !args.flags.dry_run {
            init_repository(&root, &path, &installation).map_err(|error| match error {
                InitError::Refused(refusal) => DeskError::Refused(refusal),
                InitError::Install(_) | InitError::Io { .. } => broken(error),
            })?;
        } else if root.join(path.as_str()).exists() {
            return Err(Refusal::new("source_exists", format!("there is already a source repository {path}")).into());
        }
        let written = if args.flags.json {
            writeln!(out, "{}", json!({"source": path, "made": !args.flags.dry_run}))
        } else {
            writeln!(out, "{path}")
        };
        let verb = if args.flags.dry_run { "would make" } else { "made" };
        let address = (self.address)(&path);
        written
            .and_then(|()| writeln!(err, "windlass: {verb} {path}\n\nhint: git remote add origin {address}"))
            .map_err(broken)?;
        Ok(0)
    }

    fn pushers(&self, args: &PushersArgs, out: &mut impl Write, err: &mut impl Write) -> Result<u8, DeskError> {
        let source = Source::find(&self.settings.paths.git(), &args.source.resolve(&self.caller.name))?;
        match &args.change {
            PushersChange::Show => return self.show_pushers(args, &source, &source.pushers()?, out),
            PushersChange::Add(who) => {
                for name in who {
                    if self.keyring.person(name).map_err(broken)?.is_none() {
                        return Err(Refusal::new("unknown_user", format!("there is nobody named {name} here")).into());
                    }
                }
            }
            PushersChange::Del(_) => {}
        }
        source.may_name_pushers(self.caller)?;
        // From here on no other change comes in between.
        let dir = std::fs::File::open(&source.git_dir).map_err(broken)?;
        rustix::fs::flock(&dir, FlockOperation::LockExclusive).map_err(broken)?;
        let before = source.pushers()?;
        let after = changed(&before, &args.change);
        if !args.flags.dry_run && after != before {
            source.set_pushers(&after)?;
        }
        let what = match (after == before, args.flags.dry_run) {
            (true, _) => "nothing to change",
            (false, true) => "would be so",
            (false, false) => "is so now",
        };
        writeln!(err, "windlass: {}: {what}", source.path).map_err(broken)?;
        self.show_pushers(args, &source, &after, out)
    }

    #[expect(clippy::unused_self, reason = "one of the desk's commands, like those around it")]
    fn show_pushers(
        &self,
        args: &PushersArgs,
        source: &Source,
        names: &[UserName],
        out: &mut impl Write,
    ) -> Result<u8, DeskError> {
        let owner = source.path.owner();
        let written = if args.flags.json {
            writeln!(
                out,
                "{}",
                json!({"source": source.path, "owner": owner, "pushers": names})
            )
        } else {
            let owner = owner.iter().map(|owner| format!("{owner} (owner)\n"));
            let text: String = owner.chain(names.iter().map(|name| format!("{name}\n"))).collect();
            out.write_all(text.as_bytes())
        };
        written.map_err(broken)?;
        Ok(0)
    }
}

/// The list as it is to be, sorted.
fn changed(before: &[UserName], change: &PushersChange) -> Vec<UserName> {
    let mut after = before.to_vec();
    match change {
        PushersChange::Show => {}
        PushersChange::Add(who) => after.extend_from_slice(who),
        PushersChange::Del(who) => after.retain(|name| !who.contains(name)),
    }
    after.sort();
    after.dedup();
    after
}

/// What a tag names, as git's own reading of references has it.
fn tag_object(source: &Source, tag: &TagName) -> Result<ObjectId, DeskError> {
    // Reading one reference runs nothing of the repository's, whoever it belongs to.
    let run = process::git()
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*");
    let run = run
        .arg("--git-dir")
        .arg(&source.git_dir)
        .args(["show-ref", "--verify", "--hash", "--"])
        .arg(tag.reference());
    let finished = run.output().map_err(broken)?;
    let hex = String::from_utf8_lossy(&finished.stdout);
    match hex.trim().parse() {
        Ok(object) if finished.status.success() => Ok(object),
        _ => {
            let refusal = Refusal::new("no_such_tag", format!("there is no tag '{tag}' in {}", source.path));
            Err(refusal.hint(format!("push it: git push origin {tag}")).into())
        }
    }
}

fn write_json(judgement: &Judgement, tag: &TagName, out: &mut impl Write) -> std::io::Result<()> {
    let value = match &judgement.verdict {
        Verdict::Good(signer) => json!({"tag": tag, "verdict": "good", "signer": signer, "facts": judgement.facts}),
        Verdict::Refused(reasons) => {
            json!({"tag": tag, "verdict": "refused", "reasons": reasons, "facts": judgement.facts})
        }
    };
    writeln!(out, "{value}")
}

fn write_text(judgement: &Judgement, tag: &TagName, out: &mut impl Write, err: &mut impl Write) -> std::io::Result<()> {
    match &judgement.verdict {
        Verdict::Good(signer) => {
            let owner = signer.owner.as_ref().map_or("nobody known", UserName::as_str);
            writeln!(
                out,
                "good: tag '{tag}' is signed by {owner} with {}",
                signer.fingerprint
            )
        }
        Verdict::Refused(reasons) => {
            for reason in reasons {
                writeln!(out, "refused: {} [{}]", reason.message, reason.code)?;
            }
            let mut hints: Vec<&str> = reasons.iter().filter_map(|reason| reason.hint.as_deref()).collect();
            hints.dedup();
            for (place, hint) in hints.into_iter().enumerate() {
                writeln!(err, "{}hint: {hint}", if place == 0 { "\n" } else { "" })?;
            }
            Ok(())
        }
    }
}
