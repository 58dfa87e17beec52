//! Devices: who has one, how it is, what it waits for.

use jiff::SignedDuration;
use jiff::tz::TimeZone;

use super::super::town::Town;
use crate::decide::rollout::{Cause, after_payload, begin_nightly};
use crate::decide::{DeviceFacts, NightlyFacts};
use crate::device::lab::{Calendar, Ending, FlashEnd, FlashLine, Limits, rollout};
use crate::event::Event;
use crate::id::{DeviceName, JobId};
use crate::job::strategies::{making_of, payload_with};
use crate::job::{FlashJob, JobEvent, JobKind, JobResult, MadePayload, Rollout, Subject, Wanted, queue};

fn name(text: &str) -> DeviceName {
    text.parse().unwrap()
}

fn job(id: u64) -> JobId {
    id.to_string().parse().unwrap()
}

/// A lab of two kiosks.
fn lab() -> Town {
    let mut town = Town::new();
    for (device, tags) in [("kiosk-1", &["canary", "arm"][..]), ("kiosk-2", &["arm"][..])] {
        let facts = DeviceFacts {
            board: Some("kiosk".to_owned()),
            address: format!("root@{device}:22"),
            driver: "rauc".to_owned(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            payload: Some("kiosk".parse().unwrap()),
            after_merge: true,
        };
        town.facts.devices.insert(name(device), facts);
    }
    town
}

impl Town {
    /// A flash of each kiosk, the first one a canary.
    fn version(&mut self) {
        let flash = |(device, facts): (&DeviceName, &DeviceFacts)| FlashJob {
            device: device.clone(),
            payload: "kiosk".parse().unwrap(),
            version: "1.0.2".to_owned(),
            because: Rollout::Made { by_job: job(9) },
            canary: facts.tags.contains("canary"),
            retries: None,
            stop_at: None,
        };
        let flashes = self.facts.devices.iter().map(flash).collect();
        let events = queue(self.world.jobs(), &rollout::wanted(flashes), None);
        self.record(&events);
    }

    fn flashed(&mut self, device: &str, ending: Ending, told: &str) {
        let end = FlashEnd {
            flash: "f-20261121T100000Z-00000001".to_owned(),
            job: None,
            from: Some("1.0.1".to_owned()),
            to: Some("1.0.2".to_owned()),
            ending,
            told: told.to_owned(),
        };
        let name = name(device);
        for event in Limits::default().follows(&self.world.devices().get(&name), end, self.now) {
            let name = name.clone();
            self.record(&[Event::Device { name, event }]);
        }
    }
}

#[test]
fn a_reservation_is_one_persons_and_ends_by_itself() {
    let mut town = lab();
    assert_eq!(
        town.refuses("alice", "device reserve kiosk-9 -m 'it flickers'"),
        "no_device"
    );
    assert_eq!(
        town.refuses("alice", "device reserve kiosk-1 --for 2w -m 'it flickers'"),
        "too_long"
    );
    let said = town.says("alice", "device reserve kiosk-1 --for 2h -m 'it flickers'");
    assert!(
        said.out.starts_with("kiosk-1 is yours until 2026-11-21 12:"),
        "{said:?}"
    );
    let refused = town.says("bob", "device reserve kiosk-1 -m 'mine'").err;
    assert!(
        refused.contains("alice has kiosk-1 until") && refused.contains("device release kiosk-1"),
        "{refused}"
    );
    assert_eq!(town.refuses("bob", "device release kiosk-1"), "not_yours");
    // Said again it lasts from now on; an administrator may give it back.
    town.does("alice", "device reserve kiosk-1 --for 3h -m 'it still flickers'");
    town.does("root", "device release kiosk-1");
    assert_eq!(town.refuses("alice", "device release kiosk-1"), "not_reserved");
    town.does("bob", "device reserve kiosk-1 --for 1h -m 'mine'");
    town.now += SignedDuration::from_hours(1);
    town.does("alice", "device reserve kiosk-1 -m 'it flickers again'");
    assert!(
        town.says("bob", "device reserve kiosk-2 --dry-run -m 'x'")
            .out
            .contains("device kiosk-2: reserved by bob")
    );
}

#[test]
fn what_a_device_waits_for_is_one_line() {
    let mut town = lab();
    let why = |town: &mut Town, device: &str| town.says("carol", &format!("device why {device}")).out;
    assert_eq!(why(&mut town, "kiosk-1"), "kiosk-1: it is free: nothing waits for it\n");
    town.does("alice", "device reserve kiosk-1 --for 2h -m 'it flickers'");
    town.version();
    let told = why(&mut town, "kiosk-1");
    assert!(
        told.contains("reserved by alice until 2026-11-21 12:") && told.contains("it flickers; job 1 waits for it"),
        "{told}"
    );
    let told = why(&mut town, "kiosk-2");
    assert!(
        told.contains("it waits for job 1, device kiosk-1, which is queued"),
        "{told}"
    );
    let told = town.says("carol", "job show 1").out;
    assert!(
        told.contains("device kiosk-1 cannot be had: reserved by alice"),
        "{told}"
    );
    town.does("alice", "device release kiosk-1");
    assert!(why(&mut town, "kiosk-1").contains("it begins at once"));
    let until = town.now + SignedDuration::from_mins(2);
    let event = JobEvent::Leased { attempt: 1, until };
    town.record(&[Event::Job { id: job(1), event }]);
    let told = why(&mut town, "kiosk-1");
    assert!(
        told.contains("job 1, attempt 1, does it since") && told.contains("flash kiosk-1 with kiosk 1.0.2"),
        "{told}"
    );
    assert_eq!(town.refuses("alice", "device reserve kiosk-1 -m 'it flickers'"), "busy");
    let all = town.says("carol", "device why --json").out;
    let all: serde_json::Value = serde_json::from_str(&all).unwrap();
    assert_eq!(all[1]["device"], "kiosk-2");
}

#[test]
fn a_device_that_fails_by_its_own_fault_is_quarantined_until_somebody_says_that_it_is_good() {
    let mut town = lab();
    for _ in 0..2 {
        town.flashed("kiosk-1", Ending::Trouble, "no room left");
    }
    town.flashed("kiosk-1", Ending::Product, "rolled back");
    let show = town.says("carol", "device show kiosk-1").out;
    assert!(
        show.contains("device kiosk-1: good") && show.contains("bad flashes in a row: 2"),
        "{show}"
    );
    town.flashed("kiosk-1", Ending::Trouble, "no room left");
    let show = town.says("carol", "device health kiosk-1").out;
    assert!(show.contains("device kiosk-1: bad since"), "{show}");
    assert!(
        show.contains("3 flashes in a row failed by its own fault; the last: no room left"),
        "{show}"
    );
    assert!(show.contains("hint: device health kiosk-1 good -m REASON"), "{show}");
    assert_eq!(
        town.refuses("alice", "device health kiosk-1 good -m 'has room'"),
        "not_yours"
    );
    assert_eq!(
        town.refuses("root", "device health kiosk-1 looping -m 'so'"),
        "not_said"
    );
    town.does("root", "device health kiosk-1 good -m 'has room'");
    let list = town.says("carol", "device ls --tag=arm").out;
    insta::assert_snapshot!(list, @"
    DEVICE   BOARD  STATE    SINCE (UTC)       VERSION  TAGS
    kiosk-1  kiosk  good     2026-11-21 10:08  -        arm canary  it is free: nothing waits for it
    kiosk-2  kiosk  unknown  -                 -        arm         it is free: nothing waits for it
    ");
    town.does("root", "device quarantine kiosk-2 -m 'its disk reports errors'");
    let json = town.says("carol", "device show kiosk-2 --json").out;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["health"], &json["health_by"]), (&"bad".into(), &"root".into()));
    assert_eq!(town.says("carol", "device ls --health=bad").out.lines().count(), 2);
}

