//! Laws of the policy, on whole histories: a small world runs what the policy says, with this very function.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::{Action, RepositoryView, Snapshot, Standing, TaskView, is_first_to_land, plan};
use crate::id::{Generation, RepositoryName, TaskId};
use crate::task::Mode;

/// What a task will turn out to be.
#[derive(Debug, Clone)]
struct Fate {
    repository: usize,
    run_at: i64,
    test_only: bool,
    /// Seconds that its stages take.
    takes: i64,
    /// How often the infrastructure fails before its stages end.
    trouble: u32,
    /// How often the infrastructure fails at its commit.
    commit_trouble: u32,
    /// Whether its checks fail, once they get there.
    red: bool,
    /// It depends on the task so many before it.
    after: Option<usize>,
    /// Its checks fail until the task so many before it has landed, which it does not say.
    needs: Option<usize>,
}

fn fate() -> impl Strategy<Value = Fate> {
    (
        (0..3usize, 0..50i64, any::<bool>(), 1..20i64),
        (0..3u32, 0..3u32, prop::bool::weighted(0.2)),
        (
            prop::option::weighted(0.2, 1..4usize),
            prop::option::weighted(0.3, 1..4usize),
        ),
    )
        .prop_map(
            |((repository, run_at, test_only, takes), (trouble, commit_trouble, red), (after, needs))| Fate {
                repository,
                run_at,
                test_only,
                takes,
                trouble,
                commit_trouble,
                red,
                after,
                needs,
            },
        )
}

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Landed,
    Tested,
    Red,
}

#[derive(Debug)]
enum Due {
    Stages(usize),
    Commit(usize),
}

struct Town {
    fates: Vec<Fate>,
    views: BTreeMap<usize, TaskView>,
    bases: BTreeMap<usize, (u32, Generation)>,
    ends: BTreeMap<usize, End>,
    landed: Vec<usize>,
    landings: BTreeMap<usize, Generation>,
    deferred: BTreeSet<usize>,
    repositories: BTreeMap<RepositoryName, RepositoryView>,
    due: Vec<(i64, Due)>,
    now: i64,
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn id(index: usize) -> TaskId {
    (index + 1).to_string().parse().unwrap()
}

fn index(task: TaskId) -> usize {
    usize::try_from(task.get()).unwrap() - 1
}

impl Town {
    fn new(fates: Vec<Fate>) -> Self {
        let name = |number: usize| -> RepositoryName { format!("r{number}").parse().unwrap() };
        let view = RepositoryView {
            generation: Generation(1),
            changing: false,
        };
        let views = fates
            .iter()
            .enumerate()
            .map(|(index, fate)| {
                let view = TaskView {
                    id: id(index),
                    repository: name(fate.repository),
                    run_at: at(fate.run_at),
                    mode: if fate.test_only { Mode::TestOnly } else { Mode::Commit },
                    postponed: false,
                    standing: Standing::Waiting {
                        iterations: 0,
                        not_before: None,
                        overtaken: false,
                    },
                };
                (index, view)
            })
            .collect();
        Self {
            fates,
            views,
            bases: BTreeMap::new(),
            ends: BTreeMap::new(),
            landed: Vec::new(),
            landings: BTreeMap::new(),
            deferred: BTreeSet::new(),
            repositories: (0..3).map(|number| (name(number), view)).collect(),
            due: Vec::new(),
            now: 0,
        }
    }

    /// Whether it waits for another for ever: that one ended without landing, or waits for ever itself.
    fn is_stuck(&self, index: usize) -> bool {
        self.awaited(index).is_some_and(|before| match self.ends.get(&before) {
            Some(end) => *end != End::Landed,
            None => self.is_stuck(before),
        })
    }

    fn awaited(&self, index: usize) -> Option<usize> {
        self.fates[index].after.and_then(|back| index.checked_sub(back))
    }

