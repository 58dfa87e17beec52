//! Devices: who has one, how it is, what it waits for.

use jiff::SignedDuration;

use super::super::town::Town;
use crate::decide::DeviceFacts;
use crate::device::lab::{Ending, FlashEnd, Limits, rollout};
use crate::event::Event;
use crate::id::{DeviceName, JobId};
use crate::job::{FlashJob, JobEvent, Rollout, queue};

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
