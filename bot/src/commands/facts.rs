//! Finds out what a decision depends on: who there is, what is configured, and how the tags in question are judged now.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use jiff::Timestamp;
use windlass_core::decide::{Actor, Facts, GoodTag, Limits, RepositoryFacts, TagFacts};
use windlass_core::gear;
use windlass_core::id::{ObjectId, PackageName, SourcePath, TagName, UserName};
use windlass_core::push::TagPushed;
use windlass_core::refusal::Refusal;
use windlass_core::rpm::Evr;
use windlass_core::signing::{BuildAsked, Policy, Treatment, Verdict};
use windlass_core::task::SignedBy;
use windlass_hooks::claims::{Ledger, LedgerError};
use windlass_hooks::judge::{JudgeError, TagToJudge, judge_tag};
use windlass_hooks::keyring::Keyring;
use windlass_hooks::objects::RawStore;
use windlass_hooks::settings::{BuildPolicy, Paths, Settings};

use super::refs;
use super::roster::Roster;
use crate::config::Config;
use crate::git::GitObjects;

/// Where facts come from.
#[derive(Debug)]
pub struct Sources {
    paths: Paths,
    policy: Policy,
    allowed_signers: Option<PathBuf>,
    ledger: Ledger,
    configured: Facts,
    roster: Roster,
}

