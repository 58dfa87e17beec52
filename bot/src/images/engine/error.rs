//! What goes wrong with an engine, and whether trying again may help. That is decided here, once; final by default.

use std::fmt;
use std::time::Duration;

use windlass_core::escape::{escaped, escaped_lines};

/// The most of an engine's words that are shown.
const LONGEST: usize = 4000;

/// The way out where a registry does not know us.
const LOG_IN: &str = "log in to the registry: `docker login` or `podman login` as this user, or --credentials FILE";

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The engine could not be reached, or hung up.
    Connection,
    /// It did not answer, or not go on, within this time.
    TimedOut(Duration),
    /// It answered with this status of HTTP.
    Status(u16),
    /// It said so in the middle of an answer that had begun well.
    Said,
    /// A step of a build failed: the Dockerfile's own affair.
    Step,
    /// Its answer ended in the middle.
    Cut,
    /// Its answer is not what the Docker API says.
    Garbage,
    /// It said that all was well, and a look shows that it is not.
    NotDone,
    /// Something on this machine, such as a file.
    Local,
    /// We were told to stop.
    Stopped,
}

/// An error of an engine: what was to be done, what it says, whether trying again may help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineError {
    doing: String,
    cause: Cause,
    message: String,
    transient: bool,
    hint: Option<String>,
}

impl std::error::Error for EngineError {}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: {}", self.doing, self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "\n\nhint: {hint}"))
    }
}

impl EngineError {
    fn new(doing: &str, cause: Cause, message: impl Into<String>, transient: bool) -> Self {
        Self {
            doing: escaped(doing),
            cause,
            message: escaped_lines(&message.into(), LONGEST),
            transient,
            hint: None,
        }
    }

    /// The same with a way out.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Whether the same may succeed when it is tried again later: names that did not resolve, connections that broke, servers
    /// that were overloaded, times that ran out. Everything else is final, a failed step of a build above all.
    pub fn is_transient(&self) -> bool {
        self.transient
    }

    /// What went wrong.
    pub fn cause(&self) -> &Cause {
        &self.cause
    }

    /// What the engine says, escaped, without the frame that [`fmt::Display`] gives it.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether nothing is wrong but that we were told to stop.
    pub fn is_stopped(&self) -> bool {
        self.cause == Cause::Stopped
    }

    /// Whether what was asked for is not there.
    pub fn is_absent(&self) -> bool {
        self.cause == Cause::Status(404)
    }

    /// The word to stop came.
    pub fn stopped(doing: &str) -> Self {
        Self::new(doing, Cause::Stopped, "it was stopped", false)
    }

    /// Something on this machine that has nothing to do with the engine.
    pub fn local(doing: &str, error: &std::io::Error) -> Self {
        Self::new(doing, Cause::Local, error.to_string(), false)
    }

    /// What was asked for makes no sense.
    pub fn senseless(doing: &str, why: impl Into<String>) -> Self {
        Self::new(doing, Cause::Local, why, false)
    }

    /// All went well by the engine's words, and is not so.
    pub fn not_done(doing: &str, why: impl Into<String>) -> Self {
        Self::new(doing, Cause::NotDone, why, false)
    }

    /// The engine did not answer, or did not go on, in time.
    pub fn timed_out(doing: &str, after: Duration) -> Self {
        let message = format!("the engine did not answer within {} seconds", after.as_secs_f64());
        Self::new(doing, Cause::TimedOut(after), message, true)
    }

    /// The connection could not be made, or broke.
    pub fn connection(doing: &str, error: &dyn std::error::Error) -> Self {
        Self::new(doing, Cause::Connection, with_causes(error), true)
    }

    /// The answer ended in the middle.
    pub fn cut(doing: &str, why: impl Into<String>) -> Self {
        Self::new(doing, Cause::Cut, why, true)
    }

