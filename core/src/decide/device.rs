//! `device …`: who may have a device, how it is, what it waits for.

use std::collections::BTreeSet;

use super::draft::Scene;
use super::facts::DeviceFacts;
use super::rollout::{Cause, begin_nightly};
use super::{Decision, read_only};
use crate::command::{DeviceCommand, NightlyCommand, Span};
use crate::device::lab::{DeviceEvent, Health, NightlyEvent};
use crate::event::Event;
use crate::id::{DeviceName, NightlyName};
use crate::job::{JobState, Subject};
use crate::reason::Reason;
use crate::refusal::{Refusal, nearest};
use crate::reply::device::{DeviceRow, DeviceView, DeviceWhy, why};
use crate::reply::nightly::NightlyRow;
use crate::reply::time::moment_to_the_second;
use crate::reply::{Body, Reply};

impl Scene<'_> {
    pub(super) fn device(self, command: &DeviceCommand) -> Result<Decision, Refusal> {
        match command {
            DeviceCommand::Ls { tag, board, health, .. } => Ok(read_only(self.devices(tag, board.as_deref(), health))),
            DeviceCommand::History { name, .. } => {
                self.configured(name)?;
                let notes = if self.facts.flashes.is_empty() {
                    vec![format!("nothing was flashed onto {name} yet")]
                } else {
                    Vec::new()
                };
                Ok(read_only(Reply {
                    body: Body::Flashes(self.facts.flashes.clone()),
                    notes,
                    ..Reply::default()
                }))
            }
            DeviceCommand::Why { name, .. } => {
                let all = || self.facts.devices.keys().collect();
                let names: Vec<&DeviceName> = match name {
                    Some(name) => {
                        self.configured(name)?;
                        vec![name]
                    }
                    None => all(),
                };
                let of = |name: &DeviceName| DeviceWhy {
                    device: name.clone(),
                    why: why(self.world, self.facts, name, self.now),
                };
                Ok(read_only(Reply {
                    notes: none_configured(names.is_empty()),
                    body: Body::DeviceWhy(names.into_iter().map(of).collect()),
                    ..Reply::default()
                }))
            }
            DeviceCommand::Reserve {
                name, length, reason, ..
            } => self.reserve(name, *length, reason),
            DeviceCommand::Release { name, .. } => self.release(name),
            DeviceCommand::Quarantine { name, reason, .. } => self.judge_device(name, Health::Bad, reason),
            DeviceCommand::Health {
                name,
                health: Some(health),
                reason: Some(reason),
                ..
            } => self.judge_device(name, *health, reason),
            DeviceCommand::Nightly(NightlyCommand::Ls { .. }) => Ok(read_only(self.nightlies())),
            DeviceCommand::Nightly(NightlyCommand::Run { name, .. }) => self.run_nightly(name),
            DeviceCommand::Show { name, .. } | DeviceCommand::Health { name, .. } => {
                self.show_device(name).map(read_only)
            }
        }
    }

    fn configured(&self, name: &DeviceName) -> Result<&DeviceFacts, Refusal> {
        self.facts.devices.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.facts.devices.keys().map(DeviceName::as_str).collect();
            let hint = match nearest(name.as_str(), &known) {
                Some(near) => format!("did you mean '{near}'?"),
                None if known.is_empty() => {
                    "an administrator names it in a [[device]] section of the configuration".to_owned()
                }
                None => "see which there are: device ls".to_owned(),
            };
            Refusal::new("no_device", format!("no device '{name}' is configured")).hint(hint)
        })
    }

    fn devices(self, tags: &[String], board: Option<&str>, health: &[Health]) -> Reply {
        let wanted: BTreeSet<&String> = tags.iter().collect();
        let is_wanted = |name: &DeviceName, facts: &DeviceFacts| {
            let standing = self.world.devices().get(name).standing;
            wanted.iter().all(|tag| facts.tags.contains(*tag))
                && board.is_none_or(|board| facts.board.as_deref() == Some(board))
                && (health.is_empty() || health.contains(&standing.health))
        };
        let rows: Vec<DeviceRow> = self
            .facts
            .devices
            .iter()
            .filter(|(name, facts)| is_wanted(name, facts))
            .map(|(name, facts)| DeviceRow::of(self.world, self.facts, (name, facts), self.now))
            .collect();
        let notes = if rows.is_empty() && !self.facts.devices.is_empty() {
            vec!["no such devices".to_owned()]
        } else {
            none_configured(self.facts.devices.is_empty())
        };
        Reply {
            body: Body::Devices(rows),
            notes,
            ..Reply::default()
        }
    }

    fn show_device(self, name: &DeviceName) -> Result<Reply, Refusal> {
        let facts = self.configured(name)?;
        let view = DeviceView::of(self.world, self.facts, (name, facts), self.now);
        Ok(Reply {
            body: Body::Device(Box::new(view)),
            ..Reply::default()
        })
    }

    fn reserve(self, name: &DeviceName, length: Span, reason: &Reason) -> Result<Decision, Refusal> {
        self.configured(name)?;
        let longest = self.facts.lab.longest_reservation;
        let too_long = || {
            let message = format!(
                "{length} is too long: a device may be had for {} at most",
                Span::from(longest)
            );
            Refusal::new("too_long", message).hint("reserve it again while you still have it: it lasts from then on")
        };
        if length.duration() > longest {
            return Err(too_long());
        }
        let until = self.now.checked_add(length.duration()).map_err(|_| too_long())?;
        let device = self.world.devices().get(name);
        if let Some(held) = device.reservation(self.now).filter(|held| held.by != self.actor.user) {
            let message = format!(
                "{} has {name} until {}: {}",
                held.by,
                moment_to_the_second(held.until),
                held.reason.as_str()
            );
            return Err(Refusal::new("reserved", message).hint(format!(
                "{} can give it back, and administrators: device release {name}",
                held.by
            )));
        }
        if device.standing.health == Health::Retired {
            return Err(
                Refusal::new("retired", format!("{name} is retired: {}", device.standing.why)).hint(format!(
                    "an administrator can bring it back: device health {name} unknown -m REASON"
                )),
            );
        }
        if let Some(job) = self.flashing(name) {
            let message = format!("job {job} flashes {name} at this moment");
            return Err(Refusal::new("busy", message).hint(format!(
                "wait until it is done (job show {job}), or stop it: job cancel {job}"
            )));
        }
        let event = DeviceEvent::Reserved {
            by: self.actor.user.clone(),
            until,
            reason: reason.clone(),
        };
        let line = format!("{name} is yours until {}", moment_to_the_second(until));
        Ok(done(name, event, line))
    }

    /// The job that works on a device.
    fn flashing(&self, name: &DeviceName) -> Option<crate::id::JobId> {
        let subject = Subject::Device(name.clone());
        let mut open = self.world.jobs().open();
        let works = open.find(|job| matches!(job.state, JobState::Leased { .. }) && job.kind.subject() == subject);
        works.map(|job| job.id)
    }

    fn release(self, name: &DeviceName) -> Result<Decision, Refusal> {
        self.configured(name)?;
        let device = self.world.devices().get(name);
        let Some(held) = device.reservation(self.now) else {
            return Err(Refusal::new("not_reserved", format!("nobody has reserved {name}")));
        };
        if held.by != self.actor.user && !self.actor.superuser {
            let message = format!("{} may not release {name}, which {} has", self.actor.user, held.by);
            return Err(Refusal::new("not_yours", message).hint(format!("{} can, and administrators", held.by)));
        }
        let by = self.actor.user.clone();
        Ok(done(
            name,
            DeviceEvent::Released { by },
            format!("{name} is free again"),
        ))
    }

    fn nightlies(self) -> Reply {
        let rows: Vec<NightlyRow> = self
            .facts
            .nightlies
            .iter()
            .map(|(name, nightly)| NightlyRow::of(self.world, (name, nightly), self.now))
            .collect();
        let notes = if rows.is_empty() {
            vec!["no nightly runs are configured: an administrator adds [[nightly]] sections".to_owned()]
        } else {
            Vec::new()
        };
        Reply {
            body: Body::Nightlies(rows),
            notes,
            ..Reply::default()
        }
    }

    fn run_nightly(self, name: &NightlyName) -> Result<Decision, Refusal> {
        let Some(nightly) = self.facts.nightlies.get(name) else {
            return Err(
                Refusal::new("no_nightly", format!("no nightly run '{name}' is configured"))
                    .hint("see which there are: device nightly ls"),
            );
        };
        if !self.actor.superuser {
            let message = format!("{} may not begin nightly run {name}", self.actor.user);
            return Err(Refusal::new("not_yours", message).hint("administrators can"));
        }
        let cause = Cause::Asked(self.actor.user.clone());
        let begun = begin_nightly(self.world, self.facts, (name, nightly), &cause, self.now);
        let events = begun.map_err(|(why, _)| {
            Refusal::new(
                "nothing_to_flash",
                format!("nightly run {name} would flash nothing: {why}"),
            )
            .hint("what each device waits for: device why")
        })?;
        let lines = events
            .iter()
            .filter_map(|event| match event {
                Event::Nightly {
                    event: NightlyEvent::Ran(run),
                    ..
                } => Some(crate::reply::nightly::ran(run)),
                Event::Answered(_)
                | Event::TagTaken { .. }
                | Event::Task { .. }
                | Event::Access(_)
                | Event::Repository { .. }
                | Event::Job { .. }
                | Event::Device { .. }
                | Event::Nightly { .. } => None,
            })
            .collect();
        Ok(Decision {
            events,
            reply: Reply {
                body: Body::Done {
                    task: None,
                    done: lines,
                },
                ..Reply::default()
            },
        })
    }

    fn judge_device(self, name: &DeviceName, health: Health, reason: &Reason) -> Result<Decision, Refusal> {
        self.configured(name)?;
        if !self.actor.superuser {
            let message = format!("{} may not say how {name} is", self.actor.user);
            return Err(Refusal::new("not_yours", message).hint(format!(
                "administrators can; to keep it for yourself: device reserve {name} -m REASON"
            )));
        }
        if health == Health::Looping {
            return Err(Refusal::new("not_said", "that a device loops is found out, not said")
                .hint("good, unknown, bad, maintenance or retired can be said"));
        }
        let event = DeviceEvent::Judged {
            health,
            why: reason.as_str().to_owned(),
            by: Some(self.actor.user.clone()),
        };
        let line = match (health.is_out(), self.flashing(name)) {
            (false, _) => format!("{name} is {health}: it may be flashed"),
            (true, None) => {
                format!("{name} is {health}: nothing is flashed onto it until somebody says that it is good")
            }
            (true, Some(job)) => format!("{name} is {health}; job {job} is still at it: job cancel {job}"),
        };
        Ok(done(name, event, line))
    }
}

fn none_configured(is_empty: bool) -> Vec<String> {
    if is_empty {
        vec![
            "no devices are configured: an administrator adds [[device]] sections, or has `windlass device add` do it"
                .to_owned(),
        ]
    } else {
        Vec::new()
    }
}

fn done(name: &DeviceName, event: DeviceEvent, line: String) -> Decision {
    Decision {
        events: vec![Event::Device {
            name: name.clone(),
            event,
        }],
        reply: Reply {
            body: Body::Done {
                task: None,
                done: vec![line],
            },
            ..Reply::default()
        },
    }
}
