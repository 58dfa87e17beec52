//! What a device asks and tells.

use super::{BadRequest, Event, MOST_APPS, MOST_BYTES, MOST_EVENTS, MOST_WORD, json, xml};

/// A protocol with its form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// 2.0, `gupdate` in XML.
    V2Xml,
    /// 3.0, `request` in XML.
    V3Xml,
    /// 3.0 in JSON.
    V3Json,
    /// 3.1 in JSON.
    V31Json,
}

/// A request: for each app a ping, a check, events, or all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// In which protocol it is, and is to be answered.
    pub dialect: Dialect,
    /// What the requests of one update have in common.
    pub session: Option<String>,
    /// Who asks, as far as it says so: a machine's or user's id.
    pub user: Option<String>,
    /// The apps that it is about.
    pub apps: Vec<App>,
}

/// What a request says of one app.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct App {
    /// Its id, as it came: with or without braces. Empty only in 2.0.
    pub id: String,
    /// The version that is there.
    pub version: String,
    /// The board.
    pub board: Option<String>,
    /// Whether it says that it is alive.
    pub ping: bool,
    /// Whether it asks for an update.
    pub check: Option<UpdateCheck>,
    /// What happened.
    pub events: Vec<Event>,
}

/// How a device asks for an update.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpdateCheck {
    /// Only versions with this beginning are wanted.
    pub target_version_prefix: Option<String>,
    /// An update would not be installed.
    pub is_disabled: bool,
    /// The version that is there already will do, too.
    pub takes_same_version: bool,
}

/// The form of a request.
#[derive(Clone, Copy)]
enum Form {
    Xml,
    Json,
}

impl Request {
    /// Reads a request. Its form is what the content type says; where that says nothing of it, what it looks like.
    ///
    /// # Errors
    /// It is empty, too large, malformed, or of another protocol.
    pub fn parse(content_type: Option<&str>, body: &[u8]) -> Result<Self, BadRequest> {
        if body.len() > MOST_BYTES {
            return Err(BadRequest::TooLarge);
        }
        let text = std::str::from_utf8(body).map_err(|_| BadRequest::malformed("it is not UTF-8"))?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.trim_ascii().is_empty() {
            return Err(BadRequest::Empty);
        }
        let request = match form(content_type, text) {
            Form::Xml => xml::read(text)?,
            Form::Json => json::read(text)?,
        };
        request.checked()
    }

    /// The same, if it says no more than a request may.
    fn checked(self) -> Result<Self, BadRequest> {
        if self.apps.is_empty() {
            return Err(BadRequest::malformed("it is about no app"));
        }
        if self.apps.len() > MOST_APPS {
            return Err(BadRequest::malformed(format!("it is about more than {MOST_APPS} apps")));
        }
        let mut words: Vec<&str> = self.session.iter().chain(&self.user).map(String::as_str).collect();
        for app in &self.apps {
            if app.events.len() > MOST_EVENTS {
                return Err(BadRequest::malformed(format!(
                    "it tells more than {MOST_EVENTS} events of one app"
                )));
            }
            // The id goes back as it came: nothing that could be more than a word in whatever it is put into.
            let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\"'<>&\\".contains(&byte);
            if !app.id.bytes().all(is_plain) || (app.id.is_empty() && self.dialect != Dialect::V2Xml) {
                return Err(BadRequest::malformed("an app has no id of letters, digits and signs"));
            }
            words.extend([app.id.as_str(), app.version.as_str()]);
            words.extend(app.board.as_deref());
            words.extend(
                app.check
                    .iter()
                    .filter_map(|check| check.target_version_prefix.as_deref()),
            );
            let versions = |event: &'_ Event| [event.previous_version.clone(), event.next_version.clone()];
            if app
                .events
                .iter()
                .flat_map(versions)
                .flatten()
                .any(|version| !is_word(&version))
            {
                return Err(unfit());
            }
        }
        if words.into_iter().all(is_word) {
            Ok(self)
        } else {
            Err(unfit())
        }
    }
}

/// Whether a text is short and on one line.
fn is_word(text: &str) -> bool {
    text.len() <= MOST_WORD && !text.chars().any(char::is_control)
}

fn unfit() -> BadRequest {
    BadRequest::malformed(format!(
        "an id, a version or a board has more than {MOST_WORD} bytes, or control characters"
    ))
}

fn form(content_type: Option<&str>, text: &str) -> Form {
    let kind = content_type.unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if kind.ends_with("/xml") || kind.ends_with("+xml") {
        Form::Xml
    } else if kind.ends_with("/json") || kind.ends_with("+json") || !text.trim_ascii_start().starts_with('<') {
        Form::Json
    } else {
        Form::Xml
    }
}
