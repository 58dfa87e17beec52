//! Which device is meant and how it is reached: by the inventory of the configuration, by options, or by both; options win.

use std::path::PathBuf;

use windlass_core::device::flash::DriverChoice;
use windlass_core::escape::escaped;
use windlass_core::id::{DeviceName, PayloadName};
use windlass_core::refusal::nearest;

use super::{hostkey, place};
use crate::cli::Context;
use crate::config::{Config, Device};
use crate::devices::Place;
use crate::devices::ssh::{DeviceAddress, HostKey};
use crate::exit::{Broken, Usage};
use crate::jobs::device_address;
use crate::output::Output;

/// So many names are listed when none is near.
const LISTED: usize = 12;

/// How a device is reached.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ReachArgs {
    /// The device's host, with the user and the port of its ssh server
    #[arg(long, value_name = "[USER@]HOST[:PORT]")]
    pub(super) remote: Option<Remote>,
    /// The private key that the device lets in
    #[arg(long, value_name = "FILE")]
    pub(super) identity: Option<PathBuf>,
    /// The host key that the device has to have, as in 'ssh-ed25519 AAAA…'
    #[arg(long, value_name = "KEY", conflicts_with = "accept_new")]
    pub(super) host_key: Option<String>,
    /// Take the host key that it shows, if none is known; from then on it is
    #[arg(long)]
    pub(super) accept_new: bool,
    /// An ssh configuration to read, too; not even the user's own is read otherwise
    #[arg(long, value_name = "FILE")]
    ssh_config: Option<PathBuf>,
    /// What updates the device: `update_engine`, raw-ab, rauc, swupdate or command; by default what the configuration says, else `update_engine`
    #[arg(long, value_name = "NAME")]
    driver: Option<DriverChoice>,
    /// The driver with settings, as a TOML file with the keys of `[device.driver]`
    #[arg(long, value_name = "FILE", conflicts_with = "driver")]
    driver_file: Option<PathBuf>,
    /// Where records, locks, known keys and made payloads are; by default the daemon's state, or the user's
    #[arg(long, value_name = "DIR")]
    pub(super) state: Option<PathBuf>,
}

/// `[USER@]HOST[:PORT]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Remote {
    pub(super) user: Option<String>,
    pub(super) host: String,
    pub(super) port: Option<u16>,
}

/// The port of an ssh server where nobody says another.
const SSH: u16 = 22;

/// A device that is meant.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// What it is called.
    pub(super) name: DeviceName,
    /// Where it answers.
    pub(super) remote: Remote,
    /// What updates it.
    pub(super) driver: DriverChoice,
    /// What the inventory says of it.
    pub(super) known: Option<Device>,
}

impl std::str::FromStr for Remote {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (user, place) = match text.split_once('@') {
            Some((user, place)) => (Some(user.to_owned()), place),
            None => (None, text),
        };
        // An IPv6 address has colons of its own; with a port it stands in brackets.
        let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, rest)) => (host, rest.strip_prefix(':')),
            None => match place.split_once(':') {
                Some((host, port)) if !port.contains(':') => (host, Some(port)),
                _ => (place, None),
            },
        };
        let port = port.map(|port| port.parse().map_err(|_| format!("'{port}' is no port")));
        if host.is_empty() || user.as_deref() == Some("") {
            return Err("it is HOST, USER@HOST or USER@HOST:PORT".to_owned());
        }
        Ok(Self {
            user,
            host: host.to_owned(),
            port: port.transpose()?,
        })
    }
}

impl Remote {
    /// The port of its ssh server.
    pub(super) fn port(&self) -> u16 {
        self.port.unwrap_or(SSH)
    }

    /// A name made of the host.
    fn name(&self) -> Option<DeviceName> {
        let host = self.host.replace(':', "-");
        let name = if self.port() == SSH {
            host
        } else {
            format!("{host}-{}", self.port())
        };
        name.parse().ok()
    }

    fn of(device: &Device) -> Self {
        Self {
            user: Some(device.user.clone()),
            host: device.address.clone(),
            port: Some(device.port),
        }
    }
}

impl ReachArgs {
    /// The configuration, where there is one that counts: whoever names both a device's address and a place for records needs none.
    pub(super) fn config(&self, context: &Context) -> anyhow::Result<Option<Config>> {
        if self.state.is_some() && self.remote.is_some() {
            return Ok(None);
        }
        place::config(context)
    }

    /// The device that is meant by a name, by an address, or by both.
    ///
    /// # Errors
    /// Nothing is known of this name, and no address is given.
    pub(super) fn target(
        &self,
        name: Option<&DeviceName>,
        config: Option<&Config>,
        context: &Context,
    ) -> anyhow::Result<Target> {
        let known = match (name, &self.remote) {
            (Some(name), None) => Some(find(name, config, context)?),
            (Some(name), Some(_)) => config.and_then(|config| config.device(name)),
            (None, Some(remote)) => config.and_then(|config| {
                let mut devices = config.devices.iter();
                devices.find(|device| device.address == remote.host && device.port == remote.port())
            }),
            (None, None) => {
                return Err(Usage::new("no device is named")
                    .hint("--device NAME for one of the configuration, or --remote [USER@]HOST[:PORT]")
                    .into());
            }
        };
        let mut remote = match (&self.remote, known) {
            (Some(remote), _) => remote.clone(),
            (None, Some(device)) => Remote::of(device),
            (None, None) => return Err(Usage::new("no device is named").into()),
        };
        remote.user = remote.user.or_else(|| known.map(|device| device.user.clone()));
        let named = name.cloned().or_else(|| known.map(|device| device.name.clone()));
        let Some(name) = named.or_else(|| remote.name()) else {
            return Err(Usage::new("the device needs a name").hint("--device NAME").into());
        };
        let driver = match self.driver()? {
            Some(driver) => driver,
            None => known.map(|device| device.driver.clone()).unwrap_or_default(),
        };
        Ok(Target {
            name,
            remote,
            driver,
            known: known.cloned(),
        })
    }

