//! Laws of the state machine, of what is queued, and of what is begun.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use proptest::prelude::*;
use rstest::rstest;

use super::strategies::{alice, at, build_of, event, image_with, making_of, payload_with, start};
use super::*;
use crate::device::lab::Devices;
use crate::event::Event;
use crate::id::{JobId, TaskId};

/// What may happen where jobs are queued and worked on.
#[derive(Debug, Clone)]
enum Happening {
    /// A commit makes these stale; which of them stands on which is said elsewhere.
    Commit(Vec<usize>),
    /// Whoever has this of the leases comes to an end.
    Ends(usize, End),
    /// Nobody renews anything for a while.
    Sleeps(i64),
    /// Somebody wants this job gone, or tried again.
    Cancels(u64),
    Asks(u64),
}

#[derive(Debug, Clone, Copy)]
enum End {
    Well,
    Transiently,
    ForGood,
    /// It is killed: nobody says anything any more.
    Killed,
}

/// Images, and a payload.
const PRODUCTS: [&str; 5] = ["base", "web", "db", "extra", "kiosk"];

/// The payload among them.
const PAYLOAD: usize = 4;

/// Which stands on which.
const BASES: [&[usize]; 5] = [&[], &[0], &[0], &[1, 2], &[1]];

fn build(product: usize, generation: u64) -> JobKind {
    if product == PAYLOAD {
        making_of(PRODUCTS[product], generation)
    } else {
        build_of(PRODUCTS[product], generation)
    }
}

fn subject(product: usize) -> Subject {
    build(product, 1).subject()
}

fn happening() -> impl Strategy<Value = Happening> {
    let end = prop_oneof![
        4 => Just(End::Well),
        2 => Just(End::Transiently),
        1 => Just(End::ForGood),
        1 => Just(End::Killed)
    ];
    prop_oneof![
        3 => proptest::collection::vec(0..PRODUCTS.len(), 1..4).prop_map(Happening::Commit),
        6 => (0..3_usize, end).prop_map(|(which, end)| Happening::Ends(which, end)),
        2 => (1..400_i64).prop_map(Happening::Sleeps),
        1 => (1..6_u64).prop_map(Happening::Cancels),
        1 => (1..6_u64).prop_map(Happening::Asks),
    ]
}

/// Jobs, a clock, and who works on what.
struct Yard {
    jobs: Jobs,
    devices: Devices,
    busy: BTreeSet<Subject>,
    now: Timestamp,
    policy: Policy,
    /// Who was ever told to work on what, newest last.
    leases: Vec<(JobId, u32)>,
    generation: u64,
}

impl Yard {
    fn new() -> Self {
        Self {
            jobs: Jobs::default(),
            devices: Devices::default(),
            busy: BTreeSet::new(),
            now: start(),
            policy: Policy::default(),
            leases: Vec::new(),
            generation: 1,
        }
    }

    fn says(&mut self, id: JobId, event: &JobEvent) {
        // Through the journal's form, so that nothing is lost there.
        let text = serde_json::to_string(&Event::Job {
            id,
            event: event.clone(),
        })
        .unwrap();
        let Ok(Event::Job { id, event }) = serde_json::from_str(&text) else {
            panic!("{text}");
        };
        self.jobs.apply(id, &event, self.now);
    }

