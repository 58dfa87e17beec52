//! QEMU's control socket (QMP): one JSON object a line, each command answered.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

/// How long QEMU may take for an answer.
const LIMIT: Duration = Duration::from_secs(20);

/// Has the machine at this socket carry out one command.
pub(super) fn command(socket: &Path, name: &str, arguments: &Value) -> anyhow::Result<Value> {
    let mut stream = UnixStream::connect(socket).with_context(|| format!("cannot reach {}", socket.display()))?;
    stream.set_read_timeout(Some(LIMIT))?;
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    // The greeting.
    lines.next().context("QEMU greets")??;
    let mut ask = |name: &str, arguments: &Value| -> anyhow::Result<Value> {
        writeln!(stream, "{}", json!({"execute": name, "arguments": arguments}))?;
        for line in &mut lines {
            let answer: Value = serde_json::from_str(&line?)?;
            if let Some(error) = answer.get("error") {
                bail!("QEMU refuses {name}: {}", error["desc"]);
            }
            if let Some(value) = answer.get("return") {
                return Ok(value.clone());
            }
            // Anything else is an event.
        }
        bail!("QEMU ended before it answered {name}")
    };
    ask("qmp_capabilities", &json!({}))?;
    ask(name, arguments)
}
