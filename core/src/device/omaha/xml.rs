//! Requests in XML: 2.0 (`gupdate`) and 3.0 (`request`).
//!
//! Names are taken without their prefixes. There are no entities but XML's own five and characters by number; a document type is
//! refused, so that nothing grows by being replaced.

use std::collections::HashMap;

use quick_xml::events::{BytesStart, Event as Part};
use quick_xml::{Reader, XmlVersion};

use super::{App, BadRequest, DEEPEST, Dialect, Event, MOST_ATTRIBUTES, MOST_ELEMENTS, Request, UpdateCheck};
use crate::escape::escaped;

/// The attributes of one element, by their names without prefix.
type Attributes = HashMap<String, String>;

/// Reads a request.
pub(super) fn read(text: &str) -> Result<Request, BadRequest> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut walk = Walk::default();
    loop {
        let part = reader.read_event();
        let at = reader.buffer_position();
        let wrong = |what: String| BadRequest::malformed(format!("{what} (at byte {at})"));
        let part = part.map_err(|error| wrong(escaped(&error.to_string())))?;
        match part {
            Part::Start(start) | Part::Empty(start) => walk.start(&start).map_err(|fault| match fault {
                Fault::Wrong(what) => wrong(what),
                Fault::Protocol(protocol) => BadRequest::Protocol(protocol),
            })?,
            Part::End(_) => walk.depth = walk.depth.saturating_sub(1),
            Part::DocType(_) => return Err(wrong("it has a document type, which a request has not".to_owned())),
            Part::GeneralRef(reference) => {
                let is_character = reference.resolve_char_ref().is_ok_and(|character| character.is_some());
                if !is_character && quick_xml::escape::resolve_predefined_entity(&reference).is_none() {
                    return Err(wrong(format!("'&{};' is not known", escaped(&reference))));
                }
            }
            Part::Text(text) if walk.depth == 0 && !text.trim_ascii().is_empty() => {
                return Err(wrong("text stands outside of its elements".to_owned()));
            }
            Part::CData(_) if walk.depth == 0 => return Err(wrong("text stands outside of its elements".to_owned())),
            Part::Text(_) | Part::CData(_) | Part::Comment(_) | Part::Decl(_) | Part::PI(_) => {}
            Part::Eof if walk.depth > 0 => return Err(wrong("it ends too early".to_owned())),
            Part::Eof => return walk.request.ok_or_else(|| BadRequest::malformed("it has no element")),
        }
    }
}

/// Why an element is not taken.
enum Fault {
    Wrong(String),
    Protocol(String),
}

impl From<String> for Fault {
    fn from(what: String) -> Self {
        Self::Wrong(what)
    }
}

/// Where the walk through the document is.
#[derive(Default)]
struct Walk {
    depth: usize,
    elements: usize,
    is_in_app: bool,
    request: Option<Request>,
}

impl Walk {
    fn start(&mut self, start: &BytesStart<'_>) -> Result<(), Fault> {
        self.depth += 1;
        self.elements += 1;
        if self.depth > DEEPEST {
            return Err(format!("its elements stand more than {DEEPEST} deep in each other").into());
        }
        if self.elements > MOST_ELEMENTS {
            return Err(format!("it has more than {MOST_ELEMENTS} elements").into());
        }
        let name = start.local_name();
        let name: &str = name.as_ref();
        // Of every element, so that what is wrong is found where nobody looks, too.
        let attributes = attributes(start)?;
        let Some(request) = &mut self.request else {
            self.request = Some(root(name, attributes)?);
            return Ok(());
        };
        match (self.depth, name) {
            (1, _) => return Err("something follows its end".to_owned().into()),
            (2, _) => {
                self.is_in_app = name == "app";
                if self.is_in_app {
                    request.apps.push(app(attributes));
                }
            }
            (3, _) if self.is_in_app => {
                let app = request.apps.last_mut().expect("an app was begun");
                match name {
                    "ping" => app.ping = true,
                    "updatecheck" => app.check = Some(check(attributes)),
                    "event" => app.events.push(event(&attributes)?),
                    _ => {}
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn attributes(start: &BytesStart<'_>) -> Result<Attributes, String> {
    let mut all = Attributes::new();
    // The reader itself refuses an attribute that stands twice.
    for (at, attribute) in start.attributes().enumerate() {
        if at >= MOST_ATTRIBUTES {
            return Err(format!("an element has more than {MOST_ATTRIBUTES} attributes"));
        }
        let attribute = attribute.map_err(|error| escaped(&error.to_string()))?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0);
        let value = value.map_err(|error| escaped(&error.to_string()))?;
        all.insert(attribute.key.local_name().as_ref().to_owned(), value.into_owned());
    }
    Ok(all)
}

fn root(name: &str, mut attributes: Attributes) -> Result<Request, Fault> {
    let protocol = attributes.remove("protocol").unwrap_or_default();
    let dialect = match (name, protocol.as_str()) {
        ("gupdate", "2.0" | "") => Dialect::V2Xml,
        ("request", "3.0") => Dialect::V3Xml,
        ("gupdate" | "request", _) => return Err(Fault::Protocol(protocol)),
        _ => return Err(format!("it begins with '{}' and not with 'request' or 'gupdate'", escaped(name)).into()),
    };
    Ok(Request {
        dialect,
        session: said(attributes.remove("sessionid")),
        user: said(attributes.remove("userid")).or_else(|| said(attributes.remove("machineid"))),
        apps: Vec::new(),
    })
}

fn app(mut attributes: Attributes) -> App {
    App {
        id: attributes.remove("appid").unwrap_or_default(),
        version: attributes.remove("version").unwrap_or_default(),
        board: said(attributes.remove("board")),
        ..App::default()
    }
}

fn check(mut attributes: Attributes) -> UpdateCheck {
    let is_true = |value: Option<String>| value.is_some_and(|value| matches!(value.as_str(), "true" | "1"));
    UpdateCheck {
        target_version_prefix: said(attributes.remove("targetversionprefix")),
        is_disabled: is_true(attributes.remove("updatedisabled")),
        takes_same_version: is_true(attributes.remove("sameversionupdate")),
    }
}

fn event(attributes: &Attributes) -> Result<Event, String> {
    let number = |name: &str| match attributes.get(name).map(|value| value.trim()) {
        None | Some("") => Ok(None),
        Some(value) => match value.parse::<i64>() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(format!("'{name}' is no number: '{}'", escaped(value))),
        },
    };
    let small = |name: &str, number: Option<i64>| {
        let number = number.ok_or_else(|| format!("an event has no '{name}'"))?;
        u32::try_from(number).map_err(|_| format!("'{name}' is out of range: {number}"))
    };
    Ok(Event {
        kind: small("eventtype", number("eventtype")?)?.into(),
        // What is not said is an error, by the protocol.
        result: small("eventresult", number("eventresult")?.or(Some(0)))?.into(),
        error_code: number("errorcode")?,
        previous_version: said(attributes.get("previousversion").cloned()),
        next_version: said(attributes.get("nextversion").cloned()),
        download_ms: number("download_time_ms")?.and_then(|number| u64::try_from(number).ok()),
    })
}

/// A value that is not empty.
fn said(value: Option<String>) -> Option<String> {
    value.filter(|value| !value.is_empty())
}
