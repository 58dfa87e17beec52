//! Laws of the state machine, on devices that do anything.

#![expect(clippy::wildcard_enum_match_arm, reason = "one event of many is looked for")]

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::judge::{Expected, Seen, SlotRule, Verdict, judge};
use super::look::Updater;
use super::machine::{Effect, Event, Plan, State, step};
use super::outcome::{Fault, FlashStep, Outcome};

fn plan() -> impl Strategy<Value = Plan> {
    (any::<(bool, bool, bool, bool)>(), "[xy]?", "[12]?", 0_u64..40).prop_map(
        |((force_mismatch, serves, stateful, power), board, version, limit)| Plan {
            board: (!board.is_empty()).then_some(board),
            force_mismatch,
            version: (!version.is_empty()).then_some(version),
            serves,
            stateful,
            power,
            reboot_limit: Duration::from_secs(limit),
        },
    )
}

fn seen() -> impl Strategy<Value = Seen> {
    ("[123]", "[AB]?", "[12]").prop_map(|(boot_id, slot, version)| Seen {
        boot_id,
        slot: (!slot.is_empty()).then_some(slot),
        version: Some(version),
    })
}

fn updater() -> impl Strategy<Value = Updater> {
    prop_oneof![
        6 => Just(Updater::Idle),
        2 => Just(Updater::NeedsReboot),
        1 => Just(Updater::Busy("DOWNLOADING".to_owned())),
        1 => Just(Updater::Unknown("?".to_owned())),
    ]
}

fn slot() -> impl Strategy<Value = SlotRule> {
    prop_oneof![
        Just(SlotRule::Is("B".to_owned())),
        Just(SlotRule::OtherThan("A".to_owned())),
        Just(SlotRule::Any)
    ]
}

fn failure() -> impl Strategy<Value = Event> {
    prop_oneof![Just(Fault::Infrastructure), Just(Fault::Product)].prop_map(|fault| Event::Failed {
        why: "so".to_owned(),
        fault,
    })
}

/// What may come of each effect.
#[derive(Debug, Clone)]
struct Chance {
    seen: Seen,
    board: Option<String>,
    updater: Updater,
    slot: SlotRule,
    answers: bool,
    works: Option<bool>,
    disturbance: Option<Event>,
    passes: i64,
}

fn chance() -> impl Strategy<Value = Chance> {
    let disturbance = prop_oneof![12 => Just(None), 1 => failure().prop_map(Some), 1 => Just(Some(Event::Stop))];
    (
        seen(),
        "[xy]?",
        updater(),
        slot(),
        any::<bool>(),
        any::<Option<bool>>(),
        disturbance,
        0_i64..20,
    )
        .prop_map(
            |(seen, board, updater, slot, answers, works, disturbance, passes)| Chance {
                seen,
                board: (!board.is_empty()).then_some(board),
                updater,
                slot,
                answers,
                works,
                disturbance,
                passes,
            },
        )
}

impl Chance {
    fn event(&self, effect: Effect) -> Event {
        // Clearing up is told to stop by nobody, or it would never end.
        if let Some(disturbance) = &self.disturbance
            && (effect, disturbance) != (Effect::Clean, &Event::Stop)
        {
            return disturbance.clone();
        }
        match effect {
            Effect::Look => Event::Looked {
                seen: self.seen.clone(),
                board: self.board.clone(),
                updater: self.updater.clone(),
            },
            Effect::Serve => Event::Served,
            Effect::Install => Event::Installed(self.slot.clone()),
            Effect::AddStateful => Event::StatefulAdded,
            Effect::Restart => Event::RestartAsked,
            Effect::Listen if self.answers => Event::Answered(self.seen.clone()),
            Effect::Listen => Event::Silent,
            Effect::CyclePower => Event::PowerCycled,
            Effect::MarkGood => Event::Marked,
            Effect::Clean => Event::Cleaned(self.works),
        }
    }
}

/// One flash with everything that happened in it.
struct Told {
    happened: Vec<(Effect, Event)>,
    outcome: Option<Outcome>,
}

fn tell(plan: &Plan, chances: &[Chance]) -> Told {
    let (mut state, first) = State::begin();
    let mut effect = Some(first);
    let mut now = Timestamp::UNIX_EPOCH;
    let mut happened = Vec::new();
    for chance in chances {
        let Some(due) = effect else { break };
        let event = chance.event(due);
        now += SignedDuration::from_secs(chance.passes);
        happened.push((due, event.clone()));
        (state, effect) = step(plan, state, event, now);
        assert_eq!(effect.is_none(), matches!(state, State::Done(_)));
        if let Some(effect) = effect {
            assert_eq!(effect.step(), state.step());
        }
    }
    Told {
        happened,
        outcome: match state {
            State::Done(outcome) => Some(outcome),
            _ => None,
        },
    }
}

impl Told {
    fn times(&self, effect: Effect) -> usize {
        self.happened.iter().filter(|(done, _)| *done == effect).count()
    }
}