    fn snapshot(&mut self) -> Snapshot {
        let mut tasks = Vec::new();
        for (index, view) in &self.views {
            let awaited = self.awaited(*index);
            let postponed = awaited.is_some_and(|before| self.ends.get(&before) != Some(&End::Landed));
            if view.run_at <= at(self.now) {
                let view = TaskView {
                    postponed,
                    ..view.clone()
                };
                if postponed || view.backs_off(at(self.now)).is_some() {
                    self.deferred.insert(*index);
                }
                tasks.push(view);
            }
        }
        Snapshot {
            now: at(self.now),
            most_runs: 2,
            repositories: self.repositories.clone(),
            tasks,
        }
    }

    fn obey(&mut self, action: Action) {
        match action {
            Action::Start { task, iteration, base } => {
                let index = index(task);
                let view = self.views.get_mut(&index).unwrap();
                assert!(matches!(
                    view.standing,
                    Standing::Waiting { .. } | Standing::Passed { .. }
                ));
                assert_eq!(base, self.repositories[&view.repository].generation);
                view.standing = Standing::Running;
                assert_eq!(iteration, self.bases.get(&index).map_or(0, |(before, _)| *before) + 1);
                self.bases.insert(index, (iteration, base));
                self.due.push((self.now + self.fates[index].takes, Due::Stages(index)));
            }
            Action::Commit { task, base } => {
                let index = index(task);
                let view = self.views.get_mut(&index).unwrap();
                let repository = self.repositories.get_mut(&view.repository).unwrap();
                assert!(!repository.changing, "two commits at once");
                assert_eq!(base, repository.generation, "tested on another generation");
                assert_eq!(self.bases[&index].1, base);
                assert_eq!(view.mode, Mode::Commit);
                repository.changing = true;
                view.standing = Standing::Committing;
                self.due.push((self.now + 1, Due::Commit(index)));
            }
            Action::Wake { .. } => {}
        }
    }

    /// Whether its checks fail on the generation that it was started on.
    fn is_red(&self, index: usize) -> bool {
        let fate = &self.fates[index];
        let missing = |back| {
            index.checked_sub(back).is_some_and(|needed| {
                self.fates[needed].repository == fate.repository
                    && self
                        .landings
                        .get(&needed)
                        .is_none_or(|landed| *landed > self.bases[&index].1)
            })
        };
        fate.red || fate.needs.is_some_and(missing)
    }

    fn happens(&mut self, due: &Due) {
        let later = Some(at(self.now) + SignedDuration::from_secs(7));
        match *due {
            Due::Stages(index) => {
                let (iterations, base) = self.bases[&index];
                let red = self.is_red(index);
                let snapshot = self.snapshot();
                let newest = self.repositories[&self.views[&index].repository].generation;
                let counts = self.fates[index].test_only || (is_first_to_land(&snapshot, id(index)) && base == newest);
                let fate = &mut self.fates[index];
                let view = self.views.get_mut(&index).unwrap();
                if fate.trouble > 0 {
                    fate.trouble -= 1;
                    view.standing = Standing::Waiting {
                        iterations,
                        not_before: later,
                        overtaken: false,
                    };
                } else if red && !counts {
                    view.standing = Standing::Waiting {
                        iterations,
                        not_before: None,
                        overtaken: true,
                    };
                } else if red || fate.test_only {
                    self.views.remove(&index);
                    self.ends.insert(index, if red { End::Red } else { End::Tested });
                } else {
                    view.standing = Standing::Passed {
                        iterations,
                        base,
                        not_before: None,
                    };
                }
            }
            Due::Commit(index) => {
                let (iterations, base) = self.bases[&index];
                let fate = &mut self.fates[index];
                let view = self.views.get_mut(&index).unwrap();
                let repository = self.repositories.get_mut(&view.repository).unwrap();
                repository.changing = false;
                if fate.commit_trouble > 0 {
                    fate.commit_trouble -= 1;
                    view.standing = Standing::Passed {
                        iterations,
                        base,
                        not_before: later,
                    };
                } else {
                    repository.generation = Generation(repository.generation.0 + 1);
                    self.views.remove(&index);
                    self.ends.insert(index, End::Landed);
                    self.landings.insert(index, repository.generation);
                    self.landed.push(index);
                }
            }
        }
    }

