//! Laws of devices: leases are exclusive, whose fault it is decides, canaries come first, nobody stands in another's way.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::event::Event;
use crate::id::{DeviceName, JobId, UserName};
use crate::job::strategies::{alice, at, build_of, image_with, start};
use crate::job::{
    Action, FlashJob, Flashed, Floor, Job, JobEvent, JobKind, JobResult, JobState, JobStateName, Jobs, Lane, Policy,
    Rollout, Subject, Wanted, plan, queue,
};

fn person(name: &str) -> UserName {
    name.parse().unwrap()
}

fn end(ending: Ending) -> FlashEnd {
    FlashEnd {
        flash: "f-20261121T100000Z-00000001".to_owned(),
        job: None,
        from: Some("1.0.1".to_owned()),
        to: Some("1.0.2".to_owned()),
        ending,
        told: format!("{ending:?}"),
    }
}

fn ending() -> impl Strategy<Value = Ending> {
    proptest::sample::select(vec![
        Ending::Succeeded,
        Ending::Product,
        Ending::Looping,
        Ending::Trouble,
        Ending::Silent,
        Ending::Stranger,
        Ending::Nothing,
    ])
}

/// Something that is said of a device, whether it fits or not.
fn event() -> impl Strategy<Value = DeviceEvent> {
    let who = || proptest::sample::select(vec!["alice", "bob"]).prop_map(person);
    let moment = || (0..1000_i64).prop_map(at);
    prop_oneof![
        4 => ending().prop_map(|ending| DeviceEvent::Flashed(end(ending))),
        1 => moment().prop_map(|until| DeviceEvent::LeftAlone { until }),
        3 => (who(), moment()).prop_map(|(by, until)| DeviceEvent::Reserved {
            by,
            until,
            reason: "it flickers".parse().unwrap(),
        }),
        1 => who().prop_map(|by| DeviceEvent::Released { by }),
        2 => (proptest::sample::select(Health::ALL), proptest::option::of(who())).prop_map(|(health, by)| {
            DeviceEvent::Judged {
                health,
                why: "so".to_owned(),
                by,
            }
        }),
    ]
}

proptest! {
    #[test]
    fn nobody_takes_a_device_from_whoever_has_it_and_only_people_bring_one_back(
        events in proptest::collection::vec((event(), 0..100_i64), 0..40),
    ) {
        let (mut device, mut now) = (Device::default(), start());
        for (event, later) in events {
            now += SignedDuration::from_secs(later);
            let before = device.clone();
            device.apply(&event, now);
            if let Some(held) = before.reservation(now) {
                match &event {
                    DeviceEvent::Released { .. } => prop_assert!(device.reservation(now).is_none()),
                    DeviceEvent::Reserved { by, .. } if *by == held.by => {}
                    DeviceEvent::Flashed(_)
                    | DeviceEvent::LeftAlone { .. }
                    | DeviceEvent::Reserved { .. }
                    | DeviceEvent::Judged { .. } => prop_assert_eq!(device.reservation(now), Some(held)),
                }
            }
            if before.standing.health.is_out() && !matches!(event, DeviceEvent::Judged { .. }) {
                prop_assert_eq!(&device.standing, &before.standing);
                prop_assert!(device.hold(now).is_some());
            }
            // What holds it ends when it says.
            if let Some(until) = device.hold(now).and_then(|hold| hold.until()) {
                prop_assert!(until > now);
                let next = device.hold(until);
                prop_assert!(next.is_none_or(|next| matches!(next, Hold::LeftAlone { .. })), "it ends by itself");
            }
            let stored = serde_json::to_string(&device).unwrap();
            prop_assert_eq!(serde_json::from_str::<Device>(&stored).unwrap(), device.clone());
        }
    }

    #[test]
    fn only_its_own_faults_make_a_device_bad(endings in proptest::collection::vec(ending(), 0..40)) {
        let limits = Limits::default();
        let (mut device, mut now, mut row) = (Device::default(), start(), 0);
        for ending in endings {
            now += SignedDuration::from_secs(1);
            for event in limits.follows(&device, end(ending), now) {
                device.apply(&event, now);
            }
            row = match ending {
                Ending::Trouble => row + 1,
                Ending::Succeeded => 0,
                Ending::Product | Ending::Looping | Ending::Silent | Ending::Stranger | Ending::Nothing => row,
            };
            let is_bad = device.standing.health == Health::Bad;
            let is_meant = row >= limits.bad_in_a_row || ending == Ending::Stranger;
            prop_assert_eq!(is_bad, is_meant, "{:?} after {}", device, row);
            if ending == Ending::Stranger {
                prop_assert!(device.left_alone.is_none() && device.silent_in_a_row == 0, "it counts as one that is silent");
                prop_assert!(device.standing.why.contains("another one"), "{:?}", device);
            }
            let silent = matches!(ending, Ending::Silent | Ending::Looping);
            if silent {
                let pause = device.left_alone.unwrap().duration_since(now);
                prop_assert!(pause >= limits.leave_alone && pause <= limits.longest);
                prop_assert_eq!(pause, limits.pause(device.silent_in_a_row));
            }
            if is_bad {
                device = Device::default();
                row = 0;
            }
        }
    }
}