    fn floor(&self) -> Floor<'_> {
        Floor {
            jobs: &self.jobs,
            devices: &self.devices,
            busy: &self.busy,
        }
    }

    /// Does what the plan says until it says no more.
    fn turn(&mut self) {
        for _ in 0..100 {
            let actions = plan(&self.floor(), &self.policy, self.now);
            let mut still = true;
            for action in actions {
                match action {
                    Action::Lose { id, attempt } => {
                        let lost = self.policy.lost(&self.jobs, (id, attempt), self.now);
                        self.says(id, &lost);
                        still = false;
                    }
                    Action::Start { id, attempt } => {
                        let until = self.policy.until(self.now);
                        self.says(id, &JobEvent::Leased { attempt, until });
                        self.leases.push((id, attempt));
                        still = false;
                    }
                    Action::Stop { id, why } => {
                        let by = Canceller::Rollout { why };
                        self.says(id, &JobEvent::Cancelled { by });
                        still = false;
                    }
                    Action::Wake { .. } => {}
                }
            }
            if still {
                return;
            }
        }
        panic!("the plan never ends");
    }

    fn ends(&mut self, (id, attempt): (JobId, u32), end: End) {
        let event = match end {
            End::Well => JobEvent::Succeeded {
                attempt,
                result: match self.jobs.get(id).map(|job| job.kind.subject()) {
                    Some(Subject::Payload(payload)) => payload_with(payload.as_str(), &[]),
                    Some(Subject::Image(_) | Subject::Device(_)) | None => image_with(&[]),
                },
            },
            End::Transiently => self.policy.failed(&self.jobs, (id, attempt), "away", true, self.now),
            End::ForGood => self
                .policy
                .failed(&self.jobs, (id, attempt), "step 2 fails", false, self.now),
            End::Killed => return,
        };
        self.says(id, &event);
    }

    fn lives(&mut self, happening: &Happening) {
        match happening {
            Happening::Commit(stale) => {
                self.generation += 1;
                let wanted: Vec<Wanted> = stale
                    .iter()
                    .map(|&product| Wanted {
                        kind: build(product, self.generation),
                        after: BASES[product].iter().copied().map(subject).collect(),
                    })
                    .collect();
                for event in queue(&self.jobs, &wanted, None) {
                    let Event::Job { id, event } = event else {
                        panic!("{event:?}")
                    };
                    self.says(id, &event);
                }
            }
            Happening::Ends(which, end) => {
                let Some(at) = self.leases.len().checked_sub(which + 1) else {
                    return;
                };
                let lease = self.leases.remove(at);
                self.ends(lease, *end);
            }
            Happening::Sleeps(seconds) => self.now += jiff::SignedDuration::from_secs(*seconds),
            Happening::Cancels(id) => {
                let by = alice();
                self.says(job_id(*id), &JobEvent::Cancelled { by });
            }
            Happening::Asks(id) => {
                // As `job retry` does: never beside one that waits for its turn.
                let id = job_id(*id);
                let free = |job: &Job| self.jobs.queued(&job.kind.subject()).is_none_or(|other| other.id == id);
                if self.jobs.get(id).is_some_and(free) {
                    let by = "alice".parse().unwrap();
                    self.says(id, &JobEvent::AskedAgain { by });
                }
            }
        }
    }

    fn laws(&self) -> Result<(), TestCaseError> {
        let mut queued: BTreeMap<Subject, usize> = BTreeMap::new();
        let mut leased: BTreeMap<Subject, usize> = BTreeMap::new();
        for job in self.jobs.open() {
            match &job.state {
                JobState::Queued { tries, .. } => {
                    *queued.entry(job.kind.subject()).or_default() += 1;
                    prop_assert!(*tries < self.policy.attempts, "it is not tried for ever");
                }
                JobState::Leased { .. } => {
                    *leased.entry(job.kind.subject()).or_default() += 1;
                }
                JobState::Done { .. } | JobState::Failed { .. } | JobState::Cancelled { .. } => {
                    return Err(TestCaseError::fail("an ended job is among the open ones"));
                }
            }
        }
        prop_assert!(queued.values().all(|many| *many == 1), "{queued:?}");
        prop_assert!(leased.values().all(|many| *many == 1), "{leased:?}");
        prop_assert!(leased.len() <= self.policy.at_once);
        Ok(())
    }
}

fn job_id(id: u64) -> JobId {
    id.to_string().parse().unwrap()
}

