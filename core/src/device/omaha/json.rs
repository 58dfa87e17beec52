//! Requests in JSON: 3.0 and 3.1, which differ in nothing that matters here.

use serde::Deserialize;

use super::{App, BadRequest, DEEPEST, Dialect, Event, Request, UpdateCheck};
use crate::escape::escaped;

/// Reads a request.
pub(super) fn read(text: &str) -> Result<Request, BadRequest> {
    if depth(text) > DEEPEST {
        return Err(BadRequest::malformed(format!(
            "its values stand more than {DEEPEST} deep in each other"
        )));
    }
    let Envelope { request } =
        serde_json::from_str(text).map_err(|error| BadRequest::malformed(escaped(&error.to_string())))?;
    let dialect = match request.protocol.as_str() {
        "3.0" => Dialect::V3Json,
        "3.1" => Dialect::V31Json,
        _ => return Err(BadRequest::Protocol(request.protocol)),
    };
    let apps = request.app.into_iter().map(App::try_from).collect::<Result<_, _>>()?;
    Ok(Request {
        dialect,
        session: said(request.sessionid),
        user: said(request.userid).or_else(|| said(request.machineid)),
        apps,
    })
}

/// How deep lists and objects stand in each other at most. What is no JSON gets some number.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut is_text, mut is_escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            b'{' | b'[' if !is_text => depth += 1,
            b'}' | b']' if !is_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

#[derive(Deserialize)]
struct Envelope {
    request: Said,
}

#[derive(Deserialize)]
struct Said {
    protocol: String,
    sessionid: Option<String>,
    userid: Option<String>,
    machineid: Option<String>,
    #[serde(default)]
    app: Vec<SaidApp>,
}

#[derive(Deserialize)]
struct SaidApp {
    appid: String,
    version: Option<String>,
    board: Option<String>,
    ping: Option<serde::de::IgnoredAny>,
    updatecheck: Option<SaidCheck>,
    #[serde(default)]
    event: Vec<SaidEvent>,
}

#[derive(Deserialize)]
struct SaidCheck {
    targetversionprefix: Option<String>,
    #[serde(default)]
    updatedisabled: bool,
    #[serde(default)]
    sameversionupdate: bool,
}

#[derive(Deserialize)]
struct SaidEvent {
    eventtype: Number,
    eventresult: Option<Number>,
    errorcode: Option<Number>,
    previousversion: Option<String>,
    nextversion: Option<String>,
    download_time_ms: Option<Number>,
}

/// A number; some clients write them as texts.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Plain(i64),
    Text(String),
}

impl Number {
    fn value(&self, name: &str) -> Result<i64, BadRequest> {
        match self {
            Self::Plain(number) => Ok(*number),
            Self::Text(text) => text
                .parse()
                .map_err(|_| BadRequest::malformed(format!("'{name}' is no number: '{}'", escaped(text)))),
        }
    }

    fn small(&self, name: &str) -> Result<u32, BadRequest> {
        let number = self.value(name)?;
        u32::try_from(number).map_err(|_| BadRequest::malformed(format!("'{name}' is out of range: {number}")))
    }
}

impl TryFrom<SaidApp> for App {
    type Error = BadRequest;

    fn try_from(app: SaidApp) -> Result<Self, BadRequest> {
        Ok(Self {
            id: app.appid,
            version: app.version.unwrap_or_default(),
            board: said(app.board),
            ping: app.ping.is_some(),
            check: app.updatecheck.map(|check| UpdateCheck {
                target_version_prefix: said(check.targetversionprefix),
                is_disabled: check.updatedisabled,
                takes_same_version: check.sameversionupdate,
            }),
            events: app.event.into_iter().map(Event::try_from).collect::<Result<_, _>>()?,
        })
    }
}

impl TryFrom<SaidEvent> for Event {
    type Error = BadRequest;

    fn try_from(event: SaidEvent) -> Result<Self, BadRequest> {
        let number = |number: Option<Number>, name| number.map(|number| number.value(name)).transpose();
        Ok(Self {
            kind: event.eventtype.small("eventtype")?.into(),
            // What is not said is an error, by the protocol.
            result: event
                .eventresult
                .map_or(Ok(0), |number| number.small("eventresult"))?
                .into(),
            error_code: number(event.errorcode, "errorcode")?,
            previous_version: said(event.previousversion),
            next_version: said(event.nextversion),
            download_ms: number(event.download_time_ms, "download_time_ms")?.and_then(|ms| u64::try_from(ms).ok()),
        })
    }
}

/// A value that is not empty.
fn said(value: Option<String>) -> Option<String> {
    value.filter(|value| !value.is_empty())
}
