//! A small world for tests: people, repositories, a clock that moves on, and a journal of what was decided.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::access::Touch;
use crate::command::split;
use crate::id::{Generation, ObjectId, RepositoryName, SubtaskNumber, TaskId, UserName};
use crate::push::PushOptions;
use crate::reply::{Rendered, refused};
use crate::repository::record::{Cause, RepositoryEvent};
use crate::task::{Denied, Outcome, SignedBy, StateName, TaskEvent};

/// alice, bob, carol, dave package; maria is in @maint, tom in @tester; root may do everything; ci is a program.
pub(crate) struct Town {
    pub(crate) world: World,
    pub(crate) facts: Facts,
    pub(crate) now: Timestamp,
    pub(crate) journal: Vec<(Timestamp, Event)>,
    /// Tags that are not simply good and their source's owner's.
    pub(crate) verdicts: BTreeMap<(SourcePath, TagName), TagFacts>,
}

/// An object id that depends on the text alone.
pub(crate) fn object(text: &str) -> ObjectId {
    let digits = text.bytes().flat_map(|byte| [byte >> 4, byte & 15]);
    let mut hex: String = digits
        .take(40)
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect();
    hex.extend(std::iter::repeat_n('0', 40 - hex.len()));
    hex.parse().unwrap()
}

/// A good tag, signed by this person.
pub(crate) fn signed_by(owner: &str, text: &str) -> TagFacts {
    TagFacts::Good(GoodTag {
        object: object(text),
        commit: object(&text.chars().rev().collect::<String>()),
        signer: SignedBy {
            owner: owner.parse().unwrap(),
            fingerprint: "A".repeat(40).parse().unwrap(),
        },
        package: None,
        evr: None,
    })
}

impl Town {
    pub(crate) fn new() -> Self {
        let names = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect();
        let repositories = [("sisyphus", false), ("p11", true)].map(|(name, deny_unlisted)| {
            let facts = RepositoryFacts {
                architectures: vec!["x86_64".parse().unwrap()],
                deny_unlisted,
                required_approvals: Vec::new(),
            };
            (name.parse::<RepositoryName>().unwrap(), facts)
        });
        let facts = Facts {
            repositories: BTreeMap::from(repositories),
            default_repository: Some("sisyphus".parse().unwrap()),
            devices: ["kiosk-1", "kiosk-2"]
                .map(|name| (name.parse().unwrap(), DeviceFacts::default()))
                .into(),
            people: names(&["alice", "bob", "carol", "dave", "maria", "tom", "root", "ci"]),
            superusers: names(&["root"]),
            bots: names(&["ci"]),
            ..Facts::default()
        };
        let mut town = Self {
            world: World::default(),
            facts,
            now: "2026-11-21T10:00:00Z".parse().unwrap(),
            journal: Vec::new(),
            verdicts: BTreeMap::new(),
        };
        let made = RepositoryEvent::Moved {
            generation: Generation(1),
            cause: Cause::Init {
                by: "root".parse().unwrap(),
            },
            seal: "0".repeat(64),
            came: Vec::new(),
            went: Vec::new(),
        };
        for repository in town.facts.repositories.keys().cloned().collect::<Vec<_>>() {
            let event = made.clone();
            town.record(&[Event::Repository { repository, event }]);
        }
        for line in [
            "acl sisyphus @maint replace maria",
            "acl sisyphus @tester replace tom maria",
            "acl sisyphus hello replace alice bob",
        ] {
            town.does("root", line);
        }
        town
    }

    pub(crate) fn actor(&self, user: &str) -> Actor {
        let user: UserName = user.parse().unwrap();
        Actor {
            superuser: self.facts.superusers.contains(&user),
            user,
        }
    }

    /// The facts with verdicts on these tags.
    pub(crate) fn facts_on(&self, tags: impl IntoIterator<Item = (SourcePath, TagName)>) -> Facts {
        let mut facts = self.facts.clone();
        for (source, tag) in tags {
            let owner = source
                .owner()
                .map_or_else(|| "alice".to_owned(), |owner| owner.to_string());
            let verdict = self.verdicts.get(&(source.clone(), tag.clone())).cloned();
            let verdict = verdict.unwrap_or_else(|| signed_by(&owner, &format!("{} {tag}", source.name())));
            facts.tags.insert((source, tag), verdict);
        }
        facts
    }