proptest! {
    #[test]
    fn an_end_is_an_end_until_somebody_asks_and_late_results_are_not_believed(
        events in proptest::collection::vec((event(), 0..1000_i64), 0..30),
    ) {
        let mut job = Job::new(JobId::FIRST, build_of("web", 1), BTreeSet::new(), None, start());
        for (event, moment) in events {
            let (before, now) = (job.state.clone(), at(moment));
            job.apply(&event, now);
            if before.is_end() && !matches!(event, JobEvent::AskedAgain { .. }) {
                prop_assert_eq!(&job.state, &before);
            }
            if let JobState::Leased { attempt, until, .. } = before {
                let of_another = event.attempt().is_some_and(|of| of != attempt);
                let takes_over = matches!(event, JobEvent::Leased { .. }) && until <= now;
                if of_another && !takes_over {
                    prop_assert_eq!(&job.state, &before, "{:?}", event);
                }
            }
            prop_assert!(job.history.len() <= 20);
            prop_assert!(job.history.iter().rev().skip(1).all(|attempt| attempt.ended.is_some()));
        }
    }

    #[test]
    fn one_job_a_subject_waits_and_one_runs_whatever_happens_and_all_come_to_an_end(
        happenings in proptest::collection::vec(happening(), 0..40),
    ) {
        let mut yard = Yard::new();
        for happening in &happenings {
            yard.lives(happening);
            yard.laws()?;
            yard.turn();
            yard.laws()?;
        }
        // From now on everything goes well.
        for _ in 0..200 {
            for lease in std::mem::take(&mut yard.leases) {
                yard.ends(lease, End::Well);
            }
            yard.turn();
            if yard.leases.is_empty() {
                let Some(Action::Wake { at }) = plan(&yard.floor(), &yard.policy, yard.now).pop() else { break };
                yard.now = at;
                yard.turn();
            }
        }
        for job in yard.jobs.open() {
            // What is left waits for a base that somebody has to look at.
            let waits = yard.jobs.waits_for(job);
            prop_assert!(!waits.is_empty(), "{job:?}");
            let rooted = waits.iter().any(|id| {
                let before = yard.jobs.get(*id).unwrap();
                matches!(before.state, JobState::Failed { .. } | JobState::Cancelled { .. })
                    || !yard.jobs.waits_for(before).is_empty()
            });
            prop_assert!(rooted, "{job:?} waits for nobody");
        }
        let stored = serde_json::to_string(&yard.jobs).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Jobs>(&stored).unwrap(), &yard.jobs);
    }

    #[test]
    fn nobody_waits_for_himself(commits in proptest::collection::vec(
        proptest::collection::vec((0..5_usize, proptest::collection::vec(0..5_usize, 0..3)), 1..5), 1..6,
    )) {
        let mut yard = Yard::new();
        for commit in commits {
            let wanted: Vec<Wanted> = commit.into_iter().map(|(product, bases)| Wanted {
                kind: build(product, 1),
                after: bases.into_iter().map(subject).collect(),
            }).collect();
            for event in queue(&yard.jobs, &wanted, None) {
                let Event::Job { id, event } = event else { panic!("{event:?}") };
                yard.says(id, &event);
            }
        }
        // Somebody can always begin, until all are done.
        while yard.jobs.open().next().is_some() {
            yard.turn();
            prop_assert!(!yard.leases.is_empty(), "a circle: {:?}", yard.jobs);
            for lease in std::mem::take(&mut yard.leases) {
                yard.ends(lease, End::Well);
            }
        }
    }
}

#[test]
fn a_payload_comes_after_the_image_that_it_takes_its_file_system_from() {
    let mut yard = Yard::new();
    yard.lives(&Happening::Commit(vec![PAYLOAD, 1]));
    yard.turn();
    assert_eq!(yard.leases, [(job_id(2), 1)], "the payload is job 1 and waits for web");
    yard.ends((job_id(2), 1), End::Well);
    yard.turn();
    assert_eq!(yard.leases.last(), Some(&(job_id(1), 1)));
    yard.ends((job_id(1), 1), End::Well);
    let record = yard.jobs.payload(&PRODUCTS[PAYLOAD].parse().unwrap()).unwrap();
    assert_eq!(record.made.last().unwrap().version.as_deref(), Some("1.0.2"));
    assert_eq!(record.last.as_ref().unwrap().board, "kiosk");
    assert!(yard.jobs.image(&"kiosk".parse().unwrap()).is_none(), "it is no image");
}

#[test]
fn a_base_comes_before_what_stands_on_it() {
    let mut yard = Yard::new();
    yard.lives(&Happening::Commit(vec![1, 0]));
    yard.turn();
    let base = yard.leases.clone();
    assert_eq!(base, [(job_id(2), 1)], "web is job 1 and waits for base, job 2");
    let web = yard.jobs.get(job_id(1)).unwrap();
    assert_eq!(yard.jobs.state_name(web), JobStateName::Waiting);
    yard.ends(base[0], End::Well);
    yard.turn();
    assert_eq!(yard.leases.last(), Some(&(job_id(1), 1)));
}

#[test]
fn a_newer_commit_takes_over_what_was_not_begun_and_comes_after_what_was() {
    let mut yard = Yard::new();
    yard.lives(&Happening::Commit(vec![3]));
    yard.lives(&Happening::Commit(vec![3]));
    assert_eq!(yard.jobs.iter().count(), 1);
    assert_eq!(yard.jobs.get(job_id(1)).unwrap().kind, build_of("extra", 3));
    yard.turn();
    yard.lives(&Happening::Commit(vec![3]));
    assert_eq!(yard.jobs.iter().count(), 2);
    yard.turn();
    assert_eq!(yard.leases, [(job_id(1), 1)], "one at a time");
    yard.ends((job_id(1), 1), End::ForGood);
    yard.turn();
    assert_eq!(yard.leases.last(), Some(&(job_id(2), 1)));
}

