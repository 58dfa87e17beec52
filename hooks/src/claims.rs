//! The replay ledger: which signed statements have been pushed, and where to. Files only, so that a hook needs no database.
//!
//! A statement is the SHA-256 of the signed bytes and the signing key: an object's id would be no identity, since bytes that nobody
//! signed can change it. Per statement there is one file, made exclusively; it is never removed. Beside it, for as long as nobody has
//! answered for the push, stands the same file under the push's request id in `open/`. Hence, for a statement that is claimed already:
//!
//! * the same repository, ref and object, and still open: a push that failed or was killed after claiming; it may be repeated;
//! * anything else (another repository, another ref, or the tag had landed and was deleted since): a replay.
//!
//! In this order, so that a kill at any point loses nothing and lets nothing in twice:
//!
//! 1. `pre-receive`, under the ledger's lock: every statement is looked up; if one is a replay, nothing is written.
//! 2. One file with all claims of the push is written and synced; it gets its names in `open/` first, then its claimed names.
//!    Killed in between: open without claim, and git wrote no ref; the repeated push replaces the open name.
//! 3. git writes the refs. Killed before: open and claimed, no ref; the push may be repeated.
//! 4. `post-receive` hands over durably. Killed before: open, claimed, ref there: the bot takes it up from `open/`, in which repository,
//!    ref, object, pusher and push options stand, under the very request id that the hook would have used.
//! 5. Its name in `open/` is removed. Killed before: the bot takes it up again, under the same id, without a second effect.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};
use windlass_core::escape::escaped;
use windlass_core::id::{Fingerprint, RequestId, SourcePath, TagName};
use windlass_core::push::TagPushed;
use windlass_core::refusal::Refusal;
use windlass_core::signing::{Judgement, Verdict};

/// What makes a signed statement the same one, as text: `SHA256-KEY`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Statement(String);

/// One pushed tag on record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// What was signed, and with which key.
    pub statement: Statement,
    /// What was pushed, where to and by whom, and what was asked for.
    pub pushed: TagPushed,
    /// When, by the server's clock.
    pub at: Timestamp,
}

/// The ledger's directory.
#[derive(Debug, Clone)]
pub struct Ledger {
    dir: PathBuf,
}

/// The ledger cannot be used. Says nothing about any tag.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// A file or directory cannot be used.
    #[error("the replay ledger: {}: {error}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A file in it is not what was written.
    #[error("the replay ledger: {}: {why}", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// Claims for which nobody has answered yet.
#[derive(Debug, Default)]
pub struct OpenClaims {
    /// Oldest first.
    pub claims: Vec<Claim>,
    /// What is there and cannot be read.
    pub unreadable: Vec<LedgerError>,
}

impl Statement {
    /// From the digest of the signed bytes (lower-case hexadecimal digits) and the certificate's or SSH key's fingerprint.
    pub fn new(payload_digest: &str, signer: &Fingerprint) -> Self {
        // The name of a file: the base64 of an SSH fingerprint has slashes.
        let signer: String = signer
            .as_str()
            .chars()
            .map(|c| if c == '/' { '_' } else { c })
            .collect();
        let digest: String = payload_digest.chars().filter(char::is_ascii_hexdigit).collect();
        Self(format!("{digest}-{signer}"))
    }

    /// As text; also the name of its file.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Ledger {
    /// The ledger in this directory; it is made when first written to.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Claims all of these statements for one push, or none. When it returns well they are durable.
    ///
    /// # Errors
    /// The outer one: the ledger cannot be used. The inner one: each claim, by its place, that is refused as `replayed`.
    pub fn claim(&self, claims: &[Claim]) -> Result<Result<(), Vec<(usize, Refusal)>>, LedgerError> {
        if claims.is_empty() {
            return Ok(Ok(()));
        }
        self.make()?;
        let _lock = self.lock()?;
        let mut refusals = Vec::new();
        let mut fresh = Vec::with_capacity(claims.len());
        for (place, claim) in claims.iter().enumerate() {
            let twin = claims[..place]
                .iter()
                .find(|earlier| earlier.statement == claim.statement);
            let known = self.lookup(&claim.statement)?;
            match known.as_ref().or(twin) {
                None => fresh.push(claim),
                Some(known) if same_place(known, claim) && self.is_open(&claim.pushed.request_id())? => {}
                Some(known) => refusals.push((place, replayed(known, &claim.pushed.source, &claim.pushed.tag))),
            }
        }
        if !refusals.is_empty() {
            return Ok(Err(refusals));
        }
        self.write(claims, &fresh)?;
        Ok(Ok(()))
    }

