//! What a device is answered: whether there is an update for it, and that the rest was heard.

use jiff::civil::{Date, DateTime, date};

use super::version::{FORCED, prefix_allows};
use super::{App, Dialect, Offer, Request};

/// The day from which the protocol counts days.
const FIRST_DAY: Date = date(2007, 1, 1);

/// How much of the server's day, and how many days since the protocol's first, are over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayStart {
    /// Whole days since the beginning of 2007.
    pub days: u32,
    /// Seconds by the clock since midnight.
    pub seconds: u32,
}

impl DayStart {
    /// That of a moment in the server's own time zone.
    pub fn of(local: DateTime) -> Self {
        let days = local.date().duration_since(FIRST_DAY).as_hours() / 24;
        let clock = |part: i8| u32::try_from(part).unwrap_or(0);
        Self {
            days: u32::try_from(days).unwrap_or(0),
            seconds: clock(local.hour()) * 3600 + clock(local.minute()) * 60 + clock(local.second()),
        }
    }
}

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check<'a> {
    /// There is an update.
    Offered(&'a Offer),
    /// There is none at all.
    Nothing,
    /// There is one for another app.
    OtherApp,
    /// A device of protocol 2.0 gets one only if it asks for it by the version `ForcedUpdate`.
    NotForced,
    /// The device has this version.
    SameVersion,
    /// The device wants versions with another beginning.
    OtherPrefix,
    /// The device would not install it.
    Disabled,
}

impl Check<'_> {
    /// In one line, why there is no update; nothing where there is one.
    pub fn why_not(self) -> Option<&'static str> {
        match self {
            Self::Offered(_) => None,
            Self::Nothing => Some("nothing is offered here"),
            Self::OtherApp => Some("what is offered is for another app"),
            Self::NotForced => Some("by protocol 2.0 only the version 'ForcedUpdate' gets an update"),
            Self::SameVersion => Some("the device has the version that is offered"),
            Self::OtherPrefix => Some("the device wants versions with another beginning"),
            Self::Disabled => Some("the device says that it would not install an update"),
        }
    }
}

/// What one app is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered<'a> {
    /// What it said.
    pub app: &'a App,
    /// What came of its check; nothing where it did not ask.
    pub check: Option<Check<'a>>,
}

/// An answer, to be rendered in the dialect of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response<'a> {
    /// How it is to be written.
    pub dialect: Dialect,
    /// The server's day.
    pub day: DayStart,
    /// Below which address the files are, with the slash at the end.
    pub codebase: &'a str,
    /// For each app, in the order of the request; never empty.
    pub apps: Vec<Answered<'a>>,
}

/// Answers a request with what there is for the device that asks; at most one app gets it.
pub fn answer<'a>(request: &'a Request, offer: Option<&'a Offer>, day: DayStart, codebase: &'a str) -> Response<'a> {
    let mut is_taken = false;
    let apps = request
        .apps
        .iter()
        .map(|app| {
            let check = match request.dialect {
                // As the first server did: the first app's version decides, and every request is answered as a check.
                Dialect::V2Xml => Some(match offer {
                    None => Check::Nothing,
                    Some(offer) if app.version == FORCED => Check::Offered(offer),
                    Some(_) => Check::NotForced,
                }),
                Dialect::V3Xml | Dialect::V3Json | Dialect::V31Json => {
                    let there = offer.filter(|_| !is_taken);
                    app.check.is_some().then(|| check(app, there))
                }
            };
            is_taken |= matches!(check, Some(Check::Offered(_)));
            Answered { app, check }
        })
        .collect();
    Response {
        dialect: request.dialect,
        day,
        codebase,
        apps,
    }
}

fn check<'a>(app: &App, offer: Option<&'a Offer>) -> Check<'a> {
    let wanted = app.check.clone().unwrap_or_default();
    let Some(offer) = offer else {
        return Check::Nothing;
    };
    let bare = |id: &str| id.trim_matches(['{', '}']).to_ascii_lowercase();
    let prefix = wanted.target_version_prefix.as_deref().unwrap_or_default();
    if offer.app.as_ref().is_some_and(|id| bare(id) != bare(&app.id)) {
        Check::OtherApp
    } else if wanted.is_disabled {
        Check::Disabled
    } else if !prefix_allows(prefix, &offer.version) {
        Check::OtherPrefix
    } else if app.version == offer.version && !wanted.takes_same_version {
        Check::SameVersion
    } else {
        Check::Offered(offer)
    }
}