    /// What updates it, where that is said.
    pub(super) fn driver(&self) -> anyhow::Result<Option<DriverChoice>> {
        let Some(file) = &self.driver_file else {
            return Ok(self.driver.clone());
        };
        let text = std::fs::read_to_string(file)
            .map_err(|error| Broken::new(format!("'{}' cannot be read: {error}", file.display())))?;
        let driver = toml::from_str(&text);
        let driver =
            driver.map_err(|error| Usage::new(format!("'{}' describes no driver: {error}", file.display())))?;
        Ok(Some(driver))
    }

    /// The way to it. A key that is pinned counts; where none is, a person may be asked.
    ///
    /// # Errors
    /// Nobody knows its host key.
    pub(super) fn address(&self, target: &Target, place: &Place, out: &mut Output) -> anyhow::Result<DeviceAddress> {
        let pinned = target.known.as_ref().and_then(|device| device.host_key.clone());
        let host_key = hostkey::settle(
            self.host_key.clone().or(pinned),
            self.accept_new,
            &place.known_hosts(),
            &target.name,
            (&target.remote.host, target.remote.port()),
            out,
        )?;
        Ok(self.address_by(target, place, host_key))
    }

    /// The same by a host key that is settled.
    pub(super) fn address_by(&self, target: &Target, place: &Place, host_key: HostKey) -> DeviceAddress {
        let known = target.known.as_ref().map(|device| device_address(device, place));
        DeviceAddress {
            name: target.name.clone(),
            host: target.remote.host.clone(),
            port: target.remote.port(),
            user: target.remote.user.clone().unwrap_or_else(|| "root".to_owned()),
            identity: self.identity.clone().or_else(|| known?.identity),
            host_key,
            config: self.ssh_config.clone(),
        }
    }
}

impl Target {
    /// The payload that the inventory says it takes.
    pub(super) fn payload(&self) -> Option<&PayloadName> {
        self.known.as_ref()?.payload.as_ref()
    }

    /// The board that the inventory says it has.
    pub(super) fn board(&self) -> Option<String> {
        self.known.as_ref()?.board.clone()
    }

    /// The command that cuts its power, by the inventory.
    pub(super) fn power(&self) -> Option<Vec<String>> {
        let words = &self.known.as_ref()?.power;
        (!words.is_empty()).then(|| words.clone())
    }

    /// The command that says what its console says, by the inventory.
    pub(super) fn console(&self) -> Option<Vec<String>> {
        let words = &self.known.as_ref()?.console;
        (!words.is_empty()).then(|| words.clone())
    }
}

/// The device of this name in the inventory.
fn find<'c>(name: &DeviceName, config: Option<&'c Config>, context: &Context) -> Result<&'c Device, Usage> {
    let Some(config) = config else {
        return Err(Usage::new(format!(
            "nothing is known of device {name}: there is no configuration '{}'",
            context.global.config.display()
        ))
        .hint("--remote [USER@]HOST[:PORT] says where it is; --config FILE names a configuration"));
    };
    config.device(name).ok_or_else(|| {
        let known: Vec<&str> = config.devices.iter().map(|device| device.name.as_str()).collect();
        Usage::new(format!("no device '{name}' is configured")).hint(way_out(name.as_str(), &known))
    })
}

/// Which device may have been meant, or how one gets there.
fn way_out(name: &str, known: &[&str]) -> String {
    if let Some(near) = nearest(name, known) {
        return format!("did you mean '{near}'?");
    }
    if known.is_empty() {
        return format!("windlass device add {name} --remote [USER@]HOST[:PORT]");
    }
    let more = known.len().saturating_sub(LISTED);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    let names: Vec<String> = known.iter().take(LISTED).map(|name| escaped(name)).collect();
    format!("there are {}{more}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("10.0.0.7", None, "10.0.0.7", 22, "10.0.0.7")]
    #[case("lab-7:2222", None, "lab-7", 2222, "lab-7-2222")]
    #[case("chronos@lab-7", Some("chronos"), "lab-7", 22, "lab-7")]
    #[case("fe80::1", None, "fe80::1", 22, "fe80--1")]
    #[case("root@[fe80::1]:2222", Some("root"), "fe80::1", 2222, "fe80--1-2222")]
    fn remotes(
        #[case] text: &str,
        #[case] user: Option<&str>,
        #[case] host: &str,
        #[case] port: u16,
        #[case] name: &str,
    ) {
        let remote: Remote = text.parse().unwrap();
        assert_eq!(
            (remote.user.as_deref(), remote.host.as_str(), remote.port()),
            (user, host, port)
        );
        assert_eq!(remote.name().unwrap().as_str(), name);
    }

    #[rstest]
    #[case("")]
    #[case("@host")]
    #[case("host:port")]
    #[case("host:99999")]
    fn no_remotes(#[case] text: &str) {
        assert!(text.parse::<Remote>().is_err());
    }

    #[rstest]
    #[case("kisok-1", &["kiosk-1", "till-1"], "did you mean 'kiosk-1'?")]
    #[case("zzz", &["kiosk-1", "till-1"], "there are kiosk-1, till-1")]
    #[case("zzz", &[], "windlass device add zzz")]
    fn an_unknown_name_has_a_way_out(#[case] name: &str, #[case] known: &[&str], #[case] says: &str) {
        assert!(way_out(name, known).contains(says), "{}", way_out(name, known));
    }
}