    /// The claim of a statement, if there is one.
    pub fn lookup(&self, statement: &Statement) -> Result<Option<Claim>, LedgerError> {
        let path = self.dir.join(statement.as_str());
        read(&path, |claim| claim.statement == *statement)
    }

    /// Refuses a good tag whose statement was claimed for another place or name than the one it stands in; gives the claim.
    ///
    /// # Errors
    /// The ledger cannot be read: the judgement is left as it is, and must not be relied on.
    pub fn look_for_replay(
        &self,
        source: &SourcePath,
        judgement: &mut Judgement,
    ) -> Result<Option<Claim>, LedgerError> {
        let (Verdict::Good(signer), Some(facts)) = (&judgement.verdict, &judgement.facts) else {
            return Ok(None);
        };
        let known = self.lookup(&Statement::new(&facts.payload_digest, &signer.fingerprint))?;
        if let Some(known) = &known
            && (known.pushed.source != *source || known.pushed.tag != facts.tag)
        {
            judgement.verdict = Verdict::Refused(vec![replayed(known, source, &facts.tag)]);
        }
        Ok(known)
    }

    /// The claim of a push for which nobody has answered yet.
    pub fn open_claim(&self, push: &RequestId) -> Result<Option<Claim>, LedgerError> {
        let path = self.open_dir().join(push.as_str());
        read(&path, |claim| claim.pushed.request_id() == *push)
    }

    /// All of them: pushes that are just going on, that failed, and those whose `post-receive` was killed. The last ones are those whose
    /// ref exists and names the claim's object; they are to be taken up. One that cannot be read keeps nobody else's from being
    /// taken up: it stands apart, as the error that tells of it.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn open_claims(&self) -> Result<OpenClaims, LedgerError> {
        let dir = self.open_dir();
        let mut open = OpenClaims::default();
        let entries = match std::fs::read_dir(&dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(open),
            other => other.map_err(|error| failed(&dir, error))?,
        };
        for entry in entries {
            let entry = entry.map_err(|error| failed(&dir, error))?;
            let id = entry.file_name().to_str().and_then(|name| name.parse().ok());
            if let Some(id) = id {
                match self.open_claim(&id) {
                    Ok(claim) => open.claims.extend(claim),
                    Err(error) => open.unreadable.push(error),
                }
            }
        }
        open.claims
            .sort_by(|a, b| (a.at, &a.statement).cmp(&(b.at, &b.statement)));
        Ok(open)
    }

    /// Says that a push was answered for: its request is durable elsewhere, or it asked for nothing.
    pub fn close(&self, push: &RequestId) -> Result<(), LedgerError> {
        let path = self.open_dir().join(push.as_str());
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(&path, error)),
            _ => Ok(()),
        }
    }

    /// Makes what [`Ledger::close`] did durable. Without it a loss of power may open a push again: harmless, since its request id stays.
    pub fn sync(&self) -> Result<(), LedgerError> {
        sync(&self.open_dir())
    }

    fn open_dir(&self) -> PathBuf {
        self.dir.join("open")
    }

    fn is_open(&self, push: &RequestId) -> Result<bool, LedgerError> {
        let path = self.open_dir().join(push.as_str());
        path.try_exists().map_err(|error| failed(&path, error))
    }

    /// Makes the directories. They belong to whom the directory above belongs to: an administrator who pushes as root must not lock the
    /// git user out.
    fn make(&self) -> Result<(), LedgerError> {
        let open = self.open_dir();
        if open.is_dir() {
            return Ok(());
        }
        let mut missing: Vec<&Path> = open.ancestors().take_while(|dir| !dir.exists()).collect();
        missing.reverse();
        for dir in missing {
            match std::fs::DirBuilder::new().mode(0o750).create(dir) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(dir, error)),
                _ => {}
            }
            if let Some(above) = dir.parent() {
                give_to_owner_of(above, dir).map_err(|error| failed(dir, error))?;
                sync(above)?;
            }
        }
        Ok(())
    }

    /// One push at a time, for the few milliseconds in which it looks up and writes. The lock goes with the process.
    fn lock(&self) -> Result<File, LedgerError> {
        let path = self.dir.join(".lock");
        let lock = || {
            let file = match OpenOptions::new().read(true).open(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let mut options = OpenOptions::new();
                    let file = options.read(true).append(true).create(true).mode(0o640).open(&path)?;
                    give_to_owner_of(&self.dir, &path)?;
                    file
                }
                other => other?,
            };
            rustix::fs::flock(&file, FlockOperation::LockExclusive)?;
            Ok(file)
        };
        lock().map_err(|error| failed(&path, error))
    }

    /// Under the lock: writes the file of all claims of a push and gives it its names.
    fn write(&self, claims: &[Claim], fresh: &[&Claim]) -> Result<(), LedgerError> {
        let mut bytes = Vec::new();
        for claim in claims {
            serde_json::to_writer(&mut bytes, claim).map_err(|error| LedgerError::Damaged {
                path: self.dir.clone(),
                why: error.to_string(),
            })?;
            bytes.push(b'\n');
        }
        // Nobody else writes while we hold the lock: what stands there under this name was left by a process that was killed.
        let new = self.dir.join(".new");
        remove_if_there(&new)?;
        let write = || -> io::Result<()> {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o640).open(&new)?;
            give_to_owner_of(&self.dir, &new)?;
            file.write_all(&bytes)?;
            file.sync_all()
        };
        write().map_err(|error| failed(&new, error))?;
        let open = self.open_dir();
        for claim in claims {
            let name = open.join(claim.pushed.request_id().as_str());
            // Of a repeated push the later options count. Never without a name in between: a claim that is not open has landed.
            let second = self.dir.join(".open");
            remove_if_there(&second)?;
            std::fs::hard_link(&new, &second).map_err(|error| failed(&second, error))?;
            std::fs::rename(&second, &name).map_err(|error| failed(&name, error))?;
        }
        sync(&open)?;
        for claim in fresh {
            // Exclusive: fails if there is such a name, whatever the lock may be worth on this file system.
            let name = self.dir.join(claim.statement.as_str());
            std::fs::hard_link(&new, &name).map_err(|error| failed(&name, error))?;
        }
        remove_if_there(&new)?;
        sync(&self.dir)
    }
}

