//! What is asked of an Omaha server, and what it says: protocol 3.0 in XML, and 2.0 as older devices speak it.

use std::borrow::Cow;

use quick_xml::events::{BytesStart, Event as Xml};
use quick_xml::{Reader, XmlVersion};

use super::http::Url;
use super::{Code, Failure};

const APP: &str = "{87EFFACE-864D-49A5-9BB3-4B050A7C227A}";
/// A system in which this file says `2.0` speaks that.
const DIALECT: &str = "/etc/lab/omaha";

/// Who asks.
#[derive(Debug)]
pub(super) struct Asker {
    pub(super) url: Url,
    pub(super) board: String,
    pub(super) track: String,
    /// The version that runs, or what `--app_version` said.
    pub(super) version: String,
}

/// Something that happened: `eventtype` and `eventresult`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Event {
    kind: u32,
    result: u32,
    code: Option<Code>,
}

impl Event {
    pub(super) const DOWNLOAD_STARTED: Self = Self::good(13);
    pub(super) const DOWNLOAD_FINISHED: Self = Self::good(14);
    pub(super) const COMPLETE: Self = Self::good(3);
    pub(super) const REBOOTED: Self = Self::good(54);
    pub(super) const ROLLED_BACK: Self = Self {
        kind: 3,
        result: 0,
        code: None,
    };

    const fn good(kind: u32) -> Self {
        Self {
            kind,
            result: 1,
            code: None,
        }
    }

    pub(super) fn failed(code: Code) -> Self {
        Self {
            kind: 3,
            result: 0,
            code: Some(code),
        }
    }
}

/// An update that there is.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) url: String,
    pub(super) version: String,
    pub(super) size: u64,
    /// SHA-256 in hexadecimal digits or base64, or SHA-1 in base64; as the server said it.
    pub(super) hashes: Vec<String>,
}

impl Asker {
    /// Whether there is an update; tells of an event, too, if there is one to tell of.
    pub(super) fn check(&self, event: Option<(Event, &str)>) -> Result<Offer, Failure> {
        let body = self.request(event, "<ping active=\"1\"/><updatecheck/>");
        let (status, answer) = self
            .url
            .post_xml(&body)
            .map_err(|error| Code::OmahaRequest.because(error))?;
        if status != 200 {
            return Err(Code::OmahaHttp.because(format!("the server answers {status}")));
        }
        read(&answer)?.ok_or_else(|| Code::NoUpdate.because("the server has no update"))
    }

    /// Tells of an event. The server's word on that changes nothing.
    pub(super) fn tell(&self, event: Event) {
        let body = self.request(Some((event, "")), "");
        if let Err(error) = self.url.post_xml(&body) {
            super::attempt::log(format_args!("the server was not told of event {}: {error}", event.kind));
        }
    }

    fn request(&self, event: Option<(Event, &str)>, rest: &str) -> String {
        let mut inner = String::new();
        if let Some((event, previous)) = event {
            let code = event.code.map(|code| format!(" errorcode=\"{}\"", code as u32));
            let previous = (!previous.is_empty()).then(|| format!(" previousversion=\"{}\"", escaped(previous)));
            inner = format!(
                "<event eventtype=\"{}\" eventresult=\"{}\"{}{}/>",
                event.kind,
                event.result,
                code.unwrap_or_default(),
                previous.unwrap_or_default()
            );
        }
        inner += rest;
        let (board, track, version) = (escaped(&self.board), escaped(&self.track), escaped(&self.version));
        let app = format!(
            "appid=\"{APP}\" version=\"{version}\" track=\"{track}\" board=\"{board}\" lang=\"en-US\" hardware_class=\"LAB\" delta_okay=\"true\""
        );
        let old = std::fs::read_to_string(DIALECT).is_ok_and(|dialect| dialect.trim() == "2.0");
        let body = if old {
            let inner = inner.replace('<', "<o:");
            format!(
                "<o:gupdate xmlns:o=\"http://www.google.com/update2/request\" version=\"ChromeOSUpdateEngine-0.1.0.0\" protocol=\"2.0\" ismachine=\"1\">\
                 <o:os version=\"Indy\" platform=\"Chrome OS\" sp=\"{version}_x86_64\"></o:os><o:app {app}>{inner}</o:app></o:gupdate>"
            )
        } else {
            format!(
                "<request protocol=\"3.0\" updater=\"ChromeOSUpdateEngine\" updaterversion=\"0.1.0.0\" installsource=\"ondemandupdate\" ismachine=\"1\">\
                 <os version=\"Indy\" platform=\"Chrome OS\" sp=\"{version}_x86_64\"></os><app {app}>{inner}</app></request>"
            )
        };
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{body}\n")
    }
}

fn escaped(text: &str) -> String {
    quick_xml::escape::escape(text).into_owned()
}

/// Reads an answer of either dialect; nothing if there is no update.
fn read(answer: &[u8]) -> Result<Option<Offer>, Failure> {
    let bad = |error: String| Code::OmahaXmlParse.because(error);
    let text = std::str::from_utf8(answer).map_err(|error| bad(error.to_string()))?;
    let mut reader = Reader::from_str(text);
    let mut offer = Offer::default();
    let mut status = None;
    let mut name = String::new();
    loop {
        let part = reader.read_event().map_err(|error| bad(error.to_string()))?;
        let (Xml::Start(element) | Xml::Empty(element)) = part else {
            if matches!(part, Xml::Eof) {
                break;
            }
            continue;
        };
        let get = |name: &str| attribute(&element, name).map_err(bad);
        match element.local_name().as_ref() {
            "updatecheck" => {
                status = get("status")?;
                offer.url = get("codebase")?.unwrap_or_default();
                offer.hashes.extend(get("hash")?);
                offer.size = number(get("size")?)?;
            }
            "url" => offer.url = get("codebase")?.unwrap_or_default(),
            "manifest" => offer.version = get("version")?.unwrap_or_default(),
            "package" => {
                name = get("name")?.unwrap_or_default();
                offer.size = number(get("size")?)?;
                // One of them is enough; the longer one is the better one.
                offer.hashes = get("hash_sha256")?.or(get("hash")?).into_iter().collect();
            }
            "action" if get("event")?.as_deref() == Some("postinstall") => offer.hashes.extend(get("sha256")?),
            _ => {}
        }
    }
    match status.as_deref() {
        Some("ok") if offer.url.is_empty() || offer.size == 0 || offer.hashes.is_empty() => {
            Err(Code::OmahaResponseInvalid.because("the server's offer lacks an address, a size or a hash"))
        }
        Some("ok") => {
            offer.url += &name;
            Ok(Some(offer))
        }
        Some(_) => Ok(None),
        None => Err(Code::OmahaResponseInvalid.because("the server says nothing of an update")),
    }
}

fn number(text: Option<String>) -> Result<u64, Failure> {
    text.map_or(Ok(0), |text| {
        text.parse()
            .map_err(|_| Code::OmahaResponseInvalid.because(format!("'{text}' is no size")))
    })
}

fn attribute(element: &BytesStart<'_>, name: &str) -> Result<Option<String>, String> {
    let found = element.try_get_attribute(name).map_err(|error| error.to_string())?;
    found
        .map(|found| {
            found
                .normalized_value(XmlVersion::Implicit1_0)
                .map(Cow::into_owned)
                .map_err(|error| error.to_string())
        })
        .transpose()
}
