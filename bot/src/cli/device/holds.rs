//! Whether the lab lets a person flash a device now: what the journal says of it, read without asking the bot.

use std::path::Path;

use jiff::Timestamp;
use windlass_core::device::lab::{Health, Hold};
use windlass_core::id::{DeviceName, JobId, UserName};
use windlass_core::job::{JobState, Subject};
use windlass_core::refusal::Refusal;
use windlass_core::world::World;

use crate::exit::Broken;
use crate::journal::Sqlite;
use crate::writer::State;

/// What the lab has on record of a device.
#[derive(Debug, Clone, Default)]
pub(super) struct Holds {
    /// What keeps it from being flashed.
    pub(super) hold: Option<Hold>,
    /// The job that flashes it at this moment.
    pub(super) job: Option<JobId>,
}

/// What comes of that for one person.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Leave {
    /// He may.
    Free,
    /// He may, and should know this.
    Noted(String),
    /// He may not.
    Refused(Refusal),
}

impl Holds {
    /// What the journal says; nothing where there is none.
    ///
    /// # Errors
    /// It is there and cannot be read.
    pub(super) fn read(journal: &Path, name: &DeviceName) -> anyhow::Result<Self> {
        if let Err(error) = std::fs::metadata(journal) {
            if error.kind() == std::io::ErrorKind::NotFound {
                return Ok(Self::default());
            }
            return Err(Broken::new(format!(
                "whether {name} is free cannot be seen: '{}': {error}",
                journal.display()
            ))
            .hint("run it as root or as the daemon's user")
            .into());
        }
        let state = State::load(Sqlite::open_read_only(journal)?)?;
        Ok(Self::of(state.world(), name, Timestamp::now()))
    }

    fn of(world: &World, name: &DeviceName, now: Timestamp) -> Self {
        let subject = Subject::Device(name.clone());
        let works = |state: &JobState| matches!(state, JobState::Leased { until, .. } if *until > now);
        let mut open = world.jobs().open();
        Self {
            hold: world.devices().get(name).hold(now),
            job: open
                .find(|job| job.kind.subject() == subject && works(&job.state))
                .map(|job| job.id),
        }
    }

    /// What comes of it for this person, who is ready to wait for a job or not.
    pub(super) fn leave(&self, name: &DeviceName, me: Option<&UserName>, waits: bool) -> Leave {
        if let Some(job) = self.job {
            let message = format!("job {job} flashes {name} at this moment");
            if !waits {
                let hint = format!("--wait SECONDS waits for its end; windlass job show {job}");
                return Leave::Refused(Refusal::new("busy", message).hint(hint));
            }
        }
        let Some(hold) = &self.hold else { return Leave::Free };
        let refused = |hint: String| Leave::Refused(Refusal::new("held", format!("{name} is {hold}")).hint(hint));
        match hold {
            Hold::Reserved { by, .. }
            | Hold::Out {
                health: Health::Maintenance,
                by: Some(by),
                ..
            } if Some(by) == me => Leave::Noted(format!("{name} is {hold}")),
            Hold::Reserved { by, .. } => refused(format!(
                "{by} can give it back: windlass device release {name}; whoever {by} is says so by --as"
            )),
            Hold::Out { .. } => refused(format!(
                "windlass device check {name} tries it; an administrator says that it is well again: windlass device health {name} good -m REASON"
            )),
            // Somebody who sits before it may know better.
            Hold::LeftAlone { .. } => Leave::Noted(format!("{name}: {hold}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn reserved() -> Hold {
        Hold::Reserved {
            by: "alice".parse().unwrap(),
            until: Timestamp::MAX,
            reason: "kernel trace".to_owned(),
        }
    }

    fn out(health: Health, by: Option<&str>) -> Hold {
        Hold::Out {
            health,
            why: "so".to_owned(),
            by: by.map(|by| by.parse().unwrap()),
        }
    }

    #[rstest]
    #[case(Some(reserved()), None, false, Some("held"))]
    #[case(Some(out(Health::Bad, Some("bob"))), None, true, Some("held"))]
    #[case(Some(out(Health::Bad, None)), None, false, Some("held"))]
    #[case(Some(out(Health::Maintenance, Some("alice"))), None, false, Some("held"))]
    #[case(Some(out(Health::Maintenance, Some("bob"))), None, false, None)]
    #[case(Some(Hold::LeftAlone { until: Timestamp::MAX, times: 2 }), None, false, None)]
    #[case(None, Some(3), false, Some("busy"))]
    #[case(None, Some(3), true, None)]
    #[case(None, None, false, None)]
    fn who_may_flash(
        #[case] hold: Option<Hold>,
        #[case] job: Option<u64>,
        #[case] waits: bool,
        #[case] refused: Option<&str>,
    ) {
        let holds = Holds {
            hold,
            job: job.map(|job| job.to_string().parse().unwrap()),
        };
        let name = "kiosk-1".parse().unwrap();
        let bob: UserName = "bob".parse().unwrap();
        let code = match holds.leave(&name, Some(&bob), waits) {
            Leave::Refused(refusal) => {
                assert!(
                    refusal.message.contains("kiosk-1") && refusal.hint.is_some(),
                    "{refusal}"
                );
                Some(refusal.code.into_owned())
            }
            Leave::Free | Leave::Noted(_) => None,
        };
        assert_eq!(code.as_deref(), refused);
    }

    #[test]
    fn whoever_has_it_may() {
        let holds = Holds {
            hold: Some(reserved()),
            job: None,
        };
        let name = "kiosk-1".parse().unwrap();
        let alice: UserName = "alice".parse().unwrap();
        assert!(matches!(holds.leave(&name, Some(&alice), false), Leave::Noted(_)));
        assert!(matches!(holds.leave(&name, None, false), Leave::Refused(_)));
    }
}