#[test]
fn a_device_in_whose_place_another_one_answers_is_quarantined_at_once() {
    let mut town = lab();
    town.flashed("kiosk-1", Ending::Silent, "no route to it");
    town.flashed("kiosk-1", Ending::Stranger, "its host key is another one");
    let why = town.says("carol", "device why kiosk-1").out;
    assert!(
        why.contains("bad: another one may be in its place: its host key is another one")
            && !why.contains("did not answer"),
        "{why}"
    );
    town.version();
    let why = town.says("carol", "device why kiosk-1").out;
    assert!(
        why.contains("job 1 waits for it") && why.contains("hint: device health kiosk-1 good"),
        "{why}"
    );
    town.does(
        "root",
        "device health kiosk-1 good -m 'has a new disk, and the configuration its new key'",
    );
    assert!(
        town.says("carol", "device why kiosk-1")
            .out
            .contains("it begins at once")
    );
}

#[test]
fn why_tells_of_the_last_rollback_until_a_flash_succeeds() {
    let mut town = lab();
    let line = |second: i64, outcome: &str| FlashLine {
        flash: format!("f-{second}"),
        device: name("kiosk-1"),
        began: town.now + SignedDuration::from_secs(second),
        ended: town.now + SignedDuration::from_secs(second + 9),
        who: "windlass".to_owned(),
        why: "so".to_owned(),
        job: None,
        driver: "rauc".to_owned(),
        payload: None,
        from_version: Some("1.0.1".to_owned()),
        to_version: Some("1.0.2".to_owned()),
        slot_before: None,
        slot_after: None,
        bytes_sent: 1,
        outcome: outcome.to_owned(),
        told: outcome.to_owned(),
        restart_seconds: None,
    };
    let newest_first = vec![
        line(300, "failed"),
        line(200, "rolled back"),
        line(100, "rolled back"),
        line(0, "succeeded"),
    ];
    let good = line(400, "succeeded");
    town.facts.flashes = newest_first;
    let why = town.says("carol", "device why kiosk-1").out;
    assert!(
        why.contains("it is free: nothing waits for it; version 1.0.2 was rolled back to version 1.0.1 at 2026-11-21 ")
            && why.contains("by flash f-200")
            && why.lines().count() == 1,
        "{why}"
    );
    assert!(!town.says("carol", "device why kiosk-2").out.contains("rolled back"));
    town.facts.flashes.insert(0, good);
    assert!(!town.says("carol", "device why kiosk-1").out.contains("rolled back"));
}

