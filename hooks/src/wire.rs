//! What is said between the git side and the bot: one [`Request`] as a line of JSON, answered by [`Frame`]s, a line of JSON each.
//!
//! The same line is what a spool file holds. Nothing here touches a socket: `handover` sends, the bot receives.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use windlass_core::id::{RequestId, TaskId, UserName};
pub use windlass_core::push::{BuildRequest, PushOptions, TagPushed};

/// The version of the protocol that this program speaks.
pub const VERSION: u32 = 1;

/// The longest line, its line feed included: 1 MiB.
pub const MAX_LINE: usize = 1 << 20;

/// One request. A connection carries one, a spool file is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// [`VERSION`].
    pub version: u32,
    /// The same id again has no second effect and gets the recorded answer.
    pub id: RequestId,
    /// When it was sent, by the sender's clock. Told, never decided by.
    pub sent_at: Timestamp,
    /// For whom. The bot believes it according to the peer's credentials.
    pub user: UserName,
    /// What is asked for.
    pub body: Body,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Body {
    /// A command in the one grammar, split into words, without a program's name before it.
    Command {
        /// The words, as in `["task", "show", "7"]`.
        argv: Vec<String>,
    },
    /// A signed tag was pushed and its build is asked for.
    TagPushed(TagPushed),
}

/// One piece of a reply. [`Frame::Exit`] is the last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Frame {
    /// Text for the caller's stdout.
    Out(String),
    /// Text for the caller's stderr.
    Err(String),
    /// The request is in the journal: from here on it is not lost and must not be sent under another id.
    Accepted {
        /// The request's id.
        request: RequestId,
        /// The task that it made or changed.
        task: Option<TaskId>,
    },
    /// The end, with the exit code.
    Exit(u8),
}

/// A line that is no request or no frame.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The line is longer than [`MAX_LINE`].
    #[error("the line is longer than {MAX_LINE} bytes")]
    TooLong,
    /// The sender speaks another version.
    #[error("the sender speaks version {0} of the protocol, this program version {VERSION}: bring both to one version")]
    Version(u32),
    /// It is no JSON, or not of this shape.
    #[error("not understood: {0}")]
    Json(#[from] serde_json::Error),
}

/// What every version of a request has.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl Request {
    /// A request of this version.
    pub fn new(id: RequestId, sent_at: Timestamp, user: UserName, body: Body) -> Self {
        Self {
            version: VERSION,
            id,
            sent_at,
            user,
            body,
        }
    }

    /// Reads one line, with or without its line feed.
    pub fn parse(line: &[u8]) -> Result<Self, WireError> {
        if line.len() > MAX_LINE {
            return Err(WireError::TooLong);
        }
        // The version first and alone: a newer request may have fields that are unknown here.
        let Versioned { version } = serde_json::from_slice(line)?;
        if version != VERSION {
            return Err(WireError::Version(version));
        }
        Ok(serde_json::from_slice(line)?)
    }

    /// The line that is sent, with its line feed.
    pub fn to_line(&self) -> Result<Vec<u8>, WireError> {
        to_line(self)
    }
}

impl Frame {
    /// Reads one line, with or without its line feed.
    pub fn parse(line: &[u8]) -> Result<Self, WireError> {
        if line.len() > MAX_LINE {
            return Err(WireError::TooLong);
        }
        Ok(serde_json::from_slice(line)?)
    }

    /// The line that is sent, with its line feed.
    pub fn to_line(&self) -> Result<Vec<u8>, WireError> {
        to_line(self)
    }
}

fn to_line<T: Serialize>(value: &T) -> Result<Vec<u8>, WireError> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    if line.len() > MAX_LINE {
        Err(WireError::TooLong)
    } else {
        Ok(line)
    }
}

/// A new id for a request that nothing identifies by itself, from the kernel's random numbers.
#[expect(clippy::missing_panics_doc, reason = "it cannot: the id is well formed")]
pub fn random_request_id() -> std::io::Result<RequestId> {
    use std::io::Read as _;
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let text = format!("r-{:032x}", u128::from_be_bytes(bytes));
    Ok(text.parse().expect("it is 'r-' and 32 hexadecimal digits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pushed() -> TagPushed {
        TagPushed {
            source: "people/alice/packages/hello.git".parse().unwrap(),
            tag: "1.0-alt1".parse().unwrap(),
            object: "0123456789012345678901234567890123456789".parse().unwrap(),
            options: PushOptions {
                build: Some(BuildRequest::Default),
                ..PushOptions::default()
            },
            pusher: "alice".parse().unwrap(),
        }
    }

    fn request(body: Body) -> Request {
        Request::new(
            pushed().request_id(),
            Timestamp::UNIX_EPOCH,
            "alice".parse().unwrap(),
            body,
        )
    }

    #[test]
    fn what_is_written_is_read() {
        for body in [
            Body::TagPushed(pushed()),
            Body::Command {
                argv: vec!["task".into(), "ls".into()],
            },
        ] {
            let request = request(body);
            assert_eq!(Request::parse(&request.to_line().unwrap()).unwrap(), request);
        }
        let frame = Frame::Accepted {
            request: pushed().request_id(),
            task: Some(TaskId::FIRST),
        };
        assert_eq!(Frame::parse(&frame.to_line().unwrap()).unwrap(), frame);
    }

    #[test]
    fn the_line_looks_like_this() {
        let line = String::from_utf8(request(Body::TagPushed(pushed())).to_line().unwrap()).unwrap();
        assert_eq!(
            line,
            "{\"version\":1,\"id\":\"r-12a06897b087b22b62a90d890f8cf341\",\"sent_at\":\"1970-01-01T00:00:00Z\",\"user\":\"alice\",\
             \"body\":{\"tag_pushed\":{\"source\":\"people/alice/packages/hello.git\",\"tag\":\"1.0-alt1\",\
             \"object\":\"0123456789012345678901234567890123456789\",\"options\":{\"build\":\"default\"},\"pusher\":\"alice\"}}}\n"
        );
    }

    #[test]
    fn another_version_is_told_from_nonsense() {
        assert!(matches!(
            Request::parse(b"{\"version\":2,\"new\":true}"),
            Err(WireError::Version(2))
        ));
        assert!(matches!(Request::parse(b"{}"), Err(WireError::Json(_))));
        assert!(matches!(
            Request::parse(&vec![b' '; MAX_LINE + 1]),
            Err(WireError::TooLong)
        ));
    }
}
