//! Nightly runs: what is on record of them, and whether one is due.
//!
//! A calendar is followed from the moment at which it is first seen. What was missed while the bot was down is not piled up: however
//! many moments have passed since the last look, one run comes of them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::calendar::Calendar;
use crate::id::{DeviceName, JobId, NightlyName, UserName};

/// How many runs are remembered.
const REMEMBERED: usize = 50;

/// What happened to a nightly run.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum NightlyEvent {
    /// Its calendar is new, or another one: it is followed from now on.
    Planned {
        /// The calendar.
        calendar: String,
    },
    /// It began, or came to nothing at once.
    Ran(Run),
}

/// One run.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Run {
    /// Its number, from 1 up.
    pub run: u32,
    /// When it was due; nothing where somebody asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    /// Who asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<UserName>,
    /// The flashes that it consists of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<JobId>,
    /// The devices that were left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
    /// Why nothing is flashed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nothing: Option<String>,
}

/// A device that a run leaves out.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LeftOut {
    /// The device.
    pub device: DeviceName,
    /// Why.
    pub why: String,
}

/// All nightly runs of which something is on record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Nightlies(BTreeMap<NightlyName, Nightly>);

/// What is on record of a nightly run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nightly {
    /// The calendar that is followed.
    pub calendar: String,
    /// Until when it was followed: nothing before is due any more.
    pub followed: Option<Timestamp>,
    /// The number of the last run; 0 before the first.
    pub runs: u32,
    /// The last runs, oldest first, each with its moment.
    pub last: Vec<(Timestamp, Run)>,
}

/// What is to be done with a nightly run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Its calendar is not on record yet.
    Plan,
    /// It is to begin.
    Run {
        /// For which moment: the last that has passed.
        due: Timestamp,
    },
    /// Nothing until then.
    Wait {
        /// When.
        until: Timestamp,
    },
    /// It never comes again.
    Never,
}

impl Nightlies {
    /// Makes true what an event says.
    pub fn apply(&mut self, name: &NightlyName, event: &NightlyEvent, now: Timestamp) {
        let nightly = self.0.entry(name.clone()).or_default();
        match event {
            NightlyEvent::Planned { calendar } => nightly.calendar.clone_from(calendar),
            NightlyEvent::Ran(run) => {
                nightly.runs = nightly.runs.max(run.run);
                nightly.last.push((now, run.clone()));
                let many = nightly.last.len().saturating_sub(REMEMBERED);
                nightly.last.drain(..many);
                if run.due.is_none() {
                    // Somebody asked: the calendar goes on as it did.
                    return;
                }
            }
        }
        nightly.followed = Some(nightly.followed.map_or(now, |followed| followed.max(now)));
    }

    /// What is on record of one.
    pub fn get(&self, name: &NightlyName) -> Option<&Nightly> {
        self.0.get(name)
    }
}

/// Says what is to be done with a nightly run.
pub fn due(calendar: &Calendar, record: Option<&Nightly>, now: Timestamp) -> Due {
    let known = record.filter(|record| record.calendar == calendar.to_string());
    let Some(followed) = known.and_then(|record| record.followed) else {
        return Due::Plan;
    };
    if let Some(due) = calendar.last(now).filter(|due| *due > followed) {
        return Due::Run { due };
    }
    calendar
        .next(now.max(followed))
        .map_or(Due::Never, |until| Due::Wait { until })
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use jiff::tz::{self, TimeZone};
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn start() -> Timestamp {
        "2026-11-21T10:00:00Z".parse().unwrap()
    }

    fn calendar(text: &str) -> Calendar {
        Calendar::parse(text, TimeZone::UTC, start()).unwrap()
    }

    fn name() -> NightlyName {
        "all".parse().unwrap()
    }

    /// Follows a calendar to a moment: how many runs that makes.
    fn follow(nightlies: &mut Nightlies, calendar: &Calendar, now: Timestamp) -> usize {
        let mut begun = 0;
        for _ in 0..10 {
            let event = match due(calendar, nightlies.get(&name()), now) {
                Due::Plan => NightlyEvent::Planned {
                    calendar: calendar.to_string(),
                },
                Due::Run { due } => {
                    begun += 1;
                    assert!(due <= now);
                    NightlyEvent::Ran(Run {
                        run: nightlies.get(&name()).map_or(0, |record| record.runs) + 1,
                        due: Some(due),
                        by: None,
                        jobs: Vec::new(),
                        left_out: Vec::new(),
                        nothing: None,
                    })
                }
                Due::Wait { until } => {
                    assert!(until > now);
                    return begun;
                }
                Due::Never => return begun,
            };
            nightlies.apply(&name(), &event, now);
        }
        panic!("it never waits");
    }

    #[test]
    fn what_was_missed_is_one_run_and_what_was_before_is_none() {
        let every_night = calendar("30 2 * * *");
        let mut nightlies = Nightlies::default();
        let mut at = |text: &str| follow(&mut nightlies, &every_night, text.parse().unwrap());
        assert_eq!(at("2026-11-21T10:00:00Z"), 0, "it is followed from now on");
        assert_eq!(at("2026-11-22T02:29:59Z"), 0);
        assert_eq!(at("2026-11-22T02:30:00Z"), 1);
        assert_eq!(at("2026-11-22T02:30:01Z"), 0);
        assert_eq!(at("2026-11-29T12:00:00Z"), 1, "a week was missed");
        assert_eq!(at("2026-11-29T12:00:01Z"), 0);
    }

    #[test]
    fn another_calendar_is_followed_from_now_on() {
        let mut nightlies = Nightlies::default();
        let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        assert_eq!(follow(&mut nightlies, &calendar("30 2 * * *"), now), 0);
        let later = now + SignedDuration::from_hours(40);
        assert_eq!(follow(&mut nightlies, &calendar("0 3 * * *"), later), 0);
        assert_eq!(
            follow(
                &mut nightlies,
                &calendar("0 3 * * *"),
                later + SignedDuration::from_hours(24)
            ),
            1
        );
    }

    #[rstest]
    #[case("")]
    #[case("61 2 * * *")]
    #[case("30 2 * *")]
    #[case("every night")]
    #[case("0 0 30 2 *")]
    fn what_is_no_calendar(#[case] text: &str) {
        assert!(Calendar::parse(text, TimeZone::UTC, start()).is_err());
    }

    #[test]
    fn a_calendar_is_in_its_time_zone() {
        let zone = TimeZone::fixed(tz::offset(3));
        let calendar = Calendar::parse("30 2 * * *", zone, start()).unwrap();
        assert_eq!(calendar.next(start()), Some("2026-11-21T23:30:00Z".parse().unwrap()));
    }

    proptest! {
        #[test]
        fn a_run_comes_once_for_whatever_was_missed(steps in proptest::collection::vec(1..400_000_i64, 1..20)) {
            let every = calendar("*/20 */6 * * *");
            let mut nightlies = Nightlies::default();
            let mut now = start();
            follow(&mut nightlies, &every, now);
            for step in steps {
                let before = now;
                now += SignedDuration::from_secs(step);
                let passed = every.next(before).is_some_and(|next| next <= now);
                prop_assert_eq!(follow(&mut nightlies, &every, now), usize::from(passed));
            }
        }
    }
}
