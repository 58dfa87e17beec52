//! Devices, as their events have made them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::event::{DeviceEvent, Ending, FlashEnd, Health};
use crate::id::{DeviceName, UserName};
use crate::reason::Reason;

/// All devices of which something is on record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Devices(BTreeMap<DeviceName, Device>);

/// One device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// How it is.
    pub standing: Standing,
    /// Who has it; it may be over by now: [`Device::reservation`].
    reservation: Option<Reservation>,
    /// How many flashes in a row failed though it answered, and the product was not at fault.
    pub bad_in_a_row: u32,
    /// How many flashes in a row found that it does not answer.
    pub silent_in_a_row: u32,
    /// Nobody tries before this moment.
    pub left_alone: Option<Timestamp>,
    /// The version that it ran after its last good flash.
    pub version: Option<String>,
    /// How the last flash ended, and when.
    pub last: Option<(Timestamp, FlashEnd)>,
}

/// How a device is, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// How.
    pub health: Health,
    /// Why; empty where nothing was ever heard of it.
    pub why: String,
    /// Who said so; nobody where the lab did.
    pub by: Option<UserName>,
    /// Since when; nothing where nothing was ever heard of it.
    pub since: Option<Timestamp>,
}

/// That somebody has a device for himself. It ends by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reservation {
    /// Who.
    pub by: UserName,
    /// Since when.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// What for.
    pub reason: Reason,
}

impl Devices {
    /// Makes true what an event says.
    pub fn apply(&mut self, name: &DeviceName, event: &DeviceEvent, now: Timestamp) {
        self.0.entry(name.clone()).or_default().apply(event, now);
    }

    /// One device; one that was never heard of is as new.
    pub fn get(&self, name: &DeviceName) -> Device {
        self.0.get(name).cloned().unwrap_or_default()
    }

    /// All of which something is on record.
    pub fn iter(&self) -> impl Iterator<Item = (&DeviceName, &Device)> {
        self.0.iter()
    }
}

impl Device {
    /// Makes true what an event says. One that does not fit changes nothing: whoever has a device keeps it until he gives it back, or
    /// his time is over.
    pub fn apply(&mut self, event: &DeviceEvent, now: Timestamp) {
        match event {
            DeviceEvent::Flashed(end) => self.flashed(end, now),
            DeviceEvent::LeftAlone { until } => self.left_alone = Some(*until),
            DeviceEvent::Reserved { by, until, reason } => {
                let mine = self
                    .reservation(now)
                    .filter(|held| held.by == *by)
                    .map(|held| held.since);
                if mine.is_some() || self.reservation(now).is_none() {
                    self.reservation = Some(Reservation {
                        by: by.clone(),
                        since: mine.unwrap_or(now),
                        until: *until,
                        reason: reason.clone(),
                    });
                }
            }
            DeviceEvent::Released { .. } => self.reservation = None,
            DeviceEvent::Judged { health, why, by } => {
                self.stands(*health, why, by.clone(), now);
                if !health.is_out() {
                    // Whoever says so wants it to be tried.
                    self.bad_in_a_row = 0;
                    self.silent_in_a_row = 0;
                    self.left_alone = None;
                }
            }
        }
    }

    fn flashed(&mut self, end: &FlashEnd, now: Timestamp) {
        match end.ending {
            Ending::Succeeded => {
                self.bad_in_a_row = 0;
                self.silent_in_a_row = 0;
                self.version.clone_from(&end.to);
                self.found(Health::Good, &end.told, now);
            }
            Ending::Product => {
                self.silent_in_a_row = 0;
                self.found(Health::Good, &end.told, now);
            }
            Ending::Looping => {
                self.silent_in_a_row = self.silent_in_a_row.saturating_add(1);
                self.found(Health::Looping, &end.told, now);
            }
            // Somebody answers; of the device nothing was found out.
            Ending::Stranger => self.silent_in_a_row = 0,
            Ending::Trouble => {
                self.silent_in_a_row = 0;
                self.bad_in_a_row = self.bad_in_a_row.saturating_add(1);
            }
            Ending::Silent => {
                self.silent_in_a_row = self.silent_in_a_row.saturating_add(1);
                // One that does not come back from an update still does not.
                if self.standing.health != Health::Looping {
                    self.found(Health::Unknown, &end.told, now);
                }
            }
            Ending::Nothing => {}
        }
        if self.silent_in_a_row == 0 {
            self.left_alone = None;
        }
        self.last = Some((now, end.clone()));
    }

    /// What a flash found out. What somebody said stands until somebody says otherwise.
    fn found(&mut self, health: Health, why: &str, now: Timestamp) {
        if !self.standing.health.is_out() {
            self.stands(health, why, None, now);
        }
    }

    fn stands(&mut self, health: Health, why: &str, by: Option<UserName>, now: Timestamp) {
        let since = self.standing.since.filter(|_| self.standing.health == health);
        self.standing = Standing {
            health,
            why: why.to_owned(),
            by,
            since: Some(since.unwrap_or(now)),
        };
    }

    /// Who has it at this moment.
    pub fn reservation(&self, now: Timestamp) -> Option<&Reservation> {
        self.reservation.as_ref().filter(|held| held.until > now)
    }
}
