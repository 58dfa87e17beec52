//! What no single key of `[[device]]`, `[lab]` and `[[nightly]]` can say.

use std::collections::HashSet;
use std::path::Component;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use windlass_core::escape::{escaped, is_plain};
use windlass_core::id::PayloadName;
use windlass_core::refusal::nearest;

use super::{Checker, span_of};
use crate::config::{Config, Device, Nightly};
use crate::devices::server::Label;

/// A word that goes to ssh as it is: nothing that ssh takes for an option, nothing that a person would misread.
fn is_word(text: &str, extra: &[u8]) -> bool {
    !text.is_empty()
        && text.len() <= 253
        && !text.starts_with('-')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || extra.contains(&b))
}

/// A host's name, or an IP address.
fn is_host(text: &str) -> bool {
    text.parse::<std::net::IpAddr>().is_ok() || is_word(text, b".-_")
}

/// A tag of a device.
pub(super) fn is_tag(text: &str) -> bool {
    text.len() <= 64 && is_word(text, b"._-")
}

/// A public key as ssh writes it: its kind and base64, perhaps a comment.
fn is_key(text: &str) -> bool {
    let mut words = text.split(' ');
    let (kind, key) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let kinds = ["ssh-", "ecdsa-", "sk-"];
    kinds.iter().any(|beginning| kind.starts_with(beginning))
        && is_word(kind, b"-@.")
        && key.len() >= 16
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b))
        && text.chars().all(is_plain)
}

