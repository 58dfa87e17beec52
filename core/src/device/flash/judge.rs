//! Whether a device that answers again runs what was written. "It answers" is not enough: it may never have restarted, and it may have gone back.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a device is, at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The kernel's name for the boot.
    pub boot_id: String,
    /// The slot that it runs from, where it has slots.
    pub slot: Option<String>,
    /// The version that it runs.
    pub version: Option<String>,
}

/// The slot that it has to run from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SlotRule {
    /// This one.
    Is(String),
    /// Any but this one: there are two, and this one ran before.
    OtherThan(String),
    /// It has no slots.
    Any,
}

/// What it has to be after the restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Where it runs from.
    pub slot: SlotRule,
    /// What it runs; nothing where nobody knows.
    pub version: Option<String>,
}

/// What is to be said of a device that answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It restarted, runs from the slot that was written, in the version that was meant.
    Good,
    /// It has not restarted.
    OldBoot,
    /// It restarted and runs from another slot than the one that was written.
    OldSlot {
        /// From which.
        slot: Option<String>,
    },
    /// It restarted, and runs the version that it ran before.
    OldVersion {
        /// Which.
        version: Option<String>,
    },
    /// It runs a version that nobody meant.
    OtherVersion {
        /// Which.
        version: Option<String>,
        /// Which was meant.
        wanted: String,
    },
}

/// Judges what is seen after an update by what was seen before it.
pub fn judge(before: &Seen, after: &Seen, expected: &Expected) -> Verdict {
    if before.boot_id == after.boot_id {
        return Verdict::OldBoot;
    }
    let slot_is_right = match &expected.slot {
        SlotRule::Is(slot) => after.slot.as_ref() == Some(slot),
        SlotRule::OtherThan(slot) => after.slot.as_ref().is_some_and(|after| after != slot),
        SlotRule::Any => true,
    };
    if !slot_is_right {
        return Verdict::OldSlot {
            slot: after.slot.clone(),
        };
    }
    match &expected.version {
        None => Verdict::Good,
        Some(wanted) if after.version.as_ref() == Some(wanted) => Verdict::Good,
        Some(_) if after.version == before.version => Verdict::OldVersion {
            version: after.version.clone(),
        },
        Some(wanted) => Verdict::OtherVersion {
            version: after.version.clone(),
            wanted: wanted.clone(),
        },
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "unknown".to_owned());
        match self {
            Self::Good => f.write_str("it runs what was written"),
            Self::OldBoot => f.write_str("it has not restarted"),
            Self::OldSlot { slot } => {
                write!(
                    f,
                    "it restarted and runs from slot {}, which was not written",
                    shown(slot)
                )
            }
            Self::OldVersion { version } => write!(f, "it restarted and runs version {} as before", shown(version)),
            Self::OtherVersion { version, wanted } => {
                write!(f, "it runs version {} and not {wanted}", shown(version))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn seen(boot_id: &str, slot: &str, version: &str) -> Seen {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Seen {
            boot_id: boot_id.to_owned(),
            slot: some(slot),
            version: some(version),
        }
    }

    #[rstest]
    #[case(("2", "B", "2.0"), "it runs what was written")]
    #[case(("1", "B", "2.0"), "it has not restarted")]
    #[case(("1", "A", "1.0"), "it has not restarted")]
    #[case(("2", "A", "1.0"), "it restarted and runs from slot A, which was not written")]
    #[case(("2", "A", "2.0"), "it restarted and runs from slot A, which was not written")]
    #[case(("2", "", "2.0"), "it restarted and runs from slot unknown, which was not written")]
    #[case(("2", "B", "1.0"), "it restarted and runs version 1.0 as before")]
    #[case(("2", "B", "3.0"), "it runs version 3.0 and not 2.0")]
    #[case(("2", "B", ""), "it runs version unknown and not 2.0")]
    fn verdicts(#[case] after: (&str, &str, &str), #[case] says: &str) {
        let before = seen("1", "A", "1.0");
        for slot in [SlotRule::Is("B".to_owned()), SlotRule::OtherThan("A".to_owned())] {
            let expected = Expected {
                slot,
                version: Some("2.0".to_owned()),
            };
            let verdict = judge(&before, &seen(after.0, after.1, after.2), &expected);
            assert_eq!(verdict.to_string(), says);
        }
    }

    proptest! {
        #[test]
        fn good_means_another_boot_the_right_slot_and_the_right_version(
            before in ("[12]", "[AB]?", "[12]?"), after in ("[12]", "[AB]?", "[12]?"), slot in 0..3, version in "[12]?",
        ) {
            let (before, after) = (seen(&before.0, &before.1, &before.2), seen(&after.0, &after.1, &after.2));
            let rule = match slot {
                0 => SlotRule::Is("B".to_owned()),
                1 => SlotRule::OtherThan("A".to_owned()),
                _ => SlotRule::Any,
            };
            let version = (!version.is_empty()).then_some(version);
            let expected = Expected { slot: rule, version: version.clone() };
            if judge(&before, &after, &expected) == Verdict::Good {
                prop_assert_ne!(before.boot_id, after.boot_id);
                prop_assert!(slot == 2 || after.slot.as_deref() == Some("B"));
                prop_assert!(version.is_none() || after.version == version);
            }
        }
    }
}
