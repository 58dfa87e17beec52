//! The bot's socket, spoken to directly: one request as a line of JSON, the answer's frames.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The exit code.
    pub exit: u64,
    /// The task that was made or changed.
    pub task: Option<u64>,
    /// What was said, data and talk in one.
    pub said: String,
}

/// Sends one command for a user under a request id, and reads the answer to its end.
pub fn ask(socket: &Path, user: &str, request: &str, argv: &[&str]) -> anyhow::Result<Answer> {
    let stream = UnixStream::connect(socket).context("cannot reach the bot")?;
    let line = json!({
        "version": 1,
        "id": request,
        "sent_at": "2026-01-01T00:00:00Z",
        "user": user,
        "body": {"command": {"argv": argv}},
    });
    (&stream).write_all(format!("{line}\n").as_bytes())?;
    let mut answer = Answer {
        exit: 3,
        task: None,
        said: String::new(),
    };
    for line in BufReader::new(&stream).lines() {
        let frame: Value = serde_json::from_str(&line?)?;
        if let Some(text) = frame["out"].as_str().or_else(|| frame["err"].as_str()) {
            answer.said.push_str(text);
        } else if let Some(accepted) = frame.get("accepted") {
            answer.task = accepted["task"].as_u64();
        } else if let Some(exit) = frame["exit"].as_u64() {
            answer.exit = exit;
            return Ok(answer);
        }
    }
    bail!("the bot hung up before the end of its answer: {}", answer.said)
}

/// A request id that is made from a number.
pub fn request_id(number: u64) -> String {
    format!("r-{number:032x}")
}
