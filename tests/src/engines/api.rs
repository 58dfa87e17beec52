//! One HTTP request at a time to an engine or a registry, written by hand: stories look at engines past the code that is under test.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::wait::DEADLINE;

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body, put together.
    pub body: Vec<u8>,
}

impl Answer {
    /// Stops a story unless the status is a good one.
    pub fn ok(self) -> anyhow::Result<Self> {
        if (200..300).contains(&self.status) {
            Ok(self)
        } else {
            bail!("answered {}: {}", self.status, self.text())
        }
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> anyhow::Result<Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("this is no JSON: {}", self.text()))
    }
}

/// Asks an engine on a Unix socket.
pub fn request(socket: &Path, method: &str, path: &str, kind: &str, body: &[u8]) -> anyhow::Result<Answer> {
    let stream = UnixStream::connect(socket).with_context(|| format!("cannot reach {}", socket.display()))?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.set_write_timeout(Some(DEADLINE))?;
    exchange(stream, method, path, &format!("Content-Type: {kind}\r\n"), body)
}

/// Asks a registry on the loopback.
pub(super) fn request_tcp(port: u16, method: &str, path: &str, login: Option<(&str, &str)>) -> anyhow::Result<Answer> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(DEADLINE))?;
    let manifest = "Accept: application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
                    application/vnd.docker.distribution.manifest.v2+json\r\n";
    let login = login.map_or_else(String::new, |(user, password)| {
        format!(
            "Authorization: Basic {}\r\n",
            base64(format!("{user}:{password}").as_bytes())
        )
    });
    exchange(stream, method, path, &format!("{manifest}{login}"), &[])
}

fn exchange(
    mut stream: impl Read + Write,
    method: &str,
    path: &str,
    headers: &str,
    body: &[u8],
) -> anyhow::Result<Answer> {
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n"
    )?;
    // An engine does not always read on to the end of an archive's padding, and answers and hangs up before.
    let sent = stream.write_all(body).and_then(|()| stream.flush());
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    match parse(&bytes) {
        Ok(answer) => Ok(answer),
        Err(error) => {
            sent?;
            read?;
            Err(error)
        }
    }
}

fn parse(bytes: &[u8]) -> anyhow::Result<Answer> {
    let end = bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .context("an answer without an end of its head")?;
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let status = head.split(' ').nth(1).context("a status line")?.parse()?;
    let rest = &bytes[end + 4..];
    let chunked = head
        .lines()
        .any(|line| line.starts_with("transfer-encoding:") && line.contains("chunked"));
    let body = if chunked { joined(rest)? } else { rest.to_vec() };
    Ok(Answer { status, body })
}

fn joined(mut rest: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest
            .windows(2)
            .position(|two| two == b"\r\n")
            .context("a chunk's length")?;
        let length = std::str::from_utf8(&rest[..end])?.split(';').next().unwrap_or_default();
        let length = usize::from_str_radix(length.trim(), 16)?;
        if length == 0 {
            return Ok(body);
        }
        rest = &rest[end + 2..];
        body.extend_from_slice(rest.get(..length).context("a whole chunk")?);
        rest = rest.get(length + 2..).context("the end of a chunk")?;
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let number = (0..3).fold(0u32, |sum, at| {
            sum << 8 | u32::from(three.get(at).copied().unwrap_or(0))
        });
        for at in 0..4 {
            let digit = DIGITS[(number >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= three.len() { char::from(digit) } else { '=' });
        }
    }
    text
}
