//! Where the command line writes: stdout is data, stderr is talk. The one place that touches the two streams.

use std::io::{self, Write};

use windlass_core::refusal::Refusal;

/// The two streams of one run.
///
/// A reader of stdout that went away (`windlass … | head`) is no error of ours: what is written after that is dropped.
pub struct Output {
    data: Box<dyn Write + Send>,
    talk: Box<dyn Write + Send>,
}

impl Output {
    /// The process's own streams.
    pub fn process() -> Self {
        Self::new(Box::new(io::stdout()), Box::new(io::stderr()))
    }

    /// Any two streams.
    pub fn new(data: Box<dyn Write + Send>, talk: Box<dyn Write + Send>) -> Self {
        Self { data, talk }
    }

    /// One line of data.
    pub fn line(&mut self, line: impl AsRef<str>) -> io::Result<()> {
        kept_going(writeln!(self.data, "{}", line.as_ref()))
    }

    /// Data as it is.
    pub fn data(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        kept_going(self.data.write_all(bytes.as_ref()).and_then(|()| self.data.flush()))
    }

    /// One JSON value as data, indented.
    pub fn json(&mut self, value: &impl serde::Serialize) -> io::Result<()> {
        let text = serde_json::to_string_pretty(value).map_err(io::Error::other)?;
        self.line(text)
    }

    /// One line of talk.
    pub fn say(&mut self, line: impl AsRef<str>) {
        // Nobody is left to tell when stderr is gone.
        let _ = writeln!(self.talk, "{}", line.as_ref());
    }

    /// Talk as it is.
    pub fn talk(&mut self, text: impl AsRef<str>) {
        let _ = self.talk.write_all(text.as_ref().as_bytes());
    }

    /// One refusal, as every door shows it.
    pub fn refusal(&mut self, refusal: &Refusal) {
        self.say(format!("windlass: refused: {} [{}]", refusal.message, refusal.code));
        if let Some(hint) = &refusal.hint {
            self.say(format!("\nhint: {hint}"));
        }
    }

    /// One error with all its causes.
    pub fn error(&mut self, error: &anyhow::Error) {
        match error.downcast_ref::<Refusal>() {
            Some(refusal) => self.refusal(refusal),
            None => self.say(format!("windlass: {error:#}")),
        }
    }
}

fn kept_going(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}