#[test]
fn a_lease_that_ran_out_is_taken_by_another_and_the_old_result_is_not_believed() {
    let mut yard = Yard::new();
    yard.lives(&Happening::Commit(vec![0]));
    yard.turn();
    yard.now = yard.policy.until(yard.now);
    yard.turn();
    assert_eq!(yard.leases, [(job_id(1), 1), (job_id(1), 2)]);
    yard.ends((job_id(1), 1), End::ForGood);
    assert_eq!(yard.jobs.get(job_id(1)).unwrap().state.name(), JobStateName::Running);
    yard.ends((job_id(1), 2), End::Well);
    let job = yard.jobs.get(job_id(1)).unwrap();
    assert_eq!((job.state.name(), job.attempts), (JobStateName::Done, 2));
    let made = &yard.jobs.image(&"base".parse().unwrap()).unwrap().made;
    assert_eq!(made.len(), 1, "it is recorded once");
    assert_eq!(job.history[0].trouble.as_deref(), Some("whoever worked on it is gone"));
}

#[test]
fn what_kills_whoever_works_on_it_ends_too() {
    let mut yard = Yard::new();
    yard.lives(&Happening::Commit(vec![0]));
    for _ in 0..yard.policy.attempts {
        yard.turn();
        yard.now = yard.policy.until(yard.now);
    }
    yard.turn();
    let job = yard.jobs.get(job_id(1)).unwrap();
    assert_eq!(
        (job.state.name(), job.attempts),
        (JobStateName::Failed, yard.policy.attempts)
    );
}

#[rstest]
#[case(1, 30)]
#[case(2, 60)]
#[case(7, 1920)]
#[case(8, 3600)]
#[case(u32::MAX, 3600)]
fn trouble_is_left_alone_ever_longer_but_never_for_more_than_is_set(#[case] tries: u32, #[case] seconds: i64) {
    assert_eq!(Policy::default().pause(tries).as_secs(), seconds);
}

#[test]
fn what_fails_while_the_same_waits_is_left_to_that() {
    let mut yard = Yard::new();
    yard.lives(&Happening::Commit(vec![0]));
    yard.turn();
    yard.lives(&Happening::Commit(vec![0]));
    yard.ends((job_id(1), 1), End::Transiently);
    let first = yard.jobs.get(job_id(1)).unwrap();
    assert!(
        matches!(&first.state, JobState::Failed { message, .. } if message == "away; job 2 does the same again"),
        "{first:?}"
    );
    yard.turn();
    assert_eq!(yard.leases.last(), Some(&(job_id(2), 1)));
}

#[test]
fn a_failure_that_lasts_is_not_tried_again() {
    let mut yard = Yard::new();
    yard.lives(&Happening::Commit(vec![0]));
    yard.turn();
    yard.ends((job_id(1), 1), End::ForGood);
    yard.turn();
    assert_eq!(yard.leases.len(), 1);
    assert_eq!(yard.jobs.get(job_id(1)).unwrap().state.name(), JobStateName::Failed);
    yard.lives(&Happening::Asks(1));
    yard.turn();
    assert_eq!(yard.leases.last(), Some(&(job_id(1), 2)));
}

#[test]
fn a_failed_base_keeps_what_stands_on_it_until_a_newer_one_is_done() {
    let mut yard = Yard::new();
    yard.lives(&Happening::Commit(vec![0, 1]));
    yard.turn();
    yard.ends((job_id(1), 1), End::ForGood);
    yard.turn();
    assert_eq!(yard.leases.len(), 1);
    yard.lives(&Happening::Commit(vec![0]));
    yard.turn();
    assert_eq!(yard.leases.last(), Some(&(job_id(3), 1)));
    yard.ends((job_id(3), 1), End::Well);
    yard.turn();
    assert_eq!(yard.leases.last(), Some(&(job_id(2), 1)));
}

#[test]
fn a_task_is_named_by_all_that_it_caused() {
    let mut jobs = Jobs::default();
    let wanted = |generation| {
        [Wanted {
            kind: build_of("web", generation),
            after: Vec::new(),
        }]
    };
    for (task, generation) in [(TaskId::FIRST, 2), (TaskId::FIRST.next(), 3)] {
        for event in queue(&jobs, &wanted(generation), Some(task)) {
            let Event::Job { id, event } = event else { panic!() };
            jobs.apply(id, &event, start());
        }
    }
    assert_eq!(jobs.of_task(TaskId::FIRST).count(), 1);
    assert_eq!(jobs.of_task(TaskId::FIRST.next()).count(), 1);
    assert_eq!(jobs.iter().count(), 1);
}