/// What may happen in a lab.
#[derive(Debug, Clone)]
enum Happening {
    /// A new version is for all devices; so many of them are canaries.
    Version(usize),
    /// An image becomes stale.
    Image(usize),
    /// Whoever has this of the leases comes to an end.
    Ends(usize, Ending),
    /// Time passes.
    Sleeps(i64),
    Cancels(u64),
    Reserves(usize),
    Releases(usize),
    /// Somebody takes a device out, or brings it back.
    Judges(usize, Health),
}

const DEVICES: [&str; 5] = ["k1", "k2", "k3", "k4", "k5"];

fn device(at: usize) -> DeviceName {
    DEVICES[at % DEVICES.len()].parse().unwrap()
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        3 => (0..3_usize).prop_map(Happening::Version),
        1 => (0..3_usize).prop_map(Happening::Image),
        8 => (0..6_usize, ending()).prop_map(|(which, ending)| Happening::Ends(which, ending)),
        3 => (1..4000_i64).prop_map(Happening::Sleeps),
        1 => (1..12_u64).prop_map(Happening::Cancels),
        1 => (0..5_usize).prop_map(Happening::Reserves),
        1 => (0..5_usize).prop_map(Happening::Releases),
        1 => (0..5_usize, proptest::sample::select(vec![Health::Good, Health::Maintenance]))
            .prop_map(|(which, health)| Happening::Judges(which, health)),
    ]
}

struct Lab {
    jobs: Jobs,
    devices: Devices,
    now: Timestamp,
    policy: Policy,
    limits: Limits,
    /// Who works, newest last; he renews his lease.
    leases: Vec<(JobId, u32)>,
    versions: u32,
}

impl Lab {
    fn new() -> Self {
        Self {
            jobs: Jobs::default(),
            devices: Devices::default(),
            now: start(),
            policy: Policy {
                flashes_at_once: 2,
                ..Policy::default()
            },
            limits: Limits::default(),
            leases: Vec::new(),
            versions: 0,
        }
    }

    fn job(&self, id: JobId) -> &Job {
        self.jobs.get(id).unwrap()
    }

    fn says(&mut self, id: JobId, event: &JobEvent) {
        let text = serde_json::to_string(&Event::Job {
            id,
            event: event.clone(),
        })
        .unwrap();
        let Ok(Event::Job { id, event }) = serde_json::from_str(&text) else {
            panic!("{text}")
        };
        self.jobs.apply(id, &event, self.now);
    }

    fn queue(&mut self, wanted: &[Wanted]) {
        for event in queue(&self.jobs, wanted, None) {
            let Event::Job { id, event } = event else {
                panic!("{event:?}")
            };
            self.says(id, &event);
        }
    }

    fn version(&mut self, canaries: usize) {
        self.versions += 1;
        let flash = |(at, name): (usize, &&str)| FlashJob {
            device: name.parse().unwrap(),
            payload: "kiosk".parse().unwrap(),
            version: format!("1.0.{}", self.versions),
            because: Rollout::Nightly {
                nightly: "all".parse().unwrap(),
                run: self.versions,
            },
            canary: at < canaries,
            retries: Some(1),
            stop_at: Some(60),
        };
        let flashes = DEVICES.iter().enumerate().map(flash).collect();
        self.queue(&rollout::wanted(flashes));
    }

    fn turn(&mut self) {
        for _ in 0..100 {
            let busy = BTreeSet::new();
            let floor = Floor {
                jobs: &self.jobs,
                devices: &self.devices,
                busy: &busy,
            };
            let mut still = true;
            for action in plan(&floor, &self.policy, self.now) {
                match action {
                    Action::Lose { .. } => panic!("everybody renews his lease"),
                    Action::Stop { id, why } => {
                        let by = crate::job::Canceller::Rollout { why };
                        self.says(id, &JobEvent::Cancelled { by });
                        still = false;
                    }
                    Action::Start { id, attempt } => {
                        self.starts(id, attempt);
                        still = false;
                    }
                    Action::Wake { at } => assert!(at > self.now),
                }
            }
            if still {
                return;
            }
        }
        panic!("the plan never ends");
    }