/// Why facts cannot be had. This says nothing about anybody's request: it may be made again.
#[derive(Debug, thiserror::Error)]
pub enum NoFacts {
    /// The people's files cannot be listed.
    #[error("cannot read the people's files: {0}")]
    People(std::io::Error),
    /// A source repository's references cannot be read.
    #[error("cannot read the tags of {source_path}: {error}")]
    Refs {
        /// Which.
        source_path: SourcePath,
        /// Why.
        error: std::io::Error,
    },
    /// Judging failed.
    #[error(transparent)]
    Judge(#[from] JudgeError),
    /// The replay ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// A tag as it is found in its repository: the object, and what the judge says.
pub type Tag = (SourcePath, TagName);

impl Sources {
    /// What a configuration says; the paths of `settings` are absolute.
    pub fn new(config: &Config, settings: &Settings) -> Self {
        let repositories = config
            .repositories
            .iter()
            .map(|repository| {
                let facts = RepositoryFacts {
                    architectures: repository
                        .architectures
                        .iter()
                        .filter_map(|name| name.parse().ok())
                        .collect(),
                    deny_unlisted: repository.deny_unlisted,
                    required_approvals: repository.approvals_from.clone(),
                };
                (repository.name.clone(), facts)
            })
            .collect();
        let configured = Facts {
            repositories,
            default_repository: config.default_repository().cloned(),
            images: config
                .images
                .iter()
                .map(|image| {
                    let repositories = image.repositories(config).into_iter().cloned().collect();
                    (image.name.clone(), repositories)
                })
                .collect(),
            payloads: config
                .payloads
                .iter()
                .map(|payload| {
                    let repositories = payload.repositories(config).into_iter().cloned().collect();
                    (payload.name.clone(), repositories)
                })
                .collect(),
            limits: Limits {
                open_tasks_per_user: config.tasks.max_open_per_user,
                subtasks_per_task: config.tasks.max_subtasks,
            },
            build_every_push: config.push.build == BuildPolicy::Always,
            bots: settings.signing.bots.iter().cloned().collect(),
            ..config.lab_facts(Timestamp::now())
        };
        Self {
            paths: settings.paths.clone(),
            policy: settings.signing.policy(),
            allowed_signers: settings.signing.allowed_signers.clone(),
            ledger: Ledger::new(settings.paths.claims()),
            configured,
            roster: Roster::new(settings.paths.people()),
        }
    }

    /// Where things are.
    pub fn paths(&self) -> &Paths {
        &self.paths
    }

    /// Who asks, if it is anybody.
    pub fn actor(&self, user: &UserName) -> Result<Result<Actor, Refusal>, NoFacts> {
        let people = self.roster.people().map_err(NoFacts::People)?;
        if !people.all.contains(user) {
            return Ok(Err(Refusal::new(
                "unknown_user",
                format!("there is nobody called '{user}'"),
            )
            .hint(format!("an administrator adds people: windlass people add {user}"))));
        }
        Ok(Ok(Actor {
            user: user.clone(),
            superuser: people.superusers.contains(user),
        }))
    }

    /// All that a decision may depend on, with the verdicts on these tags as they stand in their repositories.
    pub fn facts(&self, tags: &BTreeSet<Tag>, now: Timestamp) -> Result<Facts, NoFacts> {
        let mut bench = None;
        let mut judged = BTreeMap::new();
        for (source, tag) in tags {
            let facts = match self.object_of(source, tag)? {
                Ok(object) => self.judge(&mut bench, source, tag, &object, None, now)?,
                Err(refusal) => TagFacts::Refused(vec![refusal]),
            };
            judged.insert((source.clone(), tag.clone()), facts);
        }
        self.with(judged)
    }

    /// As [`Self::facts`], for a push: its own tag is judged with its pusher, and only if it still stands there.
    pub fn facts_of_push(&self, pushed: &TagPushed, tags: &BTreeSet<Tag>, now: Timestamp) -> Result<Facts, NoFacts> {
        let own = (pushed.source.clone(), pushed.tag.clone());
        let others: BTreeSet<Tag> = tags.iter().filter(|tag| **tag != own).cloned().collect();
        let mut facts = self.facts(&others, now)?;
        let asked = if pushed.options.asks_for_build() {
            BuildAsked::Yes
        } else {
            BuildAsked::No
        };
        let verdict = match (
            self.policy.treatment(&pushed.tag, asked),
            self.object_of(&pushed.source, &pushed.tag)?,
        ) {
            (Treatment::Pass | Treatment::JudgeSignature | Treatment::Refuse, _) => TagFacts::Other,
            (Treatment::Judge, Err(refusal)) => TagFacts::Refused(vec![refusal]),
            (Treatment::Judge, Ok(object)) if object != pushed.object => {
                TagFacts::Refused(vec![moved(pushed, &object)])
            }
            (Treatment::Judge, Ok(object)) => self.judge(
                &mut None,
                &pushed.source,
                &pushed.tag,
                &object,
                Some(&pushed.pusher),
                now,
            )?,
        };
        facts.tags.insert(own, verdict);
        Ok(facts)
    }

    fn with(&self, tags: BTreeMap<Tag, TagFacts>) -> Result<Facts, NoFacts> {
        let people = self.roster.people().map_err(NoFacts::People)?;
        Ok(Facts {
            people: people.all,
            superusers: people.superusers,
            tags,
            ..self.configured.clone()
        })
    }

    /// The object that a tag names at this moment.
    fn object_of(&self, source: &SourcePath, tag: &TagName) -> Result<Result<ObjectId, Refusal>, NoFacts> {
        let git_dir = self.paths.git().join(source.as_str());
        if !git_dir.is_dir() {
            return Ok(Err(Refusal::new(
                "unknown_source",
                format!("there is no source repository {source}"),
            )
            .hint("a source repository is NAME (one's own), USER/NAME or shared/NAME")));
        }
        let object = refs::tag(&git_dir, tag).map_err(|error| NoFacts::Refs {
            source_path: source.clone(),
            error,
        })?;
        Ok(object.ok_or_else(|| {
            Refusal::new("unknown_tag", format!("there is no tag {tag} in {source}"))
                .hint(format!("git tag -s {tag} && git push origin {tag}"))
        }))
    }

    /// Judges one tag; `bench` keeps the keyring open for the next.
    fn judge(
        &self,
        bench: &mut Option<Keyring>,
        source: &SourcePath,
        tag: &TagName,
        object: &ObjectId,
        pusher: Option<&UserName>,
        now: Timestamp,
    ) -> Result<TagFacts, NoFacts> {
        let store = RawStore::at(&self.paths.git().join(source.as_str())).map_err(JudgeError::from)?;
        let keyring = match bench {
            Some(keyring) => keyring,
            None => bench.insert(self.keyring()?),
        };
        let reference = tag.reference();
        let question = TagToJudge {
            object,
            reference: Some(reference.as_bytes()),
            source: Some(source),
            pusher,
        };
        let mut judgement = judge_tag(&store, keyring, &self.policy, &question, now)?;
        let claim = self.ledger.look_for_replay(source, &mut judgement)?;
        let (signer, facts) = match (judgement.verdict, judgement.facts) {
            (Verdict::Refused(refusals), _) => return Ok(TagFacts::Refused(refusals)),
            (Verdict::Good(signer), Some(facts)) => (signer, facts),
            // A good verdict without what the tag says would be a mistake of the judge: nothing is built of it.
            (Verdict::Good(_), None) => {
                let unread = Refusal::new("bad_structure", format!("what tag {tag} says cannot be read"));
                return Ok(TagFacts::Refused(vec![unread]));
            }
        };
        // The hook let it pass unjudged and claimed nothing: the same may have been pushed elsewhere, too.
        if claim.is_none() && self.policy.treatment(tag, BuildAsked::No) != Treatment::Judge {
            return Ok(TagFacts::Other);
        }
        Ok(match signer.owner {
            Some(owner) => {
                let (package, evr) = said(store, object);
                TagFacts::Good(GoodTag {
                    object: object.clone(),
                    commit: facts.commit,
                    signer: SignedBy {
                        owner,
                        fingerprint: signer.fingerprint,
                    },
                    package,
                    evr,
                })
            }
            None => TagFacts::Refused(vec![nobodys(tag)]),
        })
    }

    fn keyring(&self) -> Result<Keyring, JudgeError> {
        Ok(Keyring::of(&self.paths.people(), self.allowed_signers.as_deref())?)
    }
}

/// The source package and its version, where the tagged spec tells them for certain. What cannot be exported is told by the stage
/// that tries.
fn said(store: RawStore, tag: &ObjectId) -> (Option<PackageName>, Option<Evr>) {
    let Ok(preamble) = gear::preamble(&GitObjects::of(store), tag, &gear::Limits::default()) else {
        return (None, None);
    };
    let name = preamble.name.as_ref().filter(|name| name.certain);
    let package = name.and_then(|name| name.text.parse().ok());
    (package, preamble.evr().and_then(|evr| evr.parse().ok()))
}

fn nobodys(tag: &TagName) -> Refusal {
    Refusal::new(
        "unknown_key",
        format!("the key that signed {tag} belongs to nobody here"),
    )
    .hint("an administrator adds a key to a person: windlass keys add")
}

fn moved(pushed: &TagPushed, object: &ObjectId) -> Refusal {
    Refusal::new(
        "moved_tag",
        format!(
            "tag {} of {} is {object} now, not {}, which was pushed",
            pushed.tag, pushed.source, pushed.object
        ),
    )
    .hint("a tag never moves: make a new one with the next release")
}
