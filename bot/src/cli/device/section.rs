//! A `[[device]]` section, appended to the text of a configuration and to nothing else: comments and form stay.

use std::io;
use std::path::Path;

use anyhow::Context as _;
use toml::{Table, Value};
use windlass_core::device::flash::DriverChoice;

use crate::config::Device;
use crate::layout::files::{Permissions, replace};

/// A configuration with one more device.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Added {
    /// What is new.
    pub(super) section: String,
    /// All of it.
    pub(super) whole: String,
}

/// What a section says of a device, in this order; what goes without saying is left out.
const KEYS: [&str; 12] = [
    "name",
    "address",
    "port",
    "user",
    "identity",
    "host_key",
    "board",
    "tags",
    "payload",
    "after_merge",
    "power",
    "console",
];

/// The text with a section for this device at its end.
///
/// # Errors
/// The device cannot be written as TOML: one of its paths is no text.
pub(super) fn added(text: &str, device: &Device) -> anyhow::Result<Added> {
    let Value::Table(mut table) = Value::try_from(device).context("the device cannot be written as TOML")? else {
        anyhow::bail!("a device is no table of TOML");
    };
    let is_usual = |key: &str, value: &Value| match (key, value) {
        ("port", Value::Integer(port)) => *port == 22,
        ("user", Value::String(user)) => user == "root",
        ("tags", Value::Array(tags)) => tags.is_empty(),
        ("after_merge", Value::Boolean(after)) => !after,
        _ => false,
    };
    let mut section = "[[device]]\n".to_owned();
    for key in KEYS {
        if let Some(value) = table.remove(key).filter(|value| !is_usual(key, value)) {
            section.extend([key, " = ", &value.to_string(), "\n"]);
        }
    }
    // The driver comes last: one with settings is a table of its own.
    if let Some(driver) = driver(device, table.remove("driver"))? {
        section += &driver;
    }
    let gap = match text {
        "" => "",
        text if text.ends_with("\n\n") => "",
        text if text.ends_with('\n') => "\n",
        _ => "\n\n",
    };
    Ok(Added {
        whole: format!("{text}{gap}{section}"),
        section,
    })
}

/// The driver's name where it has its usual settings, a table where it has not.
fn driver(device: &Device, value: Option<Value>) -> anyhow::Result<Option<String>> {
    let usual = device.driver.name().parse();
    // Commands without any are none: they have no short form.
    if !matches!(device.driver, DriverChoice::Command(_)) && usual.as_ref() == Ok(&device.driver) {
        return Ok(Some(format!("driver = {}\n", Value::from(device.driver.name()))));
    }
    let Some(Value::Table(settings)) = value else {
        return Ok(None);
    };
    let plain: Table = settings;
    let text = toml::to_string(&plain).context("the driver cannot be written as TOML")?;
    Ok(Some(format!("[device.driver]\n{text}")))
}

/// Puts the new text in place of this one, at once or not at all; owner and mode stay. A link leads to the file that is meant.
///
/// # Errors
/// The file cannot be written, or is not what it was: somebody else wrote to it meanwhile.
pub(super) fn put(file: &Path, before: &str, whole: &str) -> io::Result<()> {
    let file = file.canonicalize()?;
    if std::fs::read_to_string(&file)? != before {
        return Err(io::Error::other("somebody else wrote to it meanwhile"));
    }
    let own = Permissions::of(&file.metadata()?);
    replace(&file, whole.as_bytes(), own)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::config::Config;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPhSkYwYkvVLWcSbVrgpVHDJ4jtUXKh0PCdQ4hY7kmVr";

    fn device(driver: &str) -> Device {
        let text = format!(
            "name = \"kiosk-1\"\naddress = \"192.0.2.17\"\nport = 2222\nidentity = \"/etc/windlass/lab\"\nhost_key = \"{KEY}\"\n\
             board = \"kiosk\"\ntags = [\"canary\"]\npower = [\"/bin/power\", \"a \\\"b\\\"\"]\ndriver = {driver}\n"
        );
        toml::from_str(&text).unwrap()
    }

    #[test]
    fn a_section_is_read_back_as_it_was_meant_and_what_stood_there_stays() {
        for text in [
            "",
            "# nothing",
            "# the lab\n\n[lab]   # all of it\nat_once = 2\n",
            "[[device]]\nname = \"x\"\naddress = \"::1\"\n\n",
        ] {
            for driver in [
                "\"update_engine\"",
                "\"rauc\"",
                "{ kind = \"rauc\", spool = \"/data\" }",
                "{ kind = \"command\", install = [\"put\", \"{url}\"] }",
            ] {
                let device = device(driver);
                let added = added(text, &device).unwrap();
                assert!(added.whole.starts_with(text) && added.whole.ends_with(&added.section));
                let config = Config::parse(&added.whole, "windlass.toml".as_ref()).unwrap();
                assert_eq!(config.devices.last(), Some(&device), "{}", added.whole);
            }
        }
        let short = added("", &device("\"rauc\"")).unwrap().section;
        assert!(
            short.ends_with("driver = \"rauc\"\n") && !short.contains("after_merge"),
            "{short}"
        );
    }

    #[test]
    fn a_configuration_is_replaced_whole_and_only_as_it_was_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("windlass.toml");
        let link = dir.path().join("link.toml");
        std::fs::write(&file, "a").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        put(&link, "a", "ab").unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "ab");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o7777, 0o640);
        assert!(link.symlink_metadata().unwrap().file_type().is_symlink());
        let error = put(&file, "a", "abc").unwrap_err().to_string();
        assert!(error.contains("meanwhile"), "{error}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "ab");
        assert_eq!(dir.path().read_dir().unwrap().count(), 2, "nothing is left behind");
    }
}