impl Checker<'_> {
    pub(super) fn devices(&mut self, config: &Config) {
        self.lab(config);
        let mut names = HashSet::new();
        let mut addresses = HashSet::new();
        for (at, device) in config.devices.iter().enumerate() {
            let number = at.to_string();
            if !names.insert(&device.name) {
                let message = format!("there are two devices '{}'", device.name);
                self.wrong(&["device", &number, "name"], message, "");
            }
            if !addresses.insert((&device.address, device.port)) {
                let message = format!(
                    "two devices are at '{}', port {}",
                    escaped(&device.address),
                    device.port
                );
                self.wrong(
                    &["device", &number, "address"],
                    message,
                    "one device under two names would be flashed twice",
                );
            }
            self.device(&number, device);
            if let Some(payload) = &device.payload {
                self.takes(&["device", &number, "payload"], payload, config);
            }
        }
        let mut names = HashSet::new();
        for (at, nightly) in config.nightlies.iter().enumerate() {
            let number = at.to_string();
            if !names.insert(&nightly.name) {
                let message = format!("there are two nightly runs '{}'", nightly.name);
                self.wrong(&["nightly", &number, "name"], message, "");
            }
            self.nightly(&number, nightly, config);
        }
    }

    /// A payload that devices take has to be one that is made.
    fn takes(&mut self, place: &[&str], payload: &PayloadName, config: &Config) {
        if config.payload(payload).is_some() {
            return;
        }
        let known: Vec<&str> = config.payloads.iter().map(|known| known.name.as_str()).collect();
        let hint = nearest(payload.as_str(), &known).map_or_else(
            || "a [[payload]] section names it".to_owned(),
            |near| format!("did you mean '{near}'?"),
        );
        self.wrong(place, format!("there is no payload '{payload}'"), &hint);
    }

    fn nightly(&mut self, number: &str, nightly: &Nightly, config: &Config) {
        let place = |key| ["nightly", number, key];
        if TimeZone::get(&nightly.zone).is_err() {
            let message = format!("'{}' is no time zone that this machine knows", escaped(&nightly.zone));
            self.wrong(&place("zone"), message, "as in \"UTC\" or \"Europe/Berlin\"");
        } else if let Err(why) = nightly.calendar(Timestamp::now()) {
            let hint = "minute, hour, day of the month, month, day of the week, as in \"30 2 * * mon-fri\"";
            self.wrong(&place("calendar"), why, hint);
        }
        let known = |tag: &String| config.devices.iter().any(|device| device.tags.contains(tag));
        for (index, tag) in nightly.tags.iter().enumerate() {
            if !known(tag) {
                let message = format!("no device has the tag '{}'", escaped(tag));
                self.wrong(&["nightly", number, "tags", &index.to_string()], message, "");
            }
        }
        if let Some(tag) = nightly.canary.as_ref().filter(|tag| !known(tag)) {
            let message = format!("no device has the tag '{}'", escaped(tag));
            self.wrong(&place("canary"), message, "");
        }
        if let Some(payload) = &nightly.payload {
            self.takes(&place("payload"), payload, config);
        }
        if !(1..=100).contains(&nightly.stop_at) {
            let message = format!("'stop_at' is {}: it is a share of a hundred flashes", nightly.stop_at);
            self.wrong(&place("stop_at"), message, "from 1 to 100");
        }
        if nightly.canaries == Some(0) {
            self.wrong(
                &place("canaries"),
                "'canaries' is 0: nothing would come first",
                "leave it out",
            );
        }
    }

    fn device(&mut self, number: &str, device: &Device) {
        let place = |key| ["device", number, key];
        if !is_host(&device.address) {
            let message = format!("'{}' is no host", escaped(&device.address));
            self.wrong(
                &place("address"),
                message,
                "a name or an IP address; user and port have keys of their own",
            );
        }
        if !is_word(&device.user, b"._-") {
            let message = format!("'{}' is no name of a user", escaped(&device.user));
            self.wrong(&place("user"), message, "");
        }
        if device.port == 0 {
            self.wrong(&place("port"), "'port' is 0: nothing answers there", "");
        }
        if let Some(identity) = device.identity.as_deref()
            && (identity.is_relative() || identity.components().any(|part| part == Component::ParentDir))
        {
            let message = format!("'identity' is no absolute path: '{}'", identity.display());
            self.wrong(&place("identity"), message, "");
        }
        if let Some(key) = device.host_key.as_deref().filter(|key| !is_key(key)) {
            let shown: String = escaped(key).chars().take(60).collect();
            self.wrong(
                &place("host_key"),
                format!("'{shown}' is no public key"),
                "as in \"ssh-ed25519 AAAA…\", one line: what ssh-keyscan says of the device, without the host in front",
            );
        }
        if let Some(board) = device.board.as_deref().filter(|board| board.parse::<Label>().is_err()) {
            let message = format!("'{}' is no name of a board", escaped(board));
            self.wrong(
                &place("board"),
                message,
                "letters, digits, '.', '_' and '-', not beginning with a dot",
            );
        }
        let mut seen = HashSet::new();
        for (index, tag) in device.tags.iter().enumerate() {
            let index = index.to_string();
            let place = ["device", number, "tags", &index];
            if !is_tag(tag) {
                let message = format!("'{}' is no tag", escaped(tag));
                self.wrong(&place, message, "letters, digits, '.', '_' and '-', at most 64");
            } else if !seen.insert(tag) {
                self.wrong(&place, format!("'{tag}' stands twice in 'tags'"), "");
            }
        }
        if device.after_merge && device.payload.is_none() {
            let message = format!(
                "device '{}' is to be flashed after each commit, and takes no payload",
                device.name
            );
            self.wrong(&place("after_merge"), message, "payload = \"NAME\"");
        }
        for (key, words) in [("power", &device.power), ("console", &device.console)] {
            if let Some(program) = words.first()
                && (!program.starts_with('/') || !words.iter().all(|word| word.chars().all(is_plain)))
            {
                let message = format!("'{}' is no command", escaped(&words.join(" ")));
                self.wrong(
                    &place(key),
                    message,
                    "a list of words, the first one a program's path from '/' on: no shell takes it apart",
                );
            }
        }
    }

    fn lab(&mut self, config: &Config) {
        let lab = &config.lab;
        let zeros = [
            ("at_once", lab.at_once == 0),
            ("bandwidth", lab.bandwidth.is_some_and(|size| size.bytes() == 0)),
            ("bad_in_a_row", lab.bad_in_a_row == 0),
            ("leave_alone", lab.leave_alone.as_secs() == 0),
            ("longest_reservation", lab.longest_reservation.as_secs() == 0),
            ("timeout", lab.timeout.as_secs() == 0),
        ];
        for (key, _) in zeros.into_iter().filter(|(_, is_zero)| *is_zero) {
            self.wrong(&["lab", key], format!("'{key}' is 0: nothing would work"), "");
        }
        let each = &lab.timeouts;
        let parts = [
            ("connect", Some(each.connect)),
            ("command", Some(each.command)),
            ("install", Some(each.install)),
            ("stall", Some(each.stall)),
            ("stateful", Some(each.stateful)),
            ("reboot", each.reboot),
            ("clean", Some(each.clean)),
            ("power", Some(each.power)),
        ];
        for (key, _) in parts
            .into_iter()
            .filter(|(_, limit)| limit.is_some_and(|limit| limit.as_secs() == 0))
        {
            let message = format!("'{key}' is 0: every flash would fail");
            self.wrong(&["lab", "timeouts", key], message, "");
        }
        if lab.longest_leave_alone < lab.leave_alone {
            let message = format!(
                "'longest_leave_alone' ({}) is shorter than 'leave_alone' ({})",
                lab.longest_leave_alone, lab.leave_alone
            );
            let key = if span_of(self.table.get_ref(), &["lab", "longest_leave_alone"]).is_some() {
                "longest_leave_alone"
            } else {
                "leave_alone"
            };
            self.wrong(&["lab", key], message, "");
        }
        if !is_tag(&lab.canary) {
            let message = format!("'{}' is no tag", escaped(&lab.canary));
            self.wrong(
                &["lab", "canary"],
                message,
                "letters, digits, '.', '_' and '-', at most 64",
            );
        }
    }
}