    /// The answer is not what the API says.
    pub fn garbage(doing: &str, why: &str) -> Self {
        let message = format!("the engine's answer is not one of the Docker API: {why}");
        Self::new(doing, Cause::Garbage, message, false)
    }

    /// An answer with a bad status.
    pub fn status(doing: &str, status: u16, said: &str) -> Self {
        let said = said.trim();
        let message = if said.is_empty() {
            format!("the engine answered {status}")
        } else {
            format!("{said} (the engine answered {status})")
        };
        let transient = match status {
            408 | 429 | 502..=504 => true,
            // Podman answers 500 to nearly everything that goes wrong, also where it always will.
            500 => !says_final(said),
            _ => says_transient(said) && !says_final(said),
        };
        let error = Self::new(doing, Cause::Status(status), message, transient && !says_step(said));
        if matches!(status, 401 | 403) || says_denied(said) {
            error.hint(LOG_IN)
        } else {
            error
        }
    }

    /// What the engine said in the middle of an answer that began well.
    pub fn said(doing: &str, said: &str) -> Self {
        if says_step(said) {
            return Self::new(doing, Cause::Step, said, false);
        }
        let error = Self::new(doing, Cause::Said, said, says_transient(said) && !says_final(said));
        if says_denied(said) {
            return error.hint(LOG_IN);
        }
        error
    }

    /// What bollard or hyper say.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "bollard's: most of its errors are none of an engine"
    )]
    pub(super) fn of(doing: &str, error: &bollard::errors::Error) -> Self {
        use bollard::errors::Error as E;
        match error {
            E::DockerResponseServerError { status_code, message } => Self::status(doing, *status_code, message),
            E::RequestTimeoutError => Self::new(
                doing,
                Cause::TimedOut(Duration::ZERO),
                "the engine did not answer in time",
                true,
            ),
            E::DockerStreamError { error } => Self::said(doing, error),
            E::JsonDataError { message, .. } => Self::garbage(doing, message),
            E::JsonSerdeError { err } => Self::garbage(doing, &err.to_string()),
            E::IOError { err } => Self::io(doing, err),
            E::HyperResponseError { err } => Self::hyper(doing, err),
            other => Self::new(doing, Cause::Said, with_causes(other), false),
        }
    }

    /// What hyper says of an answer.
    pub(super) fn hyper(doing: &str, error: &hyper::Error) -> Self {
        if error.is_parse() {
            return Self::garbage(doing, &error.to_string());
        }
        if error.is_incomplete_message() {
            return Self::cut(doing, "the engine hung up in the middle of its answer");
        }
        let inner = std::error::Error::source(error).and_then(|inner| inner.downcast_ref::<std::io::Error>());
        match inner {
            Some(inner) if inner.kind() == std::io::ErrorKind::UnexpectedEof => {
                Self::cut(doing, "the engine hung up in the middle of its answer")
            }
            Some(inner) => Self::io(doing, inner),
            None => Self::connection(doing, error),
        }
    }

    /// What the system says of the connection.
    pub(super) fn io(doing: &str, error: &std::io::Error) -> Self {
        if let Some(TooLong(limit)) = error.get_ref().and_then(|inner| inner.downcast_ref()) {
            return Self::garbage(doing, &format!("it is longer than {limit} bytes"));
        }
        Self::connection(doing, error)
    }
}

/// An answer that is longer than any good one: the reader stops it.
#[derive(Debug, thiserror::Error)]
#[error("the answer is longer than {0} bytes")]
pub(super) struct TooLong(pub(super) u64);

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        next = error.source();
    }
    text
}

fn has(text: &str, words: &[&str]) -> bool {
    let text = text.to_ascii_lowercase();
    words.iter().any(|word| text.contains(word))
}

/// A command of the Dockerfile ended with an exit code: classic builder, BuildKit (two wordings), buildah.
fn says_step(text: &str) -> bool {
    has(
        text,
        &[
            "returned a non-zero code",
            "executor failed running",
            "did not complete successfully: exit code",
            "error while running runtime: exit status",
            "while running runtime: exit status",
        ],
    )
}

