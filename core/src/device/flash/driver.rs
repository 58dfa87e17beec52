//! What updates a device, and how it is told to: each choice with its settings, as a configuration says them.
//!
//! A setting that is a command is a list of words, each of which reaches the device's shell as one word; `{slot}` and the like are filled in.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What updates a device. In a configuration it is a name (`"rauc"`), or a table with the name as `kind` and settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Table")]
pub enum DriverChoice {
    /// `update_engine`, by its client.
    UpdateEngine(UpdateEngine),
    /// An image written into the slot that does not run.
    RawAb(RawAb),
    /// RAUC.
    Rauc(Rauc),
    /// `SWUpdate`.
    SwUpdate(SwUpdate),
    /// Any commands.
    Command(Templates),
}

/// Settings of `update_engine`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UpdateEngine {
    /// The client, on the device.
    pub client: String,
    /// What takes the stateful archive, on the device.
    pub stateful_update: String,
    /// What takes the stateful archive, on this machine: it is copied to the device first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub helper: Option<PathBuf>,
    /// Says the slot that runs.
    pub slot: Vec<String>,
    /// Says that what runs is good.
    pub good: Vec<String>,
    /// Restarts the device.
    pub reboot: Vec<String>,
    /// The updater's own log, on the device: its end is kept where an update fails.
    pub log: String,
}

/// Settings of the driver that writes slots itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawAb {
    /// Says the slot that runs.
    pub active: Vec<String>,
    /// Says the slot that does not.
    pub other: Vec<String>,
    /// Says which block device `{slot}` is.
    pub device: Vec<String>,
    /// Has `{slot}` not started any more, before it is written.
    pub disable: Vec<String>,
    /// Has `{slot}` started next.
    pub activate: Vec<String>,
    /// Says that what runs is good.
    pub good: Vec<String>,
    /// Restarts the device.
    pub reboot: Vec<String>,
}

/// Settings of RAUC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rauc {
    /// RAUC, on the device.
    pub client: String,
    /// The folder on the device that takes the bundle, and has room for it.
    pub spool: String,
    /// Restarts the device.
    pub reboot: Vec<String>,
}

/// Settings of `SWUpdate`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SwUpdate {
    /// Installs the file `{file}` into `{slot}`, on the device.
    pub install: Vec<String>,
    /// The folder on the device that takes the update, and has room for it.
    pub spool: String,
    /// Says the slot that runs.
    pub active: Vec<String>,
    /// Says the slot that does not.
    pub other: Vec<String>,
    /// Has `{slot}` started next; nothing where the update does that itself.
    pub activate: Vec<String>,
    /// Says that what runs is good; nothing where that is not needed.
    pub good: Vec<String>,
    /// Restarts the device.
    pub reboot: Vec<String>,
}

/// Commands that update a device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Templates {
    /// Installs, on the device: `{url}` is the payload's address, `{base}` the server's, `{version}` the version, `{slot}` the slot that does not run.
    pub install: Vec<String>,
    /// Says the slot that runs; nothing where there are none.
    pub active: Vec<String>,
    /// Says the slot that does not run.
    pub other: Vec<String>,
    /// Says the version that runs; the release files do where nothing is said.
    pub version: Vec<String>,
    /// Says the board; the release files do where nothing is said.
    pub board: Vec<String>,
    /// Says `idle`, `reboot` where a restart is waited for, or anything else where it is busy.
    pub status: Vec<String>,
    /// Says that what runs is good.
    pub good: Vec<String>,
    /// Takes back what was begun, where an installation failed.
    pub undo: Vec<String>,
    /// Restarts the device.
    pub reboot: Vec<String>,
}

fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

impl Default for UpdateEngine {
    fn default() -> Self {
        Self {
            client: "update_engine_client".to_owned(),
            stateful_update: "stateful_update".to_owned(),
            helper: None,
            slot: words(["rootdev", "-s"]),
            good: words(["chromeos-setgoodkernel"]),
            reboot: words(["reboot"]),
            log: "/var/log/update_engine.log".to_owned(),
        }
    }
}

impl Default for RawAb {
    fn default() -> Self {
        Self {
            active: words(["slotctl", "active"]),
            other: words(["slotctl", "other"]),
            device: words(["slotctl", "device", "{slot}"]),
            disable: words(["slotctl", "disable", "{slot}"]),
            activate: words(["slotctl", "try", "{slot}"]),
            good: words(["slotctl", "good"]),
            reboot: words(["reboot"]),
        }
    }
}

impl Default for Rauc {
    fn default() -> Self {
        Self {
            client: "rauc".to_owned(),
            spool: "/tmp".to_owned(),
            reboot: words(["reboot"]),
        }
    }
}

impl Default for SwUpdate {
    fn default() -> Self {
        Self {
            install: words(["swupdate", "-e", "stable,{slot}", "-i", "{file}"]),
            spool: "/tmp".to_owned(),
            active: words(["slotctl", "active"]),
            other: words(["slotctl", "other"]),
            activate: words(["slotctl", "try", "{slot}"]),
            good: words(["slotctl", "good"]),
            reboot: words(["reboot"]),
        }
    }
}