    fn starts(&mut self, id: JobId, attempt: u32) {
        let job = self.job(id);
        if let JobKind::Flash(flash) = &job.kind {
            assert!(
                self.devices.get(&flash.device).hold(self.now).is_none(),
                "{job:?} cannot have its device"
            );
            let canaries: Vec<&Job> = job.after.iter().map(|id| self.job(*id)).collect();
            let took = |job: &&Job| job.state.name() == JobStateName::Done;
            assert!(
                canaries.is_empty() || canaries.iter().any(took),
                "no canary took it before {job:?}"
            );
            let refused = |job: &&Job| matches!(job.state, JobState::Failed { transient: false, .. });
            assert!(!canaries.iter().any(refused), "a canary refused what {job:?} brings");
        }
        let until = Timestamp::MAX;
        self.says(id, &JobEvent::Leased { attempt, until });
        self.leases.push((id, attempt));
    }

    fn ends(&mut self, (id, attempt): (JobId, u32), ending: Ending) {
        let job = self.job(id).clone();
        let holds = matches!(job.state, JobState::Leased { attempt: of, .. } if of == attempt);
        if let JobKind::Flash(flash) = &job.kind {
            let before = self.devices.get(&flash.device);
            for event in self.limits.follows(&before, end(ending), self.now) {
                self.devices.apply(&flash.device, &event, self.now);
            }
        }
        if !holds {
            return;
        }
        let result = match &job.kind {
            JobKind::Flash(flash) => JobResult::Flashed(Box::new(Flashed {
                flash: "f".to_owned(),
                device: flash.device.clone(),
                from: None,
                to: None,
                slot: None,
                seconds: 1,
            })),
            JobKind::ImageBuild(_) | JobKind::PayloadBuild(_) => image_with(&[]),
        };
        let event = match ending {
            Ending::Succeeded => JobEvent::Succeeded { attempt, result },
            Ending::Product | Ending::Looping => {
                self.policy
                    .failed(&self.jobs, (id, attempt), "refused", false, self.now)
            }
            Ending::Trouble | Ending::Silent | Ending::Stranger | Ending::Nothing => {
                self.policy.failed(&self.jobs, (id, attempt), "away", true, self.now)
            }
        };
        self.says(id, &event);
    }

    fn lives(&mut self, happening: &Happening) {
        let now = self.now;
        let says = |devices: &mut Devices, at: usize, event: DeviceEvent| devices.apply(&device(at), &event, now);
        match happening {
            Happening::Version(canaries) => self.version(*canaries),
            Happening::Image(at) => {
                let kind = build_of(["base", "web", "db"][*at], 7);
                self.queue(&[Wanted {
                    kind,
                    after: Vec::new(),
                }]);
            }
            Happening::Ends(which, ending) => {
                if let Some(at) = self.leases.len().checked_sub(which + 1) {
                    let lease = self.leases.remove(at);
                    self.ends(lease, *ending);
                }
            }
            Happening::Sleeps(seconds) => self.now += SignedDuration::from_secs(*seconds),
            Happening::Cancels(id) => {
                let id = id.to_string().parse().unwrap();
                self.says(id, &JobEvent::Cancelled { by: alice() });
            }
            Happening::Reserves(at) => says(
                &mut self.devices,
                *at,
                DeviceEvent::Reserved {
                    by: person("alice"),
                    until: now + SignedDuration::from_hours(1),
                    reason: "it flickers".parse().unwrap(),
                },
            ),
            Happening::Releases(at) => says(&mut self.devices, *at, DeviceEvent::Released { by: person("alice") }),
            Happening::Judges(at, health) => says(
                &mut self.devices,
                *at,
                DeviceEvent::Judged {
                    health: *health,
                    why: "so".to_owned(),
                    by: Some(person("root")),
                },
            ),
        }
    }

    fn laws(&self) -> Result<(), TestCaseError> {
        let mut of_device: BTreeMap<Subject, usize> = BTreeMap::new();
        let mut lanes: BTreeMap<Lane, usize> = BTreeMap::new();
        for job in self.jobs.open() {
            if let JobState::Leased { .. } = job.state {
                *of_device.entry(job.kind.subject()).or_default() += 1;
                *lanes.entry(job.kind.subject().lane()).or_default() += 1;
            }
        }
        prop_assert!(
            of_device.values().all(|many| *many == 1),
            "a device has one lease: {of_device:?}"
        );
        for (lane, many) in lanes {
            prop_assert!(many <= self.policy.at_once(lane), "{lane:?}: {many}");
        }
        Ok(())
    }

    /// Images that could be built and are not, though their lane has room: whatever the lab does.
    fn starved(&self) -> bool {
        let running = |lane| {
            let leased = |job: &&Job| matches!(job.state, JobState::Leased { .. }) && job.kind.subject().lane() == lane;
            self.jobs.open().filter(leased).count()
        };
        let busy: BTreeSet<Subject> = self
            .jobs
            .open()
            .filter(|job| matches!(job.state, JobState::Leased { .. }))
            .map(|job| job.kind.subject())
            .collect();
        running(Lane::Machine) < self.policy.at_once && self.jobs.open().any(|job| {
            let ready =
                matches!(job.state, JobState::Queued { not_before, .. } if not_before.is_none_or(|at| at <= self.now));
            let subject = job.kind.subject();
            ready && subject.lane() == Lane::Machine && !busy.contains(&subject)
        })
    }
}