#[test]
fn a_device_that_does_not_answer_is_left_alone_ever_longer() {
    let mut town = lab();
    town.flashed("kiosk-2", Ending::Silent, "no route to it");
    town.flashed("kiosk-2", Ending::Silent, "no route to it");
    let why = town.says("carol", "device why kiosk-2").out;
    assert!(
        why.contains("it did not answer 2 times in a row, and is left alone until"),
        "{why}"
    );
    town.now += SignedDuration::from_mins(2);
    let why = town.says("carol", "device why kiosk-2").out;
    assert!(why.contains("it is free"), "{why}");
}

impl Town {
    /// A job makes a version of the kiosks' payload.
    fn made(&mut self) -> MadePayload {
        let kind = making_of("kiosk", 8);
        let events = queue(
            self.world.jobs(),
            &[Wanted {
                kind,
                after: Vec::new(),
            }],
            None,
        );
        let Some(Event::Job { id, .. }) = events.first().cloned() else {
            panic!("{events:?}")
        };
        self.record(&events);
        let JobResult::Payload(made) = payload_with("kiosk", &[]) else {
            panic!("it is one")
        };
        let until = self.now + SignedDuration::from_mins(2);
        for event in [
            JobEvent::Leased { attempt: 1, until },
            JobEvent::Succeeded {
                attempt: 1,
                result: JobResult::Payload(made.clone()),
            },
        ] {
            self.record(&[Event::Job { id, event }]);
        }
        *made
    }

    /// The flashes that events queue: device, whether it is a canary, how many come before it.
    fn flashes(events: &[Event]) -> Vec<(String, bool, usize)> {
        let flash = |event: &Event| {
            if let Event::Job {
                event:
                    JobEvent::Queued {
                        kind: JobKind::Flash(flash),
                        after,
                        ..
                    },
                ..
            } = event
            {
                Some((flash.device.to_string(), flash.canary, after.len()))
            } else {
                None
            }
        };
        events.iter().filter_map(flash).collect()
    }
}