impl Default for DriverChoice {
    fn default() -> Self {
        Self::UpdateEngine(UpdateEngine::default())
    }
}

impl DriverChoice {
    /// The names that there are.
    pub const NAMES: [&str; 5] = ["update_engine", "raw-ab", "rauc", "swupdate", "command"];

    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::UpdateEngine(_) => "update_engine",
            Self::RawAb(_) => "raw-ab",
            Self::Rauc(_) => "rauc",
            Self::SwUpdate(_) => "swupdate",
            Self::Command(_) => "command",
        }
    }
}

impl fmt::Display for DriverChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A text that names no driver.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no driver '{}'\n\nhint: there are {}", crate::escape::escaped(.0), DriverChoice::NAMES.join(", "))]
pub struct NoDriver(String);

impl FromStr for DriverChoice {
    type Err = NoDriver;

    fn from_str(name: &str) -> Result<Self, NoDriver> {
        Ok(match name {
            "update_engine" | "update-engine" => Self::UpdateEngine(UpdateEngine::default()),
            "raw-ab" => Self::RawAb(RawAb::default()),
            "rauc" => Self::Rauc(Rauc::default()),
            "swupdate" => Self::SwUpdate(SwUpdate::default()),
            "command" => Self::Command(Templates::default()),
            other => return Err(NoDriver(other.to_owned())),
        })
    }
}

/// As it stands in a configuration.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Name(Name),
    Table(Box<Table>),
}

#[derive(Deserialize)]
enum Name {
    #[serde(rename = "update_engine", alias = "update-engine")]
    UpdateEngine,
    #[serde(rename = "raw-ab")]
    RawAb,
    #[serde(rename = "rauc")]
    Rauc,
    #[serde(rename = "swupdate")]
    SwUpdate,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Table {
    #[serde(rename = "update_engine", alias = "update-engine")]
    UpdateEngine(UpdateEngine),
    #[serde(rename = "raw-ab")]
    RawAb(RawAb),
    #[serde(rename = "rauc")]
    Rauc(Rauc),
    #[serde(rename = "swupdate")]
    SwUpdate(SwUpdate),
    #[serde(rename = "command")]
    Command(Templates),
}

impl From<Written> for DriverChoice {
    fn from(written: Written) -> Self {
        match written {
            Written::Name(Name::UpdateEngine) => Self::UpdateEngine(UpdateEngine::default()),
            Written::Name(Name::RawAb) => Self::RawAb(RawAb::default()),
            Written::Name(Name::Rauc) => Self::Rauc(Rauc::default()),
            Written::Name(Name::SwUpdate) => Self::SwUpdate(SwUpdate::default()),
            Written::Table(table) => match *table {
                Table::UpdateEngine(settings) => Self::UpdateEngine(settings),
                Table::RawAb(settings) => Self::RawAb(settings),
                Table::Rauc(settings) => Self::Rauc(settings),
                Table::SwUpdate(settings) => Self::SwUpdate(settings),
                Table::Command(settings) => Self::Command(settings),
            },
        }
    }
}

impl From<DriverChoice> for Table {
    fn from(choice: DriverChoice) -> Self {
        match choice {
            DriverChoice::UpdateEngine(settings) => Self::UpdateEngine(settings),
            DriverChoice::RawAb(settings) => Self::RawAb(settings),
            DriverChoice::Rauc(settings) => Self::Rauc(settings),
            DriverChoice::SwUpdate(settings) => Self::SwUpdate(settings),
            DriverChoice::Command(settings) => Self::Command(settings),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Device {
        driver: DriverChoice,
    }

    #[rstest]
    #[case("driver = \"update_engine\"", "update_engine")]
    #[case("driver = \"raw-ab\"", "raw-ab")]
    #[case("driver = { kind = \"rauc\", spool = \"/data\" }", "rauc")]
    #[case(
        "[driver]\nkind = \"swupdate\"\ninstall = [\"swupdate\", \"-i\", \"{file}\"]",
        "swupdate"
    )]
    #[case("[driver]\nkind = \"command\"\ninstall = [\"my-update\", \"{url}\"]", "command")]
    fn choices_are_read_and_written(#[case] text: &str, #[case] name: &str) {
        let device: Device = toml::from_str(text).unwrap();
        assert_eq!(device.driver.name(), name);
        let again: Device = toml::from_str(&toml::to_string(&device).unwrap()).unwrap();
        assert_eq!(device, again);
    }

    #[rstest]
    #[case("driver = \"update\"")]
    #[case("driver = \"command\"")]
    #[case("driver = { kind = \"rauc\", spol = \"/data\" }")]
    #[case("driver = { spool = \"/data\" }")]
    fn what_is_none_is_refused(#[case] text: &str) {
        assert!(toml::from_str::<Device>(text).is_err());
    }

    #[test]
    fn names_are_those_of_the_choices() {
        for name in DriverChoice::NAMES {
            assert_eq!(name.parse::<DriverChoice>().unwrap().name(), name);
        }
        let error = "x".parse::<DriverChoice>().unwrap_err().to_string();
        assert!(error.contains("hint: there are update_engine, raw-ab"), "{error}");
    }
}