proptest! {
    #[test]
    fn a_lab_keeps_its_laws_whatever_happens_and_comes_to_an_end(happenings in proptest::collection::vec(happening(), 0..60)) {
        let mut lab = Lab::new();
        for happening in &happenings {
            lab.lives(happening);
            lab.turn();
            lab.laws()?;
            prop_assert!(!lab.starved(), "an image waits for flashes");
        }
        // Everybody gives back what he has, every device is mended, and all goes well: then nothing is left.
        for at in 0..DEVICES.len() {
            lab.lives(&Happening::Releases(at));
            lab.lives(&Happening::Judges(at, Health::Good));
        }
        for _ in 0..200 {
            for lease in std::mem::take(&mut lab.leases) {
                lab.ends(lease, Ending::Succeeded);
            }
            lab.now += SignedDuration::from_hours(2);
            lab.turn();
        }
        let left: Vec<&Job> = lab.jobs.open().collect();
        prop_assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn one_dead_device_delays_none() {
    let mut lab = Lab::new();
    lab.version(0);
    lab.turn();
    // Two at once; the first is dead.
    for _ in 0..10 {
        for (id, attempt) in std::mem::take(&mut lab.leases) {
            let dead = lab.job(id).kind.subject() == Subject::Device(device(0));
            lab.ends((id, attempt), if dead { Ending::Silent } else { Ending::Succeeded });
        }
        lab.turn();
    }
    let done = lab
        .jobs
        .iter()
        .filter(|job| job.state.name() == JobStateName::Done)
        .count();
    assert_eq!(done, 4, "all others are done, and no time has passed");
    let dead = lab.devices.get(&device(0));
    assert!(
        matches!(dead.hold(lab.now), Some(Hold::LeftAlone { times: 1, .. })),
        "{dead:?}"
    );
}

#[test]
fn a_cancelled_job_frees_its_device() {
    let mut lab = Lab::new();
    lab.policy.flashes_at_once = DEVICES.len();
    lab.version(5);
    lab.turn();
    let (id, attempt) = lab.leases[0];
    lab.says(id, &JobEvent::Cancelled { by: alice() });
    lab.version(5);
    let subject = lab.job(id).kind.subject();
    // Whoever worked on it clears up: until then it is not free.
    assert!(!begins(&lab, &subject, &BTreeSet::from([subject.clone()])));
    assert!(begins(&lab, &subject, &BTreeSet::new()));
    lab.ends((id, attempt), Ending::Nothing);
    assert!(begins(&lab, &subject, &BTreeSet::new()));
}

/// Whether a job of a subject would begin, with somebody busy with these.
fn begins(lab: &Lab, subject: &Subject, busy: &BTreeSet<Subject>) -> bool {
    let floor = Floor {
        jobs: &lab.jobs,
        devices: &lab.devices,
        busy,
    };
    plan(&floor, &lab.policy, lab.now)
        .iter()
        .any(|action| matches!(action, Action::Start { id, .. } if lab.job(*id).kind.subject() == *subject))
}

#[test]
fn a_canary_that_refuses_the_product_ends_the_rollout() {
    let mut lab = Lab::new();
    lab.version(1);
    lab.turn();
    assert_eq!(lab.leases.len(), 1, "the others wait");
    let lease = lab.leases.remove(0);
    lab.ends(lease, Ending::Product);
    lab.turn();
    assert!(lab.jobs.open().next().is_none());
    let last = lab.jobs.iter().next_back().unwrap();
    let JobState::Cancelled { by } = &last.state else {
        panic!("{last:?}")
    };
    assert_eq!(by.to_string(), "it was given up: canary k1 failed (job 1): refused");
    assert_eq!(
        lab.devices.get(&device(0)).standing.health,
        Health::Good,
        "it is the product's fault"
    );
}

#[test]
fn a_rollout_ends_when_too_many_flashes_fail() {
    let mut lab = Lab::new();
    lab.policy.flashes_at_once = 1;
    lab.version(0);
    lab.turn();
    for _ in 0..3 {
        let lease = lab.leases.remove(0);
        lab.ends(lease, Ending::Product);
        lab.turn();
    }
    assert!(lab.leases.is_empty());
    let states: Vec<JobStateName> = lab.jobs.iter().map(|job| job.state.name()).collect();
    let (failed, cancelled) = (JobStateName::Failed, JobStateName::Cancelled);
    assert_eq!(states, [failed, failed, failed, cancelled, cancelled]);
}