fn says_denied(text: &str) -> bool {
    has(
        text,
        &[
            "unauthorized",
            "authentication required",
            "access denied",
            "no basic auth credentials",
        ],
    )
}

/// What stays so however often it is tried.
fn says_final(text: &str) -> bool {
    says_denied(text)
        || has(
            text,
            &[
                "manifest unknown",
                "name unknown",
                "no such image",
                "image not known",
                "no such container",
                "no container with",
                "not found",
                "invalid",
                "unknown flag",
                "unknown instruction",
                "parse error",
                "permission denied",
                "no such file or directory",
                "already in use",
                "conflict",
                "is in use",
                "not supported",
                "unsupported",
                "bad parameter",
                "exec format error",
                "executable file",
            ],
        )
}

/// What passes: the network's and overloaded servers' words, as Go's libraries put them.
fn says_transient(text: &str) -> bool {
    has(
        text,
        &[
            "temporary failure",
            "no such host",
            "server misbehaving",
            "i/o timeout",
            "connection reset",
            "connection refused",
            "broken pipe",
            "tls handshake timeout",
            "unexpected eof",
            "context deadline exceeded",
            "client.timeout",
            "network is unreachable",
            "no route to host",
            "toomanyrequests",
            "too many requests",
            "unexpected http status: 5",
            "500 internal server error",
            "502 bad gateway",
            "503 service unavailable",
            "504 gateway",
            "received unexpected http status",
            "http: server closed",
            "net/http: timeout",
        ],
    )
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(
        "Get \"https://r/v2/\": dial tcp: lookup r: Temporary failure in name resolution",
        true
    )]
    #[case("Get \"http://r/v2/\": dial tcp: lookup r on 10.0.0.1:53: no such host", true)]
    #[case("read tcp 1.2.3.4:5->6.7.8.9:443: read: connection reset by peer", true)]
    #[case("received unexpected HTTP status: 503 Service Unavailable", true)]
    #[case("net/http: TLS handshake timeout", true)]
    #[case("manifest for x/y:1 not found: manifest unknown: manifest unknown", false)]
    #[case("unauthorized: authentication required", false)]
    #[case("The command '/bin/sh -c curl x' returned a non-zero code: 28", false)]
    #[case(
        "process \"/bin/sh -c curl: i/o timeout\" did not complete successfully: exit code: 1",
        false
    )]
    #[case(
        "error building at STEP \"RUN false\": error while running runtime: exit status 1",
        false
    )]
    #[case("something that nobody has seen", false)]
    fn what_passes_is_told_from_what_stays(#[case] said: &str, #[case] transient: bool) {
        assert_eq!(EngineError::said("build x", said).is_transient(), transient);
    }

    #[rstest]
    #[case(500, "driver failed: device or resource busy", true)]
    #[case(500, "no such image", false)]
    #[case(502, "", true)]
    #[case(503, "no such image", true)]
    #[case(404, "No such image: x", false)]
    #[case(409, "Conflict. The name is already in use", false)]
    #[case(401, "", false)]
    fn a_status_decides(#[case] status: u16, #[case] said: &str, #[case] transient: bool) {
        let error = EngineError::status("inspect x", status, said);
        assert_eq!(error.is_transient(), transient);
        assert!(error.to_string().contains(&status.to_string()));
    }

    #[test]
    fn an_engines_words_cannot_drive_the_terminal() {
        let error = EngineError::said("build x", "\u{1b}[2Jgone\u{202e}");
        assert!(!error.to_string().contains('\u{1b}'));
        assert!(!error.to_string().contains('\u{202e}'));
        let long = EngineError::said("build x", &"ä".repeat(100_000));
        assert!(long.to_string().len() < 2 * LONGEST);
    }
}
