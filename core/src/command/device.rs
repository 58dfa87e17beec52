//! `device …`: the devices of the lab. What talks to a device itself (`device flash`, `add`, `check`) is none of the bot's commands.

use std::fmt;
use std::str::FromStr;

use clap::builder::PossibleValue;
use clap::{Subcommand, ValueEnum};
use jiff::SignedDuration;

use super::{ReadFlags, WriteFlags, examples};
use crate::device::lab::Health;
use crate::id::{BadId, DeviceName, NightlyName};
use crate::reason::Reason;

/// What can be done with devices.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum DeviceCommand {
    /// List devices: how each is, and what it waits for
    #[command(after_help = examples::DEVICE_LS)]
    Ls {
        /// Only those with all these tags
        #[arg(long, value_delimiter = ',')]
        tag: Vec<String>,
        /// Only those with this board
        #[arg(long)]
        board: Option<String>,
        /// Only those that are in one of these states
        #[arg(long, value_enum, value_delimiter = ',')]
        health: Vec<Health>,
        /// Flags of every command that reads.
        #[command(flatten)]
        flags: ReadFlags,
    },
    /// Show a device: what it is, how it is, who has it, what was flashed last
    #[command(after_help = examples::DEVICE_SHOW)]
    Show {
        /// The device
        name: DeviceName,
        /// Flags of every command that reads.
        #[command(flatten)]
        flags: ReadFlags,
    },
    /// List the flashes of a device, newest first
    #[command(after_help = examples::DEVICE_HISTORY)]
    History {
        /// The device
        name: DeviceName,
        /// So many at most
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: u32,
        /// Flags of every command that reads.
        #[command(flatten)]
        flags: ReadFlags,
    },
    /// Say in a line what a device does or waits for
    #[command(after_help = examples::DEVICE_WHY)]
    Why {
        /// The device; all of them when left out
        name: Option<DeviceName>,
        /// Flags of every command that reads.
        #[command(flatten)]
        flags: ReadFlags,
    },
    /// Have a device for oneself for a while: no job flashes it. Said again, it lasts from now on
    #[command(after_help = examples::DEVICE_RESERVE)]
    Reserve {
        /// The device
        name: DeviceName,
        /// For how long, as in 90m, 2h or 3d
        #[arg(long = "for", value_name = "DURATION", default_value = "2h")]
        length: Span,
        /// What for
        #[arg(short = 'm', long, value_name = "REASON", allow_hyphen_values = true)]
        reason: Reason,
        /// Flags of every command that writes.
        #[command(flatten)]
        flags: WriteFlags,
    },
    /// Give a device back; administrators also somebody else's
    #[command(after_help = examples::DEVICE_RELEASE)]
    Release {
        /// The device
        name: DeviceName,
        /// Flags of every command that writes.
        #[command(flatten)]
        flags: WriteFlags,
    },
    /// Keep a device from being flashed until somebody says that it is good; administrators
    #[command(after_help = examples::DEVICE_QUARANTINE)]
    Quarantine {
        /// The device
        name: DeviceName,
        /// Why
        #[arg(short = 'm', long, value_name = "REASON", allow_hyphen_values = true)]
        reason: Reason,
        /// Flags of every command that writes.
        #[command(flatten)]
        flags: WriteFlags,
    },
    /// Show how a device is, or say how: good, unknown, bad, maintenance, retired; administrators
    #[command(after_help = examples::DEVICE_HEALTH)]
    Health {
        /// The device
        name: DeviceName,
        /// How it is; only shown when left out
        #[arg(value_enum, requires = "reason")]
        health: Option<Health>,
        /// Why
        #[arg(
            short = 'm',
            long,
            value_name = "REASON",
            allow_hyphen_values = true,
            requires = "health"
        )]
        reason: Option<Reason>,
        /// Flags of every command that writes.
        #[command(flatten)]
        flags: WriteFlags,
    },
    /// Show the nightly runs, or begin one now
    #[command(subcommand, arg_required_else_help = true, disable_help_subcommand = true, after_help = examples::DEVICE_NIGHTLY)]
    Nightly(NightlyCommand),
}

/// What can be done with nightly runs.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum NightlyCommand {
    /// List nightly runs: when each is due, and what the last one came to
    #[command(after_help = examples::DEVICE_NIGHTLY_LS)]
    Ls {
        /// Flags of every command that reads.
        #[command(flatten)]
        flags: ReadFlags,
    },
    /// Begin a nightly run now; its calendar goes on as it does; administrators
    #[command(after_help = examples::DEVICE_NIGHTLY_RUN)]
    Run {
        /// Which, as the configuration names it
        name: NightlyName,
        /// Flags of every command that writes.
        #[command(flatten)]
        flags: WriteFlags,
    },
}

impl ValueEnum for Health {
    fn value_variants<'a>() -> &'a [Self] {
        Self::ALL
    }
    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.as_str()))
    }
}

/// A length of time as a person gives it: whole numbers with `s`, `m`, `h`, `d` or `w` after them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(SignedDuration);

/// The units of a [`Span`], largest first, in seconds.
const UNITS: [(char, i64); 5] = [('w', 604_800), ('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)];

/// The longest span that can be said: a century will do.
const LONGEST: i64 = 100 * 365 * 86_400;

impl Span {
    /// As a duration, more than none.
    pub fn duration(self) -> SignedDuration {
        self.0
    }
}

impl From<SignedDuration> for Span {
    fn from(duration: SignedDuration) -> Self {
        Self(SignedDuration::from_secs(duration.as_secs().clamp(1, LONGEST)))
    }
}

impl FromStr for Span {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        let bad = || BadId {
            what: "duration",
            value: crate::escape::escaped(text),
            rule: "a number with s, m, h, d or w after it, as in 90m, 2h or 1h30m",
        };
        let (mut sum, mut number) = (0_i64, String::new());
        for c in text.chars() {
            if c.is_ascii_digit() {
                number.push(c);
                continue;
            }
            let (_, seconds) = UNITS.iter().find(|(unit, _)| *unit == c).ok_or_else(bad)?;
            let many: i64 = std::mem::take(&mut number).parse().map_err(|_| bad())?;
            let more = many.checked_mul(*seconds).ok_or_else(bad)?;
            sum = sum.checked_add(more).ok_or_else(bad)?;
        }
        if number.is_empty() && (1..=LONGEST).contains(&sum) {
            Ok(Self(SignedDuration::from_secs(sum)))
        } else {
            Err(bad())
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.0.as_secs();
        for (unit, seconds) in UNITS {
            if left >= seconds {
                write!(f, "{}{unit}", left / seconds)?;
                left %= seconds;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("90m", Some(5400))]
    #[case("2h", Some(7200))]
    #[case("1h30m", Some(5400))]
    #[case("3d", Some(259_200))]
    #[case("0s", None)]
    #[case("2", None)]
    #[case("h", None)]
    #[case("", None)]
    #[case("-1h", None)]
    #[case("99999999999999999999w", None)]
    #[case("9999999999w", None)]
    fn spans(#[case] text: &str, #[case] seconds: Option<i64>) {
        assert_eq!(text.parse::<Span>().ok().map(|span| span.duration().as_secs()), seconds);
    }

    proptest! {
        #[test]
        fn a_span_is_read_as_it_is_written(seconds in 1..LONGEST) {
            let span = Span::from(SignedDuration::from_secs(seconds));
            prop_assert_eq!(span.to_string().parse::<Span>().unwrap(), span);
        }
    }
}