proptest! {
    #[test]
    fn success_means_that_the_last_answer_was_judged_good(plan in plan(), chances in proptest::collection::vec(chance(), 1..40)) {
        let told = tell(&plan, &chances);
        if told.outcome == Some(Outcome::Succeeded) {
            let before = told.happened.iter().rev().find_map(|(_, event)| match event {
                Event::Looked { seen, .. } => Some(seen),
                _ => None,
            });
            let after = told.happened.iter().rev().find_map(|(_, event)| match event {
                Event::Answered(seen) => Some(seen),
                _ => None,
            });
            let slot = told.happened.iter().rev().find_map(|(_, event)| match event {
                Event::Installed(slot) => Some(slot.clone()),
                _ => None,
            });
            let expected = Expected { slot: slot.unwrap(), version: plan.version.clone() };
            prop_assert_eq!(judge(before.unwrap(), after.unwrap(), &expected), Verdict::Good);
            prop_assert_eq!(told.times(Effect::MarkGood), 1);
        }
    }

    #[test]
    fn whatever_happens_it_clears_up_once_and_last(plan in plan(), chances in proptest::collection::vec(chance(), 1..40)) {
        let told = tell(&plan, &chances);
        if told.outcome.is_some() {
            prop_assert_eq!(told.happened.last().map(|(effect, _)| *effect), Some(Effect::Clean));
            let stops_while_cleaning = told.happened.iter().filter(|(effect, event)| *effect == Effect::Clean && *event == Event::Stop).count();
            prop_assert_eq!(told.times(Effect::Clean), 1 + stops_while_cleaning);
        }
        prop_assert!(told.times(Effect::CyclePower) <= 2, "once for each restart");
        prop_assert!(plan.power || told.times(Effect::CyclePower) == 0);
        prop_assert!(plan.serves || told.times(Effect::Serve) == 0);
        prop_assert!(plan.stateful || told.times(Effect::AddStateful) == 0);
        prop_assert!(told.times(Effect::Install) <= 1);
    }

    #[test]
    fn nothing_is_written_to_a_device_of_another_board_or_with_a_busy_updater(plan in plan(), chances in proptest::collection::vec(chance(), 1..40)) {
        let told = tell(&plan, &chances);
        if told.times(Effect::Install) > 0 {
            let look = told.happened.iter().rev().find_map(|(_, event)| match event {
                Event::Looked { board, updater, .. } => Some((board, updater)),
                _ => None,
            });
            let (board, updater) = look.unwrap();
            prop_assert_eq!(updater, &Updater::Idle);
            prop_assert!(plan.board.is_none() || plan.force_mismatch || board == &plan.board);
        }
    }

    #[test]
    fn the_word_to_stop_ends_it_as_cancelled(plan in plan(), chances in proptest::collection::vec(chance(), 1..40)) {
        let told = tell(&plan, &chances);
        let first = told.happened.iter().find(|(_, event)| matches!(event, Event::Stop | Event::Failed { .. }));
        if let (Some(outcome), Some((effect, Event::Stop))) = (&told.outcome, first)
            && *effect != Effect::Clean
        {
            prop_assert_eq!(matches!(outcome, Outcome::Cancelled { step, .. } if *step == effect.step()), true, "{:?}", outcome);
        }
    }

    #[test]
    fn it_comes_to_an_end(plan in plan(), chances in proptest::collection::vec(chance(), 1..40)) {
        // Time passes: each second look at the clock is a second later at least.
        let forever: Vec<Chance> = chances.iter().cycle().take(400).map(|chance| Chance { passes: chance.passes + 1, ..chance.clone() }).collect();
        prop_assert!(tell(&plan, &forever).outcome.is_some());
    }

    #[test]
    fn any_event_at_any_time_is_borne(plan in plan(), chances in proptest::collection::vec((chance(), 0_usize..9), 1..40)) {
        const EFFECTS: [Effect; 9] = [Effect::Look, Effect::Serve, Effect::Install, Effect::AddStateful, Effect::Restart, Effect::Listen,
            Effect::CyclePower, Effect::MarkGood, Effect::Clean];
        let (mut state, _) = State::begin();
        for (chance, which) in chances {
            let (next, effect) = step(&plan, state, chance.event(EFFECTS[which]), Timestamp::UNIX_EPOCH);
            assert_eq!(effect.is_none(), matches!(next, State::Done(_)));
            state = next;
        }
    }
}

#[test]
fn a_device_that_does_not_come_back_is_cycled_once_and_then_given_up() {
    let plan = Plan {
        board: None,
        force_mismatch: false,
        version: Some("2".to_owned()),
        serves: true,
        stateful: false,
        power: true,
        reboot_limit: Duration::from_secs(10),
    };
    let before = Seen {
        boot_id: "1".to_owned(),
        slot: Some("A".to_owned()),
        version: Some("1".to_owned()),
    };
    let (mut state, _) = State::begin();
    let mut effect = None;
    let mut now = Timestamp::UNIX_EPOCH;
    let mut say = |event: Event, seconds: i64| {
        now += SignedDuration::from_secs(seconds);
        (state, effect) = step(&plan, state.clone(), event, now);
        (state.clone(), effect)
    };
    say(
        Event::Looked {
            seen: before.clone(),
            board: None,
            updater: Updater::Idle,
        },
        0,
    );
    say(Event::Served, 0);
    say(Event::Installed(SlotRule::OtherThan("A".to_owned())), 0);
    assert_eq!(say(Event::RestartAsked, 0).1, Some(Effect::Listen));
    assert_eq!(say(Event::Silent, 9).1, Some(Effect::Listen));
    assert_eq!(say(Event::Silent, 1).1, Some(Effect::CyclePower));
    assert_eq!(say(Event::PowerCycled, 1).1, Some(Effect::Listen));
    assert_eq!(
        say(Event::Answered(before.clone()), 5).1,
        Some(Effect::Listen),
        "that is the old boot"
    );
    let back = Seen {
        boot_id: "2".to_owned(),
        ..before
    };
    let (cleaning, effect) = say(Event::Answered(back), 1);
    assert_eq!(effect, Some(Effect::Clean));
    assert!(
        matches!(cleaning, State::Cleaning(Outcome::RolledBack { .. })),
        "{cleaning:?}"
    );
    let (done, effect) = say(Event::Cleaned(Some(true)), 1);
    assert_eq!((effect, done.step()), (None, FlashStep::Clean));
}