#[test]
fn a_payload_goes_to_the_devices_that_ask_for_it_canaries_first() {
    let mut town = lab();
    let made = town.made();
    let flashes = |town: &Town| {
        Town::flashes(&after_payload(
            &town.world,
            &town.facts,
            &made,
            (job(1), None),
            town.now,
        ))
    };
    let (first, second) = ("kiosk-1".to_owned(), "kiosk-2".to_owned());
    assert_eq!(flashes(&town), [(first.clone(), true, 0), (second.clone(), false, 1)]);
    // A canary that is another's delays nobody, as long as there is another canary.
    town.facts
        .devices
        .get_mut(&name("kiosk-2"))
        .unwrap()
        .tags
        .insert("canary".to_owned());
    town.does("alice", "device reserve kiosk-1 -m 'it flickers'");
    assert_eq!(flashes(&town), [(second.clone(), true, 0), (first.clone(), false, 1)]);
    town.does("root", "device quarantine kiosk-1 -m 'its disk reports errors'");
    assert_eq!(flashes(&town), [(second, true, 0)]);
    town.facts.devices.get_mut(&name("kiosk-2")).unwrap().board = Some("other".to_owned());
    assert_eq!(flashes(&town), []);
    let again = MadePayload {
        reused: true,
        ..made.clone()
    };
    assert!(
        after_payload(&town.world, &town.facts, &again, (job(1), None), town.now).is_empty(),
        "nothing new was made"
    );
}

#[test]
fn a_nightly_run_takes_the_newest_payload_and_says_whom_it_leaves_out() {
    let mut town = lab();
    let calendar = Calendar::parse("30 2 * * *", TimeZone::UTC, town.now).unwrap();
    let nightly = NightlyFacts {
        calendar,
        tags: ["arm".to_owned()].into(),
        board: None,
        payload: None,
        canary_tag: None,
        canaries: Some(1),
        stop_at: 30,
        retries: 2,
    };
    town.facts.nightlies.insert("arm".parse().unwrap(), nightly.clone());
    assert_eq!(town.refuses("root", "device nightly run none"), "no_nightly");
    assert_eq!(town.refuses("alice", "device nightly run arm"), "not_yours");
    let refused = town.says("root", "device nightly run arm").err;
    assert!(
        refused.contains("no version of payload kiosk was made yet"),
        "{refused}"
    );
    // The same when it is due goes on record.
    let due = Cause::Due(town.now);
    let arm = "arm".parse().unwrap();
    let (why, events) = begin_nightly(&town.world, &town.facts, (&arm, &nightly), &due, town.now).unwrap_err();
    assert!(why.contains("kiosk-1 is left out") && events.len() == 1, "{why}");
    town.record(&events);
    let made = town.made();
    town.does("alice", "device reserve kiosk-2 -m 'it flickers'");
    let said = town.says("root", "device nightly run arm").out;
    assert!(
        said.contains("run 2 (root asked for it): job 2 flashes one device; kiosk-2 is left out: reserved by alice"),
        "{said}"
    );
    let subject = Subject::Device(name("kiosk-1"));
    let queued = town.world.jobs().queued(&subject).unwrap();
    let JobKind::Flash(flash) = &queued.kind else {
        panic!("{queued:?}")
    };
    assert_eq!(
        (&flash.version, flash.canary, flash.retries),
        (&made.version, true, Some(2))
    );
    let list = town.says("carol", "device nightly ls").out;
    assert!(
        list.contains("30 2 * * * (UTC)") && list.contains("2026-11-22 02:30"),
        "{list}"
    );
    assert!(list.contains("1 under way; 1 left out"), "{list}");
    let json: serde_json::Value = serde_json::from_str(&town.says("carol", "device nightly ls --json").out).unwrap();
    assert_eq!(
        (&json[0]["last"]["run"], &json[0]["last"]["open"]),
        (&2.into(), &1.into())
    );
}
