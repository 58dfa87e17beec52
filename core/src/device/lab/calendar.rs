//! When something is due, by a cron expression in a time zone.

use std::fmt;

use croner::Cron;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A cron expression, as in `30 2 * * mon-fri`, in a time zone.
///
/// A wall clock that is put forward over a moment makes it due right after; one that is put back does not make it due twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    text: String,
    cron: Cron,
    zone: TimeZone,
}

/// A text that is no calendar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadCalendar {
    /// It is no cron expression.
    #[error("'{text}' is no calendar: {why}")]
    Form {
        /// The text, escaped.
        text: String,
        /// Why.
        why: String,
    },
    /// It names no moment that ever comes.
    #[error("'{0}' never comes")]
    Never(String),
}

impl Calendar {
    /// Reads a cron expression: minute, hour, day of the month, month, day of the week.
    ///
    /// # Errors
    /// It is none, or no moment that it names ever comes after `now`.
    pub fn parse(text: &str, zone: TimeZone, now: Timestamp) -> Result<Self, BadCalendar> {
        let shown = || crate::escape::escaped(text);
        let cron: Cron = text
            .parse()
            .map_err(|error: croner::errors::CronError| BadCalendar::Form {
                text: shown(),
                why: crate::escape::escaped(&error.to_string()),
            })?;
        let calendar = Self {
            text: text.to_owned(),
            cron,
            zone,
        };
        match calendar.next(now) {
            Some(_) => Ok(calendar),
            None => Err(BadCalendar::Never(shown())),
        }
    }

    /// The first moment after this one.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let from = after.to_zoned(self.zone.clone());
        let found = self.cron.find_next_occurrence(&from, false).ok()?.timestamp();
        (found > after).then_some(found)
    }

    /// The last moment that is not after this one.
    pub fn last(&self, until: Timestamp) -> Option<Timestamp> {
        let from = until.to_zoned(self.zone.clone());
        let found = self.cron.find_previous_occurrence(&from, true).ok()?.timestamp();
        (found <= until).then_some(found)
    }
}

impl fmt::Display for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.zone.iana_name() {
            Some(zone) => write!(f, "{} ({zone})", self.text),
            None => f.write_str(&self.text),
        }
    }
}
