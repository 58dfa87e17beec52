//! What follows from the end of a flash: when a device is left alone, when it is quarantined.

use jiff::{SignedDuration, Timestamp};

use super::{Device, DeviceEvent, Ending, FlashEnd, Health};

/// What an administrator sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// So many flashes in a row that failed by the device's own fault make it bad.
    pub bad_in_a_row: u32,
    /// How long a device is left alone that did not answer; each further time doubles it.
    pub leave_alone: SignedDuration,
    /// The longest that this grows to.
    pub longest: SignedDuration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bad_in_a_row: 3,
            leave_alone: SignedDuration::from_mins(1),
            longest: SignedDuration::from_hours(1),
        }
    }
}

impl Limits {
    /// How long a device is left alone that did not answer so many times in a row, once at least.
    pub fn pause(&self, times: u32) -> SignedDuration {
        let doubled = 1_i32.checked_shl(times.saturating_sub(1).min(20)).unwrap_or(i32::MAX);
        let pause = self.leave_alone.checked_mul(doubled).unwrap_or(SignedDuration::MAX);
        pause.min(self.longest)
    }

    /// What goes on record of a flash that ended: all of it, in the order in which it is to be applied.
    ///
    /// The product's faults are not the device's: they neither count against it nor for it. Only what fails while the device answers
    /// counts towards quarantine; a device that does not answer may just be switched off, and heals by answering. Where another one answers in
    /// its place nobody tries again until somebody has looked.
    pub fn follows(&self, device: &Device, end: FlashEnd, now: Timestamp) -> Vec<DeviceEvent> {
        let mut after = device.clone();
        let (ending, told) = (end.ending, end.told.clone());
        let flashed = DeviceEvent::Flashed(end);
        after.apply(&flashed, now);
        let mut events = vec![flashed];
        match ending {
            Ending::Silent | Ending::Looping => events.push(DeviceEvent::LeftAlone {
                until: now
                    .checked_add(self.pause(after.silent_in_a_row))
                    .unwrap_or(Timestamp::MAX),
            }),
            Ending::Trouble if after.bad_in_a_row >= self.bad_in_a_row && !after.standing.health.is_out() => {
                let times = after.bad_in_a_row;
                let many = if times == 1 {
                    "1 flash".to_owned()
                } else {
                    format!("{times} flashes in a row")
                };
                events.push(DeviceEvent::Judged {
                    health: Health::Bad,
                    why: format!("{many} failed by its own fault; the last: {told}"),
                    by: None,
                });
            }
            Ending::Stranger if !after.standing.health.is_out() => events.push(DeviceEvent::Judged {
                health: Health::Bad,
                why: format!("another one may be in its place: {told}"),
                by: None,
            }),
            Ending::Stranger | Ending::Trouble | Ending::Succeeded | Ending::Product | Ending::Nothing => {}
        }
        events
    }
}