/// The claim that is asked for, from a file of one push's claims.
fn read(path: &Path, is_it: impl Fn(&Claim) -> bool) -> Result<Option<Claim>, LedgerError> {
    let text = match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|error| failed(path, error))?,
    };
    let damaged = |why: String| LedgerError::Damaged {
        path: path.to_owned(),
        why,
    };
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let claim: Claim = serde_json::from_slice(line).map_err(|error| damaged(error.to_string()))?;
        if is_it(&claim) {
            return Ok(Some(claim));
        }
    }
    Err(damaged("has no such claim".to_owned()))
}

fn same_place(known: &Claim, claim: &Claim) -> bool {
    let (known, new) = (&known.pushed, &claim.pushed);
    known.source == new.source && known.tag == new.tag && known.object == new.object
}

fn replayed(known: &Claim, source: &SourcePath, tag: &TagName) -> Refusal {
    let was = &known.pushed;
    let place = if was.source == *source {
        "here before,".to_owned()
    } else {
        format!("before, to {}", was.source)
    };
    let day = known.at.strftime("%Y-%m-%d");
    let what = format!("this signed statement was pushed {place} as tag {}, on {day}", was.tag);
    Refusal::new("replayed", what).hint(format!(
        "what was signed once is taken once: sign a tag of your own making with the next release, git tag -s {}",
        escaped(tag.as_str())
    ))
}

fn failed(path: &Path, error: io::Error) -> LedgerError {
    LedgerError::Io {
        path: path.to_owned(),
        error,
    }
}

fn remove_if_there(path: &Path) -> Result<(), LedgerError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(path, error)),
        _ => Ok(()),
    }
}

fn sync(dir: &Path) -> Result<(), LedgerError> {
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(|error| failed(dir, error))
}

/// Where we are root, hands a new file to whom the directory belongs.
pub(crate) fn give_to_owner_of(dir: &Path, new: &Path) -> io::Result<()> {
    if rustix::process::geteuid().is_root() {
        let meta = std::fs::metadata(dir)?;
        std::os::unix::fs::lchown(new, Some(meta.uid()), Some(meta.gid()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
