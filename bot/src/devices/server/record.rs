//! What devices ask and tell, and what they got: told to a [`Sink`] as it happens.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use windlass_core::device::omaha::{Event, Stage};
use windlass_core::escape::escaped;

use super::place::Target;

/// How many devices a [`Book`] knows; of more, those that were silent longest are forgotten.
const MOST_DEVICES: usize = 1024;

/// How many reports of one device a [`Book`] keeps, the newest.
const MOST_REPORTS: usize = 256;

/// Something that happened between the server and a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// When.
    pub at: Timestamp,
    /// At which address it asked.
    pub target: Target,
    /// Who, as far as that is known.
    pub device: Device,
    /// From where; devices behind a tunnel all come from this machine.
    pub peer: SocketAddr,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "what")]
pub enum What {
    /// It asked for an update.
    Check {
        /// The app that it asked for.
        app: String,
        /// The version that it has.
        version: String,
        /// The version that it was offered.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        offered: Option<String>,
        /// Why it was offered none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why_not: Option<String>,
    },
    /// It told what happened there.
    Event {
        /// The app that it told of.
        app: String,
        /// What.
        event: Event,
    },
    /// It took bytes of a file: a download, or a part of one, has ended.
    Sent {
        /// The file's name.
        file: String,
        /// Where in the file it began.
        from: u64,
        /// How many bytes it wanted.
        wanted: u64,
        /// How many were handed to its connection.
        sent: u64,
    },
}

/// Who asks: by the name in the address, else by the id that it gives, else by where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Device(String);

impl Device {
    pub(super) fn of(target: &Target, user: Option<&str>, peer: SocketAddr) -> Self {
        Self(match (target, user) {
            (Target::Device(name), _) => name.to_string(),
            (Target::Anybody | Target::Board(_), Some(user)) => user.to_owned(),
            (Target::Anybody | Target::Board(_), None) => peer.ip().to_string(),
        })
    }

    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escaped(&self.0))
    }
}

/// Hears of what happens, in the order in which it does for one device. The server waits for it: it has to be quick.
pub trait Sink: fmt::Debug + Send + Sync {
    /// Takes one report.
    fn record(&self, report: &Report);
}

/// Says what happens in the log.
#[derive(Debug, Clone, Copy, Default)]
pub struct Log;

impl Sink for Log {
    fn record(&self, report: &Report) {
        let device = &report.device;
        match &report.what {
            What::Check {
                version,
                offered,
                why_not,
                ..
            } => {
                let got = offered.as_deref().or(why_not.as_deref()).unwrap_or_default();
                tracing::info!(device.id = %device, "{device} has {} and asks for an update: {}", escaped(version), escaped(got));
            }
            What::Event { event, .. } => {
                let (kind, result) = (u32::from(event.kind), u32::from(event.result));
                tracing::info!(
                    device.id = %device, omaha.event = kind, omaha.result = result, omaha.error = event.error_code,
                    "{device} tells event {kind} with result {result}"
                );
            }
            What::Sent { file, wanted, sent, .. } => {
                tracing::info!(device.id = %device, bytes = sent, "{device} took {sent} of {wanted} bytes of {file}");
            }
        }
    }
}

/// Keeps what happens in memory, so much of each device.
#[derive(Debug, Default)]
pub struct Book(Mutex<BTreeMap<Device, Page>>);

#[derive(Debug, Default)]
struct Page {
    stage: Stage,
    reports: VecDeque<Report>,
}

impl Book {
    /// How far a device is, by what it told.
    pub fn stage(&self, device: &str) -> Stage {
        let pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pages
            .get(&Device(device.to_owned()))
            .map_or_else(Stage::default, |page| page.stage)
    }

    /// What happened with a device, the oldest first.
    pub fn reports(&self, device: &str) -> Vec<Report> {
        let pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let page = pages.get(&Device(device.to_owned()));
        page.map(|page| page.reports.iter().cloned().collect())
            .unwrap_or_default()
    }
}

impl Sink for Book {
    fn record(&self, report: &Report) {
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !pages.contains_key(&report.device) && pages.len() >= MOST_DEVICES {
            let last = |page: &Page| page.reports.back().map(|report| report.at);
            let silent = pages
                .iter()
                .min_by_key(|(_, page)| last(page))
                .map(|(device, _)| device.clone());
            if let Some(silent) = silent {
                pages.remove(&silent);
            }
        }
        let page = pages.entry(report.device.clone()).or_default();
        if let What::Event { event, .. } = &report.what {
            page.stage = page.stage.after(event);
        }
        if page.reports.len() >= MOST_REPORTS {
            page.reports.pop_front();
        }
        page.reports.push_back(report.clone());
    }
}