    /// Lets time pass until nothing is to be expected any more.
    fn live(&mut self) {
        // Far more than any of these histories takes: whoever sleeps for ever is found at the end.
        for _ in 0..10_000 {
            let snapshot = self.snapshot();
            let actions = plan(&snapshot);
            assert_eq!(actions, plan(&snapshot), "the same question, the same answer");
            let mut wake = None;
            for action in actions {
                if let Action::Wake { at } = action {
                    wake = Some(at.as_second());
                }
                self.obey(action);
            }
            let running = self.views.values().filter(|view| view.standing == Standing::Running);
            assert!(running.count() <= 2, "more runs than there is room for");
            let again = plan(&self.snapshot());
            assert!(
                again.iter().all(|action| matches!(action, Action::Wake { .. })),
                "what was done is asked for again: {again:?}"
            );
            let arrivals = self.views.values().map(|view| view.run_at.as_second());
            let next = arrivals
                .filter(|moment| *moment > self.now)
                .chain(self.due.iter().map(|(moment, _)| *moment))
                .chain(wake)
                .min();
            let Some(next) = next else { return };
            self.now = next;
            let (happens, rest) = std::mem::take(&mut self.due)
                .into_iter()
                .partition(|(moment, _)| *moment <= next);
            self.due = rest;
            let happens: Vec<(i64, Due)> = happens;
            for (_, due) in &happens {
                self.happens(due);
            }
        }
        panic!("it does not end");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn everybody_gets_his_end(fates in prop::collection::vec(fate(), 1..14)) {
        let mut town = Town::new(fates);
        town.live();
        for index in 0..town.fates.len() {
            let ended = town.ends.contains_key(&index);
            prop_assert!(ended != town.is_stuck(index), "task {} sleeps, or a stuck one ended", id(index));
        }
    }

    #[test]
    fn the_queue_never_decides_whether_something_lands(fates in prop::collection::vec(fate(), 1..14)) {
        let mut town = Town::new(fates);
        town.live();
        for (index, end) in &town.ends {
            let fate = &town.fates[*index];
            if fate.needs.is_some() && !fate.red {
                continue;
            }
            let expected = match (fate.red, fate.test_only) {
                (true, _) => End::Red,
                (false, true) => End::Tested,
                (false, false) => End::Landed,
            };
            prop_assert_eq!(*end, expected);
        }
    }

    #[test]
    fn nobody_fails_for_having_been_built_too_early(fates in prop::collection::vec(fate(), 1..14)) {
        let mut town = Town::new(fates);
        town.live();
        for (index, end) in &town.ends {
            let fate = &town.fates[*index];
            let Some(needed) = fate.needs.and_then(|back| index.checked_sub(back)) else { continue };
            let other = &town.fates[needed];
            // Run before it, landed, and never had to step aside: it was there when this one's turn came.
            let was_ahead = other.repository == fate.repository
                && (other.run_at, needed) < (fate.run_at, *index)
                && town.ends.get(&needed) == Some(&End::Landed)
                && !town.deferred.contains(&needed);
            if was_ahead && !fate.red && !fate.test_only {
                prop_assert_eq!(*end, End::Landed);
            }
        }
    }

    #[test]
    fn who_never_waited_for_a_moment_or_a_task_lands_in_order(fates in prop::collection::vec(fate(), 1..14)) {
        let mut town = Town::new(fates);
        town.live();
        for repository in 0..3 {
            let places: Vec<(i64, usize)> = town
                .landed
                .iter()
                .filter(|index| town.fates[**index].repository == repository && !town.deferred.contains(*index))
                .map(|index| (town.fates[*index].run_at, *index))
                .collect();
            prop_assert!(places.is_sorted(), "landed in another order than they were run: {places:?}");
        }
    }
}