    /// Puts events on record and makes them true.
    pub(crate) fn record(&mut self, events: &[Event]) {
        for event in events {
            // Through the journal's form, so that nothing is lost there.
            let text = serde_json::to_string(event).unwrap();
            let event: Event = serde_json::from_str(&text).unwrap();
            self.world.apply(&event, self.now);
            self.journal.push((self.now, event));
        }
    }

    pub(crate) fn decide(&self, user: &str, command: &Command) -> Result<Decision, Refusal> {
        let actor = self.actor(user);
        let facts = self.facts_on(needs(&self.world, &actor, command));
        decide(&self.world, &actor, command, &facts, self.now)
    }

    /// Decides a command line a minute later, records what follows, and gives the decision.
    pub(crate) fn try_to(&mut self, user: &str, line: &str) -> Result<Decision, Refusal> {
        self.now += SignedDuration::from_mins(1);
        let command = Command::parse(split::split(line.as_bytes()).unwrap())
            .unwrap_or_else(|usage| panic!("{line}: {}", usage.text));
        let decision = self.decide(user, &command)?;
        self.record(&decision.events);
        Ok(decision)
    }

    /// Decides a command line that is not refused.
    pub(crate) fn does(&mut self, user: &str, line: &str) -> Decision {
        self.try_to(user, line)
            .unwrap_or_else(|refusal| panic!("{user}: {line}: {refusal}"))
    }

    /// What a command line says, refused or not.
    pub(crate) fn says(&mut self, user: &str, line: &str) -> Rendered {
        let json = line.contains("--json");
        self.try_to(user, line)
            .map_or_else(|refusal| refused(&refusal, json), |decision| decision.reply.render())
    }

    /// The code with which a command line is refused.
    pub(crate) fn refuses(&mut self, user: &str, line: &str) -> String {
        match self.try_to(user, line) {
            Ok(decision) => panic!("{user}: {line} is not refused: {decision:?}"),
            Err(refusal) => refusal.code.into_owned(),
        }
    }

    /// Pushes a tag.
    pub(crate) fn push(&mut self, user: &str, source: &str, tag: &str, options: &[&str]) -> Decision {
        self.now += SignedDuration::from_mins(1);
        let user: UserName = user.parse().unwrap();
        let source = SourcePath::resolve(source, &user).unwrap();
        let pushed = crate::push::TagPushed {
            object: object(&format!("{} {tag}", source.name())),
            source,
            tag: tag.parse().unwrap(),
            options: PushOptions::parse(options.iter().copied()).unwrap(),
            pusher: user,
        };
        let facts = self.facts_on(needs_of_push(&self.world, &pushed));
        let decision = decide_push(&self.world, &pushed, &facts, self.now);
        self.record(&decision.events);
        decision
    }

    pub(crate) fn task(&self, id: u64) -> &Task {
        self.world
            .task(task_id(id))
            .unwrap_or_else(|| panic!("there is no task {id}"))
    }

    pub(crate) fn state(&self, id: u64) -> StateName {
        self.world.state_name(self.task(id))
    }

    /// What the queue and the stages will say one day.
    pub(crate) fn happens(&mut self, id: u64, event: TaskEvent) {
        self.record(&[Event::Task { id: task_id(id), event }]);
    }

    /// Lets the stages of a task's run come to an end.
    pub(crate) fn builds(&mut self, id: u64, outcome: Outcome) {
        let try_number = self.task(id).tries;
        let base = Generation(7);
        self.happens(
            id,
            TaskEvent::BuildStarted {
                try_number,
                iteration: 1,
                base,
            },
        );
        self.happens(
            id,
            TaskEvent::RunEnded {
                try_number,
                outcome,
                not_before: None,
            },
        );
    }

    /// Lets a task land that waits for its commit.
    pub(crate) fn lands(&mut self, id: u64) {
        let try_number = self.task(id).tries;
        let generation = Generation(8);
        self.happens(id, TaskEvent::CommitStarted { try_number, generation });
        self.happens(id, TaskEvent::Landed { try_number, generation });
    }
}

pub(crate) fn task_id(id: u64) -> TaskId {
    id.to_string().parse().unwrap()
}

/// The access check of a run says no to these.
pub(crate) fn eperm(packages: &[(u32, &str)]) -> Outcome {
    let denied = packages.iter().map(|(number, package)| Denied {
        subtask: SubtaskNumber(*number),
        package: package.parse().unwrap(),
        touch: Touch::Build,
    });
    Outcome::Eperm {
        denied: denied.collect(),
    }
}
