//! What BuildKit says while it builds: protobuf in base64 within the stream of messages. The little that people want to see is read.
//!
//! The form is `moby.buildkit.v1.StatusResponse` (moby/buildkit, `api/services/control/control.proto`).

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost::Message as _;
use serde_json::Value;

use super::messages::Lines;

/// The `id` of the messages that hold one.
pub(super) const ID: &str = "moby.buildkit.trace";

/// The most steps that are kept in mind of one build.
const MOST_STEPS: usize = 10_000;

#[derive(Clone, PartialEq, prost::Message)]
struct Status {
    #[prost(message, repeated, tag = "1")]
    vertices: Vec<Vertex>,
    #[prost(message, repeated, tag = "3")]
    logs: Vec<VertexLog>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Vertex {
    #[prost(string, tag = "1")]
    digest: String,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(bool, tag = "4")]
    cached: bool,
    #[prost(message, optional, tag = "5")]
    started: Option<Time>,
    #[prost(message, optional, tag = "6")]
    completed: Option<Time>,
    #[prost(string, tag = "7")]
    error: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct VertexLog {
    #[prost(string, tag = "1")]
    vertex: String,
    #[prost(bytes = "vec", tag = "4")]
    message: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Time {}

/// Turns the messages of one build into lines.
#[derive(Debug, Default)]
pub(super) struct Trace {
    begun: BTreeSet<String>,
    ended: BTreeSet<String>,
    output: BTreeMap<String, Lines>,
}

impl Trace {
    /// One message's `aux`. What cannot be read is passed over: nothing is decided by it.
    pub(super) fn take(&mut self, aux: &Value, mut line: impl FnMut(&str)) {
        let Some(status) = aux
            .as_str()
            .and_then(|text| STANDARD.decode(text).ok())
            .and_then(|bytes| Status::decode(bytes.as_slice()).ok())
        else {
            return;
        };
        for vertex in &status.vertices {
            let name = windlass_core::escape::escaped(&vertex.name);
            if vertex.started.is_some() && self.begun.len() < MOST_STEPS && self.begun.insert(vertex.digest.clone()) {
                // What BuildKit does for itself is of no interest to anybody.
                if !name.starts_with("[internal]") {
                    line(&name);
                }
            }
            if vertex.completed.is_some()
                && self.begun.contains(&vertex.digest)
                && self.ended.insert(vertex.digest.clone())
            {
                if vertex.cached && !name.starts_with("[internal]") {
                    line("  taken from the cache");
                }
                if !vertex.error.is_empty() {
                    line(&format!("  {}", windlass_core::escape::escaped(&vertex.error)));
                }
            }
        }
        for log in &status.logs {
            if !self.begun.contains(&log.vertex) {
                continue;
            }
            let text = String::from_utf8_lossy(&log.message);
            let lines = self.output.entry(log.vertex.clone()).or_default();
            lines.push(&text, |text| line(&format!("  {text}")));
        }
    }

    /// What was not ended by a line feed.
    pub(super) fn end(&mut self, mut line: impl FnMut(&str)) {
        for lines in self.output.values_mut() {
            lines.end(|text| line(&format!("  {text}")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(traces: &[&str]) -> Vec<String> {
        let mut trace = Trace::default();
        let mut seen = Vec::new();
        for text in traces {
            trace.take(&Value::String((*text).to_owned()), |line| seen.push(line.to_owned()));
        }
        trace.end(|line| seen.push(line.to_owned()));
        seen
    }

    #[test]
    fn a_trace_of_a_real_engine_is_read() {
        // Docker 20.10.24, the end of a build.
        let real = "CngKR3NoYTI1NjplOGM2MTNlMDdiMGI3ZmYzMzg5M2I2OTRmNzc1OWExMGQ0MmUxODBmMmI0ZGMzNDlmYjU3ZGM2YjcxZGNhYjAwGhJleHBvcnRpbmcgdG8gaW1hZ2UqDAim54fYBhCw5d3WAzILCKfnh9gGENbggBMSigEKGG5hbWluZyB0byBsb2NhbGhvc3QvYmI6MhJHc2hhMjU2OmU4YzYxM2UwN2IwYjdmZjMzODkzYjY5NGY3NzU5YTEwZDQyZTE4MGYyYjRkYzM0OWZiNTdkYzZiNzFkY2FiMDAyCwin54fYBhCllv4SOgsIp+eH2AYQlYXXEkILCKfnh9gGEMyR/hI=";
        assert_eq!(said(&[real, real]), ["exporting to image"]);
    }

    #[test]
    fn output_stands_under_its_step() {
        let status = Status {
            vertices: vec![Vertex {
                digest: "d".into(),
                name: "[1/2] RUN make".into(),
                started: Some(Time {}),
                ..Vertex::default()
            }],
            logs: vec![VertexLog {
                vertex: "d".into(),
                message: b"cc x.c\n\x1b[2Jdone".to_vec(),
            }],
        };
        let text = STANDARD.encode(status.encode_to_vec());
        assert_eq!(said(&[&text]), ["[1/2] RUN make", "  cc x.c", "  \\u{1b}[2Jdone"]);
    }

    #[test]
    fn garbage_is_passed_over() {
        assert!(said(&["", "!!", "AAAA", "////"]).is_empty());
    }
}
