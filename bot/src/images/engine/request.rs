//! Requests whose answers are read as they come: the path put together safely, the head awaited, a bad status told.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use hyper::body::{Body as _, Incoming};
use hyper::header::HeaderValue;
use hyper::{Method, Request, Response, StatusCode};
use tokio_util::io::ReaderStream;

use super::Engine;
use super::error::EngineError;

/// The most of a bad answer's body that is read.
const LONGEST_COMPLAINT: usize = 64 << 10;

/// What goes with a request.
pub(super) enum Payload {
    Nothing,
    /// A file that is sent as it is read.
    File(std::fs::File),
}

/// A request under construction.
pub(super) struct Asked {
    method: Method,
    path: String,
    headers: Vec<(&'static str, String)>,
    pub(super) payload: Payload,
    /// How long the head of the answer may take.
    pub(super) patience: Duration,
}

impl Asked {
    pub(super) fn new(method: Method, path: String, patience: Duration) -> Self {
        Self {
            method,
            path,
            headers: Vec::new(),
            payload: Payload::Nothing,
            patience,
        }
    }

    /// One more parameter.
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        let mark = if self.path.contains('?') { '&' } else { '?' };
        self.path.push(mark);
        encode(&mut self.path, name, "");
        self.path.push('=');
        encode(&mut self.path, value, "");
        self
    }

    /// One more parameter, where there is a value.
    pub(super) fn with_some(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    pub(super) fn header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(super) fn sending(mut self, payload: Payload) -> Self {
        self.payload = payload;
        self
    }
}

/// Everything but letters, digits and a few harmless signs as `%XX`; and what `safe` names.
fn encode(into: &mut String, text: &str, safe: &str) {
    for byte in text.bytes() {
        let c = char::from(byte);
        if byte.is_ascii_alphanumeric() || "-_.~".contains(c) || safe.contains(c) {
            into.push(c);
        } else {
            // Writing to a String cannot fail.
            let _ = write!(into, "%{byte:02X}");
        }
    }
}

/// An image's or container's name or id, as it stands in a path. What could lead elsewhere in the API is refused.
pub(super) fn checked<'a>(doing: &str, name: &'a str) -> Result<&'a str, EngineError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
    let segments = name.split('/').all(|segment| !matches!(segment, "" | "." | ".."));
    if name.chars().all(plain) && segments {
        Ok(name)
    } else {
        Err(EngineError::senseless(doing, "that is neither a name nor an id"))
    }
}

impl Engine {
    /// Sends it and waits for the head of the answer; a bad status is an error with what the engine says of it.
    pub(super) async fn send(&self, doing: &str, asked: Asked) -> Result<Response<Incoming>, EngineError> {
        let patience = asked.patience;
        let late = || EngineError::timed_out(doing, patience);
        let answer = tokio::time::timeout(patience, self.send_request(doing, asked))
            .await
            .map_err(|_| late())??;
        if answer.status().is_success() || answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(answer);
        }
        let status = answer.status().as_u16();
        let complaint = tokio::time::timeout(self.0.limits.answer, beginning(answer.into_body())).await;
        let complaint = complaint.unwrap_or_default();
        let said = serde_json::from_slice::<serde_json::Value>(&complaint)
            .ok()
            .and_then(|value| value["message"].as_str().map(str::to_owned))
            .unwrap_or_else(|| String::from_utf8_lossy(&complaint).into_owned());
        Err(EngineError::status(doing, status, &said))
    }

    async fn send_request(&self, doing: &str, asked: Asked) -> Result<Response<Incoming>, EngineError> {
        let senseless = |error: hyper::http::Error| EngineError::senseless(doing, error.to_string());
        let mut request = Request::builder().method(asked.method).uri(&asked.path);
        for (name, value) in &asked.headers {
            let value = HeaderValue::from_str(value).map_err(|error| senseless(error.into()))?;
            request = request.header(*name, value);
        }
        match asked.payload {
            Payload::Nothing => {
                let request = request.body(bollard::body_full(Bytes::new())).map_err(senseless)?;
                self.0.transport.send(doing, request).await
            }
            Payload::File(file) => {
                let stream = ReaderStream::with_capacity(tokio::fs::File::from_std(file), 64 << 10);
                let request = request.body(bollard::body_try_stream(stream)).map_err(senseless)?;
                self.0.transport.send(doing, request).await
            }
        }
    }

    /// Sends it and takes the connection over for both directions.
    pub(super) async fn upgrade(
        &self,
        doing: &str,
        asked: Asked,
    ) -> Result<hyper_util::rt::TokioIo<hyper::upgrade::Upgraded>, EngineError> {
        let asked = asked
            .header(CONNECTION_NAME, "Upgrade".into())
            .header(UPGRADE_NAME, "tcp".into());
        let answer = self.send(doing, asked).await?;
        let upgraded = hyper::upgrade::on(answer)
            .await
            .map_err(|error| EngineError::hyper(doing, &error))?;
        Ok(hyper_util::rt::TokioIo::new(upgraded))
    }
}

const CONNECTION_NAME: &str = "connection";
const UPGRADE_NAME: &str = "upgrade";
/// For archives.
pub(super) const CONTENT_TYPE_NAME: &str = "content-type";

async fn beginning(mut body: Incoming) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < LONGEST_COMPLAINT
        && let Some(Ok(frame)) = frame(&mut body).await
    {
        if let Ok(data) = frame.into_data() {
            bytes.extend_from_slice(&data);
        }
    }
    bytes.truncate(LONGEST_COMPLAINT);
    bytes
}

/// The next piece of a body.
pub(super) async fn frame(body: &mut Incoming) -> Option<hyper::Result<hyper::body::Frame<Bytes>>> {
    std::future::poll_fn(|context| std::pin::Pin::new(&mut *body).poll_frame(context)).await
}

/// The bytes of an answer, each piece awaited for at most so long.
pub(super) fn pieces(
    doing: &str,
    answer: Response<Incoming>,
    silence: Duration,
) -> impl Stream<Item = Result<Bytes, EngineError>> + Send + use<> {
    let doing = doing.to_owned();
    futures_util::stream::unfold(Some(answer.into_body()), move |body| {
        let doing = doing.clone();
        async move {
            let mut body = body?;
            loop {
                match tokio::time::timeout(silence, frame(&mut body)).await {
                    Err(_) => return Some((Err(EngineError::timed_out(&doing, silence)), None)),
                    Ok(None) => return None,
                    Ok(Some(Err(error))) => return Some((Err(EngineError::hyper(&doing, &error)), None)),
                    Ok(Some(Ok(frame))) => {
                        if let Ok(data) = frame.into_data() {
                            return Some((Ok(data), Some(body)));
                        }
                    }
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_put_so_that_nothing_leaks() {
        let asked = Asked::new(Method::POST, "/build".into(), Duration::ZERO)
            .with("t", "localhost/x:1")
            .with("buildargs", r#"{"A":"b&c=d"}"#)
            .with_some("target", None);
        assert_eq!(
            asked.path,
            "/build?t=localhost%2Fx%3A1&buildargs=%7B%22A%22%3A%22b%26c%3Dd%22%7D"
        );
    }

    #[test]
    fn names_lead_nowhere_else() {
        assert!(checked("x", "localhost/x:latest@sha256:ab").is_ok());
        assert!(checked("x", "../containers/json").is_err());
        assert!(checked("x", "a//b").is_err());
        assert!(checked("x", "a?force=1").is_err());
        assert!(checked("x", "").is_err());
    }
}
