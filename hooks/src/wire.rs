//! What is said between the git side and the bot: one [`Request`] as a line of JSON, answered by [`Frame`]s, a line of JSON each.
//!
//! The same line is what a spool file holds. Nothing here touches a socket: `handover` sends, the bot receives.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use windlass_core::id::{BadId, ObjectId, RepositoryName, RequestId, SourcePath, TagName, TaskId, UserName};
use windlass_core::refusal::Refusal;

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

/// A signed tag that passed the hook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TagPushed {
    /// Where it was pushed to.
    pub source: SourcePath,
    /// Its name.
    pub tag: TagName,
    /// The tag object, not the commit that it names.
    pub object: ObjectId,
    /// What the pusher asked for.
    pub options: PushOptions,
    /// Who pushed, as sshd authenticated him.
    pub pusher: UserName,
}

/// What a push can ask for (`git push -o …`). A closed set: an unknown option is refused, never ignored.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushOptions {
    /// `build` or `build=REPOSITORY`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<BuildRequest>,
    /// `task=ID`: the tag is added to that task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// `test-only`: the task is tested and not committed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub test_only: bool,
}

/// For which repository a build is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuildRequest {
    /// The one that the configuration names as default.
    Default,
    /// This one.
    Repository(RepositoryName),
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
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
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

impl TagPushed {
    /// The request's id: made from what was pushed, so that a repeated push is a repeated request.
    pub fn request_id(&self) -> RequestId {
        let mut hash = Sha256::new();
        for part in ["push", self.source.as_str(), &self.tag.reference()] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        hash.update(self.object.as_str().as_bytes());
        request_id(&hash.finalize()[..16])
    }
}

/// A request id from bytes, 8 to 32 of them.
fn request_id(bytes: &[u8]) -> RequestId {
    use std::fmt::Write as _;
    let mut text = String::from("r-");
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text.parse()
        .expect("it is 'r-' and an allowed number of hexadecimal digits")
}

/// A new id for a request that nothing identifies by itself, from the kernel's random numbers.
pub fn random_request_id() -> std::io::Result<RequestId> {
    use std::io::Read as _;
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(request_id(&bytes))
}

impl PushOptions {
    /// Whether the pusher asked for a build, in this or that way.
    pub fn asks_for_build(&self) -> bool {
        self.build.is_some() || self.task.is_some()
    }

    /// Reads what git hands to a hook, one option an item.
    ///
    /// # Errors
    /// All options that are unknown, badly formed or contradict an earlier one.
    pub fn parse<'a>(options: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, Vec<Refusal>> {
        let mut parsed = Self::default();
        let mut refusals = Vec::new();
        for option in options {
            if let Err(refusal) = parsed.take(option) {
                refusals.push(refusal);
            }
        }
        if refusals.is_empty() { Ok(parsed) } else { Err(refusals) }
    }

    fn take(&mut self, option: &[u8]) -> Result<(), Refusal> {
        let shown = windlass_core::escape::escaped_bytes(option);
        let unknown = || {
            Refusal::new("unknown_push_option", format!("push option '{shown}' is unknown"))
                .hint("known are: build, build=REPOSITORY, task=ID, test-only")
        };
        let twice = |name: &str| {
            Refusal::new(
                "bad_push_option",
                format!("push option '{name}' is given twice, with different values"),
            )
        };
        let bad = |error: BadId| Refusal::new("bad_push_option", format!("push option '{shown}': {error}"));
        let text = std::str::from_utf8(option).map_err(|_| unknown())?;
        match text.split_once('=') {
            None if text == "build" => set(&mut self.build, BuildRequest::Default).map_err(|()| twice("build")),
            None if text == "test-only" => {
                self.test_only = true;
                Ok(())
            }
            Some(("build", name)) => {
                set(&mut self.build, BuildRequest::Repository(name.parse().map_err(bad)?)).map_err(|()| twice("build"))
            }
            Some(("task", id)) => set(&mut self.task, id.parse().map_err(bad)?).map_err(|()| twice("task")),
            _ => Err(unknown()),
        }
    }
}

fn set<T: PartialEq>(place: &mut Option<T>, value: T) -> Result<(), ()> {
    match place {
        Some(old) if *old != value => Err(()),
        _ => {
            *place = Some(value);
            Ok(())
        }
    }
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

    #[test]
    fn push_options_are_a_closed_set() {
        let parse = |options: &[&[u8]]| PushOptions::parse(options.iter().copied());
        assert_eq!(parse(&[]).unwrap(), PushOptions::default());
        let full = parse(&[b"build=sid", b"task=7", b"test-only", b"build=sid"]).unwrap();
        assert_eq!(full.build, Some(BuildRequest::Repository("sid".parse().unwrap())));
        assert_eq!(full.task.map(TaskId::get), Some(7));
        assert!(full.test_only);
        for bad in [
            &b"Build"[..],
            b"build=",
            b"build=../x",
            b"task=0",
            b"task=",
            b"--exec=x",
            b"",
            b"test-only=1",
            b"build\xff",
            b"a\nb",
        ] {
            let refusals = parse(&[bad]).unwrap_err();
            assert_eq!(refusals.len(), 1, "{refusals:?}");
            assert!(refusals[0].message.chars().all(windlass_core::escape::is_plain));
        }
        assert!(parse(&[b"build", b"build=sid"]).is_err());
        assert_eq!(parse(&[b"x", b"y"]).unwrap_err().len(), 2);
    }
}
