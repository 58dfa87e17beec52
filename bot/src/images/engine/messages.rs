//! The stream of JSON messages that builds, pulls and pushes answer with.
//!
//! Messages are told apart by JSON itself, whatever stands between them (a line feed, CRLF, nothing) and however they are cut into
//! pieces. One that holds an error is an error, also where it holds nothing else.

use std::pin::pin;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use serde::Deserialize;
use serde_json::Value;

use super::Engine;
use super::error::EngineError;
use super::request::{Asked, pieces};
use crate::stop::Stopping;

/// One message. What is not known is passed over.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Message {
    pub(super) stream: Option<String>,
    pub(super) status: Option<String>,
    pub(super) id: Option<String>,
    pub(super) progress: Option<String>,
    pub(super) aux: Option<Value>,
    error: Option<Value>,
    #[serde(rename = "errorDetail")]
    error_detail: Option<Value>,
    /// Podman puts it here where an answer goes wrong before it has begun.
    #[serde(rename = "message")]
    text: Option<String>,
    cause: Option<String>,
}

impl Message {
    /// What the engine says went wrong.
    fn complaint(&self) -> Option<String> {
        let detail = self.error_detail.as_ref().and_then(|detail| detail["message"].as_str());
        let error = match &self.error {
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Null) | None => None,
            Some(other) => Some(other.to_string()),
        };
        let said = detail.filter(|text| !text.is_empty()).map(str::to_owned).or(error);
        said.or_else(|| {
            let cause = self.cause.as_ref()?;
            Some(self.text.clone().unwrap_or_else(|| cause.clone()))
        })
    }
}

impl Engine {
    /// Sends a request that is answered with messages, each handed over as it comes, until their end or until `stop` says so.
    ///
    /// # Errors
    /// The connection's, and what [`read`] says of the messages.
    pub(super) async fn hear(
        &self,
        doing: &str,
        asked: Asked,
        stop: &mut Stopping,
        each: impl FnMut(Message),
    ) -> Result<(), EngineError> {
        let limits = self.0.limits;
        let work = async {
            let answer = self.send(doing, asked).await?;
            read(doing, pieces(doing, answer, limits.silence), limits.message_bytes, each).await
        };
        tokio::select! {
            result = work => result,
            () = stop.word() => Err(EngineError::stopped(doing)),
        }
    }
}

/// Reads all messages, each handed over as it comes.
///
/// # Errors
/// The connection's, one that a message holds, something that is no JSON, an end in the middle of a message.
pub(super) async fn read(
    doing: &str,
    pieces: impl Stream<Item = Result<Bytes, EngineError>>,
    longest: usize,
    mut each: impl FnMut(Message),
) -> Result<(), EngineError> {
    let mut pieces = pin!(pieces);
    let mut buffer: Vec<u8> = Vec::new();
    while let Some(piece) = pieces.next().await {
        match piece {
            Ok(piece) => buffer.extend_from_slice(&piece),
            // What came until then may say why.
            Err(error) => {
                take(doing, &mut buffer, &mut each)?;
                return Err(error);
            }
        }
        take(doing, &mut buffer, &mut each)?;
        if buffer.len() > longest {
            return Err(EngineError::garbage(
                doing,
                &format!("one message is longer than {longest} bytes"),
            ));
        }
    }
    if buffer.iter().all(u8::is_ascii_whitespace) {
        Ok(())
    } else {
        Err(EngineError::cut(
            doing,
            "the engine's answer ended in the middle of a message",
        ))
    }
}

/// Takes the whole messages off the buffer.
fn take(doing: &str, buffer: &mut Vec<u8>, each: &mut impl FnMut(Message)) -> Result<(), EngineError> {
    let mut stream = serde_json::Deserializer::from_slice(buffer).into_iter::<Value>();
    let mut done = 0;
    let result = loop {
        match stream.next() {
            None => {
                done = stream.byte_offset();
                break Ok(());
            }
            // The rest is on its way.
            Some(Err(error)) if error.is_eof() => break Ok(()),
            Some(Err(error)) => break Err(EngineError::garbage(doing, &error.to_string())),
            Some(Ok(value)) => {
                done = stream.byte_offset();
                if !value.is_object() {
                    break Err(EngineError::garbage(doing, "a message is no object"));
                }
                let message: Message = match serde_json::from_value(value) {
                    Ok(message) => message,
                    Err(error) => break Err(EngineError::garbage(doing, &error.to_string())),
                };
                if let Some(said) = message.complaint() {
                    break Err(EngineError::said(doing, &said));
                }
                each(message);
            }
        }
    };
    buffer.drain(..done);
    result
}

/// Puts pieces of text together to lines, safe to show.
#[derive(Debug, Default)]
pub(super) struct Lines(String);

impl Lines {
    pub(super) fn push(&mut self, text: &str, mut line: impl FnMut(&str)) {
        self.0.push_str(text);
        while let Some(end) = self.0.find('\n') {
            let rest = self.0.split_off(end + 1);
            line(&safe(&self.0));
            self.0 = rest;
        }
        // Somebody who never ends his line does not fill our memory.
        if self.0.len() > 64 << 10 {
            line(&safe(&std::mem::take(&mut self.0)));
        }
    }

    pub(super) fn end(&mut self, mut line: impl FnMut(&str)) {
        let rest = std::mem::take(&mut self.0);
        if !rest.trim().is_empty() {
            line(&safe(&rest));
        }
    }
}

/// A line without what could move the cursor; of what was written over itself the last is kept.
fn safe(line: &str) -> String {
    let line = line.trim_end_matches(['\n', '\r', ' ']);
    let last = line.rsplit('\r').next().unwrap_or(line);
    windlass_core::escape::escaped(&last.replace('\t', "    "))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_all(pieces: &[&[u8]]) -> Result<Vec<String>, EngineError> {
        let stream = futures_util::stream::iter(pieces.iter().map(|piece| Ok(Bytes::copy_from_slice(piece))));
        let mut said = Vec::new();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("it can be made");
        runtime.block_on(read("build x", stream, 1 << 20, |message| said.extend(message.stream)))?;
        Ok(said)
    }

    #[test]
    fn an_error_alone_is_an_error() {
        let error = read_all(&[b"{\"error\":\"no space left on device\"}\r\n"]).unwrap_err();
        assert!(error.to_string().contains("no space left"), "{error}");
        let error = read_all(&[
            b"{\"errorDetail\":{\"code\":1,\"message\":\"The command 'false' returned a non-zero code: 1\"}}",
        ]);
        assert!(!error.unwrap_err().is_transient());
        let error = read_all(&[b"{\"cause\":\"x\",\"message\":\"no such image\",\"response\":500}\n"]);
        assert!(error.unwrap_err().to_string().contains("no such image"));
    }

    #[test]
    fn an_end_in_the_middle_is_one() {
        let error = read_all(&[b"{\"stream\":\"a\"}\n{\"stre"]).unwrap_err();
        assert!(error.is_transient());
    }

    #[test]
    fn what_is_no_json_is_told() {
        for bytes in [b"<html>".as_slice(), b"[1]", b"\"x\"", b"{\"stream\":1}", b"\xff\xfe"] {
            let error = read_all(&[bytes]).unwrap_err();
            assert!(!error.is_transient(), "{error}");
        }
    }

    proptest! {
        #[test]
        fn however_it_is_cut_the_messages_are_the_same(cuts in proptest::collection::vec(0usize..90, 0..8), crlf: bool) {
            let end = if crlf { "\r\n" } else { "\n" };
            let text = ["{\"stream\":\"Step 1/2\\n\"}", "{\"stream\":\"\u{e4}\\r\\n\"}", "{\"aux\":{\"ID\":\"x\"}}", "{\"stream\":\"done\"}"]
                .map(|message| format!("{message}{end}")).concat();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.sort_unstable();
            cuts.push(text.len());
            let mut from = 0;
            let pieces: Vec<&[u8]> = cuts.iter().map(|cut| {
                let piece = &text.as_bytes()[from..*cut];
                from = *cut;
                piece
            }).collect();
            prop_assert_eq!(read_all(&pieces).unwrap(), ["Step 1/2\n", "\u{e4}\r\n", "done"]);
        }
    }

    #[test]
    fn lines_are_whole_and_safe() {
        let mut lines = Lines::default();
        let mut seen = Vec::new();
        for text in ["Step", " 1\nStep 2\r\n10%\r20%", "\n\u{1b}[31mred"] {
            lines.push(text, |line| seen.push(line.to_owned()));
        }
        lines.end(|line| seen.push(line.to_owned()));
        assert_eq!(seen, ["Step 1", "Step 2", "20%", "\\u{1b}[31mred"]);
    }
}
